// Console: everything the tool says on standard error. Messages are whole lines that name the tool
// and the command ("kist: load: ..."); the status line, where there is a terminal, is rewritten in
// place and makes way for messages.
//
// Thread rule: one thread at a time, but Status may come from a job's thread while the caller
// waits.
#pragma once

#include <string>
#include <string_view>

namespace kist::cli {

class Console {
 public:
  Console();
  ~Console() { ClearStatus(); }
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void set_command(std::string_view command) { command_ = command; }
  void set_quiet(bool quiet) { quiet_ = quiet; }
  bool quiet() const { return quiet_; }
  bool is_terminal() const { return is_terminal_; }  // standard error

  void Error(std::string_view text);  // always
  void Note(std::string_view text);   // not where --quiet
  void Status(std::string_view text);
  void ClearStatus();

 private:
  void Line(std::string_view text);
  size_t Columns() const;

  const bool is_terminal_;
  std::string command_;
  bool quiet_ = false;
  bool status_shown_ = false;
};

bool StdoutIsTerminal();
bool StdinIsTerminal();

}  // namespace kist::cli
