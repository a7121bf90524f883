// A flush: one keyspace of a full memtable to one level-0 table, without the versions that no
// reader can see any more. Tombstones always stay: older versions may be in tables.
// Threads: one; the memtable takes no more writes.
#include "compaction/job.h"
#include "compaction/output.h"
#include "util/check.h"

namespace kist {
namespace {

constexpr uint64_t kPollEntries = 1024;

}  // namespace

Status RunFlush(const JobContext& context, const Memtable& memtable, uint32_t keyspace,
                const Visibility& visibility, JobResult* result) {
  const auto tombstones = memtable.RangeTombstones(keyspace);
  DropRule rule(visibility, tombstones.get());
  const NeededTombstones needed(
      visibility, tombstones ? tombstones->tombstones() : std::vector<RangeTombstone>());
  TableOutputs outputs(context, keyspace, 0, needed.all());
  if (auto it = memtable.NewIterator(keyspace)) {
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
