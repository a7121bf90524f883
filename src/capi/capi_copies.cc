// Copies of a database: checkpoints, backups, restores, and what is in a target. Directories are on
// the operating system's file system, also where the database is in memory.
// Threads: any, concurrently.
#include "backup/backup.h"
#include "backup/checkpoint.h"
#include "backup/prune.h"
#include "backup/restore.h"
#include "backup/summary.h"
#include "capi/args.h"
#include "util/mutex.h"

namespace kist::capi {
namespace {

kist_rc CheckText(const char* text, const char* what, kist_err* err) {
  if (text == nullptr) return FailNull(err, what);
  if (*text == '\0') return Fail(err, KIST_E_INVALID, {KIST_D_NAME}, "%s is empty", what);
  return KIST_OK;
}

kist_rc CheckFlags(uint32_t flags, kist_err* err) {
  if (flags == 0) return KIST_OK;
  return Fail(err, KIST_E_INVALID, {KIST_D_FLAG}, "unknown flags 0x%x", flags);
}

// A call that waits for the target asks the job too, with the figures of its last report, and never
// beside a report. What the job has once said stays.
void AskWhileWaiting(Target* target, JobControl* control) {
  if (!control->progress) return;
  struct Asked {
    Mutex mutex;
    uint64_t done = 0, total = 0;
    bool go_on = true;
  };
  auto asked = std::make_shared<Asked>();
  const auto ask = [asked, progress = control->progress](const uint64_t* done,
                                                         const uint64_t* total) {
    MutexLock lock(&asked->mutex);
    if (done != nullptr) asked->done = *done;
    if (total != nullptr) asked->total = *total;
    if (asked->go_on) asked->go_on = progress(asked->done, asked->total);
    return asked->go_on;
  };
  control->progress = [ask](uint64_t done, uint64_t total) { return ask(&done, &total); };
  target->set_poll(
      [ask] { return ask(nullptr, nullptr) ? Status() : Status::Bare(Code::kCancelled); });
}

kist_rc Checkpoint(kist_db* db, const char* path, kist_err* err) {
  Call call(db, err);
  KIST_CHECKED(call.rc());
  KIST_CHECKED(CheckText(path, "path", err));
  return Finish(err, MakeCheckpoint(db->engine.get(), PosixVfs(), path, nullptr));
}

kist_rc Backup(kist_db* db, const char* url, const kist_job* job, uint64_t* seq_out,
               kist_err* err) {
  SetOut<uint64_t>(seq_out, 0);
  Call call(db, err);
  KIST_CHECKED(call.rc());
  JobControl control;
  KIST_CHECKED(CheckJob(job, &control, err));
  KIST_CHECKED(CheckText(url, "target", err));
  auto target = OpenTarget(PosixVfs(), url, true);
  if (!target.ok()) return FailWith(err, target.status());
  Sequence seq = 0;
  AskWhileWaiting(target->get(), &control);
  const Status s = MakeBackup(db->engine.get(), target->get(), control, &seq);
  if (s.ok()) SetOut<uint64_t>(seq_out, seq);
  return Finish(err, s);
}

kist_rc Restore(const char* url, const char* path, const kist_restore_options* options,
                const kist_job* job, uint64_t* seq_out, kist_err* err) {
  SetOut<uint64_t>(seq_out, 0);
  KIST_CHECKED(CheckText(path, "path", err));
  RestorePoint point;
  if (options != nullptr) {
    KIST_CHECKED(CheckStruct(options, sizeof *options, "kist_restore_options", err));
    KIST_CHECKED(CheckFlags(options->flags, err));
    point.seq = options->to_seq;
    point.time_ms = options->to_time_ms;
    if (point.seq != 0 && point.time_ms != 0) {
      return Fail(err, KIST_E_INVALID, {KIST_D_STRUCT}, "a sequence and a time exclude each other");
    }
  }
  JobControl control;
  KIST_CHECKED(CheckJob(job, &control, err));
  KIST_CHECKED(CheckText(url, "target", err));
  auto target = OpenTarget(PosixVfs(), url, false);
  if (!target.ok()) return FailWith(err, target.status());
  Sequence seq = 0;
  AskWhileWaiting(target->get(), &control);
  const Status s = RestoreBackup(target->get(), PosixVfs(), path, point, control, &seq);
  if (s.ok()) SetOut<uint64_t>(seq_out, seq);
  return Finish(err, s);
}

void Describe(const GenerationSummary& s, kist_generation* out) {
  out->flags = s.finished ? KIST_GENERATION_FINISHED : 0;
  out->number = s.number;
  out->first_seq = s.first_seq;
  out->last_seq = s.last_seq;
  out->first_time_ms = s.first_time_ms;
  out->last_time_ms = s.last_time_ms;
  out->bases = s.bases;
  out->ranges = s.ranges;
  out->bytes = s.bytes;
  out->table_bytes = s.table_bytes;
}

kist_rc Generations(const char* url, kist_generation* list, size_t cap, size_t* count_out,
                    kist_err* err) {
  SetOut<size_t>(count_out, 0);
  KIST_CHECKED(CheckText(url, "target", err));
  if (list == nullptr && cap != 0) return FailNull(err, "list");
  const uint32_t stride = cap != 0 ? list->size : sizeof *list;
  if (stride < sizeof *list || stride % alignof(kist_generation) != 0) {
    return Fail(err, KIST_E_INVALID, {KIST_D_STRUCT}, "kist_generation: size %u", stride);
  }
  auto target = OpenTarget(PosixVfs(), url, false);
  if (!target.ok()) return FailWith(err, target.status());
  auto summaries = SummarizeTarget(target->get());
  if (!summaries.ok()) return FailWith(err, summaries.status());
  const size_t count = summaries->size();
  size_t i = 0;
  for (const GenerationSummary& summary : *summaries) {
    if (i == cap) break;
    kist_generation filled{};
    filled.size = stride;
    Describe(summary, &filled);
    char* at = reinterpret_cast<char*>(list) + i * stride;
    std::memcpy(at, &stride, sizeof stride);
    KIST_CHECKED(FillStruct(&filled, sizeof filled, at));
    ++i;
  }
  SetOut<size_t>(count_out, count);
  return count > cap ? KIST_TRUNCATED : KIST_OK;
}

kist_rc Prune(const char* url, const kist_prune_options* options, const kist_job* job,
              uint64_t* removed_bytes_out, kist_err* err) {
  SetOut<uint64_t>(removed_bytes_out, 0);
  KIST_CHECKED(CheckText(url, "target", err));
  if (options == nullptr) return FailNull(err, "options");
  KIST_CHECKED(CheckStruct(options, sizeof *options, "kist_prune_options", err));
  KIST_CHECKED(CheckFlags(options->flags, err));
  if (options->keep_ms < 0 || (options->keep_ms == 0 && options->keep_count == 0)) {
    return Fail(err, KIST_E_INVALID, {KIST_D_STRUCT}, "nothing says what to keep");
  }
  JobControl control;
  KIST_CHECKED(CheckJob(job, &control, err));
  auto target = OpenTarget(PosixVfs(), url, false);
  if (!target.ok()) return FailWith(err, target.status());
  AskWhileWaiting(target->get(), &control);
  PruneReport report;
  const PruneRule rule{options->keep_count, options->keep_ms};
  const Status s = PruneTarget(PosixVfs(), target->get(), rule, control, &report);
  if (s.ok()) SetOut<uint64_t>(removed_bytes_out, report.bytes);
  return Finish(err, s);
}

}  // namespace
}  // namespace kist::capi

using namespace kist::capi;  // NOLINT: this file is the C side

extern "C" {

kist_rc kist_checkpoint(kist_db* db, const char* path, kist_err* err) {
  return Guard(err, [&] { return Checkpoint(db, path, err); });
}

kist_rc kist_backup(kist_db* db, const char* target, const kist_job* job, uint64_t* seq_out,
                    kist_err* err) {
  return Guard(err, [&] { return Backup(db, target, job, seq_out, err); });
}

kist_rc kist_restore(const char* target, const char* path, const kist_restore_options* options,
                     const kist_job* job, uint64_t* seq_out, kist_err* err) {
  return Guard(err, [&] { return Restore(target, path, options, job, seq_out, err); });
}

kist_rc kist_generations(const char* target, kist_generation* list, size_t cap, size_t* count_out,
                         kist_err* err) {
  return Guard(err, [&] { return Generations(target, list, cap, count_out, err); });
}

kist_rc kist_prune(const char* target, const kist_prune_options* options, const kist_job* job,
                   uint64_t* removed_bytes_out, kist_err* err) {
  return Guard(err, [&] { return Prune(target, options, job, removed_bytes_out, err); });
}

}  // extern "C"
