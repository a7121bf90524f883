// readline keeps its state in globals of its own; nothing is added to them here but two hooks.
//
// The history is written once, at the end, by the process that read it; two shells at a time keep
// the lines of the one that ends last.
#include "cli/shell_input.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cli/commands.h"
#include "cli/console.h"
#include "cli/interrupt.h"

#if defined(KIST_HAVE_LIBEDIT)
#include <editline/readline.h>
#define KIST_LINE_EDITING 1
#elif defined(KIST_HAVE_READLINE)
#include <readline/history.h>
#include <readline/readline.h>
#define KIST_LINE_EDITING 1
#endif

namespace kist::cli {
namespace {

std::string EnvironmentText(const char* name) {
  const char* const text = std::getenv(name);
  return text != nullptr ? text : "";
}

std::string HistoryPath() {
  if (std::getenv("KIST_HISTORY") != nullptr) return EnvironmentText("KIST_HISTORY");
  std::string directory = EnvironmentText("XDG_STATE_HOME");
  const std::string home = EnvironmentText("HOME");
  if (directory.empty() && !home.empty()) directory = home + "/.local/state";
  return directory.empty() ? "" : directory + "/kist/history";
}

#if defined(KIST_LINE_EDITING)
// Makes the directories above `path`, for this user alone.
void MakeParents(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    mkdir(path.substr(0, slash).c_str(), 0700);
  }
}

constexpr int kHistoryLines = 2000;

// Names of commands for the first word; the first entry is what all matches share.
char** CompleteCommand(const char* text, int start, int) {
  rl_attempted_completion_over = start == 0 ? 1 : 0;
  if (start != 0) return nullptr;
  const std::string_view typed = text;
  std::vector<std::string> found = {""};
  for (size_t i = 0; CommandAt(i) != nullptr; ++i) {
    const std::string name = CommandAt(i)->name;
    if (CommandAt(i)->in_shell && name.compare(0, typed.size(), typed) == 0) found.push_back(name);
  }
  for (const char* const name : {"use", "set", "quit"}) {
    if (std::string_view(name).substr(0, typed.size()) == typed) found.emplace_back(name);
  }
  if (found.size() == 1) return nullptr;
  std::string shared = found[1];
  for (const std::string& name : found) {
    if (&name == &found[0]) continue;
    while (name.compare(0, shared.size(), shared) != 0) shared.pop_back();
  }
  found[0] = shared;
  if (found.size() == 2) found.pop_back();  // the only match: the shared text is all of it
  // readline frees the list and its strings.
  char** const list = static_cast<char**>(std::malloc((found.size() + 1) * sizeof(char*)));
  if (list == nullptr) return nullptr;
  for (size_t i = 0; i < found.size(); ++i) list[i] = strdup(found[i].c_str());
  list[found.size()] = nullptr;
  return list;
}

#if defined(KIST_HAVE_READLINE)
// Ctrl-C at the prompt gives up the line. readline asks ten times a second while it waits for a
// key; its hook for signals alone would be noticed at the next key. libedit returns by itself.
int GiveUpLine() {
  if (InterruptPending() == 0) return 0;
  rl_replace_line("", 0);
  rl_done = 1;
  return 0;
}
#endif

void SetUpEditing(const std::string& history_path) {
  rl_readline_name = "kist";
  rl_attempted_completion_function = CompleteCommand;
#if defined(KIST_HAVE_READLINE)
  rl_event_hook = GiveUpLine;
#endif
  using_history();
  if (!history_path.empty()) read_history(history_path.c_str());
}

ShellInput::Result ReadEdited(const std::string& prompt, std::string* line) {
  InterruptPatient(true);
  char* const text = readline(prompt.c_str());
  InterruptPatient(false);
  if (InterruptPending() != 0) {
    std::free(text);
    return ShellInput::Result::kCleared;
  }
  if (text == nullptr) {
    std::fputc('\n', stdout);
    std::fflush(stdout);
    return ShellInput::Result::kEnd;
  }
  *line = text;
  std::free(text);
  if (!line->empty() && (*line)[0] != ' ') add_history(line->c_str());
  return ShellInput::Result::kLine;
}

void SaveHistory(const std::string& path) {
  if (path.empty()) return;
  MakeParents(path);
  stifle_history(kHistoryLines);
  write_history(path.c_str());
  chmod(path.c_str(), 0600);
}
#endif

}  // namespace

const char* ShellInput::Editor() {
#if defined(KIST_HAVE_LIBEDIT)
  return "libedit";
#elif defined(KIST_HAVE_READLINE)
  return "readline";
#else
  return "none";
#endif
}

ShellInput::ShellInput()
    : interactive_(StdinIsTerminal() && StdoutIsTerminal()), history_path_(HistoryPath()) {
#if defined(KIST_LINE_EDITING)
  if (interactive_) SetUpEditing(history_path_);
#endif
}

ShellInput::~ShellInput() {
#if defined(KIST_LINE_EDITING)
  if (interactive_) SaveHistory(history_path_);
#endif
}

ShellInput::Result ShellInput::ReadPlain(const std::string& prompt, std::string* line) {
  if (input_.name().empty() && !input_.Open("-")) return Result::kFailed;
  if (interactive_) {
    std::fputs(prompt.c_str(), stdout);
    std::fflush(stdout);
  }
  std::string_view text;
  switch (input_.ReadLine(&text)) {
    case Input::Result::kLine:
      break;
    case Input::Result::kEnd:
      return Result::kEnd;
    case Input::Result::kInterrupted:
      return Result::kCleared;
    case Input::Result::kFailed:
      return Result::kFailed;
  }
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  line->assign(text);
  return Result::kLine;
}

ShellInput::Result ShellInput::ReadLine(const std::string& prompt, std::string* line) {
#if defined(KIST_LINE_EDITING)
  if (interactive_) return ReadEdited(prompt, line);
#endif
  return ReadPlain(prompt, line);
}

}  // namespace kist::cli
