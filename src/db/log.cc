// The log's life beside the write path: segments made ahead of time, syncing, draining buffered
// commits, marks, poison. Older segments are always synced before newer ones.
// Threads: any, except where a function names the token holder.
#include <errno.h>

#include <algorithm>
#include <new>

#include "db/db_impl.h"
#include "key/file_name.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kMarkEveryBytes = uint64_t{4} << 20;
constexpr uint64_t kRetryUs = 200000;

}  // namespace

// On a full disk nothing is reserved: it would be taken from what opening and flushing need.
uint64_t DbImpl::LogReserve(uint64_t bytes) const {
  return options_.wal_preallocate && !reserve_.low() ? bytes : 0;
}

// The file exists and is found after a power cut when this returns.
Result<std::shared_ptr<SegmentWriter>> DbImpl::NewSegment(uint64_t number, uint64_t reserve) {
  SegmentInfo info;
  info.type = SegmentType::kLog;
  info.id = number;
  info.database_id = database_id_;
  info.max_key_bytes = options_.max_key_size;
  info.max_value_bytes = options_.max_value_size;
  do {
    vfs_->Random(&info.nonce, sizeof info.nonce);
  } while (info.nonce == 0);
  const std::string path = JoinPath(path_, LogFileName(number));
  auto made = SegmentWriter::CreateAhead(vfs_, path, info, LogReserve(reserve));
  Status s = made.ok() ? Status() : made.status();
  if (s.ok()) {
    // What was not synced is the file's own emptiness, but a disk that fails here is not one to go
    // on with.
    if (!(s = (*made)->SyncHead()).ok()) return Poison(s, "making a segment of the log durable");
    if (!Planted(Bug::kNoDirSyncOfSegment))
      s = SyncDirectory("syncing the directory of a new segment of the log");
  }
  if (!s.ok()) {
    if (!poisoned_.load(std::memory_order_acquire)) static_cast<void>(vfs_->Remove(path).ok());
    return s;
  }
  counters_.segments.fetch_add(1, std::memory_order_relaxed);
  counters_.wal_reserved_bytes.fetch_add((*made)->reserved_bytes(), std::memory_order_relaxed);
  (*made)->CountBuffer(budget_.get());
  return std::shared_ptr<SegmentWriter>(made.Take());
}

// One at a time, so that none succeeds behind one that failed.
Status DbImpl::SyncDirectory(const char* doing) {
  MutexLock lock(&directory_mutex_);
  if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
  KIST_TRY(names_.Check());
  Status s = vfs_->SyncDir(path_);
  // Without a descriptor for the directory no sync was tried: nothing is in doubt.
  const bool tried = s.sys_errno() != EMFILE && s.sys_errno() != ENFILE;
  return s.ok() || !tried ? s : Poison(s, doing);
}

Result<std::shared_ptr<SegmentWriter>> DbImpl::NextSegment(uint64_t* number) {
  uint64_t reserve = 0, late = 0;
  {
    MutexLock lock(&log_mutex_);
    if (ahead_ != nullptr && ahead_number_ > log_->info().id) {
      *number = ahead_number_;
      return std::move(ahead_);
    }
    if (ahead_ != nullptr) late = ahead_number_;  // made while another one took its place
    ahead_.reset();
    reserve = next_reserve_;
  }
  if (late != 0) static_cast<void>(vfs_->Remove(JoinPath(path_, LogFileName(late))).ok());
  *number = next_file_.fetch_add(1, std::memory_order_relaxed);
  return NewSegment(*number, reserve);
}

// The token holder, after a segment's first record failed. The record says where the segment before
// it ended, and may be on the disk: it has to be gone for good before that one gets another record,
// or a recovery would take what follows for residue.
Status DbImpl::GiveUpSegment(uint64_t number, Status why) {
  Status s = vfs_->Remove(JoinPath(path_, LogFileName(number)));
  if ((s.ok() || s.Is(Code::kMissing)) && !Planted(Bug::kGivenUpSegmentStays))
    s = SyncDirectory("syncing the directory of a segment that could not be begun");
  if (s.ok()) return why;
  if (poisoned_.load(std::memory_order_acquire)) return s;
  return Poison(s, "removing a segment of the log that could not be begun");
}

// Failing is fine: the writer that needs the segment tries again and reports.
void DbImpl::MakeAhead() {
  uint64_t reserve = 0;
  {
    MutexLock lock(&log_mutex_);
    if (ahead_ != nullptr) return;
    reserve = next_reserve_;
  }
  const uint64_t number = next_file_.fetch_add(1, std::memory_order_relaxed);
  auto made = NewSegment(number, reserve);
  if (!made.ok())
    return Log(2, "cannot make a log segment ahead of time: " + made.status().ToString());
  MutexLock lock(&log_mutex_);
  ahead_ = made.Take();
  ahead_number_ = number;
}

// The manifest learns of the segment that commits go to, so that it is missed where it is gone. The
// next edit, of a flush or of anything else, says it where this one finds no space or memory.
void DbImpl::NameNewestLog() {
  {
    MutexLock lock(&manifest_mutex_);
    const uint64_t newest = newest_log_.load(std::memory_order_acquire);
    if (newest <= std::max(manifest_state_.log_number, manifest_state_.newest_log)) return;
  }
  Outcome nothing_but_the_name;
  static_cast<void>(Install(&nothing_but_the_name).ok());
}

Status DbImpl::PoisonStatus() {
  MutexLock lock(&mutex_);
  try {
    return Status::Error(Code::kPoisoned,
                         "an earlier failure left the write path in doubt (" + poison_.message() +
                             "); close and open the database to write again",
                         poison_.aux(), poison_.sys_errno());
  } catch (const std::bad_alloc&) {
    return Status::Bare(Code::kPoisoned);
  }
}

// Returns what the call that met the failure reports: the failure itself.
Status DbImpl::Poison(const Status& cause, const char* doing) {
  Status s = cause;
  {
    MutexLock lock(&mutex_);
    if (!poisoned_.load(std::memory_order_relaxed)) {
      poison_ = cause;
      try {
        poison_ = cause.Prefixed(doing);
      } catch (const std::bad_alloc&) {  // the code says enough
      }
    }
    poisoned_.store(!Planted(Bug::kNoPoison), std::memory_order_release);
    done_cond_.SignalAll();
    flush_cond_.SignalAll();
    compact_cond_.SignalAll();
  }
  {
    MutexLock lock(&log_mutex_);
    durable_cond_.SignalAll();
  }
  try {
    Log(3, std::string("writes stop until the database is reopened: ") + doing + ": " +
               cause.ToString());
  } catch (const std::bad_alloc&) {
  }
  return s;
}

void DbImpl::RaiseDurable(Sequence seq) {
  Sequence have = durable_seq_.load(std::memory_order_relaxed);
  while (have < seq && !durable_seq_.compare_exchange_weak(have, seq, std::memory_order_release,
                                                           std::memory_order_relaxed)) {
  }
  MutexLock lock(&log_mutex_);
  durable_cond_.SignalAll();
}

// Older segments first, so that no record of a newer one is durable before what precedes it.
Status DbImpl::SyncLog() {
  MutexLock sync(&sync_mutex_);
  for (;;) {
    if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
    std::shared_ptr<SegmentWriter> segment;
    bool old = false;
    {
      MutexLock lock(&log_mutex_);
      old = !unsynced_.empty();
      if (Planted(Bug::kNewerLogSyncedFirst)) old = false;
      segment = old ? unsynced_.front() : log_;
    }
    counters_.syncs.fetch_add(1, std::memory_order_relaxed);
    Status s;
    {
      const OpTimer timer(&ops_, OpStats::kLogSync);
      s = segment->Sync();
    }
    if (!s.ok()) {
      Status cause = s.Is(Code::kPoisoned) ? s : s.WithCode(Code::kIo);
      return Poison(cause, "syncing the log");
    }
    if (old) {
      MutexLock lock(&log_mutex_);
      if (!unsynced_.empty() && unsynced_.front() == segment) unsynced_.erase(unsynced_.begin());
    }
    RaiseDurable(segment->synced_lsn());
    if (!old) return Status();
  }
}

Status DbImpl::DrainBuffered() {
  WriteQueue::Token token(&queue_);
  Status s = poisoned_.load(std::memory_order_acquire) ? PoisonStatus() : log_->Flush();
  if (!s.ok() && log_->broken() && !s.Is(Code::kPoisoned)) s = Poison(s, "writing the log");
  return s;
}

// The token holder: bytes were appended that a timer has to drain or sync.
void DbImpl::NoteUnsynced() {
  if (unsynced_noted_.load(std::memory_order_relaxed)) return;
  unsynced_noted_.store(true, std::memory_order_relaxed);
  WakeLogThread();
}

void DbImpl::WakeLogThread() {
  MutexLock lock(&log_mutex_);
  log_work_ = true;
  log_cond_.Signal();
}

// Makes segments and the memtable's next chunk ahead, and drains and syncs what policies with a
// timer left behind. Sleeps where nothing waits.
void DbImpl::LogThread() {
  uint64_t due_us = 0;  // when noted bytes are to be handled; 0: none are noted
  uint64_t marked = 0;
  for (;;) {
    {
      MutexLock lock(&log_mutex_);
      while (!log_work_ && !closing_.load(std::memory_order_acquire)) {
        if (due_us == 0) {
          log_cond_.Wait(&log_mutex_);
        } else {
          const uint64_t now = vfs_->MonotonicUs();
          if (now >= due_us) break;
          log_cond_.WaitFor(&log_mutex_, due_us - now);
        }
      }
      if (closing_.load(std::memory_order_acquire)) return;
      // Whoever sees the poison and then no turn knows that no later one does anything.
      log_turn_.store(true, std::memory_order_seq_cst);
      log_work_ = false;
    }
    if (poisoned_.load(std::memory_order_seq_cst)) {
      due_us = 0;
    } else {
      try {
        LogTurn(&due_us, &marked);
      } catch (const std::bad_alloc&) {
        due_us = vfs_->MonotonicUs() + kRetryUs;
      }
    }
    log_turn_.store(false, std::memory_order_release);
  }
}

void DbImpl::LogTurn(uint64_t* due_us, uint64_t* marked) {
  const uint64_t now = vfs_->MonotonicUs();
  bool timer = false;
  uint64_t wait = 0;
  {
    MutexLock lock(&mutex_);  // live options
    timer = log_timer_;
    wait = timer ? options_.sync.interval_us : options_.write_back_interval_us;
    if (options_.write_back) wait = std::min(wait, options_.write_back_interval_us);
  }
  if (*due_us == 0 && unsynced_noted_.load(std::memory_order_relaxed)) *due_us = now + wait;
  if (*due_us != 0 && now >= *due_us) {
    *due_us = 0;
    unsynced_noted_.store(false, std::memory_order_relaxed);
    Status s = DrainBuffered();
    if (s.ok() && timer) s = SyncLog();
    if (!s.ok() && !poisoned_.load(std::memory_order_acquire)) {
      Log(2, "draining the log failed and is tried again: " + s.ToString());
      NoteUnsynced();
    }
  }
  chunks_.Fill();
  MakeAhead();
  std::shared_ptr<SegmentWriter> segment;
  {
    MutexLock lock(&log_mutex_);
    segment = log_;
  }
  if (counters_.wal_bytes.load(std::memory_order_relaxed) - *marked >= kMarkEveryBytes) {
    *marked = counters_.wal_bytes.load(std::memory_order_relaxed);
    MutexLock sync(&sync_mutex_);
    if (!segment->broken() && !segment->WriteMark().ok())
      Log(2, "cannot write a mark into the log");
  }
  NameNewestLog();  // last: it may wait for an edit that is on its way
}

Status DbImpl::Sync() {
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  KIST_TRY(DrainBuffered());
  return SyncLog();
}

// Syncs itself unless a timer will do it before the caller's patience ends anyway; another waiter's
// sync counts for all.
Status DbImpl::WaitDurable(Sequence seq, int64_t timeout_ms) {
  if (seq > last_seq()) {
    return Status::Invalid("sequence " + std::to_string(seq) +
                           " was not committed yet; the newest is " + std::to_string(last_seq()));
  }
  const uint64_t start = vfs_->MonotonicUs();
  bool timer = false;
  uint64_t interval_us = 0;
  {
    MutexLock lock(&mutex_);
    timer = log_timer_ && !options_.read_only;
    interval_us = options_.sync.interval_us;
  }
  while (durable_seq() < seq) {
    if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
    const uint64_t waited = vfs_->MonotonicUs() - start;
    if (timeout_ms >= 0 && waited >= static_cast<uint64_t>(timeout_ms) * 1000)
      return Status::Bare(Code::kTimeout);
    if (!timer || waited >= interval_us || waits_end_.load(std::memory_order_acquire)) {
      KIST_TRY(DrainBuffered());
      if (durable_seq() >= seq) break;
      KIST_TRY(SyncLog());
      continue;
    }
    uint64_t wait = interval_us - waited;
    if (timeout_ms >= 0) wait = std::min(wait, static_cast<uint64_t>(timeout_ms) * 1000 - waited);
    MutexLock lock(&log_mutex_);
    if (durable_seq() < seq && !waits_end_.load(std::memory_order_acquire))
      durable_cond_.WaitFor(&log_mutex_, wait + 1);
  }
  return Status();
}

}  // namespace kist
