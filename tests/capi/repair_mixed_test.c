/* kist_repair where files are sound but not in their place: lists of another database or of an
 * earlier day, files under other names, what is no file at all, what a repair that was killed has
 * left. Damage inside files is repair_test.c's. */
#include "support/files.h"

#include <signal.h>
#include <sys/wait.h>

#define KEYS 500

static char report[1 << 16];
static size_t report_len;

static void repair(const char* path) {
  OK(kist_repair(path, NULL, report, sizeof report, &report_len, &err));
}

static void expect_said(const char* what) {
  if (strstr(report, what) == NULL) fail_msg("the report does not say '%s':\n%s", what, report);
}

static kist_db* open_manual(const char* path) {
  return open_with(path, "sync=never; compaction=manual; compression=none");
}

static void put_all(kist_keyspace* ks, const char* who) {
  char key[16], val[200];
  int i;
  for (i = 0; i < KEYS; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    snprintf(val, sizeof val, "%s %0150d", who, i);
    put(ks, key, val);
  }
}

static void expect_all(kist_keyspace* ks, const char* who) {
  char key[16], val[200];
  int i;
  for (i = 0; i < KEYS; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    snprintf(val, sizeof val, "%s %0150d", who, i);
    expect(ks, NULL, key, val);
  }
}

static kist_db* open_repaired(const char* path) {
  kist_db* db = open_manual(path);
  OK(kist_verify(db, NULL, &err));
  return db;
}

static void move(const char* from_dir, const char* from, const char* to_dir, const char* to) {
  char a[4400], b[4400];
  snprintf(a, sizeof a, "%s/%s", from_dir, from);
  snprintf(b, sizeof b, "%s/%s", to_dir, to);
  assert_int_equal(rename(a, b), 0);
}

static void copy(const char* from_dir, const char* from, const char* to_dir, const char* to) {
  struct bytes b = read_bytes(from_dir, from);
  write_bytes(to_dir, to, b);
  free(b.data);
}

static void lose_lists(const char* path) {
  while (names_with(path, "MANIFEST").count > 0) remove_file(path, oldest_with(path, "MANIFEST"));
  remove_file(path, "CURRENT");
}

/* Three tables, one in a keyspace of its own, and a log; closed. */
static char* make(const char* who) {
  char* path = new_path();
  kist_db* db = open_manual(path);
  kist_keyspace* named = NULL;
  OK(kist_keyspace_open(db, "named", KIST_KEYSPACE_CREATE, NULL, &named, &err));
  put_all(kist_default(db), "older");
  put(named, "k", who);
  OK(kist_flush(db, &err));
  put_all(kist_default(db), who);
  OK(kist_flush(db, &err));
  put(kist_default(db), "late", who);
  kist_keyspace_free(named);
  close_strict(db);
  return path;
}

static void expect_whole(const char* path, const char* who, const char* name) {
  kist_db* db = open_repaired(path);
  kist_keyspace* named = NULL;
  expect_all(kist_default(db), who);
  expect(kist_default(db), NULL, "late", who);
  OK(kist_keyspace_open(db, name, KIST_KEYSPACE_OPEN, NULL, &named, &err));
  expect(named, NULL, "k", who);
  kist_keyspace_free(named);
  close_strict(db);
}

/* Another one's manifest in the place of ours; with its CURRENT; beside ours; of one that is empty.
 * What most of the files belong to counts. */
static void repair_mixed__lists_of_another_database(void** state) {
  int how;
  (void)state;
  for (how = 0; how < 4; ++how) {
    char *a = make("mine"), *b = how == 3 ? new_path() : make("other"), ours[64];
    if (how == 3) close_strict(open_manual(b));
    strcpy(ours, newest_with(a, "MANIFEST"));
    if (how != 2) remove_file(a, ours);
    if (how == 0) copy(b, newest_with(b, "MANIFEST"), a, ours);
    if (how == 2) copy(b, newest_with(b, "MANIFEST"), a, "MANIFEST-000099");
    if (how == 1 || how == 3) copy(b, newest_with(b, "MANIFEST"), a, newest_with(b, "MANIFEST"));
    if (how != 0) copy(b, "CURRENT", a, "CURRENT");
    repair(a);
    expect_said("another database");
    expect_whole(a, "mine", how == 2 ? "named" : "recovered-1");
    drop_path(a);
    drop_path(b);
  }
}

/* The manifest as it was before the last flush; or as it was a day ago, under its own number, with
 * the CURRENT of then. */
static void repair_mixed__lists_of_earlier(void** state) {
  int how;
  (void)state;
  for (how = 0; how < 2; ++how) {
    char *path = new_path(), name[64];
    kist_db* db = open_manual(path);
    kist_keyspace* named = NULL;
    struct bytes manifest, current;
    put_all(kist_default(db), "older");
    OK(kist_flush(db, &err));
    strcpy(name, newest_with(path, "MANIFEST"));
    manifest = read_bytes(path, name);
    current = read_bytes(path, "CURRENT");
    if (how == 1) close_strict(db);
    if (how == 1) db = open_manual(path);
    OK(kist_keyspace_open(db, "named", KIST_KEYSPACE_CREATE, NULL, &named, &err));
    put(named, "k", "mine");
    put_all(kist_default(db), "mine");
    OK(kist_flush(db, &err));
    put(kist_default(db), "late", "mine");
    kist_keyspace_free(named);
    close_strict(db);
    write_bytes(path, name, manifest);
    write_bytes(path, "CURRENT", current);
    free(manifest.data);
    free(current.data);
    ASSERT_RC(KIST_E_CORRUPT, kist_open(path, NULL, &db, &err));
    repair(path);
    expect_whole(path, "mine", how == 1 ? "named" : "recovered-1");
    drop_path(path);
  }
}

/* The lists as a repair left them, which know of no log yet: what came after is in the log, in
 * tables, or is nothing. */
static void repair_mixed__lists_of_a_repair(void** state) {
  int how;
  (void)state;
  for (how = 0; how < 3; ++how) {
    char *path = make("older"), name[64];
    struct bytes manifest, current;
    kist_db* db = NULL;
    repair(path);
    strcpy(name, newest_with(path, "MANIFEST"));
    manifest = read_bytes(path, name);
    current = read_bytes(path, "CURRENT");
    db = open_manual(path);
    if (how < 2) put_all(kist_default(db), "mine");
    if (how == 1) OK(kist_flush(db, &err));
    close_strict(db);
    write_bytes(path, name, manifest);
    write_bytes(path, "CURRENT", current);
    free(manifest.data);
    free(current.data);
    if (how < 2) {
      const uint64_t before = hash_of(path);
      kist_err err = KIST_ERR_INIT;
      assert_int_equal(kist_open(path, NULL, &db, &err), KIST_E_CORRUPT);
      assert_non_null(strstr(err.message, ".log"));
      assert_true(hash_of(path) == before);
      repair(path);
    }
    db = open_repaired(path);
    expect_all(kist_default(db), how < 2 ? "mine" : "older");
    close_strict(db);
    drop_path(path);
  }
}

/* Files say what they are. Two tables swapped; one under a new name; a damaged one and its copy; a
 * log under a new name. */
static void repair_mixed__files_under_other_names(void** state) {
  int how, lists;
  (void)state;
  for (how = 0; how < 8; ++how) {
    char *path = make("mine"), old[64], young[64];
    const char* end = how / 2 == 3 ? ".log" : ".kst";
    lists = how % 2;
    strcpy(old, oldest_with(path, end));
    strcpy(young, newest_with(path, end));
    if (how / 2 == 0) {
      move(path, old, path, "aside");
      move(path, young, path, old);
      move(path, "aside", path, young);
    }
    if (how / 2 == 1) move(path, young, path, "000123.kst");
    if (how / 2 == 2) copy(path, young, path, "000123.kst");
    if (how / 2 == 2) flip(path, young, 5000);
    if (how / 2 == 3) move(path, young, path, "000123.log");
    if (lists == 1) lose_lists(path);
    repair(path);
    if (how / 2 != 2) expect_said("under another name");
    expect_whole(path, "mine", lists == 0 ? "named" : "recovered-1");
    drop_path(path);
  }
}

static int32_t die_over_the_third(void* path, uint64_t done, uint64_t total) {
  (void)done, (void)total;
  if (count_files(path, ".kst") >= 4) raise(SIGKILL);
  return 0;
}

/* Without lists, files are judged by their majority: what a repair that was killed has written of
 * its outcome, more tables than there were, has no say. */
static void repair_mixed__what_a_killed_repair_leaves(void** state) {
  enum { BIG = 80, BYTES = 1 << 20 };
  char *path = new_path(), *val = malloc(BYTES), key[16];
  kist_db* db = open_with(path,
                          "sync=never; compaction=manual; compression=none; "
                          "target_file_size=256MiB");
  kist_job job = KIST_JOB_INIT;
  size_t k;
  uint32_t x = 1;
  pid_t child;
  int i, status = 0;
  (void)state;
  for (i = 0; i < BIG; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    for (k = 0; k < BYTES; ++k) val[k] = (char)(x = x * 69069 + 1, x >> 24);
    val[0] = (char)i;
    OK(kist_put(kist_default(db), NULL, key, 8, val, BYTES, &err));
  }
  OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
  close_strict(db);
  assert_int_equal(count_files(path, ".kst"), 1);
  lose_lists(path);
  remove_file(path, newest_with(path, ".log"));
  job.progress = die_over_the_third;
  job.ctx = path;
  child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(kist_repair(path, &job, NULL, 0, NULL, NULL) < 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status));
  repair(path);
  db = open_repaired(path);
  for (i = 0; i < BIG; ++i) {
    size_t len = 0;
    snprintf(key, sizeof key, "key%05d", i);
    OK(kist_get(kist_default(db), NULL, key, 8, val, BYTES, &len, &err));
    assert_int_equal(len, BYTES);
    assert_int_equal(val[0], i);
  }
  close_strict(db);
  free(val);
  drop_path(path);
}

/* Of the files that are left, a table without its footer, none says whose it is: CURRENT does, or a
 * manifest whose records are gone. */
static void repair_mixed__whose_files_they_are(void** state) {
  int how;
  (void)state;
  for (how = 0; how < 2; ++how) {
    char* path = make("mine");
    kist_db* db;
    struct bytes b;
    while (names_with(path, ".log").count > 0) remove_file(path, oldest_with(path, ".log"));
    while (names_with(path, ".kst").count > 1) remove_file(path, oldest_with(path, ".kst"));
    b = read_bytes(path, newest_with(path, ".kst"));
    cut(path, newest_with(path, ".kst"), b.len - 20);
    free(b.data);
    if (how == 0) remove_file(path, newest_with(path, "MANIFEST"));
    if (how == 1) cut(path, newest_with(path, "MANIFEST"), 1536);
    if (how == 1) remove_file(path, "CURRENT");
    repair(path);
    db = open_repaired(path);
    expect_all(kist_default(db), "mine");
    close_strict(db);
    drop_path(path);
  }
}

/* A directory, a pipe, a link that leads nowhere, in the place of a table or under a free number;
 * a link to the table itself is as good as the table. */
static void repair_mixed__what_is_no_file(void** state) {
  int how;
  (void)state;
  for (how = 0; how < 8; ++how) {
    char *path = make("mine"), name[64], file[4400];
    kist_db* db = NULL;
    int i;
    strcpy(name, oldest_with(path, ".kst"));
    if (how >= 4) strcpy(name, "000099.kst");
    if (how == 7) strcpy(name, "000099.log");
    if (how == 3) move(path, name, path, "aside");
    if (how < 3) remove_file(path, name);
    snprintf(file, sizeof file, "%s/%s", path, name);
    if (how % 4 == 0) assert_int_equal(mkdir(file, 0755), 0);
    if (how % 4 == 1) assert_int_equal(mkfifo(file, 0644), 0);
    if (how % 4 == 2) assert_int_equal(symlink("nowhere", file), 0);
    if (how == 3) assert_int_equal(symlink("aside", file), 0);
    if (how == 7) assert_int_equal(mkfifo(file, 0644), 0);
    if (how < 3) ASSERT_RC(KIST_E_CORRUPT, kist_open(path, NULL, &db, &err));
    for (i = 0; i < 2; ++i) { /* the pipe is gone then, the directory is not */
      repair(path);
      if (how != 3 && i == 0) expect_said(name);
      db = open_repaired(path);
      expect_all(kist_default(db), "mine");
      expect(kist_default(db), NULL, "late", "mine");
      close_strict(db);
    }
    drop_path(path);
  }
}

/* Files that claim to be huge cost neither the memory nor the time to read that. */
static void repair_mixed__huge_files_of_nothing(void** state) {
  static const char* const kinds[] = {"CURRENT", "MANIFEST", ".log", ".kst"};
  int i;
  (void)state;
  for (i = 0; i < 4; ++i) {
    char *path = make("mine"), file[4400];
    kist_db* db = NULL;
    snprintf(file, sizeof file, "%s/%s", path, newest_with(path, kinds[i]));
    assert_int_equal(truncate(file, (off_t)1 << 40), 0);
    if (i == 0 || i == 3) ASSERT_RC(KIST_E_CORRUPT, kist_open(path, NULL, &db, &err));
    repair(path);
    expect_whole(path, "mine", "named");
    drop_path(path);
  }
}

/* The name that a keyspace would be given is another one's. */
static void repair_mixed__names_that_are_taken(void** state) {
  char *path = new_path(), name[64];
  kist_db* db = open_manual(path);
  kist_keyspace *ks = NULL, *next = NULL;
  (void)state;
  OK(kist_keyspace_open(db, "named", KIST_KEYSPACE_CREATE, NULL, &ks, &err));
  put(ks, "k", "mine");
  snprintf(name, sizeof name, "recovered-%u", (unsigned)kist_keyspace_id(ks));
  kist_keyspace_free(ks);
  OK(kist_flush(db, &err));
  OK(kist_keyspace_open(db, name, KIST_KEYSPACE_CREATE, NULL, &next, &err));
  put(next, "k", "taken"); /* and this is in the log, with its name */
  kist_keyspace_free(next);
  close_strict(db);
  lose_lists(path);
  repair(path);
  db = open_repaired(path);
  OK(kist_keyspace_open(db, name, KIST_KEYSPACE_OPEN, NULL, &next, &err));
  expect(next, NULL, "k", "taken");
  kist_keyspace_free(next);
  strcat(name, "-1");
  OK(kist_keyspace_open(db, name, KIST_KEYSPACE_OPEN, NULL, &ks, &err));
  expect(ks, NULL, "k", "mine");
  kist_keyspace_free(ks);
  close_strict(db);
  drop_path(path);
}

/* Names, options and drops of whole edits count, though one before them is damaged: the first, or a
 * later one. */
static void repair_mixed__edits_behind_a_damaged_one(void** state) {
  int how;
  (void)state;
  for (how = 0; how < 2; ++how) {
    char *path = new_path(), manifest[64];
    kist_db* db = open_manual(path);
    kist_keyspace* ks = NULL;
    struct bytes b;
    put(kist_default(db), "first", "mine");
    OK(kist_flush(db, &err));
    strcpy(manifest, newest_with(path, "MANIFEST"));
    b = read_bytes(path, manifest);
    OK(kist_keyspace_open(db, "named", KIST_KEYSPACE_CREATE, NULL, &ks, &err));
    put(ks, "k", "mine");
    put_all(kist_default(db), "mine");
    OK(kist_flush(db, &err));
    put(kist_default(db), "late", "mine");
    kist_keyspace_free(ks);
    close_strict(db);
    flip(path, manifest, how == 0 ? 1536 + 72 + 40 : (long)b.len - 12);
    free(b.data);
    ASSERT_RC(KIST_E_CORRUPT, kist_open(path, NULL, &db, &err));
    repair(path);
    expect_whole(path, "mine", "named");
    db = open_repaired(path);
    expect(kist_default(db), NULL, "first", "mine");
    close_strict(db);
    drop_path(path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(repair_mixed__lists_of_another_database),
      cmocka_unit_test(repair_mixed__lists_of_earlier),
      cmocka_unit_test(repair_mixed__lists_of_a_repair),
      cmocka_unit_test(repair_mixed__files_under_other_names),
      cmocka_unit_test(repair_mixed__what_a_killed_repair_leaves),
      cmocka_unit_test(repair_mixed__whose_files_they_are),
      cmocka_unit_test(repair_mixed__what_is_no_file),
      cmocka_unit_test(repair_mixed__huge_files_of_nothing),
      cmocka_unit_test(repair_mixed__names_that_are_taken),
      cmocka_unit_test(repair_mixed__edits_behind_a_damaged_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
