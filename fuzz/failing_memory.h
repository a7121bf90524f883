// Memory that runs out. The targets that include this are linked with the tests' counting
// allocator (fuzz/CMakeLists.txt), because the parsers that they call meet the end of memory too.
// Threads: only the calling one's allocations fail.
#pragma once

#include <cstdint>
#include <new>

#include "fuzz_input.h"
#include "tests/support/counting_alloc.h"

namespace kist::fuzz {

// Calls fn while the (how % 128)th allocation fails, 0: none; from 128 on all after it too. What
// the standard library throws then ends fn, as it ends the calls of the interface. Where no memory
// was kept back it is a finding: something asked for more than any input can need.
template <typename Fn>
void WithFailingMemory(uint8_t how, Fn fn) {
  test::FailOnlyThisThread(true);
  test::FailAllocation(how % 128, how >= 128);
  try {
    fn();
  } catch (const std::bad_alloc&) {
    MUST(test::AllocationFailed());
  }
  test::FailAllocation(0);
}

}  // namespace kist::fuzz
