// An iterator that gives many entries at a time and then turns: where it goes on from is its own
// memory, whatever was freed with what the call before had given. Freed memory is overwritten here
// (support/counting_alloc.h).
#include <string>
#include <vector>

#include "kist/kist.h"
#include "support/unit_test.h"

namespace {

constexpr size_t kKeys = 64;

std::string Key(size_t i) {
  char key[24];
  std::snprintf(key, sizeof key, "key%05zu", i);
  return key;
}

struct Filled {
  Filled() {
    kist_options* options = nullptr;
    kist_err err = KIST_ERR_INIT;
    assert_int_equal(kist_options_new(&options), KIST_OK);
    assert_int_equal(kist_options_parse(options, "sync=never; compression=none", &err), KIST_OK);
    if (kist_open(dir.File("db").c_str(), options, &db, &err) != KIST_OK)
      fail_msg("%s", err.message);
    kist_options_free(options);
    ks = kist_default(db);
    const std::string value(1000, 'v');  // few in a block
    for (size_t i = 0; i < kKeys; ++i) {
      const std::string key = Key(i);
      assert_int_equal(
          kist_put(ks, nullptr, key.data(), key.size(), value.data(), value.size(), nullptr),
          KIST_OK);
    }
    assert_int_equal(kist_flush(db, nullptr), KIST_OK);
  }
  ~Filled() { assert_int_equal(kist_close(db, KIST_CLOSE_STRICT, nullptr), KIST_OK); }
  kist::test::TempDir dir;
  kist_db* db = nullptr;
  kist_keyspace* ks = nullptr;
};

// `back` entries from the last one downwards, then the one that follows the lowest of them.
void Turn(const Filled& f, kist_txn* txn, size_t back) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  io.flags = KIST_READ_NO_CACHE_FILL;
  io.txn = txn;
  kist_iter* it = nullptr;
  assert_int_equal(kist_iter_new(f.ks, &io, &it, nullptr), KIST_OK);
  std::vector<kist_entry> entries(kKeys);
  size_t count = 0;
  assert_int_equal(kist_iter_entries(it, -1, entries.data(), back, &count, nullptr), KIST_OK);
  assert_int_equal(count, back);
  const kist_rc rc = kist_iter_entries(it, 1, entries.data(), 1, &count, nullptr);
  if (back == 1) {
    assert_int_equal(rc, KIST_DONE);
    assert_int_equal(count, 0);
  } else {
    assert_int_equal(rc, KIST_OK);
    assert_int_equal(count, 1);
    const std::string key(static_cast<const char*>(entries[0].key.data), entries[0].key.len);
    assert_string_equal(key.c_str(), Key(kKeys - back + 1).c_str());
  }
  kist_iter_free(it);
}

void turning_alloc__entries_after_entries_the_other_way(void**) {
  const Filled f;
  for (size_t back = 1; back < kKeys; ++back) Turn(f, nullptr, back);
}

void turning_alloc__in_a_transaction(void**) {
  const Filled f;
  kist_txn* txn = nullptr;
  assert_int_equal(kist_txn_begin(f.db, KIST_TXN_SERIALIZABLE, &txn, nullptr), KIST_OK);
  for (size_t back = 1; back < kKeys; ++back) Turn(f, txn, back);
  kist_txn_free(txn);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(turning_alloc__entries_after_entries_the_other_way),
      cmocka_unit_test(turning_alloc__in_a_transaction),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
