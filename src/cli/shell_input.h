// ShellInput: lines for the shell. With readline (or libedit, which speaks the same interface) a
// terminal gets editing, history and completion of command names; otherwise, and for pipes, plain
// lines. The history is kept in $KIST_HISTORY, else in $XDG_STATE_HOME or ~/.local/state under
// kist/history; a line that begins with a blank is not kept, nor is anything where KIST_HISTORY is
// empty.
#pragma once

#include <string>

#include "cli/input.h"

namespace kist::cli {

class ShellInput {
 public:
  enum class Result { kLine, kEnd, kCleared, kFailed };  // kCleared: Ctrl-C at the prompt

  ShellInput();
  ~ShellInput();  // writes the history
  ShellInput(const ShellInput&) = delete;
  ShellInput& operator=(const ShellInput&) = delete;

  static const char* Editor();  // the library that edits lines, "none" where there is none
  bool interactive() const { return interactive_; }
  Result ReadLine(const std::string& prompt, std::string* line);
  const std::string& error() const { return input_.error(); }

 private:
  Result ReadPlain(const std::string& prompt, std::string* line);

  const bool interactive_;
  std::string history_path_;
  Input input_;
};

}  // namespace kist::cli
