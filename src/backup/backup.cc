// A backup: hold the log, sync it, pin the tables, claim a generation, upload tables, ship the log,
// write the listing. Up to the last step the target shows only what it showed before.
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
  KIST_TRY_ASSIGN(auto hold, db->HoldLog());
  KIST_TRY(db->Sync());
  KIST_TRY_ASSIGN(auto pin, db->PinState());
  const Sequence upto = std::max(db->durable_seq(), pin->state.flushed_lsn);
  hold->Advance(pin->state.log_number);
  KIST_TRY_ASSIGN(const Catalog catalog, Catalog::Load(target));
  KIST_TRY_ASSIGN(auto writer,
                  GenerationWriter::Begin(db, target, catalog, pin->state.database_id));
  KIST_TRY(writer->UploadTables(*pin, job, 0));
  uint64_t done = writer->base_bytes(*pin);
  LogTail tail(db);
  KIST_TRY(tail.Start(pin->state.log_number));
  for (;;) {
    LogPiece piece;
    bool got = false;
    KIST_TRY(tail.Next(upto, kRangeBytes, &piece, &got));
    if (!got) break;
    done += piece.bytes.size();
    KIST_TRY(writer->Ship(std::move(piece)));
    if (job.progress && !job.progress(done, done)) return Status::Bare(Code::kCancelled);
  }
  KIST_TRY(writer->Publish(*pin));
  if (seq != nullptr) *seq = std::max(upto, writer->shipped_lsn());
  return Status();
}

}  // namespace kist
