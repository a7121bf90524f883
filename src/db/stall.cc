// What a write waits for before it is taken: room in the newest memtable, which a switch to a fresh
// one gives, and time given up while background work is behind.
// Threads: the token holder's (db/write_queue.h).
#include <algorithm>
#include <memory>

#include "db/db_impl.h"
#include "key/file_name.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr double kSleepFromUs = 200;
constexpr uint64_t kSleepMaxUs = 50000;

uint64_t Since(Vfs* vfs, uint64_t start_us) { return vfs->MonotonicUs() - start_us; }

}  // namespace

void DbImpl::CountStall(StallReason reason, uint64_t us) {
  counters_.stall_count[static_cast<int>(reason)].fetch_add(1, std::memory_order_relaxed);
  counters_.stall_us[static_cast<int>(reason)].fetch_add(us, std::memory_order_relaxed);
  if (us > counters_.stall_max_us.load(std::memory_order_relaxed))
    counters_.stall_max_us.store(us, std::memory_order_relaxed);
}

// One loop; each branch is a situation in which the newest memtable cannot take the group yet.
// frees: on a full disk; what the log can take of deletes bounds what memory takes.
Status DbImpl::MakeRoom(uint64_t bytes, bool frees) {
  const uint64_t limit = write_buffer_bytes_.load(std::memory_order_relaxed);
  for (;;) {
    const size_t used = memtable_->used_bytes();
    if (used + bytes <= limit || memtable_->empty()) {
      if (delay_us_per_mib_.load(std::memory_order_relaxed) != 0) Throttle(bytes);
      return Status();
    }
    bool full = false;
    {
      MutexLock lock(&mutex_);
      full = slots_.size() > kMaxFullMemtables;
      if (full) {
        // The flush has no space or memory: writes end here until it has, rather than wait for an
        // operator.
        if (!flush_error_.ok()) return frees ? Status() : flush_error_;
        if (poisoned_.load(std::memory_order_acquire)) return poison_.WithCode(Code::kPoisoned);
        if (closing_.load(std::memory_order_acquire)) return Status::Bare(Code::kClosed);
        const uint64_t start = vfs_->MonotonicUs();
        done_cond_.WaitFor(&mutex_, 100000);
        CountStall(StallReason::kMemtables, Since(vfs_, start));
      }
    }
    if (!full) KIST_TRY(SwitchMemtable());
  }
}

// Background work is behind: each writer gives up time in proportion to its bytes, long before it
// would have to stop.
void DbImpl::Throttle(uint64_t bytes) {
  delay_owed_us_ +=
      static_cast<double>(bytes) * delay_us_per_mib_.load(std::memory_order_relaxed) / (1 << 20);
  if (delay_owed_us_ < kSleepFromUs) return;
  const uint64_t us = std::min<uint64_t>(static_cast<uint64_t>(delay_owed_us_), kSleepMaxUs);
  const uint64_t start = vfs_->MonotonicUs();
  vfs_->SleepUs(us);
  const uint64_t slept = Since(vfs_, start);
  delay_owed_us_ = std::max(0.0, delay_owed_us_ - static_cast<double>(slept));
  CountStall(delay_reason_.load(std::memory_order_relaxed), slept);
}

// A new memtable with a new segment of the log. Everything that can fail comes before the first
// change; slots_ and unsynced_ have room.
Status DbImpl::SwitchMemtable() {
  Status flushed = log_->Flush();
  if (!flushed.ok()) return log_->broken() ? Poison(flushed, "writing the log") : flushed;
  KIST_TRY_ASSIGN(Memtable * fresh,
                  Memtable::New(write_buffer_bytes_.load(std::memory_order_relaxed),
                                options_.memtable_preallocate, budget_.get(), &chunks_));
  auto memtable = RefPtr<Memtable>::Adopt(fresh);
  auto view = RefPtr<View>::Adopt(new View);
  view->memtables.reserve(kMaxFullMemtables + 2);
  uint64_t number = 0;
  KIST_TRY_ASSIGN(std::shared_ptr<SegmentWriter> next, NextSegment(&number));
  const SegmentLink link = log_->LinkAfter();
  Status started = next->Start(link, durable_seq_.load(std::memory_order_relaxed));
  if (!started.ok()) {
    next.reset();
    return GiveUpSegment(number, started);
  }
  const uint64_t used = log_->size(), reserved = log_->reserved_bytes();
  counters_.wal_used_bytes.fetch_add(used, std::memory_order_relaxed);
  counters_.wal_wasted_bytes.fetch_add(reserved - std::min(used, reserved),
                                       std::memory_order_relaxed);
  MutexLock lock(&mutex_);
  view->version = version_;
  view->memtables.push_back(memtable);
  for (auto it = slots_.rbegin(); it != slots_.rend(); ++it)
    view->memtables.push_back(it->memtable);
  slots_.back().last_seq = last_lsn_;
  slots_.emplace_back();
  slots_.back().memtable = memtable;
  slots_.back().log_number = number;
  slots_.back().previous_lsn = last_lsn_;
  slots_.back().segment = next;
  {
    MutexLock log_lock(&log_mutex_);
    if (!Planted(Bug::kOldLogNeverSynced)) unsynced_.push_back(log_);
    next_reserve_ =
        std::clamp<uint64_t>(log_->size() + log_->size() / 8, kFirstReserveBytes, kReserveBytesMax);
    log_ = std::move(next);
    log_work_ = true;
    log_cond_.Signal();
  }
  memtable_ = memtable.get();
  newest_log_.store(number, std::memory_order_release);
  PublishView(std::move(view));
  UpdatePressure();
  flush_cond_.Signal();
  return Status();
}

}  // namespace kist
