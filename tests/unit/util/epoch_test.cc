// Epoch: what is retired lives while a reader that could see it is inside, and not longer; under
// threads too (run it under ThreadSanitizer as well).
#include "util/epoch.h"

#include <atomic>
#include <thread>
#include <vector>

#include "support/unit_test.h"

using kist::Epoch;

namespace {

struct Object {
  explicit Object(std::atomic<int>* alive_counter) : alive(alive_counter) { alive->fetch_add(1); }
  ~Object() {
    magic = 0;
    alive->fetch_sub(1);
  }
  uint64_t magic = 0x600d;
  uint64_t value = 0;
  std::atomic<int>* alive;
};
void Destroy(void* p) { delete static_cast<Object*>(p); }

}  // namespace

static void epoch__retired_waits_for_its_reader(void**) {
  std::atomic<int> alive{0};
  Epoch epoch;
  Object* a = new Object(&alive);
  Object* b = new Object(&alive);
  {
    Epoch::Guard reader(epoch);
    epoch.Retire(a, Destroy);
    epoch.Collect();
    assert_int_equal(alive.load(), 2);
    {
      Epoch::Guard later(epoch);  // nested, another slot
      assert_ptr_not_equal(&later.slot(), &reader.slot());
    }
    epoch.Collect();
    assert_int_equal(alive.load(), 2);
  }
  epoch.Collect();
  assert_int_equal(alive.load(), 1);
  epoch.Retire(b, Destroy);
  epoch.Drain();
  assert_int_equal(alive.load(), 0);
}

static void epoch__later_reader_does_not_hold_earlier_retired(void**) {
  std::atomic<int> alive{0};
  Epoch epoch;
  epoch.Retire(new Object(&alive), Destroy);
  Epoch::Guard later(epoch);
  epoch.Collect();
  assert_int_equal(alive.load(), 0);
}

static void epoch__destructor_destroys_what_is_left(void**) {
  std::atomic<int> alive{0};
  {
    Epoch epoch;
    for (int i = 0; i < 5000; ++i) epoch.Retire(new Object(&alive), Destroy);
  }
  assert_int_equal(alive.load(), 0);
}

static void epoch__many_retired_under_a_reader_are_kept_then_freed(void**) {
  std::atomic<int> alive{0};
  Epoch epoch;
  {
    Epoch::Guard reader(epoch);
    for (int i = 0; i < 10000; ++i) epoch.Retire(new Object(&alive), Destroy);
    assert_int_equal(alive.load(), 10000);
  }
  epoch.Drain();
  assert_int_equal(alive.load(), 0);
}

static void epoch__all_slots_taken_waits(void**) {
  Epoch epoch;
  std::vector<std::unique_ptr<Epoch::Guard>> guards;
  for (int i = 0; i < Epoch::kSlots; ++i) guards.push_back(std::make_unique<Epoch::Guard>(epoch));
  std::atomic<bool> entered{false};
  std::thread waiter([&] {
    Epoch::Guard guard(epoch);
    entered = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  assert_false(entered.load());
  guards.pop_back();
  waiter.join();
  assert_true(entered.load());
}

static void epoch__counters_sum_over_slots(void**) {
  Epoch epoch;
  Epoch::Guard a(epoch);
  Epoch::Guard b(epoch);
  a.slot().Count(2);
  b.slot().Count(2, 40);
  b.slot().Count(3);
  assert_int_equal(epoch.Sum(2), 41);
  assert_int_equal(epoch.Sum(3), 1);
  assert_int_equal(epoch.Sum(0), 0);
}

// Readers follow a published pointer that writers keep replacing.
static void epoch__readers_beside_retiring_writers(void**) {
  const uint64_t seed = kist::test::Seed("epoch");
  std::atomic<int> alive{0};
  {
    Epoch epoch;
    std::atomic<Object*> published{new Object(&alive)};
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> reads{0};
    std::vector<std::thread> threads;
    for (int r = 0; r < 3; ++r) {
      threads.emplace_back([&] {
        uint64_t n = 0;
        while (!stop.load(std::memory_order_relaxed)) {
          Epoch::Guard guard(epoch);
          const Object* o = published.load(std::memory_order_acquire);
          if (o->magic != 0x600d) std::abort();
          n += 1 + (o->value & 0);
          guard.slot().Count(0);
        }
        reads.fetch_add(n);
      });
    }
    for (int w = 0; w < 2; ++w) {
      threads.emplace_back([&, w] {
        kist::test::Rng rng(seed + static_cast<uint64_t>(w));
        for (int i = 0; i < 20000; ++i) {
          Object* fresh = new Object(&alive);
          fresh->value = rng.Next();
          epoch.Retire(published.exchange(fresh, std::memory_order_acq_rel), Destroy);
          if (rng.OneIn(500)) epoch.Drain();
        }
      });
    }
    threads[3].join();
    threads[4].join();
    stop = true;
    for (int r = 0; r < 3; ++r) threads[static_cast<size_t>(r)].join();
    assert_int_equal(epoch.Sum(0), reads.load());
    epoch.Retire(published.load(), Destroy);
    epoch.Drain();
    assert_int_equal(alive.load(), 0);
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(epoch__retired_waits_for_its_reader),
      cmocka_unit_test(epoch__later_reader_does_not_hold_earlier_retired),
      cmocka_unit_test(epoch__destructor_destroys_what_is_left),
      cmocka_unit_test(epoch__many_retired_under_a_reader_are_kept_then_freed),
      cmocka_unit_test(epoch__all_slots_taken_waits),
      cmocka_unit_test(epoch__counters_sum_over_slots),
      cmocka_unit_test(epoch__readers_beside_retiring_writers),
  };
  return cmocka_run_group_tests_name("epoch", tests, nullptr, nullptr);
}
