// Fetching tables and ranges side by side, checking that the ranges make one chain, replaying and
// verifying the result, and giving it a fresh log.
// Threads: tasks run on workers; the rest is the caller's.
#include "backup/restore.h"

#include <algorithm>
#include <map>

#include "backup/new_directory.h"
#include "backup/segment_copy.h"
#include "key/file_name.h"
#include "util/alloc.h"
#include "util/crc32c.h"
#include "util/mutex.h"
#include "util/planted.h"
#include "vfs/crew.h"

namespace kist {
namespace {

constexpr size_t kFetchBytes = size_t{1} << 20;
constexpr size_t kWorkers = 4;
constexpr int kSettleLooks = 20;

// What is done of a restore, for who watches it.
class Progress {
 public:
  Progress(const JobControl& job, uint64_t total) : job_(job), total_(total) {}
  Status Count(uint64_t bytes) {
    MutexLock lock(&mutex_);
    done_ = std::min(done_ + bytes, total_);
    if (job_.progress && !job_.progress(done_, total_)) return Status::Bare(Code::kCancelled);
    return Status();
  }

 private:
  const JobControl& job_;
  const uint64_t total_;
  Mutex mutex_;
  uint64_t done_ KIST_GUARDED_BY(mutex_) = 0;
};

class Restore {
 public:
  Restore(Target* target, const Catalog& catalog, RestorePlan plan, NewDirectory* dir,
          const JobControl& job)
      : target_(target),
        catalog_(catalog),
        plan_(std::move(plan)),
        dir_(dir),
        job_(job),
        headers_(plan_.ranges.size()) {}

  Status Run() {
    for (const CatalogRange& r : plan_.ranges) log_bytes_ += r.bytes;
    all_bytes_ = log_bytes_;
    for (const BaseTable& t : plan_.base.tables) all_bytes_ += t.bytes;
    Progress progress(job_, all_bytes_ + log_bytes_ + all_bytes_);  // to fetch, replay, verify
    KIST_TRY(progress.Count(0));
    std::vector<Task> tasks;
    for (const BaseTable& t : plan_.base.tables)
      tasks.push_back([this, &t, &progress] { return FetchTable(t, &progress); });
    for (size_t i = 0; i < plan_.ranges.size(); ++i)
      tasks.push_back([this, i, &progress] { return FetchRange(i, &progress); });
    KIST_TRY(SideBySide(tasks));
    KIST_TRY(CheckChain());
    KIST_TRY(FinishSegments());
    KIST_TRY(WriteManifest());
    KIST_TRY(ReplayAndVerify(&progress));
    return StartAfresh();
  }

 private:
  Status SideBySide(const std::vector<Task>& tasks) const {
    return RunTasks(dir_->vfs(), "kist-restore", kWorkers, tasks);
  }
  Status FetchTable(const BaseTable& t, Progress* progress);
  Status FetchRange(size_t i, Progress* progress);
  Result<SegmentCopy*> SegmentOf(const RangeHeader& h, const std::string& where);
  Status CheckChain() const;
  Status FinishSegments();
  Status WriteManifest();
  Status ReplayAndVerify(Progress* progress);
  Status StartAfresh();
  std::string Where(size_t i) const {
    return target_->NameOf(FormatObjectName(plan_.ranges[i].name));
  }

  Target* const target_;
  const Catalog& catalog_;
  const RestorePlan plan_;
  NewDirectory* const dir_;
  const JobControl& job_;
  uint64_t log_bytes_ = 0;            // of the ranges
  uint64_t all_bytes_ = 0;            // of the tables too
  std::vector<RangeHeader> headers_;  // each written by its range's task
  Mutex mutex_;
  std::map<uint64_t, std::unique_ptr<SegmentCopy>> segments_ KIST_GUARDED_BY(mutex_);
  std::map<uint64_t, uint64_t> nonces_ KIST_GUARDED_BY(mutex_);
};

Status Restore::FetchTable(const BaseTable& t, Progress* progress) {
  const std::string object = FormatObjectName(NameOf(t));
  const std::string where = target_->NameOf(object);
  KIST_TRY_ASSIGN(auto file, dir_->vfs()->Open(JoinPath(dir_->path(), TableFileName(t.number)),
                                               OpenMode::kCreateNew));
  Buffer buffer = AllocateBuffer(kFetchBytes);
  if (buffer == nullptr) return Status::Bare(Code::kNoMem);
  uint32_t crc = 0;
  for (uint64_t at = 0; at < t.bytes;) {
    const size_t want = std::min<uint64_t>(kFetchBytes, t.bytes - at);
    auto got = target_->Get(object, at, buffer.get(), want);
    if (!got.ok() && got.status().Is(Code::kMissing))
      return Status::Corrupt(where, 0, "missing, though a base names it");
    if (!got.ok()) return std::move(got).status();
    if (*got != want) return Status::Corrupt(where, at + *got, "shorter than the base says");
    crc = crc32c::Extend(crc, buffer.get(), want);
    KIST_TRY(file->Write(at, Slice(buffer.get(), want)));
    at += want;
    KIST_TRY(progress->Count(want));
  }
  if (crc != t.crc) return Status::Corrupt(where, 0, "checksum mismatch");
  return Planted(Bug::kRestoreNotSynced) ? Status() : file->Sync();
}

Result<SegmentCopy*> Restore::SegmentOf(const RangeHeader& h, const std::string& where) {
  MutexLock lock(&mutex_);
  auto& segment = segments_[h.segment.id];
  if (segment == nullptr) {
    KIST_TRY_ASSIGN(
        segment, SegmentCopy::Create(dir_->vfs(), JoinPath(dir_->path(), LogFileName(h.segment.id)),
                                     h.segment));
    nonces_[h.segment.id] = h.segment.nonce;
  }
  if (nonces_[h.segment.id] != h.segment.nonce)
    return Status::Corrupt(where, 40, "another history's segment of the same number");
  return segment.get();
}

// The header comes along with the first piece.
Status Restore::FetchRange(size_t i, Progress* progress) {
  const CatalogRange& range = plan_.ranges[i];
  const std::string object = FormatObjectName(range.name);
  Buffer buffer = AllocateBuffer(kFetchBytes);
  if (buffer == nullptr) return Status::Bare(Code::kNoMem);
  SegmentCopy* segment = nullptr;
  RangeHeader& h = headers_[i];
  uint32_t crc = 0;
  for (uint64_t at = 0; at < range.bytes;) {
    const size_t want = std::min<uint64_t>(kFetchBytes, range.bytes - at);
    KIST_TRY_ASSIGN(const size_t got, target_->Get(object, at, buffer.get(), want));
    if (got != want) return Status::Corrupt(Where(i), at + got, "cut short");
    size_t skip = 0;
    if (at == 0) {
      KIST_TRY_ASSIGN(h, DecodeRangeHeader(Slice(buffer.get(), got), Where(i)));
      KIST_TRY(CheckRangeHeader(target_, catalog_, range, h));
      KIST_TRY_ASSIGN(segment, SegmentOf(h, Where(i)));
      skip = kRangeHeaderBytes;
    }
    const Slice payload(buffer.get() + skip, got - skip);
    crc = crc32c::Extend(crc, payload.data(), payload.size());
    KIST_TRY(segment->Write(h.position + at + skip - kRangeHeaderBytes, payload));
    at += want;
    KIST_TRY(progress->Count(want));
  }
  if (segment == nullptr || crc != h.payload_crc)
    return Status::Corrupt(Where(i), kRangeHeaderBytes, "checksum mismatch");
  return Status();
}

// Each range names the one before by its checksum and begins where that ended; the base names the
// one that begins its log and the last one that was there when it was made.
Status Restore::CheckChain() const {
  const BaseListing& base = plan_.base;
  for (size_t i = 0; i < headers_.size(); ++i) {
    const RangeHeader& h = headers_[i];
    if ((h.index == base.first_range && h.crc != base.first_crc) ||
        (h.index + 1 == base.ranges && h.crc != base.last_crc))
      return Status::Corrupt(Where(i), 0, "not the range that the base copy was made with");
    if (i == 0) {
      if (h.position != 0 || h.segment.id != base.state.log_number)
        return Status::Corrupt(Where(i), 0, "does not begin the log that follows its base copy");
      continue;
    }
    const RangeHeader& before = headers_[i - 1];
    if (h.previous_crc != before.crc)
      return Status::Corrupt(Where(i), 0, "does not follow the range before it: another history");
    const bool same = h.segment.id == before.segment.id;
    if (same ? h.position != before.position + before.payload_bytes : h.position != 0)
      return Status::Corrupt(Where(i), 0, "does not begin where the range before it ends");
  }
  return Status();
}

Status Restore::FinishSegments() {
  MutexLock lock(&mutex_);
  std::vector<Task> tasks;
  for (size_t i = 0; i < headers_.size(); ++i) {
    const RangeHeader& h = headers_[i];
    const bool last = i + 1 == headers_.size();
    if (!last && headers_[i + 1].segment.id == h.segment.id) continue;
    const uint64_t end =
        last && plan_.last_end != UINT64_MAX ? plan_.last_end : h.position + h.payload_bytes;
    SegmentCopy* const segment = segments_[h.segment.id].get();
    const SealKind seal = last ? SealKind::kClosed : SealKind::kSwitched;
    const Sequence last_lsn = last ? plan_.seq : h.last_lsn;
    tasks.push_back([=] { return segment->Finish(end, last_lsn, seal); });
  }
  Status s = SideBySide(tasks);
  segments_.clear();
  return s;
}

Status Restore::WriteManifest() {
  ManifestState state = plan_.base.state;
  state.log_number = headers_.empty() ? 0 : headers_.front().segment.id;
  state.newest_log = headers_.empty() ? 0 : headers_.back().segment.id;
  state.last_lsn = std::min(state.last_lsn, plan_.seq);
  uint64_t number = state.next_file;
  if (!headers_.empty()) number = std::max(number, headers_.back().segment.id + 1);
  state.next_file = number + 1;
  return Manifest::Create(dir_->vfs(), dir_->path(), number, &state).status();
}

Status Restore::ReplayAndVerify(Progress* progress) {
  OptionSet options;
  KIST_TRY(options.Parse(
      "create_if_missing=false; compaction=manual; sync=never; write_buffer_size=64MiB"));
  uint64_t replayed = 0, left = log_bytes_;
  const auto count_replayed = [&] {
    const uint64_t step = std::min(replayed, left);
    left -= step;
    replayed = 0;
    return progress->Count(step);
  };
  const auto on_replayed = [&](uint64_t bytes) {
    replayed += bytes;
    return replayed < kFetchBytes ? Status() : count_replayed();
  };
  KIST_TRY_ASSIGN(
      auto db, Db::Open(dir_->path(), options, LogSink(), dir_->vfs(), on_replayed, dir_->lock()));
  replayed = left;  // what counts as log and is no commit
  Status s;
  if (db->last_seq() != plan_.seq) {
    s = Status::Corrupt(target_->url(), 0,
                        "the log reaches commit " + std::to_string(db->last_seq()) + ", not " +
                            std::to_string(plan_.seq));
  }
  uint64_t counted = 0;
  JobControl verify;
  verify.workers = kWorkers;
  verify.progress = [&](uint64_t done, uint64_t total) {
    const double part = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
    const auto want = static_cast<uint64_t>(static_cast<double>(all_bytes_) * part);
    const uint64_t step = want > counted ? want - counted : 0;
    counted += step;
    return progress->Count(step).ok();
  };
  if (s.ok()) s = count_replayed();
  if (s.ok()) s = db->Flush();  // an open without space for tables leaves it all in the log
  if (s.ok()) s = db->Verify(verify);
  Status closed = db->Close();
  return s.ok() ? closed : s;
}

// Everything is in tables now; the log that was replayed goes, and the next open begins one that
// follows nothing.
Status Restore::StartAfresh() {
  Vfs* vfs = dir_->vfs();
  KIST_TRY_ASSIGN(ManifestState state, ReadManifest(vfs, dir_->path()));
  const uint64_t old = state.manifest_number;
  state.log_number = state.newest_log = 0;
  state.flushed_lsn = plan_.seq;
  state.last_lsn = plan_.seq;
  const uint64_t number = std::max(state.next_file, old + 1);
  state.next_file = number + 1;
  KIST_TRY(Manifest::Create(vfs, dir_->path(), number, &state).status());
  KIST_TRY_ASSIGN(std::vector<std::string> names, vfs->List(dir_->path()));
  for (const std::string& name : names) {
    const auto parsed = ParseFileName(name);
    const bool log = parsed && parsed->type == FileType::kLog;
    const bool manifest = parsed && parsed->type == FileType::kManifest && parsed->number != number;
    if (log || manifest) KIST_TRY(vfs->Remove(JoinPath(dir_->path(), name)));
  }
  return Status();
}

}  // namespace

// A listing is no snapshot: it may lack both what a pruning has just removed and what replaced it,
// so it is believed when it is the same twice. What a pruning removes while it is needed here is
// not damage: where the target's base copies are others than before, a plan is made anew.
Status RestoreBackup(Target* target, Vfs* vfs, const std::string& path, const RestorePoint& point,
                     const JobControl& job, Sequence* seq) {
  KIST_TRY_ASSIGN(Catalog catalog, Catalog::Load(target, Catalog::Part::kStates));
  for (int looks = 0; looks < kSettleLooks; ++looks) {
    KIST_TRY_ASSIGN(Catalog now, Catalog::Load(target, Catalog::Part::kStates));
    const bool same = now.SameBases(catalog);
    catalog = std::move(now);
    if (same) break;
  }
  for (;;) {
    Sequence reached = 0;
    const auto restore = [&]() -> Status {
      KIST_TRY_ASSIGN(RestorePlan plan, PlanRestore(target, catalog, point));
      reached = plan.seq;
      KIST_TRY_ASSIGN(auto dir, NewDirectory::Prepare(vfs, path));
      KIST_TRY(Restore(target, catalog, std::move(plan), dir.get(), job).Run());
      return dir->Finish();
    };
    Status s = restore();
    if (s.ok() && seq != nullptr) *seq = reached;
    if (!s.Is(Code::kCorrupt) && !s.Is(Code::kMissing)) return s;
    KIST_TRY_ASSIGN(Catalog now, Catalog::Load(target, Catalog::Part::kStates));
    if (now.SameBases(catalog)) return s;
    catalog = std::move(now);
  }
}

}  // namespace kist
