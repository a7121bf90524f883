// RunChecker: takes runs of random length and bound from an InternalIterator during a random walk
// and compares them with the walk's reference.
// Threads: one.
#pragma once

#include <string>

#include "iter/internal_iterator.h"
#include "support/unit_test.h"

namespace kist::test {

// `expect(i)` is the i-th entry from the current one on, on the way of the last positioning call,
// of which there are `left`. Returns how many were taken: the walk's position moves by one less.
template <typename Expect>
size_t CheckRun(InternalIterator* it, bool forward, const std::string& bound_key, size_t left,
                Rng* rng, const Expect& expect) {
  InternalEntry out[InternalIterator::kRunMax];
  const size_t max = 1 + rng->Below(rng->OneIn(3) ? 3 : InternalIterator::kRunMax);
  const Slice bound(bound_key);
  const bool bounded = rng->OneIn(2);
  uint64_t repeats = 0;
  const size_t n = it->Run(forward, bounded ? &bound : nullptr, out, max, &repeats);
  assert_true(n >= 1 && n <= max && n <= left);
  for (size_t i = 0; i < n; ++i) {
    const auto e = expect(i);
    ASSERT_SLICE(out[i].key, e.key);
    assert_int_equal(out[i].tag, e.tag);
    ASSERT_SLICE(out[i].value, e.value);
    if (i == 0 || out[i].key == out[i - 1].key) assert_true((repeats >> i & 1) != 0);
    if (bounded && i > 0) assert_true(forward ? out[i].key < bound : out[i].key > bound);
  }
  assert_true(it->valid());
  assert_ptr_equal(it->key().data(), out[n - 1].key.data());
  assert_int_equal(it->tag(), out[n - 1].tag);
  return n;
}

}  // namespace kist::test
