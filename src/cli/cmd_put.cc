// kist put: one value, or several pairs as one commit.
//
// The value of a single key may come from standard input or a file, byte for byte; that is how
// values with NUL bytes get in, which no command line can hold.
#include "cli/commands.h"
#include "cli/database.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kOptions[] = {
    {"file", 'f', "FILE", "Take the value from this file, - for standard input, byte for byte."},
    {"ttl", 0, "TIME", "The values expire so long from now: 500ms, 30s, 15m, 12h, 7d, never."},
};

int ReadValue(Context& context, const std::string& path, const Database& database,
              std::string* value) {
  Input input;
  const std::string name = path == "-" ? "(standard input)" : path;
  if (!input.Open(path)) return context.Fail(kExitIo, name + ": " + input.error());
  switch (input.ReadAll(value, database.value_bytes_max())) {
    case Input::Result::kFailed:
      return context.Fail(kExitIo, name + ": " + input.error());
    case Input::Result::kInterrupted:
      return kExitSignal + InterruptPending();
    default:
      return kExitOk;
  }
}

int Put(Context& context) {
  const std::vector<std::string>& operands = context.args.operands();
  const auto file = context.args.Get("file");
  const bool from_file = file.has_value() || operands.size() == 2;
  if (file.has_value() && operands.size() != 2)
    return context.Usage("--file takes one KEY, no VALUE");
  if (!from_file && operands.size() % 2 == 0) {
    return context.Usage("the key " + Quoted(operands.back()) + " has no value");
  }
  if (from_file && context.session != nullptr && file.value_or("-") == "-") {
    return context.Usage("the shell reads commands from standard input: give VALUE or --file");
  }
  int64_t ttl_ms = 0;
  if (!context.TtlOption(&ttl_ms)) return kExitUsage;
  std::vector<std::string> words(operands.begin() + 1, operands.end());
  for (std::string& word : words) {
    const std::string given = word;
    if (!context.Bytes(given, &word)) return kExitUsage;
  }
  Database database;
  int code = database.Open(context, Database::Mode::kCreate);
  if (code != kExitOk) return code;
  if (from_file) {
    words.emplace_back();
    code = ReadValue(context, file.has_value() ? std::string(*file) : "-", database, &words.back());
    if (code != kExitOk) return code;
  }
  OwnedBatch batch;
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = kist_batch_new(batch.out());
  for (size_t i = 0; i < words.size() && rc == KIST_OK; i += 2) {
    rc = kist_batch_put(batch.get(), database.keyspace(), words[i].data(), words[i].size(),
                        words[i + 1].data(), words[i + 1].size(), ttl_ms, &err);
    if (rc != KIST_OK) return context.Fail(Quoted(words[i]), rc, err);
  }
  if (rc == KIST_OK) rc = kist_write(database.db(), nullptr, batch.get(), nullptr, &err);
  if (rc != KIST_OK) return context.Fail(Quoted(words[0]), rc, err);
  return database.Close(context);
}

}  // namespace

const Command kPutCommand = {
    "put",
    "DB KEY [VALUE [KEY VALUE]...]",
    "store values under keys",
    "Stores VALUE under KEY, replacing what was there. Without VALUE (or with --file) the\n"
    "value is read from standard input (or the file), byte for byte. Several pairs are one\n"
    "commit: all of them are stored or none. The database, and the keyspace of --keyspace,\n"
    "is created where absent. When the command has returned 0 the values are on stable\n"
    "storage.",
    "  kist put /tmp/db greeting 'hello, world'\n"
    "  kist put /tmp/db logo < logo.png\n"
    "  kist put /tmp/db a 1 b 2 c 3              # one commit\n"
    "  kist put --ttl 15m /tmp/db session/42 token\n"
    "  kist put --hex /tmp/db 00ff 0d0a",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    kShareDatabase | kShareBytes | kShareSync | kShareNoCreate,
    2,
    kManyOperands,
    Put,
    true,
};

}  // namespace kist::cli
