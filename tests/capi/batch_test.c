/* Batches: order, atomicity over keyspaces, binding to a database, reuse, limits, bad arguments. */
#include "support/tempdir.h"

static kist_db* db;
static kist_keyspace* ks;
static kist_batch* batch;

static int set_up(void** state) {
  (void)state;
  db = open_with(":memory:", "sync=never; max_key_size=100; max_value_size=1000");
  ks = kist_default(db);
  OK(kist_batch_new(&batch));
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  kist_batch_free(batch);
  close_strict(db);
  return 0;
}

static void batch_put(const char* key, const char* val) {
  OK(kist_batch_put(batch, ks, key, strlen(key), val, strlen(val), 0, &err));
}

static void batch__is_one_commit(void** state) {
  uint64_t seq = 0;
  const uint64_t before = kist_last_seq(db);
  (void)state;
  put(ks, "gone", "x");
  batch_put("a", "1");
  batch_put("b", "2");
  OK(kist_batch_delete(batch, ks, "gone", 4, &err));
  assert_int_equal(kist_batch_count(batch), 3);
  expect(ks, NULL, "a", NULL);
  OK(kist_write(db, NULL, batch, &seq, &err));
  assert_int_equal(seq, before + 2);
  assert_int_equal(kist_last_seq(db), seq);
  expect(ks, NULL, "a", "1");
  expect(ks, NULL, "b", "2");
  expect(ks, NULL, "gone", NULL);
  OK(kist_write(db, NULL, batch, NULL, &err)); /* again: it stays as it is */
  assert_int_equal(kist_last_seq(db), seq + 1);
}

static void batch__the_last_operation_wins(void** state) {
  (void)state;
  batch_put("a", "1");
  OK(kist_batch_delete(batch, ks, "a", 1, &err));
  batch_put("a", "2");
  batch_put("b", "1");
  OK(kist_batch_delete(batch, ks, "b", 1, &err));
  OK(kist_write(db, NULL, batch, NULL, &err));
  expect(ks, NULL, "a", "2");
  expect(ks, NULL, "b", NULL);
}

static void batch__range_deletes_cover_what_came_before(void** state) {
  (void)state;
  put(ks, "b", "old");
  batch_put("a", "1");
  batch_put("b", "2");
  OK(kist_batch_delete_range(batch, ks, "b", 1, "d", 1, &err));
  batch_put("c", "3");
  OK(kist_write(db, NULL, batch, NULL, &err));
  expect(ks, NULL, "a", "1");
  expect(ks, NULL, "b", NULL);
  expect(ks, NULL, "c", "3");
  kist_batch_clear(batch);
  batch_put("z", "1");
  OK(kist_batch_delete_range(batch, ks, NULL, 0, NULL, 0, &err));
  OK(kist_write(db, NULL, batch, NULL, &err));
  expect(ks, NULL, "a", NULL);
  expect(ks, NULL, "z", NULL);
}

static void batch__spans_keyspaces(void** state) {
  kist_keyspace* other = NULL;
  (void)state;
  OK(kist_keyspace_open(db, "other", KIST_KEYSPACE_CREATE, NULL, &other, &err));
  batch_put("k", "default");
  OK(kist_batch_put(batch, other, "k", 1, "other", 5, 0, &err));
  OK(kist_write(db, NULL, batch, NULL, &err));
  expect(ks, NULL, "k", "default");
  expect(other, NULL, "k", "other");
  OK(kist_keyspace_drop(db, "other", &err));
  ASSERT_RC(KIST_E_MISSING, kist_write(db, NULL, batch, NULL, &err));
  ASSERT_RC(KIST_E_MISSING, kist_batch_put(batch, other, "k", 1, "x", 1, 0, &err));
  ASSERT_RC(KIST_E_MISSING, kist_batch_delete(batch, other, "k", 1, &err));
  ASSERT_RC(KIST_E_MISSING, kist_batch_delete_range(batch, other, "k", 1, NULL, 0, &err));
  assert_int_equal(kist_batch_count(batch), 2);
  kist_keyspace_free(other);
}

static void batch__empty_ones_commit_nothing(void** state) {
  uint64_t seq = 99;
  (void)state;
  put(ks, "a", "1");
  OK(kist_write(db, NULL, batch, &seq, &err));
  assert_int_equal(seq, kist_last_seq(db));
  assert_int_equal(seq, 1);
  OK(kist_batch_delete_range(batch, ks, "a", 1, "a", 1, &err)); /* begin = end adds nothing */
  assert_int_equal(kist_batch_count(batch), 0);
}

static void batch__belongs_to_the_database_of_its_first_keyspace(void** state) {
  kist_db* second = open_memory();
  uint64_t seq = 9;
  (void)state;
  batch_put("a", "1");
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER, kist_write(second, NULL, batch, &seq, &err));
  assert_int_equal(seq, 0);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER,
               kist_batch_put(batch, kist_default(second), "b", 1, "2", 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER,
               kist_batch_delete(batch, kist_default(second), "b", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER,
               kist_batch_delete_range(batch, kist_default(second), "b", 1, NULL, 0, &err));
  assert_int_equal(kist_batch_count(batch), 1);
  OK(kist_write(db, NULL, batch, NULL, &err));
  kist_batch_clear(batch);
  assert_int_equal(kist_batch_count(batch), 0);
  OK(kist_batch_put(batch, kist_default(second), "b", 1, "2", 1, 0, &err));
  OK(kist_write(second, NULL, batch, NULL, &err));
  expect(kist_default(second), NULL, "b", "2");
  close_strict(second);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_OWNER, kist_write(db, NULL, batch, NULL, &err));
}

static void batch__copies_its_input(void** state) {
  char key[4] = "key", val[6] = "value";
  (void)state;
  OK(kist_batch_put(batch, ks, key, 3, val, 5, 0, &err));
  memset(key, 'x', 3);
  memset(val, 'x', 5);
  OK(kist_write(db, NULL, batch, NULL, &err));
  expect(ks, NULL, "key", "value");
}

static void batch__packed_form_can_be_written(void** state) {
  const void* data = NULL;
  size_t len = 0;
  (void)state;
  OK(kist_batch_data(batch, &data, &len));
  assert_int_equal(len, 8);
  assert_memory_equal(data, "KWB\1\0\0\0\0", 8);
  batch_put("a", "1");
  OK(kist_batch_data(batch, &data, &len));
  assert_int_equal(len, 8 + 16 + 2);
  assert_memory_equal(data, "KWB\1\1\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0a1", 26);
  OK(kist_write_packed(db, NULL, data, len, NULL, &err));
  expect(ks, NULL, "a", "1");
  OK(kist_batch_data(batch, &data, NULL));
}

static void batch__many_operations(void** state) {
  char key[16];
  int i;
  (void)state;
  for (i = 0; i < 20000; ++i) {
    snprintf(key, sizeof key, "k%06d", i);
    batch_put(key, key);
  }
  OK(kist_write(db, NULL, batch, NULL, &err));
  assert_int_equal(kist_last_seq(db), 1);
  for (i = 0; i < 20000; i += 97) {
    snprintf(key, sizeof key, "k%06d", i);
    expect(ks, NULL, key, key);
  }
}

static void batch__limits(void** state) {
  char key[102], val[1001];
  (void)state;
  memset(key, 'k', sizeof key);
  memset(val, 'v', sizeof val);
  OK(kist_batch_put(batch, ks, key, 99, val, 999, 0, &err));
  OK(kist_batch_put(batch, ks, key, 100, val, 1000, 0, &err));
  OK(kist_batch_delete_range(batch, ks, key, 100, key, 101, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_batch_put(batch, ks, key, 101, val, 1, 0, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_VALUE_SIZE,
               kist_batch_put(batch, ks, key, 1, val, 1001, 0, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_batch_delete(batch, ks, key, 101, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE,
               kist_batch_delete_range(batch, ks, key, 1, key, 102, &err));
  assert_int_equal(kist_batch_count(batch), 3);
  OK(kist_write(db, NULL, batch, NULL, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, key, 100, &err));
  OK(kist_exists(ks, NULL, key, 99, &err));
}

static void batch__bad_arguments(void** state) {
  const void* data = &data;
  size_t len = 9;
  uint64_t seq = 9;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  (void)state;
  assert_int_equal(kist_batch_new(NULL), KIST_E_INVALID);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_batch_put(NULL, ks, "a", 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_batch_put((kist_batch*)(void*)db, ks, "a", 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_batch_put(batch, NULL, "a", 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_batch_put(batch, ks, NULL, 1, "1", 1, 0, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_batch_put(batch, ks, "a", 1, NULL, 1, 0, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_batch_put(batch, ks, "a", 1, "1", 1, -1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_batch_delete(NULL, ks, "a", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_batch_delete(batch, ks, NULL, 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_batch_delete_range(NULL, ks, "a", 1, "b", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE,
               kist_batch_delete_range(batch, ks, "b", 1, "a", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_batch_delete_range(batch, ks, "b", 1, NULL, 1, &err));
  assert_int_equal(kist_batch_count(batch), 0);
  assert_int_equal(kist_batch_count(NULL), 0);
  assert_int_equal(kist_batch_data(NULL, &data, &len), KIST_E_MISUSE);
  assert_null(data);
  assert_int_equal(len, 0);
  assert_int_equal(kist_batch_data(batch, NULL, &len), KIST_E_INVALID);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_write(db, NULL, NULL, &seq, &err));
  assert_int_equal(seq, 0);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_write(NULL, NULL, batch, &seq, &err));
  wo.ttl_ms = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_write(db, &wo, batch, &seq, &err));
  kist_batch_clear(NULL);
  kist_batch_free(NULL);
  kist_batch_free((kist_batch*)(void*)db); /* not its kind: left alone */
  put(ks, "a", "1");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(batch__is_one_commit),
      TEST(batch__the_last_operation_wins),
      TEST(batch__range_deletes_cover_what_came_before),
      TEST(batch__spans_keyspaces),
      TEST(batch__empty_ones_commit_nothing),
      TEST(batch__belongs_to_the_database_of_its_first_keyspace),
      TEST(batch__copies_its_input),
      TEST(batch__packed_form_can_be_written),
      TEST(batch__many_operations),
      TEST(batch__limits),
      TEST(batch__bad_arguments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
