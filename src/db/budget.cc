// The memory budget at work: sizes that derive from it, and what handles may hold of it. What each
// part takes is counted where it allocates; see util/memory_budget.h.
// Threads: any.
#include <algorithm>

#include "db/db_impl.h"
#include "util/planted.h"

namespace kist {
namespace {

constexpr size_t kScanReadAheadMin = size_t{16} << 10;
constexpr size_t kScanReadAheadMax = size_t{256} << 10;
// Of a table under construction, beside what it keeps for each entry: the output buffer, a block.
constexpr size_t kBuilderBytes = size_t{1536} << 10;
constexpr size_t kBuilderEntryBytes = 12;  // its hash for the filter, its share of the index

std::string Mebibytes(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

// At open, and where a live option has changed; the options are the caller's to guard.
void DbImpl::ApplySizes() {
  const uint64_t buffer = options_.WriteBufferBytes();
  budget_->SetLimit(options_.memory_budget, (kMaxFullMemtables + 1) * buffer);
  write_buffer_bytes_.store(buffer, std::memory_order_relaxed);
  ops_.SetSampling(options_.latency_sampling);
  if (cache_ != nullptr) cache_->SetCapacity(options_.CacheBytes());
  if (store_ != nullptr) store_->SetMaxOpen(options_.max_open_files);
}

Status DbImpl::AdmitHeld(size_t bytes, size_t own_bytes) {
  const auto loose = [&] {
    const size_t all = cache_->held_bytes();
    return all - std::min(all, own_bytes);
  };
  if (!budget_->Admits(bytes, loose())) {
    epoch_.Collect();  // blocks and memtables that nobody reads any more
    {
      const MutexLock lock(&leaving_mutex_);  // a flush may be giving back what is held no more
    }
    const size_t held = budget_->Held(loose());
    if (held + bytes > budget_->HeldMax() && !Planted(Bug::kHeldNeverRefused)) {
      OpStats::Count(&ops_.refused);
      return Status::Error(Code::kNoMem, "memory_budget: pins, iterators and transactions hold " +
                                             Mebibytes(held) + ", and may hold " +
                                             Mebibytes(budget_->HeldMax()) + " of " +
                                             Mebibytes(budget_->limit()));
    }
  }
  cache_->Trim();
  return Status();
}

// A block in the cache costs nothing more, and the first thing to be held is never refused, however
// large it is.
Status DbImpl::AdmitPin(const ReadFound& found) {
  if (found.memtable == nullptr && !found.owned) return Status();
  return AdmitHeld(0, found.owned ? found.owned->memory_bytes() : 0);
}

size_t DbImpl::ScanReadAhead() const {
  return std::clamp(budget_->limit() / 1024, kScanReadAheadMin, kScanReadAheadMax);
}

// What a flush or compaction takes beside its read-ahead, which counts by itself.
MemoryCharge DbImpl::ChargeJob(uint64_t entries) const {
  MemoryCharge charge(budget_.get(), MemoryBudget::kJobs,
                      kBuilderBytes + entries * kBuilderEntryBytes);
  cache_->Trim();
  return charge;
}

}  // namespace kist
