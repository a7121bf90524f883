/* kist_multi_get against kist_get, over memtable, level 0 and deeper tables, with range deletes,
 * expiry, snapshots and transactions; one state for all keys, beside writers. */
#include "support/tempdir.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KEYS = 3000, MOST = 2500 };

static unsigned random_state;
static unsigned below(unsigned n) {
  random_state = random_state * 1664525u + 1013904223u;
  return (random_state >> 8) % n;
}

static void seed(void) {
  const char* given = getenv("KIST_SEED");
  random_state = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)getpid();
  print_message("KIST_SEED=%u\n", random_state);
}

static size_t make_key(char* key, unsigned i) { return (size_t)sprintf(key, "key%05u", i); }

static void write_some(kist_db* db, unsigned round) {
  kist_keyspace* ks = kist_default(db);
  char key[32], end[32], value[32];
  unsigned i;
  for (i = 0; i < 400; ++i) {
    const size_t len = make_key(key, below(KEYS));
    kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
    switch (below(8)) {
      case 0:
        OK(kist_delete(ks, NULL, key, len, &err));
        break;
      case 1:
        wo.ttl_ms = 1; /* gone at once */
        OK(kist_put(ks, &wo, key, len, "t", 1, &err));
        break;
      default:
        sprintf(value, "%u-%u", round, i);
        OK(kist_put(ks, NULL, key, len, value, strlen(value), &err));
    }
  }
  if (round % 3 == 1) {
    const unsigned at = below(KEYS);
    const size_t len = make_key(key, at), end_len = make_key(end, at + 50);
    OK(kist_delete_range(ks, NULL, key, len, end, end_len, &err));
  }
}

static void compare(kist_keyspace* ks, const kist_read_options* ro, size_t count) {
  static char text[MOST][16];
  static kist_slice keys[MOST];
  static kist_pin pins[MOST];
  static kist_rc rcs[MOST];
  size_t i;
  for (i = 0; i < count; ++i) {
    keys[i].len = make_key(text[i], below(KEYS + 100));
    keys[i].data = text[i];
  }
  OK(kist_multi_get(ks, ro, count, keys, pins, rcs, &err));
  for (i = 0; i < count; ++i) {
    char want[64];
    size_t len = 0;
    const kist_rc rc = kist_get(ks, ro, keys[i].data, keys[i].len, want, sizeof want, &len, NULL);
    if (rcs[i] != rc)
      fail_msg("%s: multi_get says %s, get %s", text[i], kist_rc_name(rcs[i]), kist_rc_name(rc));
    assert_int_equal(pins[i].len, len);
    if (rc == KIST_OK) assert_memory_equal(pins[i].data, want, len);
    kist_pin_release(&pins[i]);
  }
}

static void multi_get__like_gets(void** state) {
  kist_db* db = open_with(":memory:", "sync=never; memory_budget=4MiB; target_file_size=64KiB");
  kist_keyspace* ks = kist_default(db);
  kist_snapshot* snapshot = NULL;
  unsigned round;
  (void)state;
  seed();
  for (round = 0; round < 24; ++round) {
    kist_read_options ro = KIST_READ_OPTIONS_INIT;
    kist_txn* txn = NULL;
    write_some(db, round);
    usleep(2000); /* past the expiry of the last one */
    if (round % 2 == 0) OK(kist_flush(db, &err));
    if (round % 7 == 5) OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
    compare(ks, NULL, below(10));
    compare(ks, NULL, below(300));
    compare(ks, NULL, 900 + below(MOST - 900));
    if (snapshot != NULL) {
      ro.snapshot = snapshot;
      compare(ks, &ro, 100);
      compare(ks, &ro, MOST);
    }
    if (round % 5 == 0) {
      kist_snapshot_free(snapshot);
      OK(kist_snapshot_new(db, &snapshot, &err));
    }
    ro.snapshot = NULL;
    OK(kist_txn_begin(db, KIST_TXN_SNAPSHOT, &txn, &err));
    OK(kist_txn_put(txn, ks, "key00007", 8, "own", 3, 0, &err));
    OK(kist_txn_delete_range(txn, ks, "key0001", 7, "key0003", 7, &err));
    ro.txn = txn;
    compare(ks, &ro, 200);
    kist_txn_free(txn);
  }
  kist_snapshot_free(snapshot);
  close_strict(db);
}

/* A writer sets all keys to one number in each batch: whoever reads them together sees one number.
 */
enum { TOGETHER = 100, MANY = 1500 };
static atomic_int stop_writing;

static void* write_together(void* arg) {
  kist_db* db = arg;
  kist_batch* batch = NULL;
  char key[32];
  unsigned n, i;
  if (kist_batch_new(&batch) != KIST_OK) return db;
  for (n = 0; !atomic_load(&stop_writing); ++n) {
    kist_batch_clear(batch);
    for (i = 0; i < MANY; ++i)
      kist_batch_put(batch, kist_default(db), key, make_key(key, i), &n, sizeof n, 0, NULL);
    if (kist_write(db, NULL, batch, NULL, NULL) != KIST_OK) return db;
    if (n % 8 == 3) kist_flush(db, NULL);
  }
  kist_batch_free(batch);
  return NULL;
}

static void multi_get__sees_one_state(void** state) {
  kist_db* db = open_with(":memory:", "sync=never; memory_budget=64MiB; write_buffer_size=256KiB");
  static char text[MANY][16];
  static kist_slice keys[MANY];
  static kist_pin pins[MANY];
  static kist_rc rcs[MANY];
  pthread_t writer;
  void* failed = NULL;
  size_t i;
  int round;
  (void)state;
  for (i = 0; i < MANY; ++i) {
    keys[i].len = make_key(text[i], (unsigned)(i * 7919) % MANY);
    keys[i].data = text[i];
  }
  assert_int_equal(pthread_create(&writer, NULL, write_together, db), 0);
  for (round = 0; round < 300; ++round) {
    const size_t count = round % 10 == 0 ? MANY : TOGETHER;
    OK(kist_multi_get(kist_default(db), NULL, count, keys, pins, rcs, &err));
    for (i = 0; i < count; ++i) {
      assert_int_equal(rcs[i], rcs[0]);
      assert_int_equal(pins[i].len, pins[0].len);
      if (rcs[i] == KIST_OK) assert_memory_equal(pins[i].data, pins[0].data, pins[0].len);
    }
    for (i = 0; i < count; ++i) kist_pin_release(&pins[i]);
  }
  atomic_store(&stop_writing, 1);
  pthread_join(writer, &failed);
  assert_null(failed);
  close_strict(db);
}

/* A key that cannot be looked at does not stop the others; a transaction that cannot be read does.
 */
static void multi_get__through_a_transaction(void** state) {
  kist_db* db = open_memory();
  kist_keyspace* ks = kist_default(db);
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  const kist_slice keys[] = {{"b", 1}, {"a", 1}, {"b", 1}, {NULL, 1}, {"absent", 6}};
  kist_pin pins[5];
  kist_rc rcs[5];
  int i;
  (void)state;
  put(ks, "a", "1");
  put(ks, "b", "2");
  OK(kist_txn_begin(db, KIST_TXN_SERIALIZABLE, &ro.txn, &err));
  OK(kist_txn_put(ro.txn, ks, "b", 1, "own", 3, 0, &err));
  OK(kist_multi_get(ks, &ro, 5, keys, pins, rcs, &err));
  assert_memory_equal(pins[0].data, "own", 3);
  assert_memory_equal(pins[1].data, "1", 1);
  assert_memory_equal(pins[2].data, "own", 3);
  assert_int_equal(rcs[3], KIST_E_INVALID);
  assert_int_equal(rcs[4], KIST_NOT_FOUND);
  for (i = 0; i < 5; ++i) {
    assert_true((rcs[i] == KIST_OK) == (pins[i].data != NULL));
    kist_pin_release(&pins[i]);
  }
  put(ks, "absent", "here");
  ASSERT_RC(KIST_E_CONFLICT, kist_txn_commit(ro.txn, NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_STATE, kist_multi_get(ks, &ro, 5, keys, pins, rcs, &err));
  for (i = 0; i < 5; ++i) assert_null(pins[i].data);
  kist_txn_free(ro.txn);
  close_strict(db);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(multi_get__like_gets),
      cmocka_unit_test(multi_get__sees_one_state),
      cmocka_unit_test(multi_get__through_a_transaction),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
