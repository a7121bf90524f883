// Arena: alignment, reservations, big requests, accounting.
#include "util/arena.h"

#include <vector>

#include "support/unit_test.h"

using kist::Arena;
using kist::test::Rng;

static void arena__memory_is_aligned_distinct_and_stays(void**) {
  Rng rng(kist::test::Seed("arena"));
  Arena arena(4096);
  std::vector<std::pair<char*, std::string>> given;
  for (int i = 0; i < 3000; ++i) {
    const size_t n = rng.OneIn(50) ? rng.Below(20000) : rng.Below(200);
    char* p = rng.OneIn(3) ? arena.AllocateAligned(n, 64) : arena.Allocate(n);
    assert_non_null(p);
    assert_int_equal(reinterpret_cast<uintptr_t>(p) % Arena::kAlign, 0);
    std::string bytes = rng.Bytes(n);
    std::memcpy(p, bytes.data(), n);
    given.emplace_back(p, std::move(bytes));
  }
  for (const auto& g : given) assert_memory_equal(g.first, g.second.data(), g.second.size());
  assert_true(arena.used_bytes() <= arena.memory_bytes());
}

static void arena__allocate_aligned_is_aligned(void**) {
  Arena arena;
  for (size_t align = 8; align <= 4096; align *= 2) {
    arena.Allocate(8);
    assert_int_equal(reinterpret_cast<uintptr_t>(arena.AllocateAligned(100, align)) % align, 0);
  }
}

static void arena__reservation_is_served_from_what_is_there(void**) {
  Arena arena(4096);
  assert_true(arena.Reserve(100000));
  const size_t memory = arena.memory_bytes();
  size_t rest = 100000;
  while (rest >= 200) {
    assert_non_null(arena.Allocate(200));
    rest -= 200;
  }
  assert_int_equal(arena.memory_bytes(), memory);
  assert_true(arena.Reserve(8));
}

static void arena__impossible_sizes_fail(void**) {
  Arena arena;
  assert_null(arena.Allocate(SIZE_MAX));
  assert_null(arena.Allocate(SIZE_MAX - 16));
  assert_false(arena.Reserve(SIZE_MAX));
  assert_false(arena.Reserve(SIZE_MAX - 16));
  assert_non_null(arena.Allocate(1));
}

static void arena__reset_gives_all_back(void**) {
  Arena arena;
  assert_true(arena.ReserveTouched(1 << 20));
  assert_non_null(arena.Allocate(1000));
  arena.Reset();
  assert_int_equal(arena.memory_bytes(), 0);
  assert_int_equal(arena.used_bytes(), 0);
  assert_non_null(arena.Allocate(10));
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(arena__memory_is_aligned_distinct_and_stays),
      cmocka_unit_test(arena__allocate_aligned_is_aligned),
      cmocka_unit_test(arena__reservation_is_served_from_what_is_there),
      cmocka_unit_test(arena__impossible_sizes_fail),
      cmocka_unit_test(arena__reset_gives_all_back),
  };
  return cmocka_run_group_tests_name("arena", tests, nullptr, nullptr);
}
