// Mutex, CondVar and futex: waking, timing out, handing over.
#include "util/mutex.h"

#include <thread>

#include "support/unit_test.h"
#include "util/futex.h"

using kist::CondVar;
using kist::Mutex;
using kist::MutexLock;

static void mutex__wait_for_times_out_and_is_woken(void**) {
  Mutex mutex;
  CondVar cond;
  bool ready = false;
  {
    MutexLock lock(&mutex);
    const auto start = std::chrono::steady_clock::now();
    while (cond.WaitFor(&mutex, 5000)) {
    }
    assert_true(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(5));
  }
  std::thread waker([&] {
    MutexLock lock(&mutex);
    ready = true;
    cond.Signal();
  });
  {
    MutexLock lock(&mutex);
    while (!ready) assert_true(cond.WaitFor(&mutex, UINT64_MAX));
  }
  waker.join();
}

static void mutex__try_lock_and_unlock_in_the_middle(void**) {
  Mutex mutex;
  MutexLock lock(&mutex);
  std::thread([&] { assert_false(mutex.TryLock()); }).join();
  lock.Unlock();
  std::thread([&] {
    const bool locked = mutex.TryLock();
    assert_true(locked);
    if (locked) mutex.Unlock();
  }).join();
  lock.Lock();
}

static void mutex__futex_hands_over_back_and_forth(void**) {
  std::atomic<uint32_t> word{0};
  constexpr uint32_t kRounds = 2000;
  std::thread other([&] {
    for (uint32_t i = 0; i < kRounds; ++i) {
      for (uint32_t w; (w = word.load(std::memory_order_acquire)) != 2 * i + 1;)
        kist::FutexWait(&word, w);
      word.store(2 * i + 2, std::memory_order_release);
      kist::FutexWake(&word, 1);
    }
  });
  for (uint32_t i = 0; i < kRounds; ++i) {
    word.store(2 * i + 1, std::memory_order_release);
    kist::FutexWake(&word, 1);
    for (uint32_t w; (w = word.load(std::memory_order_acquire)) != 2 * i + 2;)
      kist::FutexWait(&word, w);
  }
  other.join();
  kist::FutexWait(&word, 7);  // not the word's value: returns at once
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(mutex__wait_for_times_out_and_is_woken),
      cmocka_unit_test(mutex__try_lock_and_unlock_in_the_middle),
      cmocka_unit_test(mutex__futex_hands_over_back_and_forth),
  };
  return cmocka_run_group_tests_name("mutex", tests, nullptr, nullptr);
}
