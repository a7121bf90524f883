// kist get, kist exists, kist ttl: what is stored under given keys.
//
// Absence is an exit code, not a message, so that a script can ask without a redirection. A value
// goes out byte for byte: what `put` read from a file, `get` writes to one.
#include <algorithm>

#include "cli/commands.h"
#include "cli/database.h"
#include "cli/format.h"
#include "cli/output.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kGetOptions[] = {
    {"format", 'f', "FORMAT",
     "Write key and value as tsv, csv or jsonl instead of the value's bare bytes."},
    {"values-only", 0, nullptr, "With --format (or several keys): values without their keys."},
};

// Calls read(key) for each key of the command line; read returns KIST_OK, KIST_NOT_FOUND or an
// error.
template <typename Read>
int ForEachKey(Context& context, Read read, kist_err* err) {
  const std::vector<std::string>& operands = context.args.operands();
  int code = kExitOk;
  for (size_t i = 1; i < operands.size(); ++i) {
    std::string key;
    if (!context.Bytes(operands[i], &key)) return kExitUsage;
    const kist_rc rc = read(key);
    if (rc < 0) return context.Fail(Quoted(key), rc, *err);
    if (rc == KIST_NOT_FOUND) code = kExitNotFound;
  }
  return code;
}

int Get(Context& context) {
  FormatOptions format;
  const auto format_name = context.args.Get("format");
  const bool bare = !format_name.has_value() && context.args.operands().size() == 2;
  if (format_name.has_value() && !ParseFormat(*format_name, &format.format)) {
    return context.Usage("unknown format " + Quoted(*format_name) + ": tsv, csv, jsonl, stanza");
  }
  format.values_only = context.args.Has("values-only");
  Database database;
  int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  Output output(context.console);
  const auto writer = NewRecordWriter(format);
  kist_err err = KIST_ERR_INIT;
  const auto read = [&](const std::string& key) {
    kist_pin pin = {};
    const kist_rc rc =
        kist_get_pin(database.keyspace(), nullptr, key.data(), key.size(), &pin, &err);
    if (rc != KIST_OK) return rc;
    const std::string_view value(static_cast<const char*>(pin.data), pin.len);
    if (bare) {
      output.Append(value);
      // A prompt on the value's last line helps nobody; a file or pipe gets the bytes alone.
      if (StdoutIsTerminal() && !value.empty() && value.back() != '\n') output.Append("\n");
    } else {
      writer->Append(key, value, -1, &output.buffer());
      output.Spill();
    }
    kist_pin_release(&pin);
    return rc;
  };
  code = ForEachKey(context, read, &err);
  return std::max(code, output.Finish());
}

int Exists(Context& context) {
  Database database;
  const int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  kist_err err = KIST_ERR_INIT;
  const auto read = [&](const std::string& key) {
    const kist_rc rc = kist_exists(database.keyspace(), nullptr, key.data(), key.size(), &err);
    if (rc == KIST_NOT_FOUND) context.console->Note(Quoted(key) + " is not there");
    return rc;
  };
  return ForEachKey(context, read, &err);
}

int Ttl(Context& context) {
  Database database;
  int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  Output output(context.console);
  kist_err err = KIST_ERR_INIT;
  const bool several = context.args.operands().size() > 2;
  const auto read = [&](const std::string& key) {
    int64_t left_ms = 0;
    const kist_rc rc =
        kist_ttl(database.keyspace(), nullptr, key.data(), key.size(), &left_ms, &err);
    if (rc != KIST_OK) return rc;
    if (several) {
      AppendEscaped(key, &output.buffer());
      output.Append("\t");
    }
    output.Append(left_ms < 0 ? "never\n" : std::to_string(left_ms) + "\n");
    return rc;
  };
  code = ForEachKey(context, read, &err);
  return std::max(code, output.Finish());
}

}  // namespace

const Command kGetCommand = {
    "get",
    "DB KEY...",
    "print the value of a key",
    "Prints the value of KEY, its bytes and nothing else (on a terminal a line end is added\n"
    "where the value has none). For a key that is not there it prints nothing and exits with\n"
    "1. Several keys, or --format, print a line of key and value for each key that is there.",
    "  kist get /tmp/db greeting\n"
    "  kist get /tmp/db logo > logo.png\n"
    "  kist get --format jsonl /tmp/db a b c\n"
    "  if v=$(kist get /tmp/db session/42); then echo \"token $v\"; else echo expired; fi",
    kGetOptions,
    sizeof(kGetOptions) / sizeof(kGetOptions[0]),
    kShareDatabase | kShareBytes,
    2,
    kManyOperands,
    Get,
    true,
};

const Command kExistsCommand = {
    "exists",
    "DB KEY...",
    "tell whether keys are there",
    "Exits with 0 where every KEY has a value, with 1 where one has none (and names it on\n"
    "standard error, unless --quiet).",
    "  kist exists --quiet /tmp/db greeting && echo there",
    nullptr,
    0,
    kShareDatabase | kShareBytes,
    2,
    kManyOperands,
    Exists,
    true,
};

const Command kTtlCommand = {
    "ttl",
    "DB KEY...",
    "print how long values still live",
    "Prints the milliseconds until the value of KEY expires, or \"never\". A key that is not\n"
    "there, or has expired, prints nothing and exits with 1.",
    "  kist put --ttl 15m /tmp/db session/42 token\n"
    "  kist ttl /tmp/db session/42",
    nullptr,
    0,
    kShareDatabase | kShareBytes,
    2,
    kManyOperands,
    Ttl,
    true,
};

}  // namespace kist::cli
