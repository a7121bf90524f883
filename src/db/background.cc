// Flush and compaction threads: what they do next, how far behind they are, and what a failure
// means. A flush takes the oldest full memtable; compactions take the keyspace with the largest
// debt, one at a time each.
// Threads: each loop is one thread's; the rest as db_impl.h says.
#include <algorithm>
#include <new>

#include "db/db_impl.h"
#include "util/check.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr size_t kSlowFromL0Files = 8;
constexpr size_t kFullL0Files = 24;
constexpr uint64_t kBusyWaitUs = 50000;
constexpr uint32_t kRetryDoublings = 3;  // of retry_interval, at most
constexpr uint64_t kExpiryLookUs = 500000;
constexpr uint64_t kObsoleteLookUs = 200000;
constexpr size_t kJobReadAheadMin = size_t{64} << 10;
constexpr size_t kJobReadAheadMax = size_t{1} << 20;
constexpr double kSlowestUsPerMib = 250000;  // 4 MiB/s: slow, never stopped
constexpr double kFirstUsPerMib = 2000;

// The interval, doubled for each failure that follows the first.
uint64_t RetryAfterUs(uint64_t interval_us, uint32_t failed) {
  return interval_us << std::min(failed - 1, kRetryDoublings);
}

}  // namespace

PickOptions DbImpl::PickOptionsFor(const KeyspaceOptions& k) {
  PickOptions o;
  o.base_bytes = std::max<uint64_t>(4 * write_buffer_bytes_.load(std::memory_order_relaxed),
                                    uint64_t{4} << 20);
  o.target_file_bytes = k.target_file_size;
  o.now_ms = snapshots_.OldestTime(clock_.NowMs());  // what a snapshot still sees cannot go yet
  o.oldest_snapshot = snapshots_.Oldest();
  return o;
}

JobContext DbImpl::MakeJob(const KeyspaceOptions& k) {
  JobContext c;
  c.vfs = vfs_;
  c.store = store_.get();
  c.table.database_id = database_id_;
  c.table.compression = k.compression;
  c.table.block_bytes = k.block_size;
  c.table.filter_bits = k.filter_bits;
  c.target_file_bytes = k.target_file_size;
  c.new_number = [this] { return next_file_.fetch_add(1, std::memory_order_relaxed); };
  c.stop = &stop_jobs_;
  c.readahead_bytes = std::clamp(budget_->limit() / 512, kJobReadAheadMin, kJobReadAheadMax);
  c.sync_failed = [this](const Status& s) { static_cast<void>(Poison(s, "syncing a table").ok()); };
  return c;
}

// Writers' delay grows with the square of how far the worst keyspace is on its way from "behind" to
// "full".
void DbImpl::UpdatePressure() {
  double worst = 0;
  for (const auto& kv : version_->keyspaces) {
    if (!kv) continue;
    const size_t l0 = kv->levels[0].size();
    if (l0 > kSlowFromL0Files && !options_.compaction_manual) {
      worst = std::max(
          worst, static_cast<double>(l0 - kSlowFromL0Files) / (kFullL0Files - kSlowFromL0Files));
    }
  }
  StallReason reason = StallReason::kLevel0;
  if (slots_.size() > kMaxFullMemtables && worst < 0.25) {
    worst = 0.25;
    reason = StallReason::kFlushes;
  }
  delay_reason_.store(reason, std::memory_order_relaxed);
  worst = std::min(worst, 1.0);
  const double us = worst == 0 ? 0 : kFirstUsPerMib + worst * worst * kSlowestUsPerMib;
  delay_us_per_mib_.store(static_cast<uint32_t>(us), std::memory_order_relaxed);
}

// A failed sync and a manifest in doubt have poisoned by themselves. What else fails has touched
// nothing that counts, so it is tried again: no space, memory or descriptors, a read or write that
// the system refused.
void DbImpl::BackgroundFailed(const Status& s, bool flush) {
  if (s.Is(Code::kCancelled) || s.Is(Code::kPoisoned)) return;
  const char* const doing = flush ? "flush" : "compaction";
  try {
    Log(3, std::string(doing) + " failed: " + s.ToString());
  } catch (const std::bad_alloc&) {
  }
  counters_.background_errors.fetch_add(1, std::memory_order_relaxed);
  if (poisoned_.load(std::memory_order_acquire)) return;
  if (s.Is(Code::kNoSpace) || s.Is(Code::kNoMem) || s.Is(Code::kIo) || s.Is(Code::kPermission)) {
    MutexLock lock(&mutex_);
    (flush ? flush_error_ : compaction_error_) = s;
    done_cond_.SignalAll();
    return;
  }
  if (s.Is(Code::kCorrupt) ||
      s.Is(Code::kTooNew)) {  // an input is damaged: it is kept, and so is everything else
    MutexLock lock(&mutex_);
    compaction_stopped_ = s;
    done_cond_.SignalAll();
    return;
  }
  static_cast<void>(Poison(s, doing).ok());
}

void DbImpl::RemoveUnlisted(const Edit& edit) {
  for (const NewTable& t : edit.added) static_cast<void>(vfs_->Remove(store_->Path(t.number)).ok());
}

// A level-0 table for each keyspace that the memtables hold. On an error none is left, except after
// a failed sync.
Status DbImpl::FlushKeyspaces(const std::vector<const Memtable*>& memtables,
                              const Visibility& visibility, Outcome* outcome) {
  std::vector<uint32_t> ids;
  for (const Memtable* m : memtables) {
    for (uint32_t id : m->Keyspaces()) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (uint32_t id : ids) {
    auto ks = registry_.Find(id);
    if (!ks || (Planted(Bug::kFlushOfOneKeyspace) && !outcome->added.empty())) continue;  // dropped
    JobResult result;
    Status s = RunFlush(MakeJob(ks->options()), memtables, id, visibility, &result);
    if (!s.ok()) {
      if (!poisoned_.load(std::memory_order_acquire)) RemoveUnlisted(outcome->edit);
      return s;
    }
    for (NewTable& t : result.tables) {
      outcome->added.push_back(
          RefPtr<LiveTable>::Adopt(new LiveTable(store_.get(), t.number, id, t.properties)));
      outcome->edit.added.push_back(std::move(t));
    }
    counters_.flush_bytes.fetch_add(result.bytes_written, std::memory_order_relaxed);
    counters_.dropped_shadowed.fetch_add(result.dropped.shadowed, std::memory_order_relaxed);
    counters_.dropped_range.fetch_add(result.dropped.range_deleted, std::memory_order_relaxed);
  }
  return Status();
}

// The oldest `count` full memtables to tables, then their segments of the log away. More than one
// at a time where space is short: what later ones delete then takes no space.
Status DbImpl::FlushOldest(size_t count) {
  const OpTimer timer(&ops_, OpStats::kFlush);
  std::vector<RefPtr<Memtable>> held;
  std::vector<const Memtable*> memtables;
  std::vector<std::shared_ptr<SegmentWriter>> segments;
  std::vector<uint32_t> freed_slots;
  Outcome outcome;
  Sequence last_seq = 0;
  const auto append = [](auto* to, const auto& from) {
    to->insert(to->end(), from.begin(), from.end());
  };
  {
    MutexLock lock(&mutex_);
    count = std::min(count, slots_.size() - 1);
    for (size_t i = 0; i < count; ++i) {
      const MemtableSlot& slot = slots_[i];
      held.push_back(slot.memtable);
      if (slot.segment != nullptr) segments.push_back(slot.segment);
      append(&outcome.edit.keyspaces, slot.created);
      append(&outcome.edit.dropped, slot.dropped);
      append(&freed_slots, slot.freed_slots);
      last_seq = slot.last_seq;
    }
    outcome.edit.log_number = slots_[count].log_number;
  }
  for (auto m = held.rbegin(); m != held.rend(); ++m) memtables.push_back(m->get());
  outcome.edit.flushed_lsn = last_seq;
  outcome.edit.last_lsn = last_seq;
  outcome.drops_memtables = count;
  uint64_t entries = 0;
  for (const Memtable* m : memtables) entries += m->entries();
  const MemoryCharge charge = ChargeJob(entries);
  const Visibility visibility = snapshots_.Sample(visible_seq_, clock_.NowMs());
  KIST_TRY(FlushKeyspaces(memtables, visibility, &outcome));
  if (Planted(Bug::kLogRemovedBeforeEdit)) {
    for (const auto& segment : segments) static_cast<void>(vfs_->Remove(segment->path()).ok());
  }
  Status s = Install(&outcome);
  if (!s.ok()) {
    if (!poisoned_.load(std::memory_order_acquire)) RemoveUnlisted(outcome.edit);
    return s;
  }
  for (uint32_t slot : freed_slots) registry_.FreeSlot(slot);
  counters_.flushes.fetch_add(1, std::memory_order_relaxed);
  RaiseDurable(last_seq);
  LeaveMemtables(&held);
  for (const auto& segment : segments) KIST_TRY(KeepSegment(segment));
  TrimRetained();
  RemoveOldLogs();
  return Status();
}

// Handles are charged with what they hold, and with nothing that only a reader about to leave, or
// this thread, still has.
void DbImpl::LeaveMemtables(std::vector<RefPtr<Memtable>>* flushed) {
  epoch_.Drain();
  MutexLock lock(&leaving_mutex_);
  for (const auto& m : *flushed) {
    if (m->shared()) m->CountAs(MemoryBudget::kOldMemtables);
  }
  flushed->clear();
}

void DbImpl::CollectDead() {
  try {
    epoch_.Collect();  // what it frees may be the last to have used a file
    store_->RemoveDead();
    store_->Trim();
    if (!poisoned_.load(std::memory_order_acquire) && !reserve_.whole())
      static_cast<void>(reserve_.Hold());
  } catch (const std::bad_alloc&) {  // the next open removes what is left
  }
}

// Whether a flush or compaction is at work; where one is, waits for an end of one.
bool DbImpl::BackgroundBusy(bool wait) {
  MutexLock lock(&mutex_);
  const bool busy = flush_running_ || !compacting_.empty();
  if (busy && wait) done_cond_.WaitFor(&mutex_, kBusyWaitUs);
  return busy;
}

// False where there is none to do: the database closes, or tables that nobody lists any more wait
// for their last readers, who remove nothing themselves.
bool DbImpl::WaitForFlush() {
  MutexLock lock(&mutex_);
  while (!closing_.load(std::memory_order_acquire) &&
         (!FlushPending() || poisoned_.load(std::memory_order_acquire))) {
    if (poisoned_.load(std::memory_order_acquire) || !store_->has_obsolete()) {
      flush_cond_.Wait(&mutex_);
    } else if (!flush_cond_.WaitFor(&mutex_, kObsoleteLookUs)) {
      return false;
    }
  }
  if (closing_.load(std::memory_order_acquire)) return false;
  flush_running_ = true;
  ++flush_tries_;
  return true;
}

void DbImpl::FlushThread() {
  uint32_t failed = 0;  // in a row
  bool short_of_space = false;
  uint64_t tried = UINT64_MAX;  // `progress` when the reserve was last released for it
  for (;;) {
    if (!WaitForFlush()) {
      if (closing_.load(std::memory_order_acquire)) return;
      CollectDead();
      continue;
    }
    Status s;
    // Grows with each commit and each memtable that joins those to be flushed: what was deleted
    // may be what makes them fit.
    uint64_t progress = counters_.commits.load(std::memory_order_relaxed);
    {
      MutexLock lock(&mutex_);
      progress += slots_[slots_.size() - 2].last_seq;
    }
    try {
      s = FlushOldest(short_of_space ? SIZE_MAX : 1);
      if (s.Is(Code::kNoSpace) && tried != progress) {
        tried = progress;
        const SpaceReserve::Loan loan(&reserve_);
        s = FlushOldest(SIZE_MAX);
      }
      short_of_space = s.Is(Code::kNoSpace);
    } catch (const std::bad_alloc&) {
      s = Status::Bare(Code::kNoMem);
    }
    if (!s.ok()) BackgroundFailed(s, true);
    CollectDead();
    MutexLock lock(&mutex_);
    flush_running_ = false;
    failed = s.ok() ? 0 : failed + 1;
    if (!s.ok()) flush_failed_ = flush_tries_;
    if (s.ok()) flush_error_ = Status();
    done_cond_.SignalAll();
    compact_cond_.SignalAll();
    if (!s.ok() && !closing_.load(std::memory_order_acquire)) {
      counters_.background_retries.fetch_add(1, std::memory_order_relaxed);
      flush_cond_.WaitFor(&mutex_, RetryAfterUs(options_.retry_interval_us, failed));
    }
  }
}

bool DbImpl::NextPlan(RefPtr<KeyspaceImpl>* found, RefPtr<KeyspaceVersion>* found_kv,
                      CompactionPlan* plan) {
  if (options_.compaction_manual || !compaction_stopped_.ok() ||
      poisoned_.load(std::memory_order_acquire))
    return false;
  uint64_t worst = 0;
  bool any = false;
  for (const auto& kv : version_->keyspaces) {
    if (!kv || std::find(compacting_.begin(), compacting_.end(), kv->id) != compacting_.end())
      continue;
    auto ks = registry_.Find(kv->id);
    if (!ks) continue;
    PickOptions o = PickOptionsFor(ks->options());
    o.level0_seeks = kv->level0_seeks.load(std::memory_order_relaxed);
    auto candidate = PickCompaction(*kv, o);
    if (!candidate) continue;
    const uint64_t debt = CompactionDebt(*kv, o) + 1;
    if (any && debt <= worst) continue;
    any = true;
    worst = debt;
    *found = ks;
    *found_kv = RefPtr<KeyspaceVersion>::Share(kv.get());
    *plan = std::move(*candidate);
  }
  return any;
}

// Without the mutex, as readers take none: a look that is missed comes with the next.
void DbImpl::CountLevel0Seek(const KeyspaceVersion& kv, uint64_t extra_files) {
  const uint64_t n = kv.level0_seeks.fetch_add(extra_files, std::memory_order_relaxed);
  if (n / kLevel0SeeksMin != (n + extra_files) / kLevel0SeeksMin) compact_cond_.Signal();
}

Status DbImpl::RunPlan(const RefPtr<KeyspaceImpl>& ks, const CompactionPlan& plan,
                       const KeyspaceVersion& kv, const JobControl* control) {
  Outcome outcome;
  for (const auto& f : plan.inputs)
    outcome.edit.removed.push_back({kv.id, plan.input_level, f->number()});
  for (const auto& f : plan.overlapping)
    outcome.edit.removed.push_back({kv.id, plan.output_level, f->number()});
  if (plan.trivial_move) {
    for (const auto& f : plan.inputs) {
      outcome.edit.added.push_back({kv.id, plan.output_level, f->number(), f->properties()});
      outcome.added.push_back(f);
    }
    counters_.trivial_moves.fetch_add(plan.inputs.size(), std::memory_order_relaxed);
    return Install(&outcome);
  }
  const Visibility visibility = snapshots_.Sample(visible_seq_, clock_.NowMs());
  JobContext job = MakeJob(ks->options());
  uint64_t done = 0;
  const uint64_t total = plan.input_bytes();
  const OpTimer timer(&ops_, OpStats::kCompaction);
  const uint64_t share = total / ks->options().target_file_size + 1;
  const MemoryCharge charge = ChargeJob(plan.input_entries() / share);
  if (control != nullptr && control->progress) {
    job.progress = [&](uint64_t bytes) {
      done = std::min(done + bytes, total);
      return control->progress(done, total) ? Status() : Status::Bare(Code::kCancelled);
    };
  }
  JobResult result;
  KIST_TRY(RunCompaction(job, plan, kv, visibility, &result));
  for (NewTable& t : result.tables) {
    outcome.added.push_back(
        RefPtr<LiveTable>::Adopt(new LiveTable(store_.get(), t.number, kv.id, t.properties)));
    outcome.edit.added.push_back(std::move(t));
  }
  Status s = Install(&outcome);
  if (!s.ok()) {
    if (!poisoned_.load(std::memory_order_acquire)) {
      for (const NewTable& t : outcome.edit.added)
        static_cast<void>(vfs_->Remove(store_->Path(t.number)).ok());
    }
    return s;
  }
  counters_.compactions.fetch_add(1, std::memory_order_relaxed);
  counters_.compaction_bytes_read.fetch_add(result.bytes_read, std::memory_order_relaxed);
  counters_.compaction_bytes_written.fetch_add(result.bytes_written, std::memory_order_relaxed);
  counters_.dropped_shadowed.fetch_add(result.dropped.shadowed, std::memory_order_relaxed);
  counters_.dropped_range.fetch_add(result.dropped.range_deleted, std::memory_order_relaxed);
  counters_.dropped_tombstones.fetch_add(result.dropped.tombstones, std::memory_order_relaxed);
  counters_.dropped_expired.fetch_add(result.dropped.expired, std::memory_order_relaxed);
  return Status();
}

Status DbImpl::CompactOnce(bool* did) {
  RefPtr<KeyspaceImpl> ks;
  RefPtr<KeyspaceVersion> kv;
  CompactionPlan plan;
  *did = false;
  try {
    MutexLock lock(&mutex_);
    if (!NextPlan(&ks, &kv, &plan)) return Status();
    compacting_.push_back(kv->id);
    *did = true;
  } catch (const std::bad_alloc&) {
    return Status::Bare(Code::kNoMem);
  }
  Status s;
  try {
    s = ks->dropped() ? Status() : RunPlan(ks, plan, *kv, nullptr);
  } catch (const std::bad_alloc&) {
    s = Status::Bare(Code::kNoMem);
  }
  // References to inputs go before their files can.
  plan = CompactionPlan();
  const uint32_t id = kv->id;
  kv = RefPtr<KeyspaceVersion>();
  MutexLock lock(&mutex_);
  compacting_.erase(std::find(compacting_.begin(), compacting_.end(), id));
  done_cond_.SignalAll();
  return s;
}

void DbImpl::CompactionThread() {
  uint32_t failed = 0;  // in a row
  for (;;) {
    {
      MutexLock lock(&mutex_);
      while (!closing_.load(std::memory_order_acquire) &&
             poisoned_.load(std::memory_order_acquire)) {
        compact_cond_.Wait(&mutex_);
      }
      if (closing_.load(std::memory_order_acquire)) return;
      ++compactions_running_;
    }
    bool did = false;
    Status s = CompactOnce(&did);
    if (s.Is(Code::kNoSpace)) {
      const SpaceReserve::Loan loan(&reserve_);
      if (loan.made_space()) s = CompactOnce(&did);
    }
    if (!s.ok()) BackgroundFailed(s, false);
    CollectDead();
    MutexLock lock(&mutex_);
    --compactions_running_;
    if (closing_.load(std::memory_order_acquire)) return;
    failed = s.ok() ? 0 : failed + 1;
    if (s.ok() && did) compaction_error_ = Status();
    if (!s.ok()) {
      counters_.background_retries.fetch_add(1, std::memory_order_relaxed);
      compact_cond_.WaitFor(&mutex_, RetryAfterUs(options_.retry_interval_us, failed));
      continue;
    }
    try {
      RefPtr<KeyspaceImpl> ks;
      RefPtr<KeyspaceVersion> kv;
      CompactionPlan plan;
      if (NextPlan(&ks, &kv, &plan)) continue;
    } catch (const std::bad_alloc&) {
      continue;
    }
    done_cond_.SignalAll();
    WaitForCompaction();
  }
}

// Until something may be due: a signal, or database time at which enough of some table has expired.
// Time may jump, so it is looked at now and then, but only where there is something to expire.
void DbImpl::WaitForCompaction() {
  int64_t due_ms = INT64_MAX;
  for (const auto& kv : version_->keyspaces) {
    if (kv) due_ms = std::min(due_ms, NextExpiryMs(*kv));
  }
  if (due_ms == INT64_MAX || options_.compaction_manual) return compact_cond_.Wait(&mutex_);
  while (!closing_.load(std::memory_order_acquire) &&
         !compact_cond_.WaitFor(&mutex_, kExpiryLookUs) && clock_.NowMs() < due_ms) {
  }
}

}  // namespace kist
