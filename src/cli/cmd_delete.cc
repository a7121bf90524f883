// kist delete: keys, or a range of them, as one commit.
//
// A range is one entry in the log however many keys it covers; nothing is scanned.
// To delete everything has to be asked for by name (--all), never by leaving something out.
#include "cli/commands.h"
#include "cli/database.h"
#include "cli/key_range.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kOptions[] = {
    {"all", 0, nullptr, "Delete every key of the keyspace."},
    {"must-exist", 0, nullptr, "Exit with 1, deleting nothing, where a KEY is not there."},
};

int DeleteKeys(Context& context, Database& database) {
  const std::vector<std::string>& operands = context.args.operands();
  OwnedBatch batch;
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = kist_batch_new(batch.out());
  if (rc != KIST_OK) return context.Fail("", rc, err);
  for (size_t i = 1; i < operands.size(); ++i) {
    std::string key;
    if (!context.Bytes(operands[i], &key)) return kExitUsage;
    if (context.args.Has("must-exist")) {
      rc = kist_exists(database.keyspace(), nullptr, key.data(), key.size(), &err);
      if (rc == KIST_NOT_FOUND) {
        context.console->Note(Quoted(key) + " is not there; nothing was deleted");
        return kExitNotFound;
      }
    }
    if (rc == KIST_OK) {
      rc = kist_batch_delete(batch.get(), database.keyspace(), key.data(), key.size(), &err);
    }
    if (rc != KIST_OK) return context.Fail(Quoted(key), rc, err);
  }
  rc = kist_write(database.db(), nullptr, batch.get(), nullptr, &err);
  if (rc != KIST_OK) return context.Fail(Quoted(operands[1]), rc, err);
  return database.Close(context);
}

int Delete(Context& context) {
  KeyRange range;
  if (!range.Read(context)) return kExitUsage;
  const bool keys = context.args.operands().size() > 1;
  const bool all = context.args.Has("all");
  if (int(keys) + int(!range.whole) + int(all) != 1) {
    return context.Usage("give keys, or a range with --prefix, --from, --to, or --all");
  }
  Database database;
  const int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  if (keys) return DeleteKeys(context, database);
  if (!range.end.empty() && range.begin == range.end) return database.Close(context);
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc =
      kist_delete_range(database.keyspace(), nullptr, range.begin.data(), range.begin.size(),
                        range.end.data(), range.end.size(), &err);
  if (rc != KIST_OK) return context.Fail("range", rc, err);
  return database.Close(context);
}

}  // namespace

const Command kDeleteCommand = {
    "delete",
    "DB [KEY...]",
    "delete keys, or a range of keys",
    "Deletes the KEYs as one commit; a key that is not there is no error (but see\n"
    "--must-exist). With --prefix, --from or --to it deletes every key of that range, as one\n"
    "commit too; with --all every key. When the command has returned 0 the deletion is on\n"
    "stable storage.",
    "  kist delete /tmp/db greeting\n"
    "  kist delete --prefix session/ /tmp/db\n"
    "  kist delete --from 2024-01 --to 2024-07 /tmp/db    # January to June\n"
    "  kist delete --all --keyspace cache /tmp/db",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    kShareDatabase | kShareBytes | kShareRange | kShareSync,
    1,
    kManyOperands,
    Delete,
    true,
};

}  // namespace kist::cli
