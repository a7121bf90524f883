// The list of commands. Each is a constant defined by the cmd_*.cc that is named for it.
//
// Commands for what the library does not offer yet are not in the list: a command that exists
// works.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/context.h"

namespace kist::cli {

extern const Command kPutCommand;
extern const Command kGetCommand;
extern const Command kExistsCommand;
extern const Command kTtlCommand;
extern const Command kDeleteCommand;
extern const Command kScanCommand;
extern const Command kLoadCommand;
extern const Command kDumpCommand;
extern const Command kStatsCommand;
extern const Command kSizeCommand;
extern const Command kVerifyCommand;
extern const Command kRepairCommand;
extern const Command kCompactCommand;
extern const Command kFlushCommand;
extern const Command kSyncCommand;
extern const Command kCheckpointCommand;
extern const Command kBackupCommand;
extern const Command kStreamCommand;
extern const Command kRestoreCommand;
extern const Command kGenerationsCommand;
extern const Command kPruneCommand;
extern const Command kDestroyCommand;
extern const Command kKeyspacesCommand;
extern const Command kOptionsCommand;
extern const Command kBenchCommand;
extern const Command kShellCommand;
extern const Command kHelpCommand;
extern const Command kVersionCommand;

const Command* CommandAt(size_t index);  // in the order of the overview; nullptr past the last
const Command* FindCommand(std::string_view name);
// "unknown command 'lod'; did you mean load?"
std::string UnknownCommand(std::string_view name, bool in_shell);

// Reads the words behind a command's name and runs it. `session` is the shell's open database or
// nullptr. Says what is wrong and returns the exit code.
int RunCommand(const Command& command, const std::vector<std::string>& words, Console* console,
               Database* session);

}  // namespace kist::cli
