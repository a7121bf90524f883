// kist checkpoint, backup, stream, restore, generations, prune: copies of a database, and what is
// in a target. They are long jobs: they show progress, and Ctrl-C ends them between two steps. The
// work is the library's; the tool says what came of it.
#include <algorithm>

#include "cli/commands.h"
#include "cli/database.h"
#include "cli/interrupt.h"
#include "cli/moment.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/progress.h"

namespace kist::cli {
namespace {

// A target as messages show it: without what someone may have put into its URL that is secret.
std::string Shown(const std::string& target) {
  if (target.compare(0, 5, "s3://") != 0) return target;
  const std::string shown = target.substr(0, target.find('?'));
  const std::string bucket = shown.substr(5, shown.find('/', 5) - 5);
  const bool plain = std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
  });
  return plain ? shown : "s3://...";
}

constexpr OptionSpec kBackupOptions[] = {
    {"keep", 0, "N", "Afterwards removes all but the newest N base copies (see `kist prune`)."},
    {"keep-age", 0, "DURATION", "... all that were made longer ago, such as 30d."},
};
constexpr OptionSpec kPruneOptions[] = {
    {"keep", 0, "N", "Keeps the newest N base copies."},
    {"keep-age", 0, "DURATION", "Keeps those made since then, such as 30d, and the one before."},
};
constexpr OptionSpec kRestoreOptions[] = {
    {"seq", 0, "N", "The state after this commit instead of the newest."},
    {"time", 0, "WHEN",
     "The state at a time: '2026-11-20 14:05:00' (local), with a Z at its end UTC, or @UNIXTIME."},
    {"ago", 0, "DURATION", "The state so long ago, such as 10m."},
};
constexpr OptionSpec kGenerationsOptions[] = {
    {"json", 'j', nullptr, "One JSON object a line."},
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

// The exit code of a job that did not succeed.
int Failed(Context& context, const std::string& what, kist_rc rc, const kist_err& err,
           const char* left) {
  context.console->ClearStatus();
  if (rc == KIST_E_CANCELLED && InterruptPending() != 0) {
    context.console->Error(std::string("interrupted: ") + left);
    return kExitSignal + InterruptPending();
  }
  return context.Fail(what, rc, err);
}

int Checkpoint(Context& context) {
  Database database;
  const int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  const std::string& path = context.args.operands()[1];
  Progress progress(context.console, "checkpoint", Progress::Unit::kBytes, false);
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_checkpoint(database.db(), path.c_str(), &err);
  if (rc != KIST_OK) return context.Fail(path, rc, err);
  context.console->Note("copied to " + path + " in " + FormatSeconds(progress.Seconds()));
  return database.Close(context);
}

// --keep and --keep-age; *any false where neither is given.
bool ReadRule(Context& context, kist_prune_options* rule, bool* any) {
  int64_t age_ms = 0;
  if (!context.CountOption("keep", &rule->keep_count) ||
      !context.DurationOption("keep-age", &age_ms))
    return false;
  rule->keep_ms = age_ms;
  *any = context.args.Has("keep") || context.args.Has("keep-age");
  return true;
}

int PruneTarget(Context& context, const std::string& target, const kist_prune_options& rule) {
  Progress progress(context.console, "prune", Progress::Unit::kSteps, context.ShowProgress());
  const kist_job job = JobOf(&progress);
  kist_err err = KIST_ERR_INIT;
  uint64_t bytes = 0;
  const kist_rc rc = kist_prune(target.c_str(), &rule, &job, &bytes, &err);
  if (rc == KIST_E_INVALID) {
    context.Fail(Shown(target), rc, err);
    return kExitUsage;
  }
  if (rc != KIST_OK)
    return Failed(context, Shown(target), rc, err,
                  "what is kept can be restored; prune again for the rest");
  context.console->ClearStatus();
  context.console->Note("removed " + FormatBytes(static_cast<double>(bytes)) + " from " +
                        Shown(target));
  return kExitOk;
}

int Backup(Context& context) {
  const std::string& target = context.args.operands()[1];
  kist_prune_options rule = KIST_PRUNE_OPTIONS_INIT;
  bool prune = false;
  if (!ReadRule(context, &rule, &prune)) return kExitUsage;
  Database database;
  int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  Progress progress(context.console, "backup", Progress::Unit::kBytes, context.ShowProgress());
  const kist_job job = JobOf(&progress);
  kist_err err = KIST_ERR_INIT;
  uint64_t seq = 0;
  const kist_rc rc = kist_backup(database.db(), target.c_str(), &job, &seq, &err);
  if (rc != KIST_OK)
    return Failed(context, Shown(target), rc, err,
                  "the next backup goes on with what was uploaded");
  context.console->ClearStatus();
  context.console->Note("backed up to commit " + std::to_string(seq) + " in " +
                        FormatSeconds(progress.Seconds()));
  code = database.Close(context);
  return code != kExitOk || !prune ? code : PruneTarget(context, target, rule);
}

int Prune(Context& context) {
  kist_prune_options rule = KIST_PRUNE_OPTIONS_INIT;
  bool any = false;
  if (!ReadRule(context, &rule, &any)) return kExitUsage;
  if (!any) return context.Usage("say what to keep: --keep N, --keep-age DURATION, or both");
  return PruneTarget(context, context.Path(), rule);
}

// Waits in turns, so that Ctrl-C is heard.
int Stream(Context& context) {
  const std::string& target = context.args.operands()[1];
  Database database;
  const int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  kist_stream* stream = nullptr;
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = kist_stream_start(database.db(), target.c_str(), nullptr, &stream, &err);
  if (rc != KIST_OK) return context.Fail(Shown(target), rc, err);
  Progress progress(context.console, "stream", Progress::Unit::kBytes, context.ShowProgress());
  const uint64_t seq = kist_last_seq(database.db());
  kist_stream_info info = KIST_STREAM_INFO_INIT;
  std::string trouble;  // what was said of it
  do {
    kist_err again = KIST_ERR_INIT;
    err = again;
    rc = kist_stream_wait(stream, seq, 200, &err);
    if (kist_stream_status(stream, &info, nullptr) == KIST_OK)
      progress.Update(info.shipped_bytes, 0, 0);
    if (rc == KIST_E_TIMEOUT && info.state == KIST_STREAM_RETRYING && trouble != err.message) {
      trouble = err.message;
      context.console->Error(trouble + "; Ctrl-C ends this");
    }
  } while (rc == KIST_E_TIMEOUT && InterruptPending() == 0);
  context.console->ClearStatus();
  if (rc == KIST_OK) {
    rc = kist_stream_stop(stream, -1, &err);
  } else {
    static_cast<void>(kist_stream_stop(stream, 0, nullptr));
  }
  if (rc == KIST_E_TIMEOUT) {
    context.console->Error("interrupted: shipped up to commit " + std::to_string(info.shipped_seq));
    return kExitSignal + InterruptPending();
  }
  if (rc != KIST_OK) return context.Fail(Shown(target), rc, err);
  context.console->Note("shipped up to commit " + std::to_string(seq) + ", " +
                        FormatBytes(static_cast<double>(info.shipped_bytes)) + " in " +
                        FormatSeconds(progress.Seconds()));
  return database.Close(context);
}

bool ReadPoint(Context& context, kist_restore_options* options, int* code) {
  *code = kExitUsage;
  int64_t ago_ms = 0;
  if (!context.CountOption("seq", &options->to_seq) || !context.DurationOption("ago", &ago_ms))
    return false;
  const auto time = context.args.Get("time");
  if (int(context.args.Has("seq")) + int(time.has_value()) + int(context.args.Has("ago")) > 1) {
    context.Usage("--seq, --time and --ago exclude one another");
    return false;
  }
  if (time.has_value() && !ParseMoment(*time, &options->to_time_ms)) {
    context.Usage("--time '" + std::string(*time) +
                  "': wanted '2026-11-20 14:05:00' (local), '2026-11-20T14:05:00Z' or @UNIXTIME");
    return false;
  }
  if (context.args.Has("ago")) options->to_time_ms = NowMs() - ago_ms;
  // In kist_restore_options 0 means that nothing was asked for, and so the newest.
  if (context.args.Has("seq") && options->to_seq == 0) {
    context.Usage("--seq 0: the first commit is 1");
    return false;
  }
  if ((time.has_value() || context.args.Has("ago")) && options->to_time_ms == 0)
    options->to_time_ms = -1;
  return true;
}

int Restore(Context& context) {
  const std::string& target = context.args.operands()[0];
  const std::string& path = context.args.operands()[1];
  kist_restore_options options = KIST_RESTORE_OPTIONS_INIT;
  int code = kExitOk;
  if (!ReadPoint(context, &options, &code)) return code;
  Progress progress(context.console, "restore", Progress::Unit::kBytes, context.ShowProgress());
  const kist_job job = JobOf(&progress);
  kist_err err = KIST_ERR_INIT;
  uint64_t seq = 0;
  const kist_rc rc = kist_restore(target.c_str(), path.c_str(), &options, &job, &seq, &err);
  if (rc != KIST_OK) return Failed(context, Shown(target), rc, err, "nothing was left behind");
  context.console->ClearStatus();
  context.console->Note("restored commit " + std::to_string(seq) + " to " + path + " in " +
                        FormatSeconds(progress.Seconds()));
  return kExitOk;
}

void AppendJson(const kist_generation& g, std::string* out) {
  *out += Printf(
      "{\"generation\":%llu,\"finished\":%s,\"first_seq\":%llu,\"last_seq\":%llu,"
      "\"first_time_ms\":%lld,\"last_time_ms\":%lld,\"bases\":%llu,\"ranges\":%llu,"
      "\"log_bytes\":%llu,\"table_bytes\":%llu}\n",
      static_cast<unsigned long long>(g.number),
      (g.flags & KIST_GENERATION_FINISHED) != 0 ? "true" : "false",
      static_cast<unsigned long long>(g.first_seq), static_cast<unsigned long long>(g.last_seq),
      static_cast<long long>(g.first_time_ms), static_cast<long long>(g.last_time_ms),
      static_cast<unsigned long long>(g.bases), static_cast<unsigned long long>(g.ranges),
      static_cast<unsigned long long>(g.bytes), static_cast<unsigned long long>(g.table_bytes));
}

void AppendText(const kist_generation& g, std::string* out) {
  const auto number = static_cast<unsigned long long>(g.number);
  if ((g.flags & KIST_GENERATION_FINISHED) == 0) {
    *out += Printf("%10llu  not finished: no state can be restored from it\n", number);
    return;
  }
  *out += Printf("%10llu  %12llu .. %-12llu  %s .. %s  %llu %s, %s of log, %s of tables\n", number,
                 static_cast<unsigned long long>(g.first_seq),
                 static_cast<unsigned long long>(g.last_seq), FormatMoment(g.first_time_ms).c_str(),
                 FormatMoment(g.last_time_ms).c_str(), static_cast<unsigned long long>(g.bases),
                 g.bases == 1 ? "base" : "bases", FormatBytes(static_cast<double>(g.bytes)).c_str(),
                 FormatBytes(static_cast<double>(g.table_bytes)).c_str());
}

int Generations(Context& context) {
  const std::string& target = context.Path();
  std::vector<kist_generation> list(64, KIST_GENERATION_INIT);
  kist_err err = KIST_ERR_INIT;
  size_t count = 0;
  kist_rc rc = kist_generations(target.c_str(), list.data(), list.size(), &count, &err);
  while (rc == KIST_TRUNCATED) {
    list.resize(count + 16, KIST_GENERATION_INIT);
    rc = kist_generations(target.c_str(), list.data(), list.size(), &count, &err);
  }
  if (rc != KIST_OK) return context.Fail(Shown(target), rc, err);
  Output output(context.console);
  const bool json = context.args.Has("json");
  if (!json && count != 0) {
    output.Append("generation  commits that can be restored  made\n");
  }
  for (size_t i = 0; i < count; ++i) {
    if (json) {
      AppendJson(list[i], &output.buffer());
    } else {
      AppendText(list[i], &output.buffer());
    }
    output.Spill();
  }
  return output.Finish();
}

}  // namespace

const Command kCheckpointCommand = {
    "checkpoint",
    "DB DIR",
    "make an openable copy, by hard links where possible",
    "Makes a copy of the database as it is now in DIR, which must be missing or empty. On the\n"
    "same file system the tables become hard links, so it takes milliseconds and hardly any\n"
    "space; elsewhere they are copied. The copy is a database of its own: it can be opened,\n"
    "written and removed without touching the original.",
    "  kist checkpoint /var/lib/app/db /var/lib/app/before-the-upgrade\n"
    "  kist stats /var/lib/app/before-the-upgrade last_seq",
    nullptr,
    0,
    kShareDatabase,
    2,
    2,
    Checkpoint,
    true,
};

const Command kBackupCommand = {
    "backup",
    "DB TARGET",
    "copy the database to a target, only what is new",
    "Copies the database as it is now to TARGET, a directory that holds the backups of this one\n"
    "database. Tables that it has already are shared, so a second backup uploads only what is\n"
    "new; one that was interrupted goes on where it was. The backup shows up when it is\n"
    "complete. With --keep or --keep-age older ones are removed afterwards. A program that has\n"
    "the database open backs it up itself, with kist_backup, while it goes on writing.\n"
    "\n"
    "TARGET is a directory, or S3-compatible storage, as for every command that takes one:\n"
    "s3://bucket/prefix, with ?endpoint=https://host:port, &region=NAME and &style=path or host\n"
    "where they are not the usual ones, and &writers=one for storage without If-None-Match.\n"
    "Credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), or\n"
    "a profile, AWS_PROFILE, in ~/.aws/credentials; AWS_REGION, AWS_ENDPOINT_URL and\n"
    "AWS_CA_BUNDLE count too.",
    "  kist backup /var/lib/app/db /backups/app\n"
    "  kist backup --keep 7 /var/lib/app/db /backups/app\n"
    "  kist backup /var/lib/app/db s3://backups/app\n"
    "  kist backup /var/lib/app/db 's3://backups/app?endpoint=https://storage.example:9000'\n"
    "  kist restore /backups/app /var/lib/app/db-again",
    kBackupOptions,
    sizeof(kBackupOptions) / sizeof(kBackupOptions[0]),
    kShareDatabase | kShareProgress,
    2,
    2,
    Backup,
    true,
};

const Command kStreamCommand = {
    "stream",
    "DB TARGET",
    "ship the log since the last time to a target",
    "Brings TARGET up to date and ends: where the log follows what it holds exactly, by the log\n"
    "alone, so that every commit in between can be restored too; else by a new base copy, with\n"
    "tables that it has already shared. For a database that a program has open the program\n"
    "streams by itself, with kist_stream_start, for as long as it runs, a second behind at most.",
    "  kist stream /var/lib/app/db /backups/app\n"
    "  kist generations /backups/app",
    nullptr,
    0,
    kShareDatabase | kShareProgress,
    2,
    2,
    Stream,
    true,
};

const Command kRestoreCommand = {
    "restore",
    "TARGET DIR",
    "build a database from a target, as of any commit it holds",
    "Builds a database in DIR, which must be missing or empty, from the copies in TARGET: the\n"
    "newest state, or the one after a given commit, or at a given time. Every object is\n"
    "checked, and the result is verified. What the target cannot give exactly is refused, with\n"
    "the nearest commit below; `kist generations` lists what it can give.",
    "  kist restore /backups/app /var/lib/app/db\n"
    "  kist restore --seq 123456 /backups/app /tmp/then\n"
    "  kist restore --time '2026-11-20 14:05:00' /backups/app /tmp/then\n"
    "  kist restore --ago 10m /backups/app /tmp/then",
    kRestoreOptions,
    sizeof(kRestoreOptions) / sizeof(kRestoreOptions[0]),
    kShareProgress,
    2,
    2,
    Restore,
    false,
};

const Command kGenerationsCommand = {
    "generations",
    "TARGET",
    "list what a target holds",
    "Lists the generations in TARGET, oldest first. A generation is an unbroken stretch of the\n"
    "database's history: any commit between its first and its last can be restored. Each\n"
    "backup makes one; a stream goes on with one as long as it can.",
    "  kist generations /backups/app\n"
    "  kist generations --json /backups/app | jq .last_seq",
    kGenerationsOptions,
    sizeof(kGenerationsOptions) / sizeof(kGenerationsOptions[0]),
    0,
    1,
    1,
    Generations,
    false,
};

const Command kPruneCommand = {
    "prune",
    "TARGET",
    "remove the oldest copies from a target",
    "Removes base copies that neither --keep nor --keep-age keeps, with the log and the tables\n"
    "that nothing kept needs. The newest one always stays.",
    "  kist prune --keep 7 /backups/app\n"
    "  kist prune --keep-age 30d /backups/app",
    kPruneOptions,
    sizeof(kPruneOptions) / sizeof(kPruneOptions[0]),
    kShareProgress,
    1,
    1,
    Prune,
    false,
};

}  // namespace kist::cli
