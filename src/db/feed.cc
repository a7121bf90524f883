// The feed's walk over the log's segments, and what the database does for it: which segments
// there are, which ones log_retention keeps, and waking those who wait for a commit.
// Threads: a feed is one thread's; the rest any.
#include "db/feed.h"

#include <algorithm>

#include "db/db_impl.h"
#include "key/file_name.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kPollUs =
    50000;  // between looks for what a buffered commit or another policy delays

Status Gone(Sequence from) {
  return Status::Error(Code::kMissing, "the log no longer holds the commits after " +
                                           std::to_string(from) +
                                           "; option log_retention says how far it reaches back");
}

}  // namespace

Status FeedImpl::OpenSegment(uint64_t number) {
  auto opened = SegmentReader::Open(db_->vfs(), JoinPath(db_->path(), LogFileName(number)),
                                    SegmentType::kLog);
  KIST_TRY(db_->CheckLocked());
  if (!opened.ok())
    return opened.status().Is(Code::kMissing) ? Gone(last_) : std::move(opened).status();
  reader_ = opened.Take();
  number_ = number;
  return Look();
}

Status FeedImpl::Look() {
  horizon_ = db_->last_seq();
  return reader_->Refresh(horizon_);
}

// The newest segment that begins at or before the place asked for.
Status FeedImpl::Start() {
  for (int tries = 0;; ++tries) {
    const std::vector<LogExtent> extents = db_->LogExtents();
    const LogExtent* best = nullptr;
    for (const auto& e : extents) {
      if (e.previous_lsn <= last_ || Planted(Bug::kFeedGap)) best = &e;
    }
    if (best == nullptr) return Gone(last_);
    Status s = OpenSegment(best->number);
    // Removed between the two looks: the next look knows.
    if (!s.Is(Code::kMissing) || tries == 3) return s;
  }
}

// A commit that readers see is in the file, whole, and stays as it is, once buffered ones are
// written. A segment ends with the LSN that its successor's link names: until then the rest of it
// is waited for.
Status FeedImpl::Advance(bool* got) {
  *got = false;
  for (int looks = 0;;) {
    KIST_TRY_ASSIGN(const SegmentReader::Outcome outcome, reader_->Next(&record_));
    if (outcome == SegmentReader::Outcome::kRecord) {
      if (record_.kind != RecordKind::kCommit) continue;
      if (record_.lsn <= last_ && !Planted(Bug::kFeedRepeats)) continue;
      *got = true;
      return Status();
    }
    if (last_ >= db_->last_seq()) return Status();
    const std::vector<LogExtent> extents = db_->LogExtents();
    const auto next = std::find_if(extents.begin(), extents.end(),
                                   [this](const LogExtent& e) { return e.number > number_; });
    if (next != extents.end() && reader_->last_lsn() >= next->previous_lsn) {
      KIST_TRY(OpenSegment(next->number));
      looks = 0;
      continue;
    }
    if (looks == 2 && next != extents.end() && horizon_ >= next->previous_lsn) {
      // The oldest go first: with this segment gone, so may be those between it and `next`.
      if (extents.front().number > number_) return Gone(last_);
      return Status::Corrupt(reader_->path(), reader_->break_offset(),
                             reader_->break_reason() + ", commit " +
                                 std::to_string(next->previous_lsn) + " is missing");
    }
    if (looks == 2) return Status();
    if (looks == 1) KIST_TRY(db_->DrainForFeed());
    KIST_TRY(Look());
    ++looks;
  }
}

Status FeedImpl::Next(int64_t timeout_ms, FeedCommit* commit, bool* got) {
  const uint64_t start = db_->vfs()->MonotonicUs();
  for (;;) {
    KIST_TRY(Advance(got));
    if (*got) {
      last_ = record_.lsn;
      commit->seq = record_.lsn;
      commit->time_ms = record_.has_time ? record_.time_ms : 0;
      commit->packed = record_.data;
      return Status();
    }
    const uint64_t waited = db_->vfs()->MonotonicUs() - start;
    if (timeout_ms >= 0 && waited >= static_cast<uint64_t>(timeout_ms) * 1000) return Status();
    uint64_t wait = kPollUs;
    if (timeout_ms >= 0) wait = std::min(wait, static_cast<uint64_t>(timeout_ms) * 1000 - waited);
    KIST_TRY(db_->WaitForCommit(std::max(last_, horizon_), wait));
  }
}

Result<std::unique_ptr<Feed>> DbImpl::NewFeed(Sequence from) {
  // What it has read of the log is gone when the writer wants it so.
  if (options_.read_only)
    return Status::Error(Code::kReadOnly, "a database that is open read-only has no feed");
  if (from > last_seq()) {
    return Status::Invalid("sequence " + std::to_string(from) +
                           " was not committed yet; the newest is " + std::to_string(last_seq()));
  }
  auto feed = std::make_unique<FeedImpl>(this, from);
  KIST_TRY(feed->Start());
  return std::unique_ptr<Feed>(std::move(feed));
}

std::vector<LogExtent> DbImpl::LogExtents() {
  MutexLock lock(&mutex_);
  std::vector<LogExtent> all = retained_;
  for (const MemtableSlot& slot : slots_) {
    if (slot.log_number == 0) continue;
    for (const ReplayedLog& log : slot.replayed)
      all.push_back({log.number, log.previous_lsn, log.bytes});
    if (slot.segment != nullptr)
      all.push_back({slot.log_number, slot.previous_lsn, slot.segment->flushed_size()});
  }
  return all;
}

Status DbImpl::DrainForFeed() { return DrainBuffered(); }

// Returns when a commit after `seq` is visible, the time has passed, or the database closes.
Status DbImpl::WaitForCommit(Sequence seq, uint64_t us) {
  feed_waiters_.fetch_add(1, std::memory_order_seq_cst);
  Status s;
  {
    MutexLock lock(&feed_mutex_);
    if (closing_.load(std::memory_order_acquire)) {
      s = Status::Bare(Code::kClosed);
    } else if (visible_seq_.load(std::memory_order_seq_cst) <= seq) {
      feed_cond_.WaitFor(&feed_mutex_, us);
    }
  }
  feed_waiters_.fetch_sub(1, std::memory_order_relaxed);
  return s;
}

// Segments that no memtable needs are kept while log_retention allows or a hold asks; the oldest go
// first.
void DbImpl::TrimRetained() {
  MutexLock lock(&mutex_);
  uint64_t bytes = 0;
  for (const LogExtent& e : retained_) bytes += e.bytes;
  const uint64_t held = OldestHeld();
  while (!retained_.empty() && retained_.front().number < held &&
         (bytes > options_.log_retention || options_.log_retention == 0)) {
    bytes -= retained_.front().bytes;
    old_logs_.push_back(retained_.front().number);
    retained_.erase(retained_.begin());
  }
}

// At open: which segments before `link` are an unbroken run that retention still covers. What
// cannot be read for the moment does not end it: the segment would be removed.
Result<std::vector<LogExtent>> DbImpl::FindRetained(SegmentLink link) {
  std::vector<LogExtent> found;
  uint64_t bytes = 0;
  while (link.previous_id != 0 && options_.log_retention > 0) {
    const std::string path = JoinPath(path_, LogFileName(link.previous_id));
    auto opened = SegmentReader::Open(vfs_, path, SegmentType::kLog);
    const Code code = opened.status().code();
    if (code == Code::kMissing) break;
    if (!opened.ok() && code != Code::kCorrupt && code != Code::kTooNew) return opened.status();
    if (!opened.ok() || !(*opened)->has_link() || (*opened)->info().nonce != link.previous_nonce) {
      Log(2, "feeds begin behind a kept segment of the log that is damaged: " +
                 (opened.ok() ? path : opened.status().ToString()));
      break;
    }
    bytes += (*opened)->size();
    if (bytes > options_.log_retention) break;
    found.insert(found.begin(),
                 LogExtent{link.previous_id, (*opened)->link().previous_lsn, (*opened)->size()});
    link = (*opened)->link();
  }
  return found;
}

}  // namespace kist
