// What a caller asks for beside reads and writes: flush, compact, wait, verify, live options,
// close. Waiting is in slices, so that poison, errors and closing end it.
// Threads: any.
#include <algorithm>
#include <new>

#include "db/db_impl.h"
#include "key/file_name.h"
#include "util/alloc.h"
#include "util/check.h"
#include "util/planted.h"
#include "vfs/crew.h"

namespace kist {
namespace {

constexpr uint64_t kWaitSliceUs = 100000;
constexpr int kHeadTries = 3;
constexpr int kManifestTries = 8;

}  // namespace

// Everything committed before the call is in tables when it returns.
Status DbImpl::Flush() {
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  Status s;
  Sequence target = 0;
  uint64_t before = 0;  // tries that know nothing of what is switched below
  {
    WriteQueue::Token token(&queue_);
    {
      MutexLock lock(&mutex_);
      while (slots_.size() > kMaxFullMemtables && flush_error_.ok() &&
             !poisoned_.load(std::memory_order_acquire)) {
        done_cond_.WaitFor(&mutex_, kWaitSliceUs);
      }
      // On a full disk one more may join those that wait: what it deletes of them is what lets
      // them be flushed together.
      const size_t most = kMaxFullMemtables + (flush_error_.Is(Code::kNoSpace) ? 1 : 0);
      if (slots_.size() > most) s = flush_error_;
    }
    if (poisoned_.load(std::memory_order_acquire)) s = PoisonStatus();
    const bool created_or_dropped = [&] {
      MutexLock lock(&mutex_);
      before = flush_tries_;
      return !slots_.back().created.empty() || !slots_.back().dropped.empty();
    }();
    if (s.ok() && (!memtable_->empty() || created_or_dropped)) {
      s = SwitchMemtable();
      if (s.Is(Code::kNoSpace)) {
        const SpaceReserve::Loan loan(&reserve_);
        if (loan.made_space()) s = SwitchMemtable();
      }
    }
    target = last_lsn_;
  }
  KIST_TRY(std::move(s));
  MutexLock lock(&mutex_);
  while (slots_.size() > 1 && slots_.front().last_seq <= target) {
    if (poisoned_.load(std::memory_order_acquire)) return poison_.WithCode(Code::kPoisoned);
    if (flush_failed_ > before && !flush_error_.ok()) return flush_error_;
    if (flush_tries_ == before) flush_cond_.Signal();
    done_cond_.WaitFor(&mutex_, kWaitSliceUs);
  }
  // The log goes with it, and the memory: what the caller does next may need either.
  const uint64_t tries = flush_tries_;
  while (flush_running_ && flush_tries_ == tries) done_cond_.WaitFor(&mutex_, kWaitSliceUs);
  lock.Unlock();
  RaiseDurable(target);  // the flush thread does too, but maybe not yet
  return Status();
}

Status DbImpl::Compact(Keyspace* keyspace, Slice begin, Slice end, const JobControl& control) {
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  auto ks = RefPtr<KeyspaceImpl>::Share(static_cast<KeyspaceImpl*>(keyspace));
  KIST_TRY(Flush());
  int level = 0;
  const uint64_t own_tables_from = next_file_.load(std::memory_order_relaxed);
  for (;;) {
    if (ks->dropped())
      return Status::Error(Code::kMissing, "keyspace '" + ks->name() + "' was dropped");
    RefPtr<KeyspaceVersion> kv;
    std::optional<CompactionPlan> plan;
    {
      MutexLock lock(&mutex_);
      while (std::find(compacting_.begin(), compacting_.end(), ks->id()) != compacting_.end()) {
        done_cond_.WaitFor(&mutex_, kWaitSliceUs);
      }
      if (poisoned_.load(std::memory_order_acquire)) return poison_.WithCode(Code::kPoisoned);
      if (!compaction_stopped_.ok()) return compaction_stopped_;
      const KeyspaceVersion* found = version_->Find(ks->slot(), ks->id());
      if (found == nullptr) return Status();
      kv = RefPtr<KeyspaceVersion>::Share(const_cast<KeyspaceVersion*>(found));
      PickOptions options = PickOptionsFor(ks->options());
      options.own_tables_from = own_tables_from;
      plan = PickManual(*kv, options, begin, end, end.empty(), &level);
      if (!plan) return Status();
      compacting_.push_back(ks->id());
    }
    Status s;
    try {
      s = RunPlan(ks, *plan, *kv, &control);
      if (s.Is(Code::kNoSpace)) {
        const SpaceReserve::Loan loan(&reserve_);
        if (loan.made_space()) s = RunPlan(ks, *plan, *kv, &control);
      }
    } catch (const std::bad_alloc&) {
      s = Status::Bare(Code::kNoMem);
    }
    if (plan->input_level == 0) level = 1;
    plan.reset();
    kv = RefPtr<KeyspaceVersion>();
    {
      MutexLock lock(&mutex_);
      compacting_.erase(std::find(compacting_.begin(), compacting_.end(), ks->id()));
      done_cond_.SignalAll();
      compact_cond_.SignalAll();
    }
    epoch_.Drain();  // not Collect: whoever asked for the space looks at once
    CollectDead();
    if (s.Is(Code::kCancelled) && ks->dropped()) continue;  // which is told above
    KIST_TRY(std::move(s));
  }
}

Status DbImpl::WaitIdle(int64_t timeout_ms) {
  if (options_.read_only) return Status();
  const uint64_t start = vfs_->MonotonicUs();
  const uint64_t start_errors = counters_.background_errors.load(std::memory_order_relaxed);
  MutexLock lock(&mutex_);
  for (;;) {
    if (poisoned_.load(std::memory_order_acquire)) return poison_.WithCode(Code::kPoisoned);
    if (!compaction_stopped_.ok()) return compaction_stopped_;
    RefPtr<KeyspaceImpl> ks;
    RefPtr<KeyspaceVersion> kv;
    CompactionPlan plan;
    if (!FlushPending() && !flush_running_ && compacting_.empty() && !NextPlan(&ks, &kv, &plan))
      return Status();
    // What is tried again may heal within a patience that ends; one without an end must not last.
    if (timeout_ms < 0 &&
        counters_.background_errors.load(std::memory_order_relaxed) > start_errors) {
      if (!flush_error_.ok()) return flush_error_;
      if (!compaction_error_.ok()) return compaction_error_;
    }
    if (waits_end_.load(std::memory_order_acquire)) return Status::Bare(Code::kClosed);
    const uint64_t waited = vfs_->MonotonicUs() - start;
    if (timeout_ms >= 0 && waited >= static_cast<uint64_t>(timeout_ms) * 1000)
      return Status::Bare(Code::kTimeout);
    uint64_t wait = kWaitSliceUs;
    if (timeout_ms >= 0)
      wait = std::min(wait, static_cast<uint64_t>(timeout_ms) * 1000 - waited + 1);
    compact_cond_.SignalAll();
    done_cond_.WaitFor(&mutex_, wait);
  }
}

// CURRENT, manifest, the segments that are needed, every table.
Status DbImpl::Verify(const JobControl& job) {
  Sequence newest = 0;
  RefPtr<View> view = AcquireView(&newest);
  uint64_t total = 0, done = 0;
  for (const auto& kv : view->version->keyspaces) {
    if (kv) total += kv->bytes();
  }
  Mutex mutex;  // of a job with several workers
  const auto progress = [&](uint64_t bytes) {
    MutexLock lock(&mutex);
    done = std::min(done + bytes, total);
    return !job.progress || job.progress(done, total) ? Status() : Status::Bare(Code::kCancelled);
  };
  KIST_TRY(progress(0));
  KIST_TRY(VerifyManifest());
  KIST_TRY(VerifyLogs());
  return VerifyTables(*view->version, job.workers, progress);
}

Status DbImpl::VerifyTables(const Version& version, size_t workers,
                            const std::function<Status(uint64_t bytes)>& progress) {
  std::vector<Task> tasks;
  for (const auto& kv : version.keyspaces) {
    if (!kv) continue;
    for (const Level& level : kv->levels) {
      for (const auto& f : level.files())
        tasks.push_back([&, table = f.get()] { return VerifyTable(table, progress); });
    }
  }
  return RunTasks(vfs_, "kist-verify", workers, tasks);
}

Status DbImpl::VerifyTable(LiveTable* live, const std::function<Status(uint64_t bytes)>& progress) {
  KIST_TRY_ASSIGN(RefPtr<Table> table, live->ReaderRef());
  const TableProperties& have = table->properties();
  const TableProperties& want = live->properties();
  if (have.smallest_key != want.smallest_key || have.largest_key != want.largest_key ||
      have.entries != want.entries || have.largest_seq != want.largest_seq ||
      have.range_tombstones != want.range_tombstones) {
    return Status::Corrupt(store_->Path(live->number()), 0,
                           "the table is not the one that the manifest describes");
  }
  return table->Verify(progress);
}

// Beside a reader the writer may replace the manifest, or append to it: what is wrong is met again.
Status DbImpl::VerifyManifest() {
  MutexLock lock(&manifest_mutex_);
  if (manifest_ != nullptr && manifest_->broken()) return Status();
  Status s = LookAtManifest();
  std::string wrong;
  for (int i = 0; i < kManifestTries && manifest_ == nullptr && !s.ok() && s.message() != wrong;
       ++i) {
    wrong = s.message();
    s = LookAtManifest();
  }
  return s;
}

Status DbImpl::LookAtManifest() {
  Result<ManifestState> read = ReadManifest(vfs_, path_);
  if (read.status().Is(Code::kMissing))
    return Status::Corrupt(JoinPath(path_, kCurrentFileName), 0, "missing");
  KIST_TRY_ASSIGN(ManifestState state, std::move(read));
  const std::string path = JoinPath(path_, ManifestFileName(state.manifest_number));
  KIST_TRY_ASSIGN(auto reader, SegmentReader::Open(vfs_, path, SegmentType::kManifest));
  if (reader->head_damage() != 0 && !Planted(Bug::kHeadDamageIgnored))
    return Status::Corrupt(path, kSegmentPrefixBytes, "a damaged head");
  if (manifest_ == nullptr) {  // a reader: beside a writer it may have grown since
    const bool same = state.manifest_number == manifest_state_.manifest_number;
    if (!same || state.manifest_bytes >= manifest_state_.manifest_bytes) return Status();
    return Status::Corrupt(path, state.manifest_bytes, "an edit that was read at open is damaged");
  }
  if (EncodeEdit(state.Snapshot()) != EncodeEdit(manifest_state_.Snapshot())) {
    return Status::Corrupt(JoinPath(path_, ManifestFileName(manifest_state_.manifest_number)), 0,
                           "the manifest does not say what was written into it");
  }
  return CheckFiles(state);  // open tables are read on where their names have gone
}

// The segments that memtables need up to their last commit, those kept for feeds as far as they go.
Status DbImpl::VerifyLogs() {
  std::vector<std::pair<uint64_t, Sequence>> wanted;  // segment, the LSN it reaches at least
  {
    MutexLock lock(&mutex_);
    for (const LogExtent& e : retained_) wanted.emplace_back(e.number, 0);
    for (const MemtableSlot& slot : slots_) {
      for (const ReplayedLog& log : slot.replayed) wanted.emplace_back(log.number, log.last_lsn);
      if (slot.segment != nullptr) wanted.emplace_back(slot.log_number, slot.last_seq);
    }
    MutexLock log_lock(&log_mutex_);
    if (log_ != nullptr) wanted.back().second = log_->flushed_lsn();
  }
  for (const auto& [number, lsn] : wanted) {
    const Status s = VerifyLog(JoinPath(path_, LogFileName(number)), lsn);
    if (s.Is(Code::kMissing) && LogIsPast(number)) continue;
    if (s.Is(Code::kMissing))
      return Status::Corrupt(JoinPath(path_, LogFileName(number)), 0,
                             "a log that is needed is missing");
    KIST_TRY(s);
  }
  return Status();
}

Status DbImpl::VerifyLog(const std::string& path, Sequence reaches) {
  std::unique_ptr<SegmentReader> reader;
  for (int i = 0; i < kHeadTries; ++i) {  // the log thread may be writing a slot meanwhile
    KIST_TRY_ASSIGN(reader, SegmentReader::Open(vfs_, path, SegmentType::kLog));
    if (reader->head_damage() == 0) break;
  }
  if (reader->head_damage() != 0 && !Planted(Bug::kHeadDamageIgnored))
    return Status::Corrupt(path, kSegmentPrefixBytes, "a damaged head");
  Sequence reached = reader->has_link() ? reader->link().start_lsn : 0;
  while (reached < reaches || reaches == 0) {
    SegmentReader::Record record;
    KIST_TRY_ASSIGN(SegmentReader::Outcome outcome, reader->Next(&record));
    if (outcome != SegmentReader::Outcome::kRecord) {
      if (reaches == 0) return Status();
      return Status::Corrupt(
          path, reader->break_offset(),
          "the log ends before commit " + std::to_string(reaches) + ": " + reader->break_reason());
    }
    reached = record.lsn;
  }
  return Status();
}

// Whether the segment is not needed any more since we looked.
bool DbImpl::LogIsPast(uint64_t number) {
  if (options_.read_only) {
    Result<ManifestState> now = ReadManifest(vfs_, path_);
    for (int i = 0; i < kManifestTries && !now.ok(); ++i) now = ReadManifest(vfs_, path_);
    return now.ok() && now->log_number > number;
  }
  MutexLock lock(&mutex_);
  for (const LogExtent& e : retained_) {
    if (e.number == number) return false;
  }
  return slots_.front().log_number > number;
}

Status DbImpl::SetOption(Slice name, Slice value) {
  OptionSet changed;
  KIST_TRY(changed.Set(name, value));
  if (!name.empty() && name[0] == '?') name.remove_prefix(1);
  const OptionInfo* info = FindOption(name);
  if (info == nullptr) return Status();  // an unknown '?name' is forgiven
  if (!info->live)
    return Status::Invalid("option '" + std::string(name) +
                           "' cannot change while the database is open");
  WriteQueue::Token token(&queue_);
  {
    MutexLock lock(&mutex_);
    DbOptions next = options_;
    changed.ApplyTo(&next);
    KIST_TRY(next.CheckSizes());
    // The token holder writes live options under mutex_; they are read under either.
    changed.ApplyTo(&options_);
    ApplySizes();
    log_timer_ = options_.sync.kind == SyncPolicy::Kind::kInterval ||
                 options_.sync.kind == SyncPolicy::Kind::kHybrid;
    flush_cond_.Signal();
    compact_cond_.SignalAll();
    UpdatePressure();
  }
  if (!options_.read_only && !options_.compaction_manual) KIST_TRY(StartCompaction());
  WakeLogThread();
  return Status();
}

// What has expired stays so, whatever the clock is set to while the database is closed. Nothing
// that was committed depends on it.
void DbImpl::SaveTime() {
  bool any = ttl_seen_.load(std::memory_order_relaxed);
  {
    MutexLock lock(&mutex_);
    for (const auto& kv : version_->keyspaces) {
      if (!kv) continue;
      for (const Level& level : kv->levels) {
        for (const auto& f : level.files()) any |= f->properties().ttl_entries != 0;
      }
    }
  }
  MutexLock lock(&manifest_mutex_);
  const int64_t now = clock_.NowMs();
  if (!any || manifest_ == nullptr || now <= manifest_state_.time_floor_ms) return;
  Edit edit;
  edit.time_floor_ms = now;
  if (manifest_->Append(edit).ok()) manifest_state_.time_floor_ms = now;
}

void DbImpl::EndWaits() {
  {
    MutexLock lock(&mutex_);
    waits_end_.store(true, std::memory_order_release);
    done_cond_.SignalAll();
  }
  MutexLock lock(&log_mutex_);
  durable_cond_.SignalAll();
}

Status DbImpl::Close() {
  Status s;
  if (!options_.read_only) {
    WriteQueue::Token token(&queue_);
    closing_.store(true, std::memory_order_release);
    if (poisoned_.load(std::memory_order_acquire)) {
      s = PoisonStatus();
    } else if (log_ != nullptr) {
      s = log_->Flush();
      if (s.ok()) s = SyncLog();
      if (s.ok()) s = log_->Seal(SealKind::kClosed);
      if (!s.ok() && !s.Is(Code::kPoisoned)) s = s.Prefixed("the last commits may not be durable");
    }
  }
  StopThreads();
  std::shared_ptr<SegmentWriter> ahead;
  uint64_t ahead_number = 0;
  {
    MutexLock lock(&log_mutex_);
    ahead = std::move(ahead_);
    ahead_number = ahead_number_;
  }
  if (ahead != nullptr) {
    ahead.reset();
    if (!poisoned_.load(std::memory_order_acquire))
      static_cast<void>(vfs_->Remove(JoinPath(path_, LogFileName(ahead_number))).ok());
  }
  if (s.ok() && !options_.read_only) BestEffort([this] { SaveTime(); });
  if (s.ok()) {
    MutexLock lock(&manifest_mutex_);
    if (manifest_ != nullptr) s = manifest_->Seal();
  }
  epoch_.Drain();
  Release();
  return s;
}

// Lets go of everything that is a file. Nothing of the database runs any more.
void DbImpl::Release() {
  View* view = view_.exchange(nullptr, std::memory_order_acq_rel);
  if (view != nullptr) view->Unref();
  {
    MutexLock lock(&mutex_);
    slots_.clear();
    version_ = RefPtr<Version>();
  }
  {
    MutexLock lock(&log_mutex_);
    unsynced_.clear();
  }
  log_.reset();
  memtable_ = nullptr;
  {
    MutexLock lock(&manifest_mutex_);
    manifest_.reset();
  }
  epoch_.Drain();
  if (store_ != nullptr && !poisoned_.load(std::memory_order_acquire) && !options_.read_only)
    store_->RemoveDead();
  // What iterators and pins still hold is removed by nobody: the directory may be another's now.
  names_.End();
  lock_.reset();
}

void DbImpl::StopThreads() {
  closing_.store(true, std::memory_order_release);
  stop_jobs_.store(true, std::memory_order_release);
  {
    MutexLock lock(&mutex_);
    flush_cond_.SignalAll();
    compact_cond_.SignalAll();
    done_cond_.SignalAll();
  }
  {
    MutexLock lock(&log_mutex_);
    log_cond_.SignalAll();
    durable_cond_.SignalAll();
  }
  {
    MutexLock lock(&feed_mutex_);
    feed_cond_.SignalAll();
  }
  threads_.clear();  // joins
}

}  // namespace kist
