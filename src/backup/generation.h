// GenerationWriter: writes one generation of a target: one unbroken stretch of the database's
// history, as base copies and the log after them.
//
// Invariants
//  1. A generation's number is claimed by creating its start mark, so two writers never share one;
//     every range is created under the next index, so even two that believe they do cannot mix.
//  2. Range i carries the checksum of range i-1, and begins where that ended.
//  3. A base listing is written after everything it names, and is what makes the generation
//     visible. It names ranges that were shipped, so that a dropped one is found.
//  4. A pending mark stands in the target while a base is being made, so that pruning removes no
//     table that it may share.
// Threads: Ship and Retry have one user, MakeBase another; the rest any.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "backup/catalog.h"
#include "backup/log_tail.h"
#include "db/db.h"
#include "util/mutex.h"

namespace kist {

class GenerationWriter {
 public:
  // Claims a new generation after all that `catalog` knows; marks an empty target as this
  // database's. kExists where the target is another database's.
  static Result<std::unique_ptr<GenerationWriter>> Begin(Db* db, Target* target,
                                                         const Catalog& catalog,
                                                         uint64_t database_id);
  // Goes on with the newest one, whose last range ends at *place. kMissing where there is none that
  // can be continued.
  static Result<std::unique_ptr<GenerationWriter>> Continue(Db* db, Target* target,
                                                            const Catalog& catalog,
                                                            uint64_t database_id, LogPlace* place);

  // Puts the piece as the next range. Where that fails it is kept: Retry puts the same object
  // again. kConflict: another writer took the place.
  Status Ship(LogPiece piece);
  Status Retry();
  bool retry_pending() const { return !header_.empty(); }

  // Uploads the tables that the target does not have, and writes the listing. The log after the
  // state is the caller's to ship; shipped_lsn() must have reached state.flushed_lsn where the
  // generation has a base already. progress(bytes, of) may cancel.
  Status MakeBase(const PinnedState& pin, const JobControl& job, uint64_t more_total);
  uint64_t base_bytes(const PinnedState& pin) const;
  // The second half of MakeBase, for a caller that ships the log in between.
  Status UploadTables(const PinnedState& pin, const JobControl& job, uint64_t more_total);
  Status Publish(const PinnedState& pin);

  uint64_t generation() const { return generation_; }
  Sequence shipped_lsn() const { return shipped_lsn_.load(std::memory_order_acquire); }
  bool has_base() const { return has_base_.load(std::memory_order_acquire); }
  Sequence base_lsn() const { return base_lsn_.load(std::memory_order_acquire); }  // of the newest
  uint64_t shipped_bytes() const { return shipped_bytes_.load(std::memory_order_relaxed); }

 private:
  GenerationWriter(Db* db, Target* target, uint64_t database_id, uint64_t generation);
  Status AddTable(LiveTable* table, const Catalog& catalog, const std::function<Status(uint64_t)>&);
  Status PutRange();

  Db* const db_;
  Target* const target_;
  const uint64_t database_id_;
  const uint64_t generation_;
  uint64_t writer_ = 0;  // random

  // Ship's: the range that is being put.
  std::string header_;  // empty: none
  LogPiece piece_;
  int64_t last_time_ms_ = 0;

  // MakeBase's.
  std::vector<BaseTable> tables_;

  std::atomic<Sequence> shipped_lsn_{0};
  std::atomic<Sequence> base_lsn_{0};
  std::atomic<bool> has_base_{false};
  std::atomic<uint64_t> shipped_bytes_{0};
  Mutex mutex_;
  uint64_t next_index_ KIST_GUARDED_BY(mutex_) = 0;
  uint32_t last_crc_ KIST_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, uint64_t> first_index_ KIST_GUARDED_BY(mutex_);  // by segment, of our own
};

}  // namespace kist
