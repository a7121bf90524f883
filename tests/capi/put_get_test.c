/* Single reads and writes: every way to read, empty keys and values, limits, bad arguments, pins
 * that outlive everything. */
#include "support/tempdir.h"

static kist_db* db;
static kist_keyspace* ks;

static int set_up(void** state) {
  (void)state;
  db = open_with(":memory:", "sync=never; max_key_size=100; max_value_size=1000");
  ks = kist_default(db);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  close_strict(db);
  return 0;
}

static void put_get__overwrite_and_delete(void** state) {
  (void)state;
  put(ks, "a", "1");
  expect(ks, NULL, "a", "1");
  put(ks, "a", "22");
  expect(ks, NULL, "a", "22");
  OK(kist_delete(ks, NULL, "a", 1, &err));
  expect(ks, NULL, "a", NULL);
  OK(kist_delete(ks, NULL, "a", 1, &err)); /* absent is fine */
  OK(kist_delete(ks, NULL, "never", 5, &err));
}

static void put_get__a_delete_of_an_absent_key_is_a_commit(void** state) {
  const uint64_t before = kist_last_seq(db);
  (void)state;
  OK(kist_delete(ks, NULL, "absent", 6, &err));
  assert_int_equal(kist_last_seq(db), before + 1);
}

static void put_get__empty_keys_and_values(void** state) {
  kist_pin pin;
  void* copy = NULL;
  size_t len = 9;
  char buf[4] = "xyz";
  (void)state;
  OK(kist_put(ks, NULL, NULL, 0, "empty key", 9, &err));
  expect(ks, NULL, "", "empty key");
  OK(kist_put(ks, NULL, "k", 1, NULL, 0, &err));
  OK(kist_get(ks, NULL, "k", 1, NULL, 0, &len, &err));
  assert_int_equal(len, 0);
  OK(kist_get(ks, NULL, "k", 1, buf, 3, &len, &err));
  assert_int_equal(buf[0], 'x');
  OK(kist_get_pin(ks, NULL, "k", 1, &pin, &err));
  assert_non_null(pin.data);
  assert_int_equal(pin.len, 0);
  kist_pin_release(&pin);
  OK(kist_get_copy(ks, NULL, "k", 1, &copy, &len, &err));
  assert_non_null(copy);
  assert_int_equal(len, 0);
  kist_free(copy);
  OK(kist_delete(ks, NULL, "", 0, &err));
  expect(ks, NULL, "", NULL);
}

static void put_get__any_bytes(void** state) {
  unsigned char key[100], val[256], got[256];
  size_t i, len = 0;
  (void)state;
  for (i = 0; i < sizeof key; ++i) key[i] = (unsigned char)(255 - i);
  for (i = 0; i < sizeof val; ++i) val[i] = (unsigned char)i;
  OK(kist_put(ks, NULL, key, sizeof key, val, sizeof val, &err));
  OK(kist_get(ks, NULL, key, sizeof key, got, sizeof got, &len, &err));
  assert_int_equal(len, sizeof val);
  assert_memory_equal(got, val, sizeof val);
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, key, sizeof key - 1, &err));
}

static void put_get__truncated(void** state) {
  char buf[8];
  size_t len = 0;
  (void)state;
  put(ks, "k", "12345");
  memset(buf, 'x', sizeof buf);
  ASSERT_RC(KIST_TRUNCATED, kist_get(ks, NULL, "k", 1, buf, 4, &len, &err));
  assert_int_equal(len, 5);
  assert_memory_equal(buf, "1234xxxx", 8);
  OK(kist_get(ks, NULL, "k", 1, buf, 5, &len, &err));
  assert_memory_equal(buf, "12345xxx", 8); /* no NUL is added */
  ASSERT_RC(KIST_TRUNCATED, kist_get(ks, NULL, "k", 1, NULL, 0, &len, &err));
  assert_int_equal(len, 5);
  OK(kist_get(ks, NULL, "k", 1, buf, 5, NULL, &err));
}

static void put_get__copies_and_exists(void** state) {
  void* copy = NULL;
  size_t len = 0;
  (void)state;
  put(ks, "k", "value");
  OK(kist_exists(ks, NULL, "k", 1, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, "l", 1, &err));
  OK(kist_get_copy(ks, NULL, "k", 1, &copy, &len, &err));
  put(ks, "k", "other");
  assert_int_equal(len, 5);
  assert_memory_equal(copy, "value", 5);
  kist_free(copy);
  OK(kist_get_copy(ks, NULL, "k", 1, &copy, NULL, &err));
  kist_free(copy);
  copy = &len;
  len = 9;
  ASSERT_RC(KIST_NOT_FOUND, kist_get_copy(ks, NULL, "l", 1, &copy, &len, &err));
  assert_null(copy);
  assert_int_equal(len, 0);
  kist_free(NULL);
}

static void put_get__pins_outlive_overwrite_flush_compaction_and_close(void** state) {
  char* path = new_path();
  kist_db* disk = open_plain(path);
  kist_keyspace* all = kist_default(disk);
  kist_pin in_memory, in_table, moved;
  (void)state;
  put(all, "k", "first");
  OK(kist_get_pin(all, NULL, "k", 1, &in_memory, &err));
  OK(kist_flush(disk, &err));
  OK(kist_get_pin(all, NULL, "k", 1, &in_table, &err));
  put(all, "k", "second");
  OK(kist_flush(disk, &err));
  OK(kist_compact(all, NULL, 0, NULL, 0, NULL, &err));
  moved = in_table;   /* a pin may be moved */
  close_strict(disk); /* pins do not count */
  assert_int_equal(in_memory.len, 5);
  assert_memory_equal(in_memory.data, "first", 5);
  assert_memory_equal(moved.data, "first", 5);
  disk = open_plain(path); /* and do not keep the lock */
  kist_pin_release(&in_memory);
  kist_pin_release(&moved);
  assert_null(moved.data);
  assert_null(moved.owner);
  kist_pin_release(&moved); /* released and zeroed ones are fine */
  kist_pin_release(NULL);
  close_strict(disk);
  drop_path(path);
}

static void put_get__pin_is_zero_unless_found(void** state) {
  kist_pin pin;
  (void)state;
  memset(&pin, 0x5a, sizeof pin);
  ASSERT_RC(KIST_NOT_FOUND, kist_get_pin(ks, NULL, "none", 4, &pin, &err));
  assert_null(pin.data);
  assert_int_equal(pin.len, 0);
  assert_null(pin.owner);
  kist_pin_release(&pin);
  memset(&pin, 0x5a, sizeof pin);
  ASSERT_RC(KIST_E_MISUSE, kist_get_pin(NULL, NULL, "none", 4, &pin, &err));
  assert_null(pin.data);
}

static void put_get__limits(void** state) {
  char key[102], val[1001], got[1001];
  size_t n, len;
  (void)state;
  memset(key, 'k', sizeof key);
  memset(val, 'v', sizeof val);
  for (n = 99; n <= 100; ++n) {
    OK(kist_put(ks, NULL, key, n, "1", 1, &err));
    OK(kist_exists(ks, NULL, key, n, &err));
  }
  for (n = 999; n <= 1000; ++n) {
    OK(kist_put(ks, NULL, "v", 1, val, n, &err));
    OK(kist_get(ks, NULL, "v", 1, got, sizeof got, &len, &err));
    assert_int_equal(len, n);
  }
  {
    const uint64_t before = kist_last_seq(db);
    kist_err err = KIST_ERR_INIT;
    assert_int_equal(kist_put(ks, NULL, key, 101, "1", 1, &err), KIST_E_LIMIT);
    assert_int_equal(err.detail, KIST_D_KEY_SIZE);
    assert_int_equal(err.aux, 100);
    assert_int_equal(kist_put(ks, NULL, "v", 1, val, 1001, &err), KIST_E_LIMIT);
    assert_int_equal(err.detail, KIST_D_VALUE_SIZE);
    assert_int_equal(err.aux, 1000);
    assert_int_equal(kist_last_seq(db), before);
  }
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_delete(ks, NULL, key, 101, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_exists(ks, NULL, key, 101, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_get(ks, NULL, key, 101, NULL, 0, NULL, &err));
  /* Ends of ranges may be one byte longer. */
  OK(kist_delete_range(ks, NULL, key, 101, key, 101, &err));
  OK(kist_delete_range(ks, NULL, "a", 1, key, 101, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_delete_range(ks, NULL, "a", 1, key, 102, &err));
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE, kist_delete_range(ks, NULL, key, 102, NULL, 0, &err));
}

static void put_get__the_longest_key(void** state) {
  kist_db* plain = open_memory();
  char* key = malloc(65536);
  size_t n;
  (void)state;
  memset(key, 'k', 65536);
  for (n = 65534; n <= 65535; ++n) {
    OK(kist_put(kist_default(plain), NULL, key, n, &n, sizeof n, &err));
    OK(kist_flush(plain, &err));
  }
  for (n = 65534; n <= 65535; ++n) {
    size_t got = 0;
    OK(kist_get(kist_default(plain), NULL, key, n, &got, sizeof got, NULL, &err));
    assert_int_equal(got, n);
  }
  ASSERT_FAILS(KIST_E_LIMIT, KIST_D_KEY_SIZE,
               kist_put(kist_default(plain), NULL, key, 65536, "", 0, &err));
  OK(kist_delete_range(kist_default(plain), NULL, key, 65535, key, 65536, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(kist_default(plain), NULL, key, 65535, &err));
  OK(kist_exists(kist_default(plain), NULL, key, 65534, &err));
  free(key);
  close_strict(plain);
}

static void put_get__bad_arguments(void** state) {
  kist_pin pin;
  char buf[4];
  size_t len = 9;
  void* copy = NULL;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  (void)state;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_put(NULL, NULL, "a", 1, "1", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_put((kist_keyspace*)(void*)db, NULL, "a", 1, "1", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_delete(NULL, NULL, "a", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_delete_range(NULL, NULL, "a", 1, "b", 1, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_get(NULL, NULL, "a", 1, buf, 4, &len, &err));
  assert_int_equal(len, 0);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_get_copy(NULL, NULL, "a", 1, &copy, &len, &err));
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_exists(NULL, NULL, "a", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_put(ks, NULL, NULL, 1, "1", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_put(ks, NULL, "a", 1, NULL, 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_delete(ks, NULL, NULL, 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_delete_range(ks, NULL, NULL, 1, "b", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_delete_range(ks, NULL, "a", 1, NULL, 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_get(ks, NULL, NULL, 1, buf, 4, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_get(ks, NULL, "absent", 6, NULL, 4, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_get_pin(ks, NULL, "absent", 6, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_get_pin(ks, NULL, NULL, 6, &pin, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_get_copy(ks, NULL, "absent", 6, NULL, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_exists(ks, NULL, NULL, 6, &err));
  wo.ttl_ms = -1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_put(ks, &wo, "a", 1, "1", 1, &err));
  wo.ttl_ms = 1; /* for kist_put alone */
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_delete(ks, &wo, "a", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_delete_range(ks, &wo, "a", 1, "b", 1, &err));
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, NULL, "a", 1, &err));
}

static void put_get__delete_range(void** state) {
  const char* keys[] = {"a", "b", "b1", "c", "d"};
  uint64_t before;
  size_t i;
  (void)state;
  for (i = 0; i < 5; ++i) put(ks, keys[i], keys[i]);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_RANGE, kist_delete_range(ks, NULL, "c", 1, "b", 1, &err));
  before = kist_last_seq(db);
  OK(kist_delete_range(ks, NULL, "b", 1, "b", 1, &err));
  assert_int_equal(kist_last_seq(db), before);
  expect(ks, NULL, "b", "b");
  OK(kist_delete_range(ks, NULL, "b", 1, "c", 1, &err));
  expect(ks, NULL, "a", "a");
  expect(ks, NULL, "b", NULL);
  expect(ks, NULL, "b1", NULL);
  expect(ks, NULL, "c", "c");
  put(ks, "b", "again");
  expect(ks, NULL, "b", "again");
  OK(kist_delete_range(ks, NULL, "c", 1, NULL, 0, &err));
  expect(ks, NULL, "d", NULL);
  expect(ks, NULL, "b", "again");
  OK(kist_delete_range(ks, NULL, NULL, 0, NULL, 0, &err));
  expect(ks, NULL, "a", NULL);
  OK(kist_flush(db, &err));
  expect(ks, NULL, "b", NULL);
}

static void put_get__multi_get(void** state) {
  kist_slice keys[5] = {{"c", 1}, {"a", 1}, {"none", 4}, {"a", 1}, {NULL, 3}};
  kist_pin pins[5];
  kist_rc rcs[5];
  char longer[101];
  size_t i;
  (void)state;
  put(ks, "a", "1");
  OK(kist_flush(db, &err));
  put(ks, "c", "3");
  OK(kist_multi_get(ks, NULL, 5, keys, pins, rcs, &err));
  assert_int_equal(rcs[0], KIST_OK);
  assert_memory_equal(pins[0].data, "3", 1);
  assert_int_equal(rcs[1], KIST_OK);
  assert_memory_equal(pins[1].data, "1", 1);
  assert_int_equal(rcs[2], KIST_NOT_FOUND);
  assert_null(pins[2].data);
  assert_int_equal(rcs[3], KIST_OK);
  assert_int_equal(rcs[4], KIST_E_INVALID);
  for (i = 0; i < 5; ++i) kist_pin_release(&pins[i]);
  memset(longer, 'x', sizeof longer);
  keys[0].data = longer;
  keys[0].len = 101;
  OK(kist_multi_get(ks, NULL, 2, keys, pins, rcs, &err));
  assert_int_equal(rcs[0], KIST_E_LIMIT);
  assert_int_equal(rcs[1], KIST_OK);
  kist_pin_release(&pins[1]);
  OK(kist_multi_get(ks, NULL, 0, NULL, NULL, NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_multi_get(ks, NULL, 1, NULL, pins, rcs, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_multi_get(ks, NULL, 1, keys, NULL, rcs, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_multi_get(ks, NULL, 1, keys, pins, NULL, &err));
  memset(pins, 0x5a, sizeof pins);
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE, kist_multi_get(NULL, NULL, 2, keys, pins, rcs, &err));
  assert_null(pins[1].data);
  assert_null(pins[1].owner);
}

static void put_get__survives_flush_and_compaction(void** state) {
  char key[16], val[16];
  int i;
  (void)state;
  for (i = 0; i < 2000; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    snprintf(val, sizeof val, "val%d", i);
    put(ks, key, val);
    if (i % 500 == 499) OK(kist_flush(db, &err));
  }
  for (i = 0; i < 2000; i += 3) {
    snprintf(key, sizeof key, "key%05d", i);
    OK(kist_delete(ks, NULL, key, strlen(key), &err));
  }
  OK(kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  for (i = 0; i < 2000; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    snprintf(val, sizeof val, "val%d", i);
    expect(ks, NULL, key, i % 3 == 0 ? NULL : val);
  }
  OK(kist_verify(db, NULL, &err));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(put_get__overwrite_and_delete),
      TEST(put_get__a_delete_of_an_absent_key_is_a_commit),
      TEST(put_get__empty_keys_and_values),
      TEST(put_get__any_bytes),
      TEST(put_get__truncated),
      TEST(put_get__copies_and_exists),
      TEST(put_get__pins_outlive_overwrite_flush_compaction_and_close),
      TEST(put_get__pin_is_zero_unless_found),
      TEST(put_get__limits),
      TEST(put_get__the_longest_key),
      TEST(put_get__bad_arguments),
      TEST(put_get__delete_range),
      TEST(put_get__multi_get),
      TEST(put_get__survives_flush_and_compaction),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
