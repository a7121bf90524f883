// Context: what a running command has at hand, and the ways it ends badly.
//
// Every error line has the form "kist: COMMAND: WHAT: MESSAGE", with the result code of a failed
// kist call in parentheses. Fail and Usage return the exit code, so that a command ends with
// `return`.
#pragma once

#include <kist/kist.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "cli/args.h"
#include "cli/command.h"
#include "cli/console.h"

namespace kist::cli {

class Database;

struct Context {
  const Command* command;
  Args args;
  Console* console;
  Database* session = nullptr;  // the shell's open database

  int Fail(std::string_view what, kist_rc rc, const kist_err& err);
  int Fail(ExitCode code, std::string_view message);
  int Usage(std::string_view message);  // the command line is wrong

  // The option's value as a number; `value` stays as it is where the option is not given. False
  // after having said what is wrong.
  [[nodiscard]] bool CountOption(std::string_view name, uint64_t* value);
  [[nodiscard]] bool DurationOption(std::string_view name, int64_t* ms);
  // --ttl: a duration, or "never".
  [[nodiscard]] bool TtlOption(int64_t* ttl_ms);
  // A key or value given as a word, read as -x or -e ask. False after having said what is wrong.
  [[nodiscard]] bool Bytes(std::string_view word, std::string* bytes);
  // Bytes of an option; empty and *given false where the option is not given.
  [[nodiscard]] bool BytesOption(std::string_view name, std::string* bytes, bool* given);

  bool ShowProgress() const;
  const std::string& Path() const { return args.operands().front(); }
};

ExitCode ExitCodeOf(kist_rc rc);
std::string Describe(kist_rc rc, const kist_err& err);  // "message (KIST_E_IO, errno 28: ...)"

}  // namespace kist::cli
