// kist shell: the same commands on one open database, without naming it each time.
//
// A line is split into words and runs the very Command that the command line runs, with the shell's
// Database in its Context; only use, set and quit are the shell's own.
#include <algorithm>
#include <csignal>
#include <cstdio>

#include "cli/commands.h"
#include "cli/database.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/shell_input.h"
#include "cli/shell_words.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kOptions[] = {
    {"read-only", 'r', nullptr, "Open read-only: beside a running writer, and to be safe."},
    {"command", 'c', "TEXT", "Run this line and exit; may be given several times."},
};

constexpr char kShellHelp[] =
    "  use NAME [--create]        work in another keyspace\n"
    "  set NAME VALUE             change a live option (`options` lists them)\n"
    "  quit                       leave; Ctrl-D does too\n"
    "Words are split as in sh: blanks part them, '...' and \"...\" keep them together.\n"
    "`help COMMAND` explains one.\n";

class Shell {
 public:
  Shell(Context* context, Database* database) : context_(*context), database_(*database) {}

  // Runs one line and returns its exit code; *quit is set where it asks to leave.
  int RunLine(const std::string& line, bool* quit);
  int RunInput();
  std::string Prompt() const;

 private:
  int BuiltIn(const std::vector<std::string>& words, bool* known, bool* quit);
  int Use(const std::vector<std::string>& words);
  int Set(const std::vector<std::string>& words);
  int Help();

  Context& context_;
  Database& database_;
};

std::string Shell::Prompt() const {
  std::string path = database_.path();
  const size_t slash = path.find_last_of('/', path.size() > 1 ? path.size() - 2 : 0);
  if (slash != std::string::npos && slash + 1 < path.size()) path = path.substr(slash + 1);
  std::string prompt = "kist " + path;
  if (database_.keyspace_name() != "default") prompt += ":" + database_.keyspace_name();
  return prompt + (database_.read_only() ? " (read-only)> " : "> ");
}

int Shell::Use(const std::vector<std::string>& words) {
  bool create = false;
  std::vector<std::string> names;
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "--create") {
      create = true;
    } else {
      names.push_back(words[i]);
    }
  }
  if (names.size() != 1) return context_.Fail(kExitUsage, "use NAME [--create]");
  return database_.Use(context_, names[0], create);
}

int Shell::Set(const std::vector<std::string>& words) {
  if (words.size() != 3) return context_.Fail(kExitUsage, "set NAME VALUE");
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_set_option(database_.db(), words[1].c_str(), words[2].c_str(), &err);
  return rc == KIST_OK ? kExitOk : context_.Fail(words[1], rc, err);
}

int Shell::Help() {
  std::string text = "commands:\n";
  for (size_t i = 0; CommandAt(i) != nullptr; ++i) {
    if (!CommandAt(i)->in_shell) continue;
    std::string operands = CommandAt(i)->operands;
    if (operands.compare(0, 2, "DB") == 0) operands.erase(0, operands.size() > 2 ? 3 : 2);
    std::string head = std::string("  ") + CommandAt(i)->name + " " + operands;
    head.resize(std::max<size_t>(head.size() + 1, 29), ' ');
    text += head + CommandAt(i)->summary + "\n";
  }
  return PrintHelp(text + kShellHelp, context_.console);
}

int Shell::BuiltIn(const std::vector<std::string>& words, bool* known, bool* quit) {
  const std::string& name = words[0];
  *known = true;
  if (name == "quit" || name == "exit") {
    *quit = true;
    return kExitOk;
  }
  if (name == "use") return Use(words);
  if (name == "set" && words.size() == 3) return Set(words);
  if (name == "help" && words.size() == 1) return Help();
  *known = false;
  return kExitOk;
}

int Shell::RunLine(const std::string& line, bool* quit) {
  std::vector<std::string> words;
  std::string error;
  Console& console = *context_.console;
  console.set_command("shell");
  if (!SplitWords(line, &words, &error)) return context_.Fail(kExitUsage, error);
  if (words.empty()) return kExitOk;
  bool known = false;
  int code = BuiltIn(words, &known, quit);
  if (known) return code;
  const Command* const command = FindCommand(words[0]);
  if (command == nullptr || !command->in_shell) {
    return context_.Fail(kExitUsage,
                         command != nullptr
                             ? Quoted(words[0]) + " is a command of its own: leave the shell"
                             : UnknownCommand(words[0], true));
  }
  console.set_command(command->name);
  const bool quiet = console.quiet();
  code = RunCommand(*command, {words.begin() + 1, words.end()}, &console, &database_);
  console.set_quiet(quiet);
  console.set_command("shell");
  return code;
}

int Shell::RunInput() {
  ShellInput input;
  if (input.interactive() && !context_.console->quiet()) {
    std::printf("kist %s, %s; help lists the commands\n", kist_version_string(),
                database_.path().c_str());
    std::fflush(stdout);
  }
  int code = kExitOk;
  bool quit = false;
  for (uint64_t number = 1; !quit; ++number) {
    std::string line;
    const ShellInput::Result result = input.ReadLine(Prompt(), &line);
    if (result == ShellInput::Result::kEnd) break;
    if (result == ShellInput::Result::kFailed) {
      return context_.Fail(kExitIo, "standard input: " + input.error());
    }
    if (result == ShellInput::Result::kLine) code = RunLine(line, &quit);
    const int signal_number = InterruptPending();
    if (signal_number != 0 && (!input.interactive() || signal_number != SIGINT)) {
      return kExitSignal + signal_number;
    }
    if (signal_number != 0) {
      std::fputc('\n', stdout);
      std::fflush(stdout);
      InterruptClear();
      continue;
    }
    if (!input.interactive() && code > kExitNotFound) {
      context_.console->Error("stopped at line " + std::to_string(number));
      return code;
    }
  }
  return input.interactive() ? kExitOk : code;
}

int RunShell(Context& context) {
  Database database;
  const bool read_only = context.args.Has("read-only");
  int code = database.Open(context, read_only ? Database::Mode::kRead : Database::Mode::kWrite);
  if (code == kExitLocked && !read_only) {
    context.console->Note("--read-only opens it beside the writer");
  }
  if (code != kExitOk) return code;
  Shell shell(&context, &database);
  bool quit = false;
  const auto lines = context.args.All("command");
  for (const std::string_view line : lines) {
    if (!quit && code <= kExitNotFound) code = shell.RunLine(std::string(line), &quit);
  }
  if (lines.empty()) code = shell.RunInput();
  context.console->set_command("shell");
  const int close = database.Close(context);
  return code != kExitOk ? code : close;
}

}  // namespace

const Command kShellCommand = {
    "shell",
    "DB",
    "work in a database interactively",
    "Opens the database once and reads commands: the ones of this tool, without DB. On a\n"
    "terminal it has line editing, history and completion where it was built with readline.\n"
    "From a pipe it runs one command a line and stops at the first that fails, with its exit\n"
    "code; a key that is not there does not stop it. \":memory:\" as DB (with --create) is a\n"
    "database of its own that vanishes at the end.",
    "  kist shell /tmp/db\n"
    "  kist shell --read-only /tmp/db\n"
    "  kist shell -c 'stats' -c 'compact' /tmp/db\n"
    "  printf 'put a 1\\nput b 2\\nscan\\n' | kist shell --create :memory:",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    kShareDatabase | kShareCreate,
    1,
    1,
    RunShell,
    false,
};

}  // namespace kist::cli
