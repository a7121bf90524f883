// Flush and compaction threads: what they do next, how far behind they are, and what a failure
// means. A flush takes the oldest full memtable; compactions take the keyspace with the largest
// debt, one at a time each.
// Threads: each loop is one thread's; the rest as db_impl.h says.
#include <algorithm>
#include <cerrno>
#include <new>

#include "db/db_impl.h"
#include "util/check.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr size_t kSlowFromL0Files = 8;
constexpr size_t kFullL0Files = 24;
constexpr uint64_t kRetryUs = 200000;
constexpr uint64_t kExpiryLookUs = 500000;
constexpr uint64_t kObsoleteLookUs = 200000;
constexpr double kSlowestUsPerMib = 250000;  // 4 MiB/s: slow, never stopped
constexpr double kFirstUsPerMib = 2000;

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
  if (slots_.size() > kMaxFullMemtables) worst = std::max(worst, 0.25);
  worst = std::min(worst, 1.0);
  const double us = worst == 0 ? 0 : kFirstUsPerMib + worst * worst * kSlowestUsPerMib;
  delay_us_per_mib_.store(static_cast<uint32_t>(us), std::memory_order_relaxed);
}

void DbImpl::BackgroundFailed(const Status& s, const char* doing) {
  if (s.Is(Code::kCancelled) || s.Is(Code::kPoisoned)) return;
  try {
    Log(3, std::string(doing) + " failed: " + s.ToString());
  } catch (const std::bad_alloc&) {
  }
  counters_.background_errors.fetch_add(1, std::memory_order_relaxed);
  const bool descriptors = s.sys_errno() == EMFILE || s.sys_errno() == ENFILE;
  if (s.Is(Code::kNoSpace) || s.Is(Code::kNoMem) || descriptors) {  // heals; tried again
    MutexLock lock(&mutex_);
    background_error_ = s;
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
  if (!poisoned_.load(std::memory_order_acquire)) static_cast<void>(Poison(s, doing).ok());
}

// The oldest full memtable to tables, then its segment of the log away.
Status DbImpl::FlushOldest() {
  RefPtr<Memtable> memtable;
  Outcome outcome;
  Sequence last_seq = 0;
  std::vector<uint32_t> freed_slots;
  std::shared_ptr<SegmentWriter> segment;
  {
    MutexLock lock(&mutex_);
    const MemtableSlot& slot = slots_.front();
    memtable = slot.memtable;
    outcome.edit.keyspaces = slot.created;
    outcome.edit.dropped = slot.dropped;
    freed_slots = slot.freed_slots;
    outcome.edit.log_number = slots_[1].log_number;
    last_seq = slot.last_seq;
    segment = slot.segment;
  }
  outcome.edit.flushed_lsn = last_seq;
  outcome.edit.last_lsn = last_seq;
  const Visibility visibility = snapshots_.Sample(visible_seq_, clock_.NowMs());
  for (uint32_t id : memtable->Keyspaces()) {
    auto ks = registry_.Find(id);
    if (!ks || (Planted(Bug::kFlushOfOneKeyspace) && !outcome.added.empty())) continue;  // dropped
    JobResult result;
    const JobContext job = MakeJob(ks->options());
    Status s = RunFlush(job, *memtable, id, visibility, &result);
    if (!s.ok()) {
      if (poisoned_.load(std::memory_order_acquire)) return s;
      for (const NewTable& t : outcome.edit.added)
        static_cast<void>(vfs_->Remove(store_->Path(t.number)).ok());
      return s;
    }
    for (NewTable& t : result.tables) {
      outcome.added.push_back(
          RefPtr<LiveTable>::Adopt(new LiveTable(store_.get(), t.number, id, t.properties)));
      outcome.edit.added.push_back(std::move(t));
    }
    counters_.flush_bytes.fetch_add(result.bytes_written, std::memory_order_relaxed);
    counters_.dropped_shadowed.fetch_add(result.dropped.shadowed, std::memory_order_relaxed);
    counters_.dropped_range.fetch_add(result.dropped.range_deleted, std::memory_order_relaxed);
  }
  outcome.drops_memtable = true;
  if (Planted(Bug::kLogRemovedBeforeEdit)) static_cast<void>(vfs_->Remove(segment->path()).ok());
  Status s = Install(&outcome);
  if (!s.ok()) {
    if (!poisoned_.load(std::memory_order_acquire)) {
      for (const NewTable& t : outcome.edit.added)
        static_cast<void>(vfs_->Remove(store_->Path(t.number)).ok());
    }
    return s;
  }
  for (uint32_t slot : freed_slots) registry_.FreeSlot(slot);
  counters_.flushes.fetch_add(1, std::memory_order_relaxed);
  RaiseDurable(last_seq);
  KIST_TRY(KeepSegment(segment));
  TrimRetained();
  RemoveOldLogs();
  return Status();
}

void DbImpl::CollectDead() {
  try {
    epoch_.Collect();  // first: old views hold the files
    store_->RemoveDead();
  } catch (const std::bad_alloc&) {  // the next open removes what is left
  }
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
  return true;
}

void DbImpl::FlushThread() {
  for (;;) {
    if (!WaitForFlush()) {
      if (closing_.load(std::memory_order_acquire)) return;
      CollectDead();
      continue;
    }
    Status s;
    try {
      s = FlushOldest();
    } catch (const std::bad_alloc&) {
      s = Status::Bare(Code::kNoMem);
    }
    if (!s.ok()) BackgroundFailed(s, "flush");
    CollectDead();
    MutexLock lock(&mutex_);
    flush_running_ = false;
    if (s.ok()) background_error_ = Status();
    done_cond_.SignalAll();
    compact_cond_.SignalAll();
    if (!s.ok() && !closing_.load(std::memory_order_acquire)) {
      counters_.background_retries.fetch_add(1, std::memory_order_relaxed);
      flush_cond_.WaitFor(&mutex_, kRetryUs);
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
    const PickOptions o = PickOptionsFor(ks->options());
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
  for (;;) {
    if (closing_.load(std::memory_order_acquire)) return;
    bool did = false;
    Status s = CompactOnce(&did);
    if (!s.ok()) BackgroundFailed(s, "compaction");
    CollectDead();
    MutexLock lock(&mutex_);
    if (closing_.load(std::memory_order_acquire)) return;
    if (!s.ok()) {
      counters_.background_retries.fetch_add(1, std::memory_order_relaxed);
      compact_cond_.WaitFor(&mutex_, kRetryUs);
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
