// Command: what the tool knows about one of its commands, as constants: words for the help pages,
// the options it takes, how many operands, and the function that runs it. Each cmd_*.cc defines its
// own; commands.cc lists them. Nothing here is built at run time, so there are no static
// constructors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kist::cli {

// What scripts may rely on; `kist help exit-codes` prints this table.
enum ExitCode : int {
  kExitOk = 0,
  kExitNotFound = 1,  // a key was not there
  kExitUsage = 2,     // the command line was wrong; nothing was done
  kExitBadInput = 3,  // a line of input was wrong
  kExitDatabase = 4,  // the database refused or failed
  kExitCorrupt = 5,   // stored bytes are damaged
  kExitLocked = 6,    // another process has the database open for writing
  kExitMissing = 7,   // no such database or keyspace
  kExitIo = 8,        // a file, standard input or standard output failed
  kExitSignal = 128,  // + the signal's number: 130 after Ctrl-C
};

struct OptionSpec {
  const char* name;   // without its dashes
  char letter;        // 0: none
  const char* value;  // what its value is called, nullptr: a flag
  const char* text;   // one sentence
};

// Options that several commands share.
enum Share : uint32_t {
  kShareDatabase = 1,   // -k, -o; the first operand is DB
  kShareBytes = 2,      // -x, -e
  kShareProgress = 4,   // --progress, --no-progress
  kShareRange = 8,      // --prefix, --from, --to
  kShareSync = 16,      // --sync
  kShareCreate = 32,    // --create: an absent database is an error otherwise
  kShareNoCreate = 64,  // --no-create: an absent database is created otherwise
};

class Args;
struct Context;

struct Command {
  const char* name;
  const char* operands;  // "DB KEY..."
  const char* summary;   // one line of the overview
  const char* about;     // the paragraphs of the help page
  const char* examples;
  const OptionSpec* options;
  size_t option_count;
  uint32_t shares;
  size_t operands_min;
  size_t operands_max;
  int (*run)(Context& context);
  bool in_shell;  // offered at the prompt of `kist shell`, without its DB
};

constexpr size_t kManyOperands = SIZE_MAX;

}  // namespace kist::cli
