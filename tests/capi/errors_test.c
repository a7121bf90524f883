/* Results and errors: names, texts, kist_err of every size, structs from older and newer callers,
 * version. */
#include "support/tempdir.h"

static void errors__names_and_texts(void** state) {
  kist_rc rc;
  (void)state;
  assert_string_equal(kist_rc_name(KIST_OK), "KIST_OK");
  assert_string_equal(kist_rc_name(KIST_TRUNCATED), "KIST_TRUNCATED");
  assert_string_equal(kist_rc_name(KIST_E_IO), "KIST_E_IO");
  assert_string_equal(kist_rc_name(KIST_E_INTERNAL), "KIST_E_INTERNAL");
  assert_string_equal(kist_rc_text(KIST_E_IO), "input/output error");
  for (rc = KIST_E_INTERNAL; rc <= KIST_TRUNCATED; ++rc) {
    assert_memory_equal(kist_rc_name(rc), rc < 0 ? "KIST_E_" : "KIST_", rc < 0 ? 7 : 5);
    assert_true(strlen(kist_rc_text(rc)) > 3);
    assert_null(strstr(kist_rc_name(rc), "UNKNOWN"));
  }
  assert_string_equal(kist_rc_name(-23), "KIST_E_UNKNOWN");
  assert_string_equal(kist_rc_name(4), "KIST_UNKNOWN");
  assert_string_equal(kist_rc_name(INT32_MIN), "KIST_E_UNKNOWN");
  assert_string_equal(kist_rc_name(INT32_MAX), "KIST_UNKNOWN");
  assert_true(strlen(kist_rc_text(INT32_MIN)) > 3);
}

static void errors__version(void** state) {
  char text[32];
  (void)state;
  assert_int_equal(kist_version(), KIST_VERSION_NUMBER);
  snprintf(text, sizeof text, "%d.%d.%d", KIST_VERSION_MAJOR, KIST_VERSION_MINOR,
           KIST_VERSION_PATCH);
  assert_string_equal(kist_version_string(), text);
  assert_non_null(strstr(kist_build_info(), text));
  assert_non_null(strstr(kist_build_info(), "crc32c"));
  assert_non_null(strstr(kist_build_info(), "allocator"));
  assert_non_null(strstr(kist_build_info(), "format"));
  assert_non_null(strstr(kist_build_info(), "compiler"));
  assert_non_null(strstr(kist_build_info(), "snappy"));
  assert_non_null(strstr(kist_build_info(), "; build "));
  assert_ptr_equal(kist_build_info(), kist_build_info());
}

/* A call that fails with KIST_E_INVALID and a long message. */
static kist_rc fail_with(const char* name, kist_err* err) {
  kist_options* options = NULL;
  kist_rc rc;
  assert_int_equal(kist_options_new(&options), KIST_OK);
  rc = kist_options_set(options, name, "1", err);
  kist_options_free(options);
  return rc;
}

static void errors__err_is_filled_within_its_size(void** state) {
  union {
    kist_err err;
    unsigned char bytes[sizeof(kist_err) + 64];
  } e;
  const size_t head = offsetof(kist_err, message);
  uint32_t size;
  size_t i;
  (void)state;
  for (size = 0; size <= sizeof e; ++size) {
    memset(&e, 0xee, sizeof e);
    e.err.size = size;
    assert_int_equal(fail_with("no_such_option", &e.err), KIST_E_INVALID);
    assert_int_equal(e.err.size, size);
    for (i = size > sizeof size ? size : sizeof size; i < sizeof e; ++i)
      assert_int_equal(e.bytes[i], 0xee);
    if (size >= 8) assert_int_equal(e.err.code, KIST_E_INVALID);
    if (size >= 12) assert_int_equal(e.err.detail, KIST_D_NAME);
    if (size >= 24) assert_int_equal(e.err.aux, 0);
    if (size > head) assert_non_null(memchr(e.err.message, '\0', size - head));
    if (size >= sizeof(kist_err)) {
      assert_string_equal(e.err.message, "unknown option 'no_such_option'");
      for (i = sizeof(kist_err); i < size; ++i) assert_int_equal(e.bytes[i], 0);
    }
  }
  assert_int_equal(fail_with("no_such_option", NULL), KIST_E_INVALID);
}

static void errors__err_is_left_alone_by_success(void** state) {
  kist_options* options = NULL;
  kist_err err, before;
  (void)state;
  memset(&err, 0x5a, sizeof err);
  err.size = sizeof err;
  before = err;
  OK(kist_options_new(&options));
  assert_int_equal(kist_options_set(options, "sync", "never", &err), KIST_OK);
  assert_memory_equal(&err, &before, sizeof err);
  kist_options_free(options);
}

static void errors__message_is_cut_between_characters(void** state) {
  /* A path that does not exist, of two-byte characters, too long for a message. */
  char path[600];
  size_t shift, i;
  (void)state;
  for (shift = 0; shift < 4; ++shift) {
    kist_err err = KIST_ERR_INIT;
    kist_db* db = (kist_db*)&err;
    memset(path, 'x', shift);
    for (i = shift; i + 2 < sizeof path; i += 2) memcpy(path + i, "\xc3\xa9", 2);
    path[0] = '/';
    path[i] = '\0';
    assert_true(kist_open(path, NULL, &db, &err) < 0);
    assert_null(db);
    assert_true(strlen(err.message) < sizeof err.message);
    /* Every byte above 0x7f is part of a whole pair. */
    for (i = 0; err.message[i] != '\0'; ++i) {
      const unsigned char c = (unsigned char)err.message[i];
      if (c == 0xc3) {
        assert_int_equal((unsigned char)err.message[++i], 0xa9);
      } else {
        assert_true(c >= 0x20 && c < 0x7f);
      }
    }
  }
}

static void errors__message_is_one_line_of_utf8(void** state) {
  kist_err err = KIST_ERR_INIT;
  size_t i;
  (void)state;
  assert_int_equal(fail_with("bad\nname\t\xff\xc0\x80\xed\xa0\x80 end", &err), KIST_E_INVALID);
  for (i = 0; err.message[i] != '\0'; ++i)
    assert_true(err.message[i] >= 0x20 && err.message[i] < 0x7f);
  assert_non_null(strstr(err.message, "end"));
}

static void errors__system_errors_carry_errno(void** state) {
  char* path = new_path();
  char missing[4200];
  kist_err err = KIST_ERR_INIT;
  kist_db* db = NULL;
  (void)state;
  snprintf(missing, sizeof missing, "%s/a/b", path);
  assert_int_equal(kist_open(missing, NULL, &db, &err), KIST_E_MISSING);
  assert_int_equal(err.sys_errno, ENOENT);
  assert_non_null(strstr(err.message, "a/b"));
  drop_path(path);
}

/* ---- input structs of other sizes */

static void errors__input_struct_sizes(void** state) {
  kist_db* db = open_memory();
  kist_keyspace* ks = kist_default(db);
  struct {
    kist_write_options wo;
    unsigned char more[16];
  } newer = {KIST_WRITE_OPTIONS_INIT, {0}};
  struct {
    kist_read_options ro;
    unsigned char more[16];
  } read = {KIST_READ_OPTIONS_INIT, {0}};
  struct {
    kist_iter_options io;
    unsigned char more[16];
  } iter = {KIST_ITER_OPTIONS_INIT, {0}};
  struct {
    kist_job job;
    unsigned char more[16];
  } job = {KIST_JOB_INIT, {0}};
  kist_iter* it = NULL;
  (void)state;
  newer.wo.size = 0;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_put(ks, &newer.wo, "a", 1, "1", 1, &err));
  newer.wo.size = sizeof newer.wo - 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_put(ks, &newer.wo, "a", 1, "1", 1, &err));
  newer.wo.size = UINT32_MAX;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_put(ks, &newer.wo, "a", 1, "1", 1, &err));
  newer.wo.size = sizeof newer;
  OK(kist_put(ks, &newer.wo, "a", 1, "1", 1, &err));
  newer.more[15] = 1;
  ASSERT_FAILS(KIST_E_TOO_NEW, KIST_D_STRUCT, kist_put(ks, &newer.wo, "b", 1, "1", 1, &err));
  expect(ks, NULL, "b", NULL);

  read.ro.size = sizeof read.ro - 4;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_exists(ks, &read.ro, "a", 1, &err));
  read.ro.size = sizeof read;
  OK(kist_exists(ks, &read.ro, "a", 1, &err));
  read.more[0] = 1;
  ASSERT_FAILS(KIST_E_TOO_NEW, KIST_D_STRUCT, kist_exists(ks, &read.ro, "a", 1, &err));

  iter.io.size = 8;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_iter_new(ks, &iter.io, &it, &err));
  iter.io.size = sizeof iter;
  iter.more[3] = 9;
  ASSERT_FAILS(KIST_E_TOO_NEW, KIST_D_STRUCT, kist_iter_new(ks, &iter.io, &it, &err));
  assert_null(it);

  job.job.size = 0;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_verify(db, &job.job, &err));
  job.job.size = sizeof job;
  OK(kist_verify(db, &job.job, &err));
  job.more[0] = 1;
  ASSERT_FAILS(KIST_E_TOO_NEW, KIST_D_STRUCT, kist_verify(db, &job.job, &err));
  job.more[0] = 0;
  job.job.flags = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_verify(db, &job.job, &err));
  close_strict(db);
}

static void errors__unknown_flags(void** state) {
  kist_db* db = open_memory();
  kist_keyspace* ks = kist_default(db);
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  kist_iter* it = NULL;
  (void)state;
  wo.flags = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_put(ks, &wo, "a", 1, "1", 1, &err));
  wo.flags = 0;
  wo.durability = 4;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_put(ks, &wo, "a", 1, "1", 1, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_delete(ks, &wo, "a", 1, &err));
  ro.flags = 4;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_exists(ks, &ro, "a", 1, &err));
  ro.flags = KIST_ITER_KEYS_ONLY; /* an iterator's flag */
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_exists(ks, &ro, "a", 1, &err));
  ro.flags = KIST_READ_FOR_UPDATE; /* without a transaction */
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_exists(ks, &ro, "a", 1, &err));
  ro.flags = KIST_READ_NO_CACHE_FILL;
  ASSERT_RC(KIST_NOT_FOUND, kist_exists(ks, &ro, "a", 1, &err));
  io.flags = 512;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_iter_new(ks, &io, &it, &err));
  io.flags = KIST_READ_FOR_UPDATE;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_iter_new(ks, &io, &it, &err));
  io.flags = KIST_ITER_KEYS_ONLY | KIST_READ_NO_CACHE_FILL;
  OK(kist_iter_new(ks, &io, &it, &err));
  kist_iter_free(it);
  close_strict(db);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(errors__names_and_texts),
      cmocka_unit_test(errors__version),
      cmocka_unit_test(errors__err_is_filled_within_its_size),
      cmocka_unit_test(errors__err_is_left_alone_by_success),
      cmocka_unit_test(errors__message_is_cut_between_characters),
      cmocka_unit_test(errors__message_is_one_line_of_utf8),
      cmocka_unit_test(errors__system_errors_carry_errno),
      cmocka_unit_test(errors__input_struct_sizes),
      cmocka_unit_test(errors__unknown_flags),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
