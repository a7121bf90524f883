// A thread that stands still between two steps of a call, for as long as others need to change
// everything around it: what it goes on to see, or to allow, is right all the same (promises G14,
// G15, G17).
//
// Where a call to the file system or the clock lies in the gap, the others run inside that call.
// Where none does, signals stop the thread at any instruction, and their handler sleeps.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "capi/lifecycle.h"
#include "db/retain.h"
#include "support/clock_vfs.h"
#include "support/unit_test.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/db";
constexpr char kName[] = "of a short life";
constexpr Durability kOs = Durability::kOs;
constexpr auto kPatience = std::chrono::milliseconds(200);

// Calls a hook, once, behind the next look of the arming thread at the monotonic clock, or in front
// of its n-th look at the wall clock: at the database's time, that is.
class GapVfs : public ClockVfs {
 public:
  using ClockVfs::ClockVfs;
  void Arm(std::function<void()> hook) {
    thread_ = std::this_thread::get_id();
    hook_ = std::move(hook);
    armed_ = true;
  }
  void ArmBefore(int nth, std::function<void()> hook) {
    thread_ = std::this_thread::get_id();
    hook_ = std::move(hook);
    looks_ = nth;
  }
  int64_t WallMs() override {
    if (looks_ != 0 && std::this_thread::get_id() == thread_ && --looks_ == 0) hook_();
    return ClockVfs::WallMs();
  }
  uint64_t MonotonicUs() override {
    const uint64_t us = ClockVfs::MonotonicUs();
    if (armed_ && std::this_thread::get_id() == thread_) {
      armed_ = false;
      hook_();
    }
    return us;
  }

 private:
  std::atomic<bool> armed_{false};
  std::atomic<int> looks_{0};
  std::thread::id thread_;
  std::function<void()> hook_;
};

struct Scene {
  Scene() {
    OptionSet set;
    ASSERT_OK(set.Parse("memory_budget=16MiB; sync=never; compaction=manual"));
    auto opened = Db::Open(kDir, set, LogSink(), &vfs);
    ASSERT_OK(opened);
    db = opened.Take();
  }
  ~Scene() {
    if (db != nullptr) static_cast<void>(db->Close());
  }
  void Put(Keyspace* ks, const std::string& key, const std::string& value, int64_t ttl_ms = 0) {
    ASSERT_OK(db->Put(ks, kOs, key, value, ttl_ms, nullptr));
  }
  MemoryVfs memory;
  GapVfs vfs{&memory};
  std::unique_ptr<Db> db;
};

// Stops one thread again and again, wherever it is.
class Stops {
 public:
  explicit Stops(pthread_t thread) {
    struct sigaction action {};
    action.sa_handler = [](int) {
      const timespec pause = {0, 2000000};
      nanosleep(&pause, nullptr);
    };
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, nullptr);
    source_ = std::thread([this, thread] {
      Rng rng(Seed("gaps"));
      while (!end_) {
        pthread_kill(thread, SIGUSR1);
        std::this_thread::sleep_for(std::chrono::microseconds(2100 + rng.Below(400)));
      }
    });
  }
  ~Stops() {  // before the thread ends
    end_ = true;
    source_.join();
  }

 private:
  std::atomic<bool> end_{false};
  std::thread source_;
};

// Runs `stopped`, which is stopped at any instruction, and `other` beside it, over and over.
void Stopping(const std::function<void()>& stopped, const std::function<void()>& other) {
  std::atomic<bool> end{false};
  std::atomic<bool> leave{false};
  std::thread thread([&] {
    while (!end) stopped();
    while (!leave) std::this_thread::yield();
  });
  {
    const Stops stops(thread.native_handle());
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1000);
    while (std::chrono::steady_clock::now() < until) other();
    end = true;
  }
  leave = true;
  thread.join();
}

// A snapshot's time and its place among those that a compaction spares are one.
void gaps__a_snapshot_keeps_what_has_not_expired_in_it(void**) {
  Scene s;
  const auto ks = s.db->DefaultKeyspace();
  s.Put(ks.get(), "key", "value", 1000);
  ASSERT_OK(s.db->Flush());
  std::future<void> compacted;
  s.vfs.Arm([&] {
    s.vfs.AdvanceMs(2000);
    compacted = std::async(std::launch::async, [&] {
      ASSERT_OK(s.db->Compact(ks.get(), Slice(), Slice(), JobControl()));
    });
    static_cast<void>(compacted.wait_for(kPatience));
  });
  auto made = s.db->NewSnapshot();
  ASSERT_OK(made);
  compacted.get();
  Epoch::Guard guard(s.db->epoch());
  ReadFound found;
  ASSERT_OK(s.db->Get(ks.get(), nullptr, "key", true, &found));
  assert_false(found.found);
  ASSERT_OK(s.db->Get(ks.get(), made->get(), "key", true, &found));
  assert_true(found.found || s.vfs.WallMs() <= (*made)->time_ms);
}

// A value that is written anew before it expires is there at every moment.
void gaps__what_is_renewed_in_time_is_always_there(void**) {
  Scene s;
  const auto ks = s.db->DefaultKeyspace();
  const auto renewed_in_the_next_call = [&] {
    s.Put(ks.get(), "key", "value", 1000);
    s.vfs.ArmBefore(1, [&] {
      s.vfs.AdvanceMs(900);
      s.Put(ks.get(), "key", "value", 1000);
      s.vfs.AdvanceMs(200);
    });
  };
  auto it = s.db->NewIterator(ks.get(), IterOptions());
  ASSERT_OK(it);
  Epoch::Guard guard(s.db->epoch());
  ReadFound found;
  renewed_in_the_next_call();
  ASSERT_OK(s.db->Get(ks.get(), nullptr, "key", true, &found));
  assert_true(found.found);
  renewed_in_the_next_call();
  ManyGet many;
  many.key = "key";
  s.db->GetMany(ks.get(), s.db->FixState(nullptr), true, &many, 1);
  assert_true(many.found.found);
  renewed_in_the_next_call();
  auto snapshot = s.db->NewSnapshot();
  ASSERT_OK(snapshot);
  ASSERT_OK(s.db->Get(ks.get(), snapshot->get(), "key", true, &found));
  assert_true(found.found);
  renewed_in_the_next_call();
  ASSERT_OK((*it)->Refresh());
  (*it)->SeekToFirst();
  assert_true((*it)->on());
}

void gaps__what_is_found_has_time_left(void**) {
  Scene s;
  s.Put(s.db->DefaultKeyspace().get(), "key", "value", 1000);
  GapVfs* const vfs = &s.vfs;
  kist_db* db = nullptr;
  assert_int_equal(capi::MakeDb(std::move(s.db), nullptr, &db, nullptr), KIST_OK);
  int64_t left_ms = 0;
  vfs->ArmBefore(2, [&] {
    assert_int_equal(kist_put(kist_default(db), nullptr, "key", 3, "", 0, nullptr), KIST_OK);
    vfs->AdvanceMs(1100);
  });
  assert_int_equal(kist_ttl(kist_default(db), nullptr, "key", 3, &left_ms, nullptr), KIST_OK);
  assert_int_equal(left_ms, 1);
  assert_int_equal(kist_close(db, KIST_CLOSE_STRICT, nullptr), KIST_OK);
}

// What a transaction looked at before it waits for its turn is looked at no more.
void gaps__no_update_is_lost_beside_a_new_memtable(void**) {
  Scene s;
  const auto ks = s.db->DefaultKeyspace();
  s.Put(ks.get(), "n", "0");
  std::atomic<uint64_t> commits{0};
  const auto read = [&](Txn* txn) {
    Epoch::Guard guard(s.db->epoch());
    ReadFound found;
    ASSERT_OK(txn->Get(ks.get(), "n", false, true, &found));
    return std::stoull(std::string(found.value));
  };
  const auto add = [&] {
    auto txn = s.db->NewTxn(false);
    ASSERT_OK(txn);
    ASSERT_OK((*txn)->Put(ks.get(), "n", std::to_string(read(txn->get()) + 1), 0));
    const Status done = (*txn)->Commit(kOs, nullptr);
    if (done.ok()) ++commits;
    if (!done.Is(Code::kConflict)) ASSERT_OK(done);
  };
  std::atomic<bool> end{false};
  std::thread switches([&] {
    while (!end) ASSERT_OK(s.db->Flush());
  });
  Stopping(add, add);
  end = true;
  switches.join();
  auto txn = s.db->NewTxn(false);
  ASSERT_OK(txn);
  assert_int_equal(read(txn->get()), commits.load());
}

// What says how far commits are durable never speaks of one that nobody sees yet.
void gaps__what_is_durable_is_visible(void**) {
  Scene s;
  const auto ks = s.db->DefaultKeyspace();
  bool ahead = false;
  int looks = 0;
  const std::function<void()> look = [&] {
    ahead |= s.db->durable_seq() > s.db->last_seq() || s.db->CaptureLog().upto > s.db->last_seq();
    if (++looks < 20) s.vfs.Arm(look);
  };
  s.vfs.Arm(look);
  ASSERT_OK(s.db->Put(ks.get(), Durability::kSync, "key", "value", 0, nullptr));
  assert_true(looks > 2);
  assert_false(ahead);
  looks = 20;
  assert_int_equal(s.db->durable_seq(), s.db->last_seq());
}

// A keyspace that goes is there, whole, or said to be gone; it is never empty.
void gaps__a_dropped_keyspace_is_not_empty(void**) {
  Scene s;
  RefPtr<Keyspace> ks;
  Mutex mutex;
  const auto fill = [&] {
    auto made = s.db->OpenKeyspace(kName, KeyspaceMode::kCreateNew, nullptr);
    ASSERT_OK(made);
    for (const char* key : {"a", "b"}) s.Put(made->get(), key, key);
    MutexLock lock(&mutex);
    ks = made.Take();
  };
  fill();
  Stopping(
      [&] {
        RefPtr<Keyspace> mine;
        {
          MutexLock lock(&mutex);
          mine = ks;
        }
        for (int i = 0; i < 20 && !mine->dropped(); ++i) {
          auto it = s.db->NewIterator(mine.get(), IterOptions());
          if (it.ok()) {
            (*it)->SeekToFirst();
            ASSERT_OK((*it)->status());
            if (!(*it)->on()) fail_msg("an iterator over a dropped keyspace finds nothing");
          }
          Epoch::Guard guard(s.db->epoch());
          ReadFound found;
          const Status got = s.db->Get(mine.get(), nullptr, "a", true, &found);
          if (got.ok() && !found.found) fail_msg("a key of a dropped keyspace is not found");
        }
      },
      [&] {
        ASSERT_OK(s.db->DropKeyspace(kName));
        ASSERT_OK(s.db->Flush());
        fill();
      });
  ks = RefPtr<Keyspace>();
}

void gaps__many_keys_of_a_dropped_keyspace(void**) {
  Scene s;
  auto made = s.db->OpenKeyspace(kName, KeyspaceMode::kCreateNew, nullptr);
  ASSERT_OK(made);
  s.Put(made->get(), "a", "a");
  kist_db* db = nullptr;
  GapVfs* const vfs = &s.vfs;
  Db* const engine = s.db.get();
  assert_int_equal(capi::MakeDb(std::move(s.db), nullptr, &db, nullptr), KIST_OK);
  kist_keyspace* ks = nullptr;
  assert_int_equal(kist_keyspace_open(db, kName, KIST_KEYSPACE_OPEN, nullptr, &ks, nullptr),
                   KIST_OK);
  const kist_slice key = {"a", 1};
  kist_pin pin;
  kist_rc rc = KIST_OK;
  vfs->Arm([&] {
    std::thread([&] {
      ASSERT_OK(engine->DropKeyspace(kName));
      ASSERT_OK(engine->Flush());
    }).join();
  });
  assert_int_equal(kist_multi_get(ks, nullptr, 1, &key, &pin, &rc, nullptr), KIST_E_MISSING);
  kist_keyspace_free(ks);
  assert_int_equal(kist_close(db, KIST_CLOSE_STRICT, nullptr), KIST_OK);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(gaps__a_snapshot_keeps_what_has_not_expired_in_it),
      cmocka_unit_test(gaps__what_is_renewed_in_time_is_always_there),
      cmocka_unit_test(gaps__what_is_found_has_time_left),
      cmocka_unit_test(gaps__no_update_is_lost_beside_a_new_memtable),
      cmocka_unit_test(gaps__what_is_durable_is_visible),
      cmocka_unit_test(gaps__a_dropped_keyspace_is_not_empty),
      cmocka_unit_test(gaps__many_keys_of_a_dropped_keyspace),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
