// The files that a job writes. Each range tombstone is cut at the bounds between files, so that
// the files of a level span disjoint ranges; what is unfinished when the job fails is removed.
// Threads: one.
#include "compaction/output.h"

#include <algorithm>

#include "util/alloc.h"
#include "util/planted.h"

namespace kist {

TableOutputs::~TableOutputs() {
  if (finished_ || sync_failed_) return;
  builder_.reset();
  file_.reset();
  // What stays is an unlisted file, which the next open removes.
  BestEffort([this] {
    if (!path_.empty()) static_cast<void>(context_.vfs->Remove(path_).ok());
    for (const NewTable& t : done_)
      static_cast<void>(context_.vfs->Remove(context_.store->Path(t.number)).ok());
  });
}

Status TableOutputs::Open() {
  number_ = context_.new_number();
  path_ = context_.store->Path(number_);
  KIST_TRY_ASSIGN(file_, context_.vfs->Open(path_, OpenMode::kCreateNew));
  TableOptions options = context_.table;
  options.table_id = number_;
  options.keyspace = keyspace_;
  builder_ = std::make_unique<TableBuilder>(options, file_.get(), path_);
  return Status();
}

Status TableOutputs::Add(Slice key, uint64_t tag, Slice value) {
  if (builder_ == nullptr) KIST_TRY(Open());
  return builder_->Add(key, tag, value);
}

Status TableOutputs::AddTombstones(std::optional<Slice> limit, bool* any) {
  for (RangeTombstone t : tombstones_) {
    if (Planted(Bug::kRangeTombstoneCutShort) && t.begin < Slice(begin_)) continue;
    if (t.begin < Slice(begin_)) t.begin = begin_;
    if (limit && (t.end.empty() || *limit < t.end)) t.end = *limit;
    if (!t.end.empty() && t.begin >= t.end) continue;
    if (builder_ == nullptr) KIST_TRY(Open());
    KIST_TRY(builder_->AddRangeTombstone(t));
    *any = true;
  }
  if (limit) {
    const auto past = [&](const RangeTombstone& t) { return !t.end.empty() && t.end <= *limit; };
    tombstones_.erase(std::remove_if(tombstones_.begin(), tombstones_.end(), past),
                      tombstones_.end());
  }
  return Status();
}

Status TableOutputs::Close(std::optional<Slice> limit) {
  bool any = builder_ != nullptr;
  KIST_TRY(AddTombstones(limit, &any));
  if (!any) return Status();
  NewTable t;
  t.keyspace = keyspace_;
  t.level = level_;
  t.number = number_;
  Status s = builder_->Finish(&t.properties);
  if (!s.ok()) {
    sync_failed_ = builder_->sync_failed();
    if (sync_failed_ && context_.sync_failed) context_.sync_failed(s);
    return s;
  }
  builder_.reset();
  file_.reset();
  done_.push_back(std::move(t));
  path_.clear();
  return Status();
}

Status TableOutputs::Cut(Slice next_key) {
  KIST_TRY(Close(next_key));
  begin_.assign(next_key.data(), next_key.size());
  return Status();
}

Status TableOutputs::Finish(JobResult* result) {
  KIST_TRY(Close(std::nullopt));
  for (const NewTable& t : done_) result->bytes_written += t.properties.file_bytes;
  result->tables = std::move(done_);
  finished_ = true;
  return Status();
}

}  // namespace kist
