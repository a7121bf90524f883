// GenerationWriter: writes one generation of a target: one unbroken stretch of the database's
// history, as base copies and the log after them. src/FORMAT.md ("Targets") tells why this is safe
// beside any other writer and any pruning.
//
// Invariants
//  1. Whoever creates the start mark has the number; every range is created under the next index,
//     carries the checksum of the one before, and begins where that ended. So writers never mix.
//  2. A base is the tables after commit flushed_lsn and the ranges from the chain record of segment
//     log_number on. Its listing is written after all that it names, ranges up to flushed_lsn too.
//  3. A claim is put, then the target is listed, then what the list shows is relied on; a base is
//     published within half of kClaimMs of it, else its maker claims and lists again.
//  4. A table's object has a new name each time it is uploaded; one that a pruning names is not
//     shared any more.
// Threads: Ship, Retry and KeepLease have one user, MakeBase another; the rest any.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "backup/catalog.h"
#include "backup/log_tail.h"
#include "db/db.h"
#include "util/mutex.h"

namespace kist {

constexpr int64_t kClaimMs = int64_t{24} * 3600 * 1000;  // so long a claim counts

class GenerationWriter {
 public:
  // Claims a new generation after all that `catalog` knows; marks an empty target as this
  // database's. kExists where the target is another database's.
  static Result<std::unique_ptr<GenerationWriter>> Begin(Db* db, Target* target,
                                                         const Catalog& catalog,
                                                         uint64_t database_id);
  // Where a generation that is gone on with stood.
  struct Standing {
    LogPlace place;          // where its last range ends
    uint64_t since = 0;      // and where that begins
    uint32_t crc = 0;        // of its records
    BaseListing base;        // its newest one
    uint64_t log_bytes = 0;  // of ranges since then
    uint64_t log_ranges = 0;
    int64_t captured_ms = 0;
  };
  // Goes on with the newest one. kMissing where there is none that can be continued. log_number: of
  // the database's manifest; no base made from now on needs an earlier segment.
  static Result<std::unique_ptr<GenerationWriter>> Continue(Db* db, Target* target,
                                                            const Catalog& catalog,
                                                            uint64_t log_number,
                                                            Standing* standing);
  ~GenerationWriter();  // gives the lease back, where the target answers

  // Puts the piece as the next range. Where that fails it is kept: Retry puts the same object
  // again. kConflict: another writer took the place.
  Status Ship(LogPiece piece, int64_t captured_ms);
  Status Retry();
  bool retry_pending() const { return !piece_.bytes.empty(); }
  // The claim on the generation, renewed where it is old. kConflict where the generation is not
  // what it was.
  Status KeepLease();

  // Uploads the tables that the target does not have, and writes the listing. shipped: returns when
  // HasLogOf(pin). progress(bytes, of) may cancel. kConflict: the generation cannot take it.
  Status MakeBase(const PinnedState& pin, int64_t captured_ms,
                  const std::function<Status(uint64_t)>& progress,
                  const std::function<Status()>& shipped);
  // The log has been shipped as far as the state reaches, and the segment after it is begun.
  bool HasLogOf(const PinnedState& pin);
  static uint64_t BaseBytes(const PinnedState& pin);

  uint64_t generation() const { return generation_; }
  Sequence shipped_lsn() const { return shipped_lsn_.load(std::memory_order_acquire); }
  bool has_base() const { return base_lsn_.load(std::memory_order_acquire) != kNoBase; }
  Sequence base_lsn() const { return base_lsn_.load(std::memory_order_acquire); }  // of the newest
  uint64_t shipped_bytes() const { return shipped_bytes_.load(std::memory_order_relaxed); }

 private:
  static constexpr Sequence kNoBase = UINT64_MAX;
  struct HeldClaim {
    std::string name;  // empty: none
    int64_t time_ms = 0;
  };
  struct FirstRange {
    uint64_t index = 0;
    uint32_t crc = 0;
  };

  GenerationWriter(Db* db, Target* target, uint64_t database_id, uint64_t generation);
  Status PutClaim(const PinnedState* pin, HeldClaim* held);
  void DropClaim(HeldClaim* held);
  Status CheckStands(const Catalog& catalog, uint64_t first, uint64_t end) const;
  Status FindSegments(const Catalog& catalog, const RangeHeader& last, uint64_t first,
                      uint64_t log_number);
  Status AddTable(LiveTable* table, const Catalog& catalog,
                  const std::function<Status(uint64_t)>& progress);
  void MakeHeader();
  Status PutRange();
  Status Publish(const PinnedState& pin, int64_t captured_ms, std::vector<BaseTable>* tables);
  Status CheckPublished(Sequence lsn, const std::vector<BaseTable>& tables);

  Db* const db_;
  Target* const target_;
  const uint64_t database_id_;
  const uint64_t generation_;
  uint64_t writer_ = 0;  // random

  // Ship's: the range that is being put.
  LogPiece piece_;      // empty: none
  std::string header_;  // empty: not made yet
  int64_t piece_captured_ms_ = 0;
  int64_t last_time_ms_ = 0;
  HeldClaim lease_;

  // MakeBase's.
  std::vector<BaseTable> tables_;
  HeldClaim base_claim_;

  std::atomic<uint64_t> claims_{0};
  std::atomic<bool> reachable_{true};  // the last call to the target succeeded
  std::atomic<Sequence> shipped_lsn_{0};
  std::atomic<Sequence> base_lsn_{kNoBase};
  std::atomic<uint64_t> shipped_bytes_{0};
  Mutex mutex_;
  uint64_t next_index_ KIST_GUARDED_BY(mutex_) = 0;
  uint32_t last_crc_ KIST_GUARDED_BY(mutex_) = 0;
  uint64_t base_first_ KIST_GUARDED_BY(mutex_) = 0;  // the newest base's first range
  // By segment: the range with its chain record. From the newest base's log number on.
  std::map<uint64_t, FirstRange> first_ranges_ KIST_GUARDED_BY(mutex_);
};

}  // namespace kist
