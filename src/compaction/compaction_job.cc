// One compaction: opens a plan's inputs, merges them, asks the drop rule about each version, and
// cuts the outputs at sizes and at the bounds of the level below. What an output may drop depends
// on whether anything older can exist below it: see Bottom.
// Threads: one; the members of Compaction are the loop's state.
#include "compaction/job.h"
#include "compaction/output.h"
#include "iter/merging_iterator.h"
#include "util/check.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr uint64_t kGrandparentFiles = 10;  // an output overlaps at most so many target sizes below

// Tells when an output file would overlap too much of the level below it.
class GrandparentBound {
 public:
  GrandparentBound(const std::vector<RefPtr<LiveTable>>& files, uint64_t limit)
      : files_(files), limit_(limit) {}
  bool Passes(Slice key) {
    while (at_ < files_.size() && Slice(files_[at_]->properties().largest_key) < key)
      overlap_ += files_[at_++]->bytes();
    if (overlap_ <= limit_) return false;
    overlap_ = 0;
    return true;
  }

 private:
  const std::vector<RefPtr<LiveTable>>& files_;
  const uint64_t limit_;
  size_t at_ = 0;
  uint64_t overlap_ = 0;
};

// One run of a compaction over one thread; the members are the loop's state.
class Compaction {
 public:
  Compaction(const JobContext& context, const CompactionPlan& plan, const KeyspaceVersion& version,
             const Visibility& visibility)
      : context_(context), plan_(plan), version_(version), visibility_(visibility) {}
  Status Run(JobResult* result);

 private:
  Status OpenInputs();
  bool Bottom(Slice key);
  // Whether a range may still hide something below the output.
  bool BottomRange(const RangeTombstone& t) const;
  Status Poll(Slice key, Slice value);
  Status Loop(InternalIterator* it, DropRule* rule, TableOutputs* outputs, JobResult* result);

  const JobContext& context_;
  const CompactionPlan& plan_;
  const KeyspaceVersion& version_;
  const Visibility& visibility_;
  std::vector<std::unique_ptr<InternalIterator>> iterators_;
  std::vector<RefPtr<Table>> tables_;
  std::vector<RangeTombstone> raw_tombstones_;
  uint64_t expected_entries_ = 0;
  size_t cursor_[kLevels] = {};
  uint64_t unreported_bytes_ = 0;
  uint64_t bytes_read_ = 0;
};

Status Compaction::OpenInputs() {
  ReadContext rc;
  rc.fill_cache = false;
  rc.by_user = false;
  rc.readahead_bytes = context_.readahead_bytes;
  for (const auto* files : {&plan_.inputs, &plan_.overlapping}) {
    for (const auto& f : *files) {
      KIST_TRY_ASSIGN(RefPtr<Table> table, f->ReaderRef());
      expected_entries_ += f->properties().entries;
      bytes_read_ += f->bytes();
      if (const RangeTombstoneSet* set = table->range_tombstones()) {
        raw_tombstones_.insert(raw_tombstones_.end(), set->tombstones().begin(),
                               set->tombstones().end());
      }
      tables_.push_back(std::move(table));
    }
  }
  const bool sorted_inputs = plan_.input_level > 0;
  if (sorted_inputs) {
    iterators_.push_back(NewLevelIterator(plan_.inputs, rc));
  } else {
    for (size_t i = 0; i < plan_.inputs.size(); ++i)
      iterators_.push_back(tables_[i]->NewIterator(rc));
  }
  if (!plan_.overlapping.empty()) iterators_.push_back(NewLevelIterator(plan_.overlapping, rc));
  return Status();
}

bool Compaction::Bottom(Slice key) {
  // Within level 0 older files outside the inputs may hold the key.
  if (plan_.output_level == 0) return false;
  return !version_.MayExistBelow(plan_.output_level, key, cursor_);
}

bool Compaction::BottomRange(const RangeTombstone& t) const {
  if (plan_.output_level == 0) return false;
  for (int l = plan_.output_level + 1; l < kLevels; ++l) {
    const Level& level = version_.levels[l];
    const size_t at = level.FindFile(t.begin);  // the first that does not end before it
    if (at < level.size() && level.files()[at]->Overlaps(t.begin, t.end, false, t.end.empty()))
      return false;
  }
  return true;
}

Status Compaction::Poll(Slice key, Slice value) {
  unreported_bytes_ += key.size() + value.size();
  if (unreported_bytes_ < (uint64_t{64} << 10)) return Status();
  if (context_.stop != nullptr && context_.stop->load(std::memory_order_relaxed))
    return Status::Bare(Code::kCancelled);
  Status s = context_.progress ? context_.progress(unreported_bytes_) : Status();
  unreported_bytes_ = 0;
  return s;
}

Status Compaction::Loop(InternalIterator* it, DropRule* rule, TableOutputs* outputs,
                        JobResult* result) {
  GrandparentBound bound(plan_.grandparents, kGrandparentFiles * context_.target_file_bytes);
  std::string last_key;
  bool any = false;
  for (it->SeekToFirst(); it->valid(); it->Next()) {
    ++result->entries_in;
    const Slice key = it->key();
    KIST_TRY(Poll(key, it->value()));
    uint64_t tag = 0;
    const Verdict verdict = rule->Decide(key, it->tag(), it->value(), Bottom(key), &tag);
    if (verdict == Verdict::kDrop) continue;
    const bool new_key = !any || Slice(last_key) != key;
    const bool passes = new_key && bound.Passes(key);
    if (new_key && outputs->open() && plan_.output_level > 0 &&
        (passes || outputs->bytes() >= context_.target_file_bytes)) {
      KIST_TRY(outputs->Cut(key));
    }
    if (new_key) last_key.assign(key.data(), key.size());
    any = true;
    ++result->entries_out;
    KIST_TRY(outputs->Add(key, tag, verdict == Verdict::kKeepAsDelete ? Slice() : it->value()));
  }
  return Planted(Bug::kCompactionErrorIsEnd) ? Status() : it->status();
}

Status Compaction::Run(JobResult* result) {
  KIST_TRY(OpenInputs());
  std::shared_ptr<const RangeTombstoneSet> set;
  std::vector<RangeTombstone> kept;
  if (!raw_tombstones_.empty()) set = RangeTombstoneSet::Build(raw_tombstones_);
  DropRule rule(visibility_, set.get());
  const NeededTombstones needed(visibility_, std::move(raw_tombstones_));
  for (const RangeTombstone& t : needed.all()) {
    if (!rule.TombstoneIsDead(t, BottomRange(t))) kept.push_back(t);
  }
  TableOutputs outputs(context_, version_.id, plan_.output_level, std::move(kept));
  auto merged = NewMergingIterator(std::move(iterators_));
  KIST_TRY(Loop(merged.get(), &rule, &outputs, result));
  result->dropped = rule.counts();
  result->bytes_read = bytes_read_;
  if (result->entries_in != expected_entries_ && !Planted(Bug::kCompactionErrorIsEnd)) {
    return Status::Error(Code::kCorrupt, "a compaction read " + std::to_string(result->entries_in) +
                                             " entries where its inputs' "
                                             "properties count " +
                                             std::to_string(expected_entries_));
  }
  KIST_CHECK(result->entries_in == result->entries_out + result->dropped.total());
  return outputs.Finish(result);
}

}  // namespace

Status RunCompaction(const JobContext& context, const CompactionPlan& plan,
                     const KeyspaceVersion& version, const Visibility& visibility,
                     JobResult* result) {
  return Compaction(context, plan, version, visibility).Run(result);
}

}  // namespace kist
