// Counts and fails allocations. counting_alloc.cc replaces util/alloc.cc and the global operator
// new; the build links it into tests whose names end in _alloc_test.cc.
//
//   kist::test::AllocationScope scope;  ...  scope.count() == 0
//   FailAllocation(n)                   the nth allocation of any thread from now on fails, once
//   FailAllocation(n, true)             and all after it
// Memory that is freed is overwritten, so that what still reads it reads something else.
// Threads: any. Counts are of all threads, or of the calling one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kist::test {

uint64_t AllocationCount();        // of all threads, since the start
uint64_t ThreadAllocationCount();  // of this thread
int64_t LiveAllocations();         // made and not yet freed

void FailAllocation(uint64_t nth, bool for_ever = false);  // 0: none
bool AllocationFailed();                                   // since the last FailAllocation
// While set, only the calling thread's allocations count towards the nth.
void FailOnlyThisThread(bool on);

class AllocationScope {
 public:
  AllocationScope() : before_(ThreadAllocationCount()) {}
  uint64_t count() const { return ThreadAllocationCount() - before_; }

 private:
  const uint64_t before_;
};

}  // namespace kist::test
