/* Opening and removing databases: create, exist, read-only, memory, locks, what is on disk. */
#include "support/tempdir.h"

#include <fcntl.h>
#include <sys/wait.h>

static kist_rc try_open(const char* path, const char* text, kist_db** db, kist_err* err) {
  kist_options* options = NULL;
  kist_rc rc;
  assert_int_equal(kist_options_new(&options), KIST_OK);
  assert_int_equal(kist_options_parse(options, text, NULL), KIST_OK);
  rc = kist_open(path, options, db, err);
  kist_options_free(options);
  return rc;
}

static void open__creates_the_directory_and_keeps_what_was_written(void** state) {
  char* path = new_path();
  kist_db* db = NULL;
  (void)state;
  OK(kist_open(path, NULL, &db, &err));
  put(kist_default(db), "key", "value");
  close_strict(db);
  db = open_plain(path);
  expect(kist_default(db), NULL, "key", "value");
  expect(kist_default(db), NULL, "other", NULL);
  close_strict(db);
  drop_path(path);
}

static void open__does_not_create_parents(void** state) {
  char* path = new_path();
  char deep[4200];
  kist_db* db = NULL;
  (void)state;
  snprintf(deep, sizeof deep, "%s/a/b", path);
  ASSERT_RC(KIST_E_MISSING, kist_open(deep, NULL, &db, &err));
  assert_null(db);
  assert_int_equal(access(path, F_OK), -1);
  drop_path(path);
}

static void open__create_if_missing_and_error_if_exists(void** state) {
  char* path = new_path();
  kist_db* db = NULL;
  (void)state;
  ASSERT_RC(KIST_E_MISSING, try_open(path, "create_if_missing=false", &db, &err));
  assert_int_equal(access(path, F_OK), -1);
  OK(try_open(path, "error_if_exists=true", &db, &err));
  close_strict(db);
  ASSERT_RC(KIST_E_EXISTS, try_open(path, "error_if_exists=true", &db, &err));
  assert_null(db);
  OK(try_open(path, "create_if_missing=false", &db, &err));
  close_strict(db);
  drop_path(path);
}

static void open__an_empty_directory_is_no_database(void** state) {
  char* path = new_path();
  kist_db* db = NULL;
  (void)state;
  assert_int_equal(mkdir(path, 0755), 0);
  ASSERT_RC(KIST_E_MISSING, try_open(path, "create_if_missing=false", &db, &err));
  assert_int_equal(count_files(path, ""), 0); /* no lock either */
  OK(try_open(path, "", &db, &err));
  close_strict(db);
  drop_path(path);
}

static void open__a_file_is_no_directory(void** state) {
  char* path = new_path();
  kist_db* db = NULL;
  int fd = open(path, O_CREAT | O_WRONLY, 0644);
  (void)state;
  close(fd);
  {
    kist_err err = KIST_ERR_INIT;
    const kist_rc rc = kist_open(path, NULL, &db, &err);
    assert_true(rc < 0);
    assert_null(db);
    assert_true(err.message[0] != '\0');
  }
  drop_path(path);
}

static void open__locks_against_other_handles(void** state) {
  char* path = new_path();
  kist_db *db = open_plain(path), *second = NULL;
  pid_t child;
  int status = 0;
  (void)state;
  ASSERT_RC(KIST_E_LOCKED, kist_open(path, NULL, &second, &err));
  assert_null(second);
  child = fork();
  if (child == 0) {
    kist_db* third = NULL;
    _exit(kist_open(path, NULL, &third, NULL) == KIST_E_LOCKED ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  put(kist_default(db), "still", "there");
  close_strict(db);
  OK(kist_open(path, NULL, &second, &err));
  expect(kist_default(second), NULL, "still", "there");
  close_strict(second);
  drop_path(path);
}

static void open__the_lock_dies_with_its_owner(void** state) {
  char* path = new_path();
  kist_db* db = NULL;
  pid_t child = fork();
  int status = 0;
  (void)state;
  if (child == 0) {
    kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
    if (kist_open(path, NULL, &db, NULL) != KIST_OK) _exit(1);
    wo.durability = KIST_DURABILITY_OS;
    if (kist_put(kist_default(db), &wo, "k", 1, "v", 1, NULL) != KIST_OK) _exit(2);
    _exit(0); /* without closing */
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  db = open_plain(path);
  expect(kist_default(db), NULL, "k", "v");
  close_strict(db);
  drop_path(path);
}

static void open__read_only(void** state) {
  char* path = new_path();
  kist_db *db = NULL, *writer = NULL;
  kist_keyspace* ks;
  kist_iter* it = NULL;
  kist_batch* batch = NULL;
  uint64_t seq = 7;
  (void)state;
  ASSERT_RC(KIST_E_MISSING, try_open(path, "read_only=true", &db, &err));
  assert_int_equal(access(path, F_OK), -1);
  writer = open_plain(path);
  put(kist_default(writer), "a", "1");
  close_strict(writer);
  OK(try_open(path, "read_only=true", &db, &err));
  ks = kist_default(db);
  expect(ks, NULL, "a", "1");
  ASSERT_RC(KIST_E_READONLY, kist_put(ks, NULL, "b", 1, "2", 1, &err));
  ASSERT_RC(KIST_E_READONLY, kist_delete(ks, NULL, "a", 1, &err));
  ASSERT_RC(KIST_E_READONLY, kist_delete_range(ks, NULL, "a", 1, "b", 1, &err));
  ASSERT_RC(KIST_E_READONLY, kist_flush(db, &err));
  ASSERT_RC(KIST_E_READONLY, kist_compact(ks, NULL, 0, NULL, 0, NULL, &err));
  ASSERT_RC(KIST_E_READONLY, kist_keyspace_drop(db, "x", &err));
  ASSERT_RC(KIST_E_READONLY, kist_sync(db, &err));
  OK(kist_batch_new(&batch));
  ASSERT_RC(KIST_E_READONLY, kist_write(db, NULL, batch, &seq, &err));
  assert_int_equal(seq, 0);
  OK(kist_batch_put(batch, ks, "b", 1, "2", 1, 0, &err));
  ASSERT_RC(KIST_E_READONLY, kist_write(db, NULL, batch, &seq, &err));
  kist_batch_free(batch);
  OK(kist_iter_new(ks, NULL, &it, &err));
  OK(kist_iter_next(it, &err));
  kist_iter_free(it);
  OK(kist_verify(db, NULL, &err));
  /* It takes no lock: a writer may be there. */
  writer = open_plain(path);
  put(kist_default(writer), "b", "2");
  expect(ks, NULL, "b", NULL);
  close_strict(writer);
  close_strict(db);
  drop_path(path);
}

/* What is no database is told apart as it is for a writer. */
static void open__read_only_of_no_database(void** state) {
  char* path = new_path();
  kist_db* db = NULL;
  FILE* file;
  kist_err err = KIST_ERR_INIT;
  (void)state;
  ASSERT_RC(KIST_E_MISSING, try_open(path, "read_only=true", &db, &err));
  assert_int_equal(try_open(path, "read_only=true", &db, &err), KIST_E_MISSING);
  assert_non_null(strstr(err.message, "no such database"));
  assert_int_equal(mkdir(path, 0755), 0);
  assert_int_equal(try_open(path, "read_only=true", &db, &err), KIST_E_MISSING);
  assert_non_null(strstr(err.message, "no database in this directory"));
  assert_int_equal(rmdir(path), 0);
  file = fopen(path, "w");
  assert_non_null(file);
  fclose(file);
  ASSERT_RC(KIST_E_INVALID, try_open(path, "", &db, &err));
  assert_int_equal(try_open(path, "read_only=true", &db, &err), KIST_E_INVALID);
  assert_non_null(strstr(err.message, "not a directory"));
  assert_int_equal(unlink(path), 0);
  assert_int_equal(try_open(":memory:", "read_only=true", &db, &err), KIST_E_INVALID);
  assert_non_null(strstr(err.message, "cannot be read-only"));
  assert_null(db);
  drop_path(path);
}

static void open__read_only_changes_no_byte(void** state) {
  char* path = new_path();
  char before[8192], command[9000];
  FILE* pipe;
  kist_db* db = open_plain(path);
  int round;
  (void)state;
  put(kist_default(db), "a", "1");
  close_strict(db);
  snprintf(command, sizeof command, "cd '%s' && ls -l --time-style=full-iso . && cat * | cksum",
           path);
  for (round = 0; round < 2; ++round) {
    char listing[8192];
    size_t n;
    pipe = popen(command, "r");
    n = fread(listing, 1, sizeof listing - 1, pipe);
    listing[n] = '\0';
    pclose(pipe);
    if (round == 0) {
      memcpy(before, listing, n + 1);
      db = open_with(path, "read_only=true");
      expect(kist_default(db), NULL, "a", "1");
      close_strict(db);
    } else {
      assert_string_equal(listing, before);
    }
  }
  drop_path(path);
}

static void open__memory_databases_are_private(void** state) {
  kist_db *a = open_memory(), *b = open_memory();
  (void)state;
  put(kist_default(a), "k", "a");
  expect(kist_default(b), NULL, "k", NULL);
  OK(kist_flush(a, &err));
  OK(kist_compact(kist_default(a), NULL, 0, NULL, 0, NULL, &err));
  expect(kist_default(a), NULL, "k", "a");
  OK(kist_verify(a, NULL, &err));
  close_strict(a);
  close_strict(b);
  assert_int_equal(access(":memory:", F_OK), -1);
}

static void open__missing_current_is_damage(void** state) {
  char* path = new_path();
  char current[4200];
  kist_db* db = open_plain(path);
  kist_err err = KIST_ERR_INIT;
  (void)state;
  put(kist_default(db), "a", "1");
  close_strict(db);
  snprintf(current, sizeof current, "%s/CURRENT", path);
  assert_int_equal(unlink(current), 0);
  assert_int_equal(kist_open(path, NULL, &db, &err), KIST_E_CORRUPT);
  assert_null(db);
  assert_non_null(strstr(err.message, "CURRENT"));
  drop_path(path);
}

static void open__bad_arguments(void** state) {
  kist_options* options = NULL;
  kist_batch* batch = NULL;
  kist_db* db = (kist_db*)&options;
  (void)state;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_open(NULL, NULL, &db, &err));
  assert_null(db);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_open("", NULL, &db, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_open(":memory:", NULL, NULL, &err));
  OK(kist_batch_new(&batch));
  db = (kist_db*)&options;
  ASSERT_FAILS(KIST_E_MISUSE, KIST_D_HANDLE,
               kist_open(":memory:", (kist_options*)(void*)batch, &db, &err));
  assert_null(db);
  kist_batch_free(batch);
}

static void open__destroy_removes_our_files_alone(void** state) {
  char* path = new_path();
  char mine[4200];
  kist_db* db = open_plain(path);
  FILE* file;
  (void)state;
  put(kist_default(db), "a", "1");
  OK(kist_flush(db, &err));
  ASSERT_RC(KIST_E_LOCKED, kist_destroy(path, &err));
  expect(kist_default(db), NULL, "a", "1");
  close_strict(db);
  snprintf(mine, sizeof mine, "%s/notes.txt", path);
  file = fopen(mine, "w");
  fputs("mine", file);
  fclose(file);
  OK(kist_destroy(path, &err));
  assert_int_equal(access(mine, F_OK), 0);
  assert_int_equal(count_files(path, ""), 1);
  ASSERT_RC(KIST_E_MISSING, kist_destroy(path, &err));
  assert_int_equal(unlink(mine), 0);
  db = open_plain(path);
  expect(kist_default(db), NULL, "a", NULL);
  close_strict(db);
  OK(kist_destroy(path, &err));
  assert_int_equal(access(path, F_OK), -1);
  ASSERT_RC(KIST_E_MISSING, kist_destroy(path, &err));
  ASSERT_RC(KIST_E_MISSING, kist_destroy(":memory:", &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_destroy(NULL, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME, kist_destroy("", &err));
  drop_path(path);
}

/* Ours count on from their own numbers: what follows the largest that a name can have is no name.
 */
static void open__a_file_with_a_huge_number_leads_nowhere(void** state) {
  const char* const strays[] = {"999999999999999999.kst", "999999999999999999.log",
                                "MANIFEST-999999999999999999"};
  char *path = new_path(), stray[4200];
  kist_db* db = open_plain(path);
  (void)state;
  put(kist_default(db), "a", "1");
  close_strict(db);
  for (size_t i = 0; i < sizeof strays / sizeof *strays; ++i) {
    snprintf(stray, sizeof stray, "%s/%s", path, strays[i]);
    fclose(fopen(stray, "w"));
    db = open_plain(path);
    put(kist_default(db), strays[i], "2");
    OK(kist_flush(db, &err));
    put(kist_default(db), "a", strays[i]);
    close_strict(db);
    db = open_plain(path);
    expect(kist_default(db), NULL, strays[i], "2");
    expect(kist_default(db), NULL, "a", strays[i]);
    close_strict(db);
  }
  drop_path(path);
}

static void open__sequence_numbers_go_on(void** state) {
  char* path = new_path();
  kist_db* db = open_plain(path);
  uint64_t last;
  (void)state;
  assert_int_equal(kist_last_seq(db), 0);
  put(kist_default(db), "a", "1");
  last = kist_last_seq(db);
  assert_true(last > 0);
  close_strict(db);
  db = open_plain(path);
  assert_true(kist_last_seq(db) >= last);
  last = kist_last_seq(db);
  put(kist_default(db), "a", "2");
  assert_true(kist_last_seq(db) > last);
  close_strict(db);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(open__creates_the_directory_and_keeps_what_was_written),
      cmocka_unit_test(open__does_not_create_parents),
      cmocka_unit_test(open__create_if_missing_and_error_if_exists),
      cmocka_unit_test(open__an_empty_directory_is_no_database),
      cmocka_unit_test(open__a_file_is_no_directory),
      cmocka_unit_test(open__locks_against_other_handles),
      cmocka_unit_test(open__the_lock_dies_with_its_owner),
      cmocka_unit_test(open__read_only),
      cmocka_unit_test(open__read_only_of_no_database),
      cmocka_unit_test(open__read_only_changes_no_byte),
      cmocka_unit_test(open__memory_databases_are_private),
      cmocka_unit_test(open__missing_current_is_damage),
      cmocka_unit_test(open__bad_arguments),
      cmocka_unit_test(open__destroy_removes_our_files_alone),
      cmocka_unit_test(open__a_file_with_a_huge_number_leads_nowhere),
      cmocka_unit_test(open__sequence_numbers_go_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
