// kist: the command line tool. main reads the command's name; commands.cc knows the commands.
//
// The rooms inside: args (words), context (errors), database (opening), format_* (records as text),
// input and output (bytes), progress and console (standard error), cmd_* (what the tool does).
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/interrupt.h"

namespace kist::cli {
namespace {

int Main(const std::vector<std::string>& words) {
  InterruptInstall();
  Console console;
  if (words.empty()) {
    console.Error(
        "no command\n      usage: kist COMMAND [options] DB [arguments]\n"
        "      `kist --help` lists the commands");
    return kExitUsage;
  }
  const std::string& name = words[0];
  if (name == "--help" || name == "-h") return PrintHelp(OverviewText(), &console);
  const bool version = name == "--version" || name == "-V";
  const Command* const command = FindCommand(version ? "version" : name);
  if (command == nullptr) {
    console.Error(name.substr(0, 1) == "-"
                      ? "options come after the command: kist COMMAND " + name + " ..."
                      : UnknownCommand(name, false) + "\n      `kist --help` lists the commands");
    return kExitUsage;
  }
  console.set_command(command->name);
  return RunCommand(*command, {words.begin() + 1, words.end()}, &console, nullptr);
}

}  // namespace
}  // namespace kist::cli

int main(int argc, char** argv) {
  try {
    return kist::cli::Main({argv + (argc > 0 ? 1 : 0), argv + argc});
  } catch (const std::bad_alloc&) {
    std::fputs("kist: out of memory\n", stderr);
    return kist::cli::kExitDatabase;
  }
}
