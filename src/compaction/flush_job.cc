// A flush: one keyspace of full memtables to one level-0 table, without the versions that no
// reader can see any more. Tombstones always stay: older versions may be in tables.
// Threads: one; the memtables take no more writes.
#include "compaction/job.h"
#include "compaction/output.h"
#include "iter/merging_iterator.h"
#include "util/check.h"

namespace kist {
namespace {

constexpr uint64_t kPollEntries = 1024;

}  // namespace

Status RunFlush(const JobContext& context, const std::vector<const Memtable*>& memtables,
                uint32_t keyspace, const Visibility& visibility, JobResult* result) {
  std::vector<RangeTombstone> all;
  std::vector<std::shared_ptr<const RangeTombstoneSet>> sets;  // own what `all` points to
  std::vector<std::unique_ptr<InternalIterator>> sources;
  for (const Memtable* memtable : memtables) {
    if (auto set = memtable->RangeTombstones(keyspace)) {
      all.insert(all.end(), set->tombstones().begin(), set->tombstones().end());
      sets.push_back(std::move(set));
    }
    if (auto source = memtable->NewIterator(keyspace)) sources.push_back(std::move(source));
  }
  const auto tombstones = sets.size() == 1 ? sets[0]
                          : sets.empty()   ? nullptr
                                           : RangeTombstoneSet::Build(all);
  DropRule rule(visibility, tombstones.get());
  const NeededTombstones needed(visibility, std::move(all));
  TableOutputs outputs(context, keyspace, 0, needed.all());
  if (!sources.empty()) {
    const auto it = NewMergingIterator(std::move(sources));
    uint64_t since_poll = 0;
    for (it->SeekToFirst(); it->valid(); it->Next()) {
      ++result->entries_in;
      if (++since_poll == kPollEntries) {
        since_poll = 0;
        if (context.stop != nullptr && context.stop->load(std::memory_order_relaxed))
          return Status::Bare(Code::kCancelled);
      }
      uint64_t tag = 0;
      const Verdict verdict = rule.Decide(it->key(), it->tag(), it->value(), false, &tag);
      if (verdict == Verdict::kDrop) continue;
      ++result->entries_out;
      KIST_TRY(
          outputs.Add(it->key(), tag, verdict == Verdict::kKeepAsDelete ? Slice() : it->value()));
    }
    KIST_TRY(it->status());
  }
  KIST_TRY(outputs.Finish(result));
  result->dropped = rule.counts();
  KIST_CHECK(result->entries_in == result->entries_out + result->dropped.total());
  return Status();
}

}  // namespace kist
