// A backup: hold the log, pin the tables, sync the log, begin a generation, ship the log, let it
// go, upload tables, write the listing. Up to the last step the target shows only what it showed
// before.
// Threads: any.
#include "backup/backup.h"

#include <algorithm>

#include "backup/generation.h"
#include "db/retain.h"

namespace kist {
namespace {

constexpr uint64_t kRangeBytes = uint64_t{8} << 20;

}  // namespace

Status MakeBackup(Db* db, Target* target, const JobControl& job, Sequence* seq) {
  if (db->options().read_only) {
    return Status::Error(Code::kReadOnly, "a backup needs a database that is open for writing");
  }
  KIST_TRY_ASSIGN(const Catalog catalog, Catalog::Load(target, Catalog::Part::kStates));
  KIST_TRY_ASSIGN(auto hold, db->HoldLog());
  KIST_TRY_ASSIGN(auto pin, db->PinState());
  KIST_TRY(db->Sync());  // the state's last commit is durable then, and known to be
  const LogCapture capture = db->CaptureLog();
  hold->Advance(pin->state.log_number);
  uint64_t done = 0, total = GenerationWriter::BaseBytes(*pin);
  for (const LogExtent& e : db->LogExtents()) {
    if (e.number >= pin->state.log_number) total += e.bytes;
  }
  const std::function<Status(uint64_t)> progress = [&](uint64_t bytes) {
    done = std::min(done + bytes, total);
    return !job.progress || job.progress(done, total) ? Status() : Status::Bare(Code::kCancelled);
  };
  KIST_TRY_ASSIGN(auto writer,
                  GenerationWriter::Begin(db, target, catalog, pin->state.database_id));
  KIST_TRY(progress(0));
  LogTail tail(db);
  KIST_TRY(tail.Start(pin->state.log_number));
  for (;;) {
    LogPiece piece;
    bool got = false;
    KIST_TRY(tail.Next(capture.upto, kRangeBytes, &piece, &got));
    if (!got) break;
    const uint64_t bytes = piece.bytes.size();
    KIST_TRY(writer->Ship(std::move(piece), capture.time_ms));
    KIST_TRY(progress(bytes));
  }
  hold.reset();
  KIST_TRY(writer->MakeBase(*pin, capture.time_ms, progress, [] { return Status(); }));
  if (seq != nullptr) *seq = std::max(capture.upto, writer->shipped_lsn());
  return Status();
}

}  // namespace kist
