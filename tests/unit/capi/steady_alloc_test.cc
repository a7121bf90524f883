// What the manual promises of memory: in the steady state get, get_pin, put, delete, next and prev
// allocate nothing, counted through the C interface; and when memory runs out anywhere, a call
// returns KIST_E_NOMEM or succeeds, never more.
#include <string>
#include <vector>

#include "kist/kist.h"
#include "support/counting_alloc.h"
#include "support/unit_test.h"

namespace {

using kist::test::AllocationScope;

struct Opened {
  kist_db* db = nullptr;
  kist_keyspace* ks = nullptr;
};

Opened Open(const char* path, const char* text) {
  kist_options* options = nullptr;
  kist_err err = KIST_ERR_INIT;
  Opened o;
  assert_int_equal(kist_options_new(&options), KIST_OK);
  assert_int_equal(kist_options_parse(options, text, &err), KIST_OK);
  if (kist_open(path, options, &o.db, &err) != KIST_OK) fail_msg("%s", err.message);
  kist_options_free(options);
  o.ks = kist_default(o.db);
  return o;
}

std::string Key(int i) {
  char key[17];
  std::snprintf(key, sizeof key, "key%013d", i);
  return key;
}

void Put(kist_keyspace* ks, int i) {
  const std::string key = Key(i), value(100, 'v');
  assert_int_equal(
      kist_put(ks, nullptr, key.data(), key.size(), value.data(), value.size(), nullptr), KIST_OK);
}

void steady_alloc__reads_allocate_nothing(void**) {
  kist::test::TempDir dir;
  Opened o = Open(dir.File("db").c_str(), "sync=never");
  for (int i = 0; i < 20000; ++i) Put(o.ks, i);
  assert_int_equal(kist_flush(o.db, nullptr), KIST_OK);
  for (int i = 0; i < 1000; ++i) Put(o.ks, i);
  std::vector<std::string> keys;
  for (int i = 0; i < 25000; i += 7) keys.push_back(Key(i));
  std::vector<kist_slice> slices(1024);
  std::vector<kist_pin> pins(1024);
  std::vector<kist_rc> rcs(1024);
  for (int round = 0; round < 2; ++round) {
    AllocationScope scope;
    for (const std::string& key : keys) {
      char buf[200];
      size_t len = 0;
      kist_pin pin;
      const kist_rc rc =
          kist_get(o.ks, nullptr, key.data(), key.size(), buf, sizeof buf, &len, nullptr);
      assert_true(rc == KIST_OK || rc == KIST_NOT_FOUND);
      assert_int_equal(kist_exists(o.ks, nullptr, key.data(), key.size(), nullptr), rc);
      assert_int_equal(kist_get_pin(o.ks, nullptr, key.data(), key.size(), &pin, nullptr), rc);
      kist_pin_release(&pin);
      int64_t left = 0;
      assert_int_equal(kist_ttl(o.ks, nullptr, key.data(), key.size(), &left, nullptr), rc);
    }
    for (size_t i = 0; i + 1024 <= keys.size(); i += 1024) {
      for (size_t j = 0; j < 1024; ++j) slices[j] = {keys[i + j].data(), keys[i + j].size()};
      assert_int_equal(
          kist_multi_get(o.ks, nullptr, 1024, slices.data(), pins.data(), rcs.data(), nullptr),
          KIST_OK);
      for (kist_pin& p : pins) kist_pin_release(&p);
    }
    if (round == 1) assert_int_equal(scope.count(), 0);
  }
  assert_int_equal(kist_close(o.db, KIST_CLOSE_STRICT, nullptr), KIST_OK);
}

// Into a memtable whose memory is reserved: not one allocation. Where it is not, its arenas grow in
// chunks, which are what a memtable is made of, and nothing else may allocate.
void steady_alloc__writes_allocate_nothing(void**) {
  for (const bool reserved : {true, false}) {
    kist::test::TempDir dir;
    Opened o = Open(dir.File("db").c_str(),
                    reserved ? "sync=never; write_buffer_size=64MiB; memtable_preallocate=true"
                             : "sync=never; write_buffer_size=64MiB");
    for (int i = 0; i < 1000; ++i) Put(o.ks, i);
    std::vector<std::string> keys;
    for (int i = 0; i < 20000; ++i) keys.push_back(Key(i));
    const std::string value(100, 'v'), large(20000, 'v');
    for (int i = 0; i < 10; ++i) {  // records that do not fit a stack: their buffers are kept
      assert_int_equal(kist_put(o.ks, nullptr, keys[0].data(), keys[0].size(), large.data(),
                                large.size(), nullptr),
                       KIST_OK);
    }
    const auto memory = [&] {
      uint64_t v = 0;
      assert_int_equal(kist_stat(o.db, "memtable_bytes", &v, nullptr), KIST_OK);
      return v;
    };
    const uint64_t memory_before = memory();
    AllocationScope scope;
    for (const std::string& key : keys) {
      assert_int_equal(
          kist_put(o.ks, nullptr, key.data(), key.size(), value.data(), value.size(), nullptr),
          KIST_OK);
      assert_int_equal(kist_delete(o.ks, nullptr, key.data(), key.size(), nullptr), KIST_OK);
    }
    assert_int_equal(kist_put(o.ks, nullptr, keys[0].data(), keys[0].size(), large.data(),
                              large.size(), nullptr),
                     KIST_OK);
    const uint64_t allocations = scope.count();
    if (reserved) {
      assert_int_equal(memory(), memory_before);
      assert_int_equal(allocations, 0);
    }
    assert_true(allocations < 16);
    assert_int_equal(kist_close(o.db, KIST_CLOSE_STRICT, nullptr), KIST_OK);
  }
}

void steady_alloc__steps_allocate_nothing(void**) {
  Opened o = Open(":memory:", "sync=never; compaction=manual");
  for (int table = 0; table < 3; ++table) {
    for (int i = table; i < 20000; i += 3) Put(o.ks, i);
    assert_int_equal(kist_flush(o.db, nullptr), KIST_OK);
  }
  for (int i = 0; i < 1000; ++i) Put(o.ks, 7 * i);
  kist_iter* it = nullptr;
  assert_int_equal(kist_iter_new(o.ks, nullptr, &it, nullptr), KIST_OK);
  for (int round = 0; round < 2; ++round) {
    AllocationScope scope;
    int forwards = 0, backwards = 0;
    kist_slice key, value;
    while (kist_iter_next(it, nullptr) == KIST_OK) {
      assert_int_equal(kist_iter_entry(it, &key, &value), KIST_OK);
      ++forwards;
    }
    while (kist_iter_prev(it, nullptr) == KIST_OK) ++backwards;
    kist_entry entries[100];
    size_t count = 0, all = 0;
    for (kist_rc rc = KIST_OK; rc == KIST_OK; all += count) {
      rc = kist_iter_entries(it, 1, entries, 100, &count, nullptr);
      assert_true(rc >= 0);
    }
    assert_int_equal(all, 20000);
    assert_int_equal(kist_iter_seek(it, KIST_SEEK_FIRST, nullptr, 0, nullptr), KIST_OK);
    assert_int_equal(kist_iter_prev(it, nullptr), KIST_DONE);
    assert_int_equal(forwards, 20000);
    assert_int_equal(backwards, 20000);
    if (round == 1) assert_int_equal(scope.count(), 0);
  }
  kist_iter_free(it);
  assert_int_equal(kist_close(o.db, KIST_CLOSE_STRICT, nullptr), KIST_OK);
}

// ---- memory that runs out

// Fails the nth allocation of this thread inside `call`, for n = 1, 2, ... until it gets through.
template <typename Call>
void FailEach(const char* name, Call call) {
  for (uint64_t n = 1; n < 2000; ++n) {
    kist_err err = KIST_ERR_INIT;
    kist::test::FailOnlyThisThread(true);
    kist::test::FailAllocation(n);
    const kist_rc rc = call(&err);
    const bool failed = kist::test::AllocationFailed();
    kist::test::FailAllocation(0);
    kist::test::FailOnlyThisThread(false);
    if (!failed) {
      if (rc < 0)
        fail_msg("%s: %s after all allocations succeeded: %s", name, kist_rc_name(rc), err.message);
      return;
    }
    if (rc < 0 && rc != KIST_E_NOMEM) {
      fail_msg("%s, allocation %llu: %s: %s", name, static_cast<unsigned long long>(n),
               kist_rc_name(rc), err.message);
    }
    if (rc == KIST_E_NOMEM) assert_int_equal(err.code, KIST_E_NOMEM);
  }
  fail_msg("%s never succeeded", name);
}

void steady_alloc__no_memory_is_an_error_and_no_more(void**) {
  Opened o = Open(":memory:", "sync=never");
  kist_batch* batch = nullptr;
  for (int i = 0; i < 100; ++i) Put(o.ks, i);
  assert_int_equal(kist_flush(o.db, nullptr), KIST_OK);
  assert_int_equal(kist_batch_new(&batch), KIST_OK);
  const std::string key = Key(5);
  FailEach("kist_snapshot_new", [&](kist_err* err) {
    kist_snapshot* s = nullptr;
    const kist_rc rc = kist_snapshot_new(o.db, &s, err);
    assert_true((rc == KIST_OK) == (s != nullptr));
    kist_snapshot_free(s);
    return rc;
  });
  FailEach("kist_iter_new", [&](kist_err* err) {
    kist_iter* it = nullptr;
    const kist_rc rc = kist_iter_new(o.ks, nullptr, &it, err);
    assert_true((rc == KIST_OK) == (it != nullptr));
    kist_iter_free(it);
    return rc;
  });
  // A seek gets an iterator made before anything fails; a failed one returns its error for ever.
  for (uint64_t n = 1; n < 100; ++n) {
    kist_iter* it = nullptr;
    assert_int_equal(kist_iter_new(o.ks, nullptr, &it, nullptr), KIST_OK);
    kist::test::FailOnlyThisThread(true);
    kist::test::FailAllocation(n);
    const kist_rc rc = kist_iter_seek(it, KIST_SEEK_GE, key.data(), key.size(), nullptr);
    const bool failed = kist::test::AllocationFailed();
    kist::test::FailAllocation(0);
    kist::test::FailOnlyThisThread(false);
    assert_true(rc == KIST_OK || (failed && rc == KIST_E_NOMEM));
    if (rc < 0) assert_int_equal(kist_iter_next(it, nullptr), rc);
    kist_iter_free(it);
    if (!failed) break;
  }
  FailEach("kist_get_copy", [&](kist_err* err) {
    void* copy = nullptr;
    const kist_rc rc = kist_get_copy(o.ks, nullptr, key.data(), key.size(), &copy, nullptr, err);
    assert_true((rc == KIST_OK) == (copy != nullptr));
    kist_free(copy);
    return rc;
  });
  FailEach("kist_batch_put", [&](kist_err* err) {
    const size_t before = kist_batch_count(batch);
    const kist_rc rc = kist_batch_put(batch, o.ks, key.data(), key.size(), "v", 1, 0, err);
    assert_int_equal(kist_batch_count(batch), before + (rc == KIST_OK ? 1 : 0));
    return rc;
  });
  FailEach("kist_write", [&](kist_err* err) {
    const uint64_t before = kist_last_seq(o.db);
    const kist_rc rc = kist_write(o.db, nullptr, batch, nullptr, err);
    assert_int_equal(kist_last_seq(o.db), before + (rc == KIST_OK ? 1 : 0));
    return rc;
  });
  FailEach("kist_put", [&](kist_err* err) {
    return kist_put(o.ks, nullptr, key.data(), key.size(), "v", 1, err);
  });
  FailEach("kist_multi_get", [&](kist_err* err) {
    kist_slice keys[2] = {{key.data(), key.size()}, {"absent", 6}};
    kist_pin pins[2];
    kist_rc rcs[2];
    const kist_rc rc = kist_multi_get(o.ks, nullptr, 2, keys, pins, rcs, err);
    kist_pin_release(&pins[0]);
    return rc;
  });
  FailEach("kist_stats", [&](kist_err* err) {
    size_t len = 0;
    return kist_stats(o.db, KIST_STATS_JSON, nullptr, 0, &len, err);
  });
  FailEach("kist_keyspace_list",
           [&](kist_err* err) { return kist_keyspace_list(o.db, nullptr, 0, nullptr, err); });
  kist_batch_free(batch);
  assert_int_equal(kist_close(o.db, KIST_CLOSE_STRICT, nullptr), KIST_OK);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(steady_alloc__reads_allocate_nothing),
      cmocka_unit_test(steady_alloc__writes_allocate_nothing),
      cmocka_unit_test(steady_alloc__steps_allocate_nothing),
      cmocka_unit_test(steady_alloc__no_memory_is_an_error_and_no_more),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
