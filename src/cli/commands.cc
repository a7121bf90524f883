// The list of commands in the overview's order: what one does every day first.
//
// RunCommand is the one way to run a command, from main and from the shell: options, --help, number
// of operands, then the command's function.
#include "cli/commands.h"

#include "cli/database.h"
#include "cli/help.h"
#include "cli/suggest.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr const Command* kCommands[] = {
    &kPutCommand,     &kGetCommand,    &kExistsCommand,  &kTtlCommand,
    &kDeleteCommand,  &kScanCommand,   &kLoadCommand,    &kDumpCommand,
    &kShellCommand,   &kStatsCommand,  &kSizeCommand,    &kVerifyCommand,
    &kCompactCommand, &kFlushCommand,  &kSyncCommand,    &kCheckpointCommand,
    &kBackupCommand,  &kStreamCommand, &kRestoreCommand, &kGenerationsCommand,
    &kPruneCommand,   &kRepairCommand, &kDestroyCommand, &kKeyspacesCommand,
    &kOptionsCommand, &kBenchCommand,  &kHelpCommand,    &kVersionCommand,
};

// What people type who come from other tools.
struct OtherName {
  const char* name;
  const char* command;
};
constexpr OtherName kOtherNames[] = {
    {"set", "put"},         {"insert", "put"},      {"rm", "delete"},
    {"remove", "delete"},   {"unset", "delete"},    {"ls", "scan"},
    {"list", "scan"},       {"range", "scan"},      {"count", "scan --count"},
    {"import", "load"},     {"export", "dump"},     {"check", "verify"},
    {"fsck", "verify"},     {"info", "stats"},      {"status", "stats"},
    {"benchmark", "bench"}, {"drop", "destroy"},    {"has", "exists"},
    {"repl", "shell"},      {"copy", "checkpoint"}, {"snapshot", "checkpoint"},
};

}  // namespace

const Command* CommandAt(size_t index) {
  return index < sizeof(kCommands) / sizeof(kCommands[0]) ? kCommands[index] : nullptr;
}

const Command* FindCommand(std::string_view name) {
  for (const Command* command : kCommands) {
    if (name == command->name) return command;
  }
  return nullptr;
}

std::string UnknownCommand(std::string_view name, bool in_shell) {
  std::string nearest;
  for (const OtherName& other : kOtherNames) {
    if (name == other.name) nearest = other.command;
  }
  if (nearest.empty()) {
    std::vector<std::string_view> names;
    for (const Command* command : kCommands) {
      if (!in_shell || command->in_shell) names.push_back(command->name);
    }
    nearest = Nearest(name, names);
  }
  std::string text = "unknown command " + Quoted(name);
  if (!nearest.empty()) text += "; did you mean " + nearest + "?";
  return text;
}

int RunCommand(const Command& command, const std::vector<std::string>& words, Console* console,
               Database* session) {
  Context context{&command, Args(), console, session};
  std::string error;
  if (!context.args.Parse(command, words, &error)) return context.Usage(error);
  if (context.args.Has("help")) return PrintCommandHelp(command, console);
  console->set_quiet(context.args.Has("quiet"));
  if (session != nullptr && std::string_view(command.operands).substr(0, 2) == "DB") {
    context.args.InsertOperand(session->path());
  }
  const size_t count = context.args.operands().size();
  if (count < command.operands_min) {
    return context.Usage(count == 0 && command.operands_min > 0 ? "no database was named"
                                                                : "too few arguments");
  }
  if (count > command.operands_max) {
    return context.Usage("one argument too many: " + Quoted(context.args.operands().back()));
  }
  return command.run(context);
}

}  // namespace kist::cli
