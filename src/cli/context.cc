// How errors read, and which exit code each result has.
//
// The library's message stands first, because it names the file and the reason; the code's name
// stands behind it for those who search for it.
#include "cli/context.h"

#include <cstring>

#include "cli/number.h"
#include "cli/text.h"

namespace kist::cli {

ExitCode ExitCodeOf(kist_rc rc) {
  switch (rc) {
    case KIST_OK:
      return kExitOk;
    case KIST_NOT_FOUND:
      return kExitNotFound;
    case KIST_E_CORRUPT:
      return kExitCorrupt;
    case KIST_E_LOCKED:
      return kExitLocked;
    case KIST_E_MISSING:
      return kExitMissing;
    default:
      return kExitDatabase;
  }
}

std::string Describe(kist_rc rc, const kist_err& err) {
  std::string text = err.code == rc && err.message[0] != '\0' ? err.message : kist_rc_text(rc);
  std::string detail = kist_rc_name(rc);
  if (err.code == rc && err.sys_errno != 0) {
    const char* const reason = std::strerror(err.sys_errno);
    detail += ", errno " + std::to_string(err.sys_errno);
    if (text.find(reason) == std::string::npos) detail += std::string(": ") + reason;
  }
  return text + " (" + detail + ")";
}

int Context::Fail(std::string_view what, kist_rc rc, const kist_err& err) {
  const std::string text = Describe(rc, err);
  // Most messages of the library name the file already.
  const bool named = what.empty() || text.find(what) != std::string::npos;
  console->Error(named ? text : std::string(what) + ": " + text);
  return ExitCodeOf(rc);
}

int Context::Fail(ExitCode code, std::string_view message) {
  console->Error(message);
  return code;
}

int Context::Usage(std::string_view message) {
  std::string text(message);
  if (session == nullptr) {
    text += Printf("\n      usage: kist %s [options] %s\n      `kist %s --help` explains",
                   command->name, command->operands, command->name);
  } else {
    text += Printf(" (`help %s` explains)", command->name);
  }
  console->Error(text);
  return kExitUsage;
}

bool Context::CountOption(std::string_view name, uint64_t* value) {
  const auto text = args.Get(name);
  if (!text.has_value() || ParseCount(*text, value)) return true;
  Usage("--" + std::string(name) + " " + Quoted(*text) +
        " is not a number such as 500, 10k or 64KiB");
  return false;
}

bool Context::DurationOption(std::string_view name, int64_t* ms) {
  const auto text = args.Get(name);
  if (!text.has_value() || ParseDurationMs(*text, ms)) return true;
  Usage("--" + std::string(name) + " " + Quoted(*text) +
        " is not a duration with its unit, such as 500ms, 30s, 15m, 12h, 7d");
  return false;
}

bool Context::TtlOption(int64_t* ttl_ms) {
  if (args.Get("ttl") == std::string_view("never")) {
    *ttl_ms = KIST_TTL_NEVER;
    return true;
  }
  if (!DurationOption("ttl", ttl_ms)) return false;
  if (!args.Has("ttl") || *ttl_ms > 0) return true;
  Usage("--ttl must be positive, or never");
  return false;
}

bool Context::Bytes(std::string_view word, std::string* bytes) {
  std::string error;
  bool good = true;
  if (args.Has("hex") && args.Has("escape")) {
    error = "--hex and --escape exclude each other";
    good = false;
  } else if (args.Has("hex")) {
    good = DecodeHex(word, bytes, &error);
  } else if (args.Has("escape")) {
    good = Unescape(word, bytes, &error);
  } else {
    *bytes = word;
  }
  if (!good) Usage(error);
  return good;
}

bool Context::BytesOption(std::string_view name, std::string* bytes, bool* given) {
  const auto word = args.Get(name);
  *given = word.has_value();
  bytes->clear();
  return !word.has_value() || Bytes(*word, bytes);
}

bool Context::ShowProgress() const {
  if (args.Has("progress")) return true;
  return console->is_terminal() && !console->quiet() && !args.Has("no-progress");
}

}  // namespace kist::cli
