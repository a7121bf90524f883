/* Snapshots: one state for reads and iterators over all keyspaces, whatever happens meanwhile. */
#include "support/tempdir.h"

static kist_db* db;
static kist_keyspace* ks;

static int set_up(void** state) {
  (void)state;
  db = open_memory();
  ks = kist_default(db);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static kist_snapshot* snap(void) {
  kist_snapshot* snapshot = NULL;
  OK(kist_snapshot_new(db, &snapshot, &err));
  assert_non_null(snapshot);
  return snapshot;
}

static void snapshot__every_read_sees_its_state(void** state) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_keyspace* other = NULL;
  kist_snapshot* snapshot;
  kist_slice keys[3] = {{"a", 1}, {"b", 1}, {"c", 1}};
  kist_pin pins[3];
  kist_rc rcs[3];
  void* copy = NULL;
  size_t len = 0;
  int round;
  (void)state;
  OK(kist_keyspace_open(db, "other", KIST_KEYSPACE_CREATE, NULL, &other, &err));
  put(ks, "a", "1");
  put(ks, "b", "2");
  put(other, "a", "other");
  snapshot = snap();
  assert_int_equal(kist_snapshot_seq(snapshot), kist_last_seq(db));
  put(ks, "a", "new");
  OK(kist_delete(ks, NULL, "b", 1, &err));
  put(ks, "c", "new");
  OK(kist_delete_range(other, NULL, NULL, 0, NULL, 0, &err));
  ro.snapshot = snapshot;
  for (round = 0; round < 3; ++round) {
    expect(ks, &ro, "a", "1");
    expect(ks, &ro, "b", "2");
    expect(ks, &ro, "c", NULL);
    expect(other, &ro, "a", "other");
    expect(ks, NULL, "a", "new");
    expect(ks, NULL, "b", NULL);
    expect(other, NULL, "a", NULL);
    OK(kist_multi_get(ks, &ro, 3, keys, pins, rcs, &err));
    assert_memory_equal(pins[0].data, "1", 1);
    assert_memory_equal(pins[1].data, "2", 1);
    assert_int_equal(rcs[2], KIST_NOT_FOUND);
    kist_pin_release(&pins[0]);
    kist_pin_release(&pins[1]);
    OK(kist_get_copy(ks, &ro, "b", 1, &copy, &len, &err));
    kist_free(copy);
    OK(kist_exists(ks, &ro, "b", 1, &err));
    if (round == 0) OK(kist_flush(db, &err));
    if (round == 1) {
      OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
      OK(kist_compact(other, NULL, 0, NULL, 0, NULL, &err));
    }
  }
  kist_snapshot_free(snapshot);
  kist_keyspace_free(other);
}

static void snapshot__of_an_empty_database(void** state) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_snapshot* snapshot = snap();
  (void)state;
  assert_int_equal(kist_snapshot_seq(snapshot), 0);
  put(ks, "a", "1");
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  ro.snapshot = snapshot;
  expect(ks, &ro, "a", NULL);
  kist_snapshot_free(snapshot);
}

static void snapshot__many_at_once(void** state) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_snapshot* all[50];
  char val[16];
  int i;
  (void)state;
  for (i = 0; i < 50; ++i) {
    snprintf(val, sizeof val, "%d", i);
    put(ks, "k", val);
    all[i] = snap();
    if (i % 10 == 9) OK(kist_flush(db, &err));
  }
  for (i = 1; i < 50; i += 2) kist_snapshot_free(all[i]);
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  for (i = 0; i < 50; i += 2) {
    snprintf(val, sizeof val, "%d", i);
    ro.snapshot = all[i];
    expect(ks, &ro, "k", val);
    kist_snapshot_free(all[i]);
  }
}

static void snapshot__bad_arguments(void** state) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_db* second = open_memory();
  kist_snapshot *foreign = NULL, *none = (kist_snapshot*)&ro;
  kist_iter* it = NULL;
  (void)state;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_snapshot_new(NULL, &none, &err));
  assert_null(none);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_snapshot_new(db, NULL, &err));
  OK(kist_snapshot_new(second, &foreign, &err));
  ro.snapshot = io.snapshot = foreign;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER, kist_exists(ks, &ro, "a", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER, kist_iter_new(ks, &io, &it, &err));
  ro.snapshot = (const kist_snapshot*)(const void*)db;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_exists(ks, &ro, "a", 1, &err));
  ro.snapshot = foreign;
  ro.txn = (kist_txn*)(void*)db;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_exists(ks, &ro, "a", 1, &err));
  io.txn = ro.txn;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_iter_new(ks, &io, &it, &err));
  assert_int_equal(kist_snapshot_seq(NULL), 0);
  assert_int_equal(kist_snapshot_seq((kist_snapshot*)(void*)db), 0);
  kist_snapshot_free(foreign);
  kist_snapshot_free(NULL);
  close_strict(second);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(snapshot__every_read_sees_its_state),
      TEST(snapshot__of_an_empty_database),
      TEST(snapshot__many_at_once),
      TEST(snapshot__bad_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
