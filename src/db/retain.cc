// Holding segments and pinning tables for copies; see retain.h. A held segment stands among the
// retained ones, so feeds read it too, and TrimRetained stops in front of it.
// Threads: any.
#include "db/retain.h"

#include <algorithm>

#include "db/db_impl.h"
#include "util/alloc.h"

namespace kist {
namespace {

// SealLog begins a segment from this part of a write buffer on.
constexpr uint64_t kLongPart = 8;

}  // namespace

class DbImpl::HoldImpl final : public LogHold {
 public:
  HoldImpl(DbImpl* db, uint64_t bytes_max) : bytes_max_(bytes_max), db_(db) {}
  ~HoldImpl() override { db_->ReleaseHold(this); }
  void Advance(uint64_t number) override {
    {
      MutexLock lock(&db_->mutex_);
      if (number <= number_) return;
      number_ = number;
    }
    db_->TrimRetained();
    db_->RemoveOldLogs();
  }
  bool lapsed() const override {
    MutexLock lock(&db_->mutex_);
    return lapsed_;
  }
  const uint64_t bytes_max_;
  uint64_t number_ = 0;  // under db_->mutex_, as is
  bool lapsed_ = false;

 private:
  DbImpl* const db_;
};

Result<std::unique_ptr<LogHold>> DbImpl::HoldLog(uint64_t bytes_max) {
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  auto hold = std::make_unique<HoldImpl>(this, bytes_max);
  MutexLock lock(&mutex_);
  holds_.push_back(hold.get());
  return std::unique_ptr<LogHold>(std::move(hold));
}

void DbImpl::ReleaseHold(HoldImpl* hold) {
  {
    MutexLock lock(&mutex_);
    holds_.erase(std::remove(holds_.begin(), holds_.end(), hold), holds_.end());
  }
  BestEffort([this] {  // the next flush, or the next open, removes what is left
    TrimRetained();
    RemoveOldLogs();
  });
}

// One that asks for more than its limit is let go here, whatever its owner waits for. Before it has
// said what it needs, log_retention's share is not counted.
uint64_t DbImpl::OldestHeld() {
  uint64_t oldest = UINT64_MAX;
  for (HoldImpl* hold : holds_) {
    uint64_t bytes = 0;
    for (const LogExtent& e : retained_) {
      if (e.number >= hold->number_) bytes += e.bytes;
    }
    if (hold->number_ == 0) bytes -= std::min(bytes, options_.log_retention);
    hold->lapsed_ |= bytes > hold->bytes_max_;
    if (!hold->lapsed_) oldest = std::min(oldest, hold->number_);
  }
  return oldest;
}

// The manifest first, so that the version is the one it lists.
Result<std::unique_ptr<PinnedState>> DbImpl::PinState() {
  if (options_.read_only) return Status::Bare(Code::kReadOnly);
  auto pin = std::make_unique<PinnedState>();
  RefPtr<Version> version;
  MutexLock manifest_lock(&manifest_mutex_);
  if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
  KIST_TRY(names_.Check());  // what is copied is looked up by name
  pin->state = manifest_state_;
  {
    MutexLock lock(&mutex_);
    version = version_;
  }
  for (const auto& kv : version->keyspaces) {
    if (!kv) continue;
    for (const Level& level : kv->levels)
      pin->tables.insert(pin->tables.end(), level.files().begin(), level.files().end());
  }
  size_t listed = 0;
  for (const auto& [id, ks] : pin->state.keyspaces) listed += ks.tables.size();
  if (listed != pin->tables.size())
    return Status::Error(Code::kInternal, "the manifest and the version list different tables");
  return pin;
}

LogCapture DbImpl::CaptureLog() {
  MutexLock lock(&mutex_);
  return {durable_seq(), clock_.NowMs()};
}

Status DbImpl::KeepTime() {
  Outcome nothing_but_the_time;
  Status s = Install(&nothing_but_the_time);
  return s.Is(Code::kNoSpace) ? Status() : s;
}

// A segment that stays although no memtable needs it: its end is made durable and its reserved tail
// given back.
Status DbImpl::KeepSegment(const std::shared_ptr<SegmentWriter>& segment) {
  {
    MutexLock lock(&mutex_);
    if (options_.log_retention == 0 && segment->info().id < OldestHeld()) return Status();
  }
  Status sealed = segment->Seal();
  if (!sealed.ok() && segment->broken())
    return Poison(sealed, "sealing a log segment that is kept");
  if (!sealed.ok()) {
    Log(2, "cannot seal a log segment that is kept: " + sealed.ToString());
    return Status();
  }
  MutexLock sync(&sync_mutex_);
  MutexLock lock(&log_mutex_);
  unsynced_.erase(std::remove(unsynced_.begin(), unsynced_.end(), segment), unsynced_.end());
  return Status();
}

Status DbImpl::SealLog() {
  {
    WriteQueue::Token token(&queue_);
    if (poisoned_.load(std::memory_order_acquire)) return PoisonStatus();
    const uint64_t long_from = write_buffer_bytes_.load(std::memory_order_relaxed) / kLongPart;
    bool room = false;
    {
      MutexLock lock(&mutex_);
      room = slots_.size() < kMaxFullMemtables && flush_error_.ok();
    }
    // Where none can be begun now, nothing is lost: the caller copies more.
    if (room && !memtable_->empty() && log_->size() >= long_from)
      static_cast<void>(SwitchMemtable().ok());
  }
  std::vector<std::shared_ptr<SegmentWriter>> full;
  {
    MutexLock lock(&mutex_);
    for (size_t i = 0; i + 1 < slots_.size(); ++i) {
      if (slots_[i].segment != nullptr) full.push_back(slots_[i].segment);
    }
  }
  for (const auto& segment : full) KIST_TRY(KeepSegment(segment));
  return Status();
}

}  // namespace kist
