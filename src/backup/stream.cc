// The two threads of a stream and what they share. The shipper alone decides on generations; the
// base thread works for the generation it was asked for and drops what it does when that is left.
// Threads: see stream.h.
#include "backup/stream.h"

#include <algorithm>
#include <new>

namespace kist {
namespace {

constexpr uint64_t kRangeBytes = uint64_t{8} << 20;
constexpr uint64_t kFirstPauseUs = 250000;
constexpr uint64_t kPauseMaxUs = 30000000;

// Errors that no retry heals.
bool IsFinal(const Status& s) {
  return s.Is(Code::kPoisoned) || s.Is(Code::kCorrupt) || s.Is(Code::kTooNew) ||
         s.Is(Code::kExists) || s.Is(Code::kInvalid) || s.Is(Code::kReadOnly) ||
         s.Is(Code::kUnsupported) || s.Is(Code::kClosed) || s.Is(Code::kInternal);
}

}  // namespace

Stream::Stream(Db* db, std::unique_ptr<Target> target, const StreamOptions& options)
    : db_(db), target_(std::move(target)), options_(options) {
  threads_.reserve(2);
  MutexLock lock(&mutex_);
  covered_us_ = db->vfs()->MonotonicUs();
}

Stream::~Stream() { Abandon(); }

Result<std::unique_ptr<Stream>> Stream::Start(Db* db, std::unique_ptr<Target> target,
                                              const StreamOptions& options) {
  if (db->options().read_only)
    return Status::Error(Code::kReadOnly, "a stream needs a database that is open for writing");
  std::unique_ptr<Stream> stream(new Stream(db, std::move(target), options));
  KIST_TRY(stream->FindGeneration());
  Stream* const s = stream.get();
  s->target_->set_poll([s] {
    return s->ending_.load(std::memory_order_acquire) ? Status::Bare(Code::kCancelled) : Status();
  });
  KIST_TRY_ASSIGN(auto shipper, db->vfs()->Start("kist-ship", [s] { s->ShipperThread(); }));
  s->threads_.push_back(std::move(shipper));
  KIST_TRY_ASSIGN(auto base, db->vfs()->Start("kist-base", [s] { s->BaseThread(); }));
  s->threads_.push_back(std::move(base));
  return stream;
}

void Stream::Abandon() {
  ending_.store(true, std::memory_order_release);
  {
    MutexLock lock(&mutex_);
    ship_cond_.SignalAll();
    base_cond_.SignalAll();
    done_cond_.SignalAll();
  }
  threads_.clear();  // joins
  LeaveGeneration();
}

// ---- generations

// With the log held from its oldest segment on: where the newest generation ends in it, if it does.
Status Stream::Resume(const Catalog& catalog, uint64_t log_number, bool* resumed) {
  *resumed = false;
  GenerationWriter::Standing standing;
  auto writer = GenerationWriter::Continue(db_, target_.get(), catalog, log_number, &standing);
  if (!writer.ok()) return writer.status().Is(Code::kMissing) ? Status() : writer.status();
  auto tail = std::make_unique<LogTail>(db_);
  Status s = tail->Resume(standing.place, standing.since, standing.crc);
  if (s.Is(Code::kMissing) || s.Is(Code::kConflict)) return Status();
  KIST_TRY(std::move(s));
  since_base_ = standing.log_bytes;
  ranges_since_base_ = standing.log_ranges;
  last_base_bytes_ = 0;
  for (const BaseTable& t : standing.base.tables) last_base_bytes_ += t.bytes;
  base_asked_ = standing.base.state.flushed_lsn;
  captured_ms_ = standing.captured_ms;
  tail_ = std::move(tail);
  MutexLock lock(&mutex_);
  writer_ = std::shared_ptr<GenerationWriter>(writer.Take());
  lost_ = false;
  place_ = tail_->place();
  *resumed = true;
  return Status();
}

Status Stream::BeginGeneration(const Catalog& catalog) {
  WantedBase wanted;
  wanted.captured_ms = db_->NowMs();
  KIST_TRY_ASSIGN(wanted.pin, db_->PinState());
  hold_->Advance(wanted.pin->state.log_number);
  auto tail = std::make_unique<LogTail>(db_);
  KIST_TRY(tail->Start(wanted.pin->state.log_number));
  KIST_TRY_ASSIGN(auto writer, GenerationWriter::Begin(db_, target_.get(), catalog,
                                                       wanted.pin->state.database_id));
  tail_ = std::move(tail);
  since_base_ = ranges_since_base_ = 0;
  base_asked_ = wanted.pin->state.flushed_lsn;
  captured_ms_ = 0;
  last_base_bytes_ = GenerationWriter::BaseBytes(*wanted.pin);
  MutexLock lock(&mutex_);
  writer_ = std::shared_ptr<GenerationWriter>(std::move(writer));
  lost_ = false;
  place_ = tail_->place();
  wanted_ = std::move(wanted);
  base_cond_.SignalAll();
  return Status();
}

Status Stream::FindGeneration() {
  // The target first: while it cannot be reached nothing is held.
  KIST_TRY_ASSIGN(const Catalog catalog, Catalog::Load(target_.get(), Catalog::Part::kStates));
  KIST_TRY_ASSIGN(hold_, db_->HoldLog(options_.log_bytes_max));
  KIST_TRY_ASSIGN(const auto pin, db_->PinState());
  if (catalog.database_id != 0 && catalog.database_id != pin->state.database_id)
    return Status::Error(Code::kExists, target_->url() + ": holds backups of another database");
  bool resumed = false;
  Status s = Resume(catalog, pin->state.log_number, &resumed);
  if (s.ok() && !resumed) s = BeginGeneration(catalog);
  if (!s.ok()) {
    tail_.reset();
    hold_.reset();
    return s;
  }
  hold_->Advance(tail_->place().segment);
  return Status();
}

void Stream::LeaveGeneration() {
  tail_.reset();
  hold_.reset();
  std::shared_ptr<GenerationWriter> left;  // its end may call the target
  WantedBase unwanted;
  MutexLock lock(&mutex_);
  restorable_ = Restorable();
  if (writer_ != nullptr) shipped_before_ += writer_->shipped_bytes();
  base_error_ = Status();
  lost_ = false;
  std::swap(left, writer_);
  std::swap(unwanted, wanted_);
  base_cond_.SignalAll();
}

// ---- the shipper

// kConflict where it is to be left.
Status Stream::CheckGeneration(GenerationWriter* writer) {
  if (hold_->lapsed()) {
    return Status::Error(Code::kConflict, "more log than stream_log_max was not shipped in time");
  }
  {
    MutexLock lock(&mutex_);
    if (lost_) return Status::Error(Code::kConflict, "the generation takes no base copy any more");
  }
  Status s = writer->KeepLease();
  if (s.Is(Code::kConflict)) {
    MutexLock lock(&mutex_);
    lost_ = true;
  }
  return s;
}

Status Stream::Turn() {
  std::shared_ptr<GenerationWriter> writer;
  {
    MutexLock lock(&mutex_);
    writer = writer_;
  }
  if (writer == nullptr) {
    KIST_TRY(FindGeneration());
    MutexLock lock(&mutex_);
    writer = writer_;
  }
  const auto shipped = [&] {
    hold_->Advance(tail_->place().segment);
    MutexLock lock(&mutex_);
    place_ = tail_->place();
    if (state_ == State::kRetrying) state_ = State::kRunning;
    base_cond_.SignalAll();
    done_cond_.SignalAll();
  };
  KIST_TRY(CheckGeneration(writer.get()));
  if (writer->retry_pending()) {
    KIST_TRY(writer->Retry());
    shipped();
  }
  const uint64_t now_us = db_->vfs()->MonotonicUs();
  // A poisoned database says so, also where nothing is left to ship.
  const bool poisoned = db_->Stat("poisoned").value_or(0) != 0;
  if (poisoned || db_->durable_seq() < db_->last_seq()) KIST_TRY(db_->Sync());
  const LogCapture capture = db_->CaptureLog();
  while (!ending_.load(std::memory_order_acquire)) {
    LogPiece piece;
    bool got = false;
    KIST_TRY(tail_->Next(capture.upto, kRangeBytes, &piece, &got));
    if (!got) break;
    since_base_ += piece.bytes.size();
    ++ranges_since_base_;
    // Until all of a capture is shipped the generation is as old as the one before.
    if (piece.last_lsn >= capture.upto) captured_ms_ = capture.time_ms;
    KIST_TRY(writer->Ship(std::move(piece), captured_ms_));
    shipped();
    KIST_TRY(CheckGeneration(writer.get()));
  }
  {
    MutexLock lock(&mutex_);
    covered_us_ = now_us;
  }
  AskForBase();
  return Status();
}

// A base whose state is no newer than the last one's would save a restore nothing. What a quiet
// database commits stays in its log for days: many ranges of it are flushed for the base's sake.
void Stream::AskForBase() {
  const uint64_t limit =
      std::max(options_.base_bytes_min, last_base_bytes_ / 100 * options_.base_percent);
  const bool many = ranges_since_base_ >= options_.base_ranges;
  if (since_base_ < limit && !many) return;
  {
    MutexLock lock(&mutex_);
    if (wanted_.pin != nullptr || base_running_ || writer_ == nullptr || !writer_->has_base())
      return;
  }
  if (many) {
    ranges_since_base_ = 0;
    static_cast<void>(db_->Flush().ok());  // the database says what is wrong, if anything is
  }
  const int64_t now_ms = db_->NowMs();
  auto pin = db_->PinState();
  if (!pin.ok() || (*pin)->state.flushed_lsn <= base_asked_) return;
  since_base_ = ranges_since_base_ = 0;
  base_asked_ = (*pin)->state.flushed_lsn;
  last_base_bytes_ = GenerationWriter::BaseBytes(**pin);
  MutexLock lock(&mutex_);
  wanted_ = WantedBase{pin.Take(), now_ms};
  base_cond_.SignalAll();
}

void Stream::Fail(const Status& s) {
  state_ = State::kFailed;
  if (error_.ok()) error_ = s;
  ending_.store(true, std::memory_order_release);
  ship_cond_.SignalAll();
  base_cond_.SignalAll();
  done_cond_.SignalAll();
}

void Stream::AfterTurn(const Status& s, uint64_t* pause_us) {
  if (s.ok()) {
    *pause_us = 0;
    MutexLock lock(&mutex_);
    turn_error_ = Status();
    ++turns_;
    done_cond_.SignalAll();
    if (state_ == State::kRetrying) state_ = State::kRunning;
    return;
  }
  if (s.Is(Code::kConflict)) {  // not the target's fault: the next turn begins a generation
    LeaveGeneration();
    MutexLock lock(&mutex_);
    ++errors_;
    *pause_us = options_.interval_us;
    return;
  }
  if (IsFinal(s)) {
    LeaveGeneration();
    MutexLock lock(&mutex_);
    ++errors_;
    return Fail(s);
  }
  {
    MutexLock lock(&mutex_);
    ++errors_;
    turn_error_ = s;
    state_ = State::kRetrying;
  }
  if (hold_ != nullptr && hold_->lapsed()) LeaveGeneration();
  *pause_us = *pause_us == 0 ? kFirstPauseUs : std::min(*pause_us * 2, kPauseMaxUs);
}

void Stream::ShipperThread() {
  uint64_t pause_us = 0;  // of the back-off; 0: the last turn succeeded
  while (!ending_.load(std::memory_order_acquire)) {
    Status s;
    try {
      s = Turn();
    } catch (const std::bad_alloc&) {
      s = Status::Bare(Code::kNoMem);
    }
    AfterTurn(s, &pause_us);
    const uint64_t wait = pause_us != 0 ? pause_us : options_.interval_us;
    const uint64_t until = db_->vfs()->MonotonicUs() + wait;
    MutexLock lock(&mutex_);
    while (!ending_.load(std::memory_order_acquire) && !(kicked_ && pause_us == 0)) {
      const uint64_t now = db_->vfs()->MonotonicUs();
      if (now >= until) break;
      ship_cond_.WaitFor(&mutex_, until - now);
    }
    kicked_ = false;
  }
}

// ---- bases

// Publishing waits until the log has been shipped as far as the base's state reaches.
Status Stream::MakeBase(GenerationWriter* writer, const WantedBase& wanted) {
  const auto left = [&]() KIST_REQUIRES(mutex_) {
    return ending_.load(std::memory_order_acquire) || writer_.get() != writer;
  };
  const auto progress = [&](uint64_t) -> Status {
    MutexLock lock(&mutex_);
    return left() ? Status::Bare(Code::kCancelled) : Status();
  };
  const auto shipped = [&]() -> Status {
    while (!writer->HasLogOf(*wanted.pin)) {
      MutexLock lock(&mutex_);
      if (left()) return Status::Bare(Code::kCancelled);
      base_cond_.WaitFor(&mutex_, kFirstPauseUs);
    }
    return progress(0);
  };
  return writer->MakeBase(*wanted.pin, wanted.captured_ms, progress, shipped);
}

void Stream::BaseThread() {
  uint64_t pause_us = 0;
  for (;;) {
    std::shared_ptr<GenerationWriter> writer;
    WantedBase wanted;
    {
      MutexLock lock(&mutex_);
      while (!ending_.load(std::memory_order_acquire) && wanted_.pin == nullptr)
        base_cond_.WaitFor(&mutex_, kPauseMaxUs);
      if (ending_.load(std::memory_order_acquire)) return;
      writer = writer_;
      std::swap(wanted, wanted_);
      base_running_ = true;
    }
    Status s;
    try {
      s = MakeBase(writer.get(), wanted);
    } catch (const std::bad_alloc&) {
      s = Status::Bare(Code::kNoMem);
    }
    MutexLock lock(&mutex_);
    base_running_ = false;
    done_cond_.SignalAll();
    const bool done = s.ok() || s.Is(Code::kCancelled);
    base_error_ = done || writer_ != writer ? Status() : s;
    if (done) {
      pause_us = 0;
      continue;
    }
    ++errors_;
    if (IsFinal(s)) return Fail(s);
    if (s.Is(Code::kConflict)) {  // the shipper leaves the generation
      lost_ |= writer_ == writer;
      ship_cond_.SignalAll();
      continue;
    }
    // Again, where the generation still stands and no newer base was asked for.
    if (writer_ == writer && wanted_.pin == nullptr) std::swap(wanted, wanted_);
    pause_us = pause_us == 0 ? kFirstPauseUs : std::min(pause_us * 2, kPauseMaxUs);
    const uint64_t until = db_->vfs()->MonotonicUs() + pause_us;
    for (uint64_t now = 0;
         !ending_.load(std::memory_order_acquire) && (now = db_->vfs()->MonotonicUs()) < until;)
      base_cond_.WaitFor(&mutex_, until - now);
  }
}

// ---- callers

// Where objects were removed nothing is known to be there, before the next base is.
Sequence Stream::Restorable() {
  if (lost_) return 0;
  if (writer_ == nullptr || !writer_->has_base()) return restorable_;
  return std::max({restorable_, writer_->base_lsn(), writer_->shipped_lsn()});
}

uint64_t Stream::LagBytes(const LogPlace& place) {
  uint64_t bytes = 0;
  for (const LogExtent& e : db_->LogExtents()) {
    if (e.number < place.segment || e.bytes < kSegmentDataStart2) continue;
    const uint64_t records = e.bytes - kSegmentDataStart2;
    bytes += e.number == place.segment ? records - std::min(records, place.position) : records;
  }
  return bytes;
}

Stream::Info Stream::GetInfo() {
  const Sequence last = db_->last_seq();
  LogPlace place;
  Info info;
  {
    MutexLock lock(&mutex_);
    info.state = state_ == State::kRunning && !base_error_.ok() ? State::kRetrying : state_;
    info.shipped_seq = Restorable();
    info.shipped_bytes =
        shipped_before_ + (writer_ != nullptr ? writer_->shipped_bytes() : uint64_t{0});
    info.errors = errors_;
    place = place_;
    if (last > info.shipped_seq) {
      info.lag_ms = static_cast<int64_t>((db_->vfs()->MonotonicUs() - covered_us_) / 1000);
    }
  }
  if (last > info.shipped_seq) info.lag_bytes = LagBytes(place);
  return info;
}

std::string Stream::Trouble() {
  MutexLock lock(&mutex_);
  const Status& trouble = turn_error_.ok() ? base_error_ : turn_error_;
  return trouble.ok() ? std::string() : trouble.ToString();
}

// The turn that is running may have begun before what the caller did last.
uint64_t Stream::TurnsAfterNow() {
  MutexLock lock(&mutex_);
  return turns_ + 2;
}

Status Stream::Wait(Sequence seq, int64_t timeout_ms, uint64_t turns) {
  const Sequence last = db_->last_seq();
  if (seq > last) {
    return Status::Invalid("sequence " + std::to_string(seq) +
                           " was not committed yet; the newest is " + std::to_string(last));
  }
  const uint64_t start = db_->vfs()->MonotonicUs();
  MutexLock lock(&mutex_);
  for (;;) {
    if (Restorable() >= seq && turns_ >= turns) return Status();
    if (!error_.ok()) return error_;
    if (ending_.load(std::memory_order_acquire)) return Status::Bare(Code::kClosed);
    const uint64_t waited = db_->vfs()->MonotonicUs() - start;
    if (timeout_ms >= 0 && waited >= static_cast<uint64_t>(timeout_ms) * 1000)
      return Status::Bare(Code::kTimeout);
    kicked_ = true;
    ship_cond_.Signal();
    uint64_t wait = kFirstPauseUs;
    if (timeout_ms >= 0) wait = std::min(wait, static_cast<uint64_t>(timeout_ms) * 1000 - waited);
    done_cond_.WaitFor(&mutex_, wait);
  }
}

}  // namespace kist
