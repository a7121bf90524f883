// kist verify, compact, flush, sync, destroy: looking after a database.
//
// verify and compact are long jobs: they show progress, and Ctrl-C ends them through the job's
// progress function, between two steps of the engine.
#include "cli/commands.h"
#include "cli/database.h"
#include "cli/interrupt.h"
#include "cli/key_range.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/progress.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kDestroyOptions[] = {
    {"yes", 0, nullptr, "Confirms it; without this option nothing is removed."},
};

int32_t OnProgress(void* ctx, uint64_t done, uint64_t total) {
  static_cast<Progress*>(ctx)->Update(done, total, 0);
  return InterruptPending();
}

kist_job JobOf(Progress* progress) {
  kist_job job = KIST_JOB_INIT;
  job.progress = OnProgress;
  job.ctx = progress;
  return job;
}

int Damaged(Context& context, const std::string& path, const std::string& reason) {
  context.console->ClearStatus();
  return context.Fail(kExitCorrupt, "DAMAGED: " + path + ": " + reason);
}

int Verify(Context& context) {
  Database database;
  int code = database.Open(context, Database::Mode::kRead);
  if (code == kExitCorrupt) {
    context.console->Error("DAMAGED: " + database.path() + " does not open");
    return code;
  }
  if (code != kExitOk) return code;
  Progress progress(context.console, "verify", Progress::Unit::kBytes, context.ShowProgress());
  const kist_job job = JobOf(&progress);
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_verify(database.db(), &job, &err);
  context.console->ClearStatus();
  if (rc == KIST_E_CORRUPT) return Damaged(context, database.path(), Describe(rc, err));
  if (rc == KIST_E_CANCELLED && InterruptPending() != 0) {
    context.console->Error("interrupted: no damage was found so far, the rest was not read");
    return kExitSignal + InterruptPending();
  }
  if (rc != KIST_OK) return context.Fail(database.path(), rc, err);
  if (context.console->quiet()) return kExitOk;
  Output output(context.console);
  output.Append("sound: " + database.path() + ": every live file was read, every checksum holds (" +
                FormatSeconds(progress.Seconds()) + ")\n");
  return output.Finish();
}

int Compact(Context& context) {
  KeyRange range;
  if (!range.Read(context)) return kExitUsage;
  Database database;
  int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  Progress progress(context.console, "compact", Progress::Unit::kBytes, context.ShowProgress());
  const kist_job job = JobOf(&progress);
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_compact(database.keyspace(), range.begin.data(), range.begin.size(),
                                  range.end.data(), range.end.size(), &job, &err);
  context.console->ClearStatus();
  if (rc == KIST_E_CANCELLED && InterruptPending() != 0) {
    context.console->Error("interrupted: what was compacted stays so, nothing is lost");
    code = database.Close(context);
    return code != kExitOk ? code : kExitSignal + InterruptPending();
  }
  if (rc != KIST_OK) return context.Fail(database.path(), rc, err);
  code = database.Close(context);
  if (code == kExitOk) context.console->Note("done in " + FormatSeconds(progress.Seconds()));
  return code;
}

int CallOnDatabase(Context& context, kist_rc (*call)(kist_db*, kist_err*)) {
  Database database;
  const int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = call(database.db(), &err);
  if (rc != KIST_OK) return context.Fail(database.path(), rc, err);
  return database.Close(context);
}

int Flush(Context& context) { return CallOnDatabase(context, kist_flush); }
int Sync(Context& context) { return CallOnDatabase(context, kist_sync); }

int Destroy(Context& context) {
  const std::string& path = context.Path();
  if (!context.args.Has("yes")) {
    return context.Fail(kExitUsage, "this removes every key of " + path +
                                        " for ever; say --yes to do it (nothing was removed)");
  }
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_destroy(path.c_str(), &err);
  return rc == KIST_OK ? kExitOk : context.Fail(path, rc, err);
}

}  // namespace

const Command kVerifyCommand = {
    "verify",
    "DB",
    "read everything and check every checksum",
    "Reads every live file of the database, checks every checksum, the order of keys, and the\n"
    "files against the manifest, and changes nothing. It says \"sound\" and exits with 0, or\n"
    "names the damaged file and offset and exits with 5.",
    "  kist verify /tmp/db\n"
    "  kist verify --quiet /tmp/db || mail -s 'database is damaged' root",
    nullptr,
    0,
    kShareDatabase | kShareProgress,
    1,
    1,
    Verify,
    true,
};

const Command kCompactCommand = {
    "compact",
    "DB",
    "rewrite the files without what is deleted or replaced",
    "Compacts the keyspace, or a range of its keys, to the last level: space of deleted,\n"
    "replaced and expired values comes back. It is never needed for correctness; the engine\n"
    "does the same bit by bit in the background. Ctrl-C ends it between two steps.",
    "  kist compact /tmp/db\n"
    "  kist compact --prefix session/ /tmp/db",
    nullptr,
    0,
    kShareDatabase | kShareBytes | kShareRange | kShareProgress,
    1,
    1,
    Compact,
    true,
};

const Command kFlushCommand = {
    "flush",
    "DB",
    "write what is in the log into tables",
    "Writes everything that is only in memory and log into tables and removes the log it\n"
    "leaves behind, so that the next opening has nothing to replay.",
    "  kist flush /tmp/db",
    nullptr,
    0,
    kShareDatabase,
    1,
    1,
    Flush,
    true,
};

const Command kSyncCommand = {
    "sync",
    "DB",
    "bring every commit to stable storage",
    "Returns when everything committed is on stable storage. Commands do this themselves\n"
    "before they exit; it is of use in `kist shell`.",
    "  kist sync /tmp/db",
    nullptr,
    0,
    kShareDatabase,
    1,
    1,
    Sync,
    true,
};

const Command kDestroyCommand = {
    "destroy",
    "DB",
    "remove a database",
    "Removes the files of the database, and its directory where nothing else is in it. Files\n"
    "that are not Kist's stay. There is no way back, therefore --yes.",
    "  kist destroy --yes /tmp/db",
    kDestroyOptions,
    sizeof(kDestroyOptions) / sizeof(kDestroyOptions[0]),
    0,
    1,
    1,
    Destroy,
    false,
};

}  // namespace kist::cli
