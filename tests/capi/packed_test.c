/* Packed batches: the layout, every refusal, all or nothing, random bytes. */
#include "support/tempdir.h"

#include <time.h>

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

/* ---- a packer of our own, as a binding would have it */

struct packed {
  unsigned char bytes[4096];
  size_t len;
};

static void add_number(struct packed* p, uint64_t v, size_t bytes) {
  while (bytes-- > 0) {
    p->bytes[p->len++] = (unsigned char)v;
    v >>= 8;
  }
}

static void begin(struct packed* p, uint32_t count) {
  p->len = 0;
  memcpy(p->bytes, "KWB\1", 4);
  p->len = 4;
  add_number(p, count, 4);
}

static void add(struct packed* p, int kind, int flags, uint32_t id, int64_t ttl, const char* key,
                const char* val) {
  add_number(p, (uint64_t)kind, 1);
  add_number(p, (uint64_t)flags, 1);
  add_number(p, 0, 2);
  add_number(p, id, 4);
  add_number(p, strlen(key), 4);
  add_number(p, strlen(val), 4);
  if ((flags & 1) != 0) add_number(p, (uint64_t)ttl, 8);
  memcpy(p->bytes + p->len, key, strlen(key));
  p->len += strlen(key);
  memcpy(p->bytes + p->len, val, strlen(val));
  p->len += strlen(val);
}

static kist_rc write_it(const struct packed* p, uint64_t* seq, kist_err* err) {
  return kist_write_packed(db, NULL, p->bytes, p->len, seq, err);
}

static void packed__every_kind(void** state) {
  kist_keyspace* other = NULL;
  struct packed p;
  uint64_t seq = 0;
  int64_t left = 0;
  (void)state;
  OK(kist_keyspace_open(db, "other", KIST_KEYSPACE_CREATE, NULL, &other, &err));
  put(ks, "gone", "x");
  put(ks, "r1", "x");
  put(ks, "r2", "x");
  begin(&p, 5);
  add(&p, 1, 0, 0, 0, "a", "1");
  add(&p, 2, 0, 0, 0, "gone", "");
  add(&p, 3, 0, 0, 0, "r1", "r2");
  add(&p, 1, 1, kist_keyspace_id(other), 60000, "t", "2");
  add(&p, 1, 0, kist_keyspace_id(other), 0, "", "");
  OK(write_it(&p, &seq, &err));
  assert_int_equal(seq, kist_last_seq(db));
  expect(ks, NULL, "a", "1");
  expect(ks, NULL, "gone", NULL);
  expect(ks, NULL, "r1", NULL);
  expect(ks, NULL, "r2", "x");
  expect(other, NULL, "t", "2");
  expect(other, NULL, "", "");
  OK(kist_ttl(other, NULL, "t", 1, &left, &err));
  assert_true(left > 0 && left <= 60000);
  kist_keyspace_free(other);
}

static void packed__empty(void** state) {
  struct packed p;
  uint64_t seq = 9;
  (void)state;
  put(ks, "a", "1");
  begin(&p, 0);
  OK(write_it(&p, &seq, &err));
  assert_int_equal(seq, 1);
  assert_int_equal(kist_last_seq(db), 1);
}

/* Nothing of a refused batch may be there, also where its first operations were fine. */
static void refuse(struct packed* p, kist_rc want) {
  const uint64_t before = kist_last_seq(db);
  uint64_t seq = 9;
  ASSERT_FAILS(want, KIST_D_PACKED, write_it(p, &seq, &err));
  assert_int_equal(seq, 0);
  assert_int_equal(kist_last_seq(db), before);
  expect(ks, NULL, "ok", NULL);
}

#define REFUSE(want, kind, flags, id, ttl, key, val) \
  do {                                               \
    struct packed p_;                                \
    begin(&p_, 2);                                   \
    add(&p_, 1, 0, 0, 0, "ok", "1");                 \
    add(&p_, kind, flags, id, ttl, key, val);        \
    refuse(&p_, want);                               \
  } while (0)

static void packed__refusals(void** state) {
  char longer[1002];
  (void)state;
  REFUSE(KIST_E_INVALID, 0, 0, 0, 0, "k", "v");
  REFUSE(KIST_E_INVALID, 4, 0, 0, 0, "k", "v");
  REFUSE(KIST_E_INVALID, 5, 0, 0, 0, "k", "");
  REFUSE(KIST_E_INVALID, 255, 0, 0, 0, "k", "");
  REFUSE(KIST_E_INVALID, 1, 2, 0, 0, "k", "v");
  REFUSE(KIST_E_INVALID, 2, 0, 0, 0, "k", "v"); /* a delete with a value */
  REFUSE(KIST_E_INVALID, 2, 1, 0, 5, "k", "");  /* a delete with a flag */
  REFUSE(KIST_E_INVALID, 3, 1, 0, 5, "k", "l"); /* a range delete with a TTL */
  REFUSE(KIST_E_INVALID, 3, 0, 0, 0, "l", "k"); /* begin > end */
  REFUSE(KIST_E_INVALID, 1, 1, 0, 0, "k", "v"); /* ttl 0 */
  REFUSE(KIST_E_INVALID, 1, 1, 0, -1, "k", "v");
  REFUSE(KIST_E_INVALID, 1, 1, 0, INT64_MIN, "k", "v");
  memset(longer, 'x', sizeof longer);
  longer[101] = '\0';
  REFUSE(KIST_E_LIMIT, 1, 0, 0, 0, longer, "v");
  REFUSE(KIST_E_LIMIT, 2, 0, 0, 0, longer, "");
  longer[101] = 'x';
  longer[102] = '\0';
  REFUSE(KIST_E_LIMIT, 3, 0, 0, 0, "a", longer);
  longer[102] = 'x';
  longer[1001] = '\0';
  REFUSE(KIST_E_LIMIT, 1, 0, 0, 0, "k", longer);
}

static void packed__unknown_keyspaces(void** state) {
  struct packed p;
  uint64_t seq = 9;
  (void)state;
  begin(&p, 2);
  add(&p, 1, 0, 0, 0, "ok", "1");
  add(&p, 1, 0, 77, 0, "k", "v");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_PACKED, write_it(&p, &seq, &err));
  assert_int_equal(seq, 0);
  expect(ks, NULL, "ok", NULL);
}

static void packed__wrong_frames(void** state) {
  struct packed p;
  (void)state;
  begin(&p, 1);
  add(&p, 1, 0, 0, 0, "ok", "1");
  p.bytes[4] = 2; /* wrong count */
  refuse(&p, KIST_E_INVALID);
  p.bytes[4] = 0;
  refuse(&p, KIST_E_INVALID); /* trailing bytes */
  p.bytes[4] = 1;
  p.len++;
  refuse(&p, KIST_E_INVALID);
  p.len--;
  p.bytes[3] = 2; /* a later form */
  refuse(&p, KIST_E_INVALID);
  p.bytes[3] = 1;
  p.bytes[0] = 'k';
  refuse(&p, KIST_E_INVALID);
  p.bytes[0] = 'K';
  p.bytes[10] = 1; /* reserved */
  refuse(&p, KIST_E_INVALID);
  p.bytes[10] = 0;
  OK(write_it(&p, NULL, &err));
  expect(ks, NULL, "ok", "1");
}

static void packed__every_truncation(void** state) {
  struct packed p;
  size_t whole;
  (void)state;
  begin(&p, 3);
  add(&p, 1, 0, 0, 0, "ok", "1");
  add(&p, 1, 1, 0, 5000, "k", "value");
  add(&p, 3, 0, 0, 0, "r", "s");
  whole = p.len;
  for (p.len = 0; p.len < whole; ++p.len) refuse(&p, KIST_E_INVALID);
  OK(write_it(&p, NULL, &err));
}

static void packed__bad_arguments(void** state) {
  uint64_t seq = 9;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  (void)state;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_write_packed(NULL, NULL, "KWB\1\0\0\0\0", 8, &seq, &err));
  assert_int_equal(seq, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_write_packed(db, NULL, NULL, 8, &seq, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_write_packed(db, NULL, NULL, 0, &seq, &err));
  wo.ttl_ms = 5;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT,
               kist_write_packed(db, &wo, "KWB\1\0\0\0\0", 8, &seq, &err));
}

static void packed__random_bytes_are_refused_or_applied_whole(void** state) {
  const char* given = getenv("KIST_SEED");
  unsigned long seed = given != NULL ? strtoul(given, NULL, 10) : (unsigned long)time(NULL);
  struct packed p;
  int round;
  (void)state;
  printf("KIST_SEED=%lu\n", seed);
  srandom((unsigned)seed);
  for (round = 0; round < 20000; ++round) {
    const uint64_t before = kist_last_seq(db);
    uint64_t seq = 0;
    kist_rc rc;
    int flips = (int)(random() % 4);
    begin(&p, 2);
    add(&p, 1, 0, 0, 0, "a", "1");
    add(&p, 1 + (int)(random() % 3), 0, 0, 0, "b", "");
    while (flips-- > 0) p.bytes[(size_t)random() % p.len] = (unsigned char)random();
    rc = write_it(&p, &seq, NULL);
    assert_true(rc == KIST_OK || rc == KIST_E_INVALID || rc == KIST_E_LIMIT);
    assert_int_equal(kist_last_seq(db) - before, rc == KIST_OK && seq != before ? 1 : 0);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(packed__every_kind),    TEST(packed__empty),
      TEST(packed__refusals),      TEST(packed__unknown_keyspaces),
      TEST(packed__wrong_frames),  TEST(packed__every_truncation),
      TEST(packed__bad_arguments), TEST(packed__random_bytes_are_refused_or_applied_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
