/* kist_repair: what it saves of a damaged database, which versions count, what it says. What it
 * refuses and how it ends half way is repair_refused_test.c's; every byte flipped, every call
 * failing and every crash is fault/repair_test.cc's. */
#include "support/files.h"

#define KEYS 3000

static char report[1 << 16];
static size_t report_len;

static int lines_with(const char* part) {
  int count = 0;
  const char* line = report;
  while (*line != '\0') {
    const char* end = strchr(line, '\n');
    assert_non_null(end); /* each line is whole */
    count += memmem(line, (size_t)(end - line), part, strlen(part)) != NULL;
    line = end + 1;
  }
  return count;
}

/* Repairs, and holds what every report is: a line a loss, what is saved of damaged tables, the
 * counts. Returns the losses. */
static int repair(const char* path) {
  const char* losses;
  int count;
  OK(kist_repair(path, NULL, report, sizeof report, &report_len, &err));
  assert_int_equal(report_len, strlen(report));
  assert_int_equal(lines_with("repaired: "), 1);
  losses = strstr(report, "losses: ");
  assert_non_null(losses);
  count = atoi(losses + 8);
  assert_int_equal(lines_with(""), count + lines_with("entries of it are saved") + 1);
  return count;
}

static void expect_said(const char* what) {
  if (strstr(report, what) == NULL) fail_msg("the report does not say '%s':\n%s", what, report);
}

static void value_of(char* val, int i, int version) {
  snprintf(val, 100, "value %d of %05d %070d", version, i, i);
}

static void put_all(kist_keyspace* ks, int version) {
  char key[16], val[100];
  int i;
  for (i = 0; i < KEYS; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    value_of(val, i, version);
    put(ks, key, val);
  }
}

/* How many keys have this version; each other must have `older`, or be absent where that is 0. */
static int count_version(kist_keyspace* ks, int version, int older) {
  int i, count = 0;
  for (i = 0; i < KEYS; ++i) {
    char key[16], val[100], want[100];
    size_t len = 0;
    kist_rc rc;
    snprintf(key, sizeof key, "key%05d", i);
    rc = kist_get(ks, NULL, key, strlen(key), val, sizeof val, &len, NULL);
    assert_true(rc == KIST_OK || (rc == KIST_NOT_FOUND && older == 0));
    if (rc != KIST_OK) continue;
    value_of(want, i, version);
    if (len == strlen(want) && memcmp(val, want, len) == 0) {
      ++count;
      continue;
    }
    value_of(want, i, older);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(val, want, len);
  }
  return count;
}

static kist_db* open_manual(const char* path) {
  return open_with(path, "sync=never; compaction=manual; compression=none");
}

static kist_db* open_repaired(const char* path) {
  kist_db* db = open_with(path, "read_only=true");
  OK(kist_verify(db, NULL, &err));
  close_strict(db);
  db = open_manual(path);
  OK(kist_verify(db, NULL, &err));
  return db;
}

/* Closes db; then each loss that leaves the directory without what says which files count. */
static void lose_manifest(const char* path) {
  while (names_with(path, "MANIFEST").count > 0) remove_file(path, oldest_with(path, "MANIFEST"));
}

static void lose_all_lists(const char* path) {
  remove_file(path, "CURRENT");
  lose_manifest(path);
}

static void repair__of_a_sound_database_keeps_everything(void** state) {
  char* path = new_path();
  kist_db* db = open_manual(path);
  kist_keyspace *one = NULL, *two = NULL, *gone = NULL;
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  char names[64];
  size_t len = 0;
  uint64_t seq;
  int64_t left = 0;
  int round;
  (void)state;
  put_all(kist_default(db), 1);
  OK(kist_keyspace_open(db, "one", KIST_KEYSPACE_CREATE, NULL, &one, &err));
  put(one, "a", "table");
  OK(kist_flush(db, &err));
  put_all(kist_default(db), 2);
  OK(kist_delete_range(kist_default(db), NULL, "key00100", 8, "key00200", 8, &err));
  OK(kist_flush(db, &err));
  OK(kist_keyspace_open(db, "two", KIST_KEYSPACE_CREATE, NULL, &two, &err));
  OK(kist_keyspace_open(db, "gone", KIST_KEYSPACE_CREATE, NULL, &gone, &err));
  put(two, "b", "log");
  put(gone, "c", "dropped");
  OK(kist_keyspace_drop(db, "gone", &err));
  OK(kist_delete(kist_default(db), NULL, "key00000", 8, &err));
  wo.ttl_ms = 3600000;
  OK(kist_put(one, &wo, "hour", 4, "1", 1, &err));
  kist_keyspace_free(gone);
  kist_keyspace_free(one);
  kist_keyspace_free(two);
  seq = kist_last_seq(db);
  close_strict(db);
  for (round = 0; round < 2; ++round) {
    assert_int_equal(repair(path), 0);
    expect_said("in 3 keyspaces");
    db = open_repaired(path);
    assert_true(kist_last_seq(db) >= seq);
    assert_int_equal(count_version(kist_default(db), 2, 0), KEYS - 101);
    OK(kist_keyspace_list(db, names, sizeof names, &len, &err));
    assert_int_equal(len, 16);
    assert_memory_equal(names, "default\0one\0two\0", 16);
    OK(kist_keyspace_open(db, "one", KIST_KEYSPACE_OPEN, NULL, &one, &err));
    OK(kist_keyspace_open(db, "two", KIST_KEYSPACE_OPEN, NULL, &two, &err));
    expect(one, NULL, "a", "table");
    expect(two, NULL, "b", "log");
    OK(kist_ttl(one, NULL, "hour", 4, &left, &err));
    assert_true(left > 3500000 && left <= 3600000);
    kist_keyspace_free(one);
    kist_keyspace_free(two);
    close_strict(db);
  }
  drop_path(path);
}

/* Ids are never used again, wherever they stood: a new keyspace is a new one. */
static void repair__keyspaces_that_come_after_are_new(void** state) {
  int lists;
  (void)state;
  for (lists = 0; lists < 2; ++lists) {
    char* path = new_path();
    kist_db* db = open_manual(path);
    kist_keyspace *old = NULL, *dropped = NULL, *fresh = NULL;
    uint32_t highest;
    OK(kist_keyspace_open(db, "old", KIST_KEYSPACE_CREATE, NULL, &old, &err));
    OK(kist_keyspace_open(db, "dropped", KIST_KEYSPACE_CREATE, NULL, &dropped, &err));
    highest = kist_keyspace_id(dropped);
    put(old, "k", "old");
    put(dropped, "k", "dropped");
    OK(kist_keyspace_drop(db, "dropped", &err));
    kist_keyspace_free(old);
    kist_keyspace_free(dropped);
    close_strict(db);
    if (lists == 1) lose_all_lists(path);
    repair(path);
    assert_int_equal(lines_with("keyspace "), 0); /* the log has their names */
    db = open_repaired(path);
    OK(kist_keyspace_open(db, "fresh", KIST_KEYSPACE_CREATE_NEW, NULL, &fresh, &err));
    assert_true(kist_keyspace_id(fresh) > highest);
    expect(fresh, NULL, "k", NULL);
    put(fresh, "k", "fresh");
    kist_keyspace_free(fresh);
    OK(kist_flush(db, &err));
    close_strict(db);
    db = open_repaired(path);
    OK(kist_keyspace_open(db, "old", KIST_KEYSPACE_OPEN, NULL, &old, &err));
    OK(kist_keyspace_open(db, "fresh", KIST_KEYSPACE_OPEN, NULL, &fresh, &err));
    expect(old, NULL, "k", "old");
    expect(fresh, NULL, "k", "fresh");
    ASSERT_RC(KIST_E_MISSING, kist_keyspace_open(db, "dropped", 0, NULL, &dropped, &err));
    kist_keyspace_free(old);
    kist_keyspace_free(fresh);
    close_strict(db);
    drop_path(path);
  }
}

/* The record that dropped a keyspace is lost, and a later one has its name: both are there. */
static void repair__two_keyspaces_of_one_name(void** state) {
  static const unsigned char drop[] = {'K', 'W', 'B', 1, 1, 0, 0, 0, 5};
  char* path = new_path();
  kist_db* db = open_manual(path);
  kist_keyspace *ks = NULL, *again = NULL;
  char name[64], lost[64];
  long at;
  (void)state;
  OK(kist_keyspace_open(db, "same", KIST_KEYSPACE_CREATE, NULL, &ks, &err));
  put(ks, "k", "first");
  snprintf(name, sizeof name, "recovered-%u", (unsigned)kist_keyspace_id(ks));
  OK(kist_keyspace_drop(db, "same", &err));
  OK(kist_keyspace_open(db, "same", KIST_KEYSPACE_CREATE_NEW, NULL, &again, &err));
  put(again, "k", "second");
  kist_keyspace_free(ks);
  kist_keyspace_free(again);
  close_strict(db);
  strcpy(lost, newest_with(path, ".log"));
  at = find_bytes(path, lost, 0, drop, sizeof drop);
  assert_true(at > 0);
  flip(path, lost, at + 9);
  assert_int_equal(repair(path), 2);
  expect_said(lost);
  expect_said(name);
  db = open_repaired(path);
  OK(kist_keyspace_open(db, name, KIST_KEYSPACE_OPEN, NULL, &ks, &err));
  OK(kist_keyspace_open(db, "same", KIST_KEYSPACE_OPEN, NULL, &again, &err));
  expect(ks, NULL, "k", "first");
  expect(again, NULL, "k", "second");
  kist_keyspace_free(ks);
  kist_keyspace_free(again);
  close_strict(db);
  drop_path(path);
}

/* Of a damaged block the older versions count, where there are some. */
static void repair__a_damaged_block_costs_what_it_held(void** state) {
  int older;
  (void)state;
  for (older = 0; older < 2; ++older) {
    char *path = new_path(), table[64], said[80];
    kist_db* db = open_manual(path);
    int newest;
    if (older == 1) {
      put_all(kist_default(db), 1);
      OK(kist_flush(db, &err));
    }
    put_all(kist_default(db), 2);
    put(kist_default(db), "late", "log");
    OK(kist_flush(db, &err));
    put(kist_default(db), "later", "log");
    close_strict(db);
    strcpy(table, newest_with(path, ".kst"));
    flip(path, table, 100000);
    assert_true(repair(path) >= 2); /* what verification says, and the block */
    snprintf(said, sizeof said, "%s: offset ", table);
    expect_said(said);
    snprintf(said, sizeof said, "%s: %d entries of it are saved", table, 0);
    assert_null(strstr(report, said));
    db = open_repaired(path);
    newest = count_version(kist_default(db), 2, older);
    assert_true(newest < KEYS && newest > KEYS - 400); /* 32 KiB hold 300 */
    snprintf(said, sizeof said, "%s: %d entries of it are saved", table, newest + 1);
    expect_said(said);
    expect(kist_default(db), NULL, "late", "log");
    expect(kist_default(db), NULL, "later", "log");
    close_strict(db);
    drop_path(path);
  }
}

static void repair__a_lost_delete_brings_the_key_back(void** state) {
  char* path = new_path();
  kist_db* db = open_manual(path);
  (void)state;
  put(kist_default(db), "a", "1");
  put(kist_default(db), "b", "1");
  OK(kist_flush(db, &err));
  OK(kist_delete(kist_default(db), NULL, "a", 1, &err));
  OK(kist_flush(db, &err));
  OK(kist_delete(kist_default(db), NULL, "b", 1, &err));
  close_strict(db);
  remove_file(path, newest_with(path, ".kst"));
  assert_int_equal(repair(path), 1);
  expect_said(".kst: missing");
  db = open_repaired(path);
  expect(kist_default(db), NULL, "a", "1");
  expect(kist_default(db), NULL, "b", NULL); /* its delete is in the log */
  close_strict(db);
  drop_path(path);
}

static void repair__without_current_or_manifest(void** state) {
  int what;
  (void)state;
  for (what = 0; what < 4; ++what) {
    char* path = new_path();
    kist_db* db = open_manual(path);
    kist_keyspace* ks = NULL;
    put_all(kist_default(db), 1);
    OK(kist_keyspace_open(db, "named", KIST_KEYSPACE_CREATE, NULL, &ks, &err));
    put(ks, "a", "1");
    OK(kist_flush(db, &err));
    OK(kist_delete_range(kist_default(db), NULL, "key00000", 8, "key00010", 8, &err));
    put(ks, "b", "2");
    kist_keyspace_free(ks);
    close_strict(db);
    if (what == 1) { /* its manifest begins with all of that, and ends in an edit that is cut */
      struct bytes b;
      db = open_manual(path);
      put(kist_default(db), "later", "1");
      OK(kist_flush(db, &err));
      close_strict(db);
      b = read_bytes(path, newest_with(path, "MANIFEST"));
      cut(path, newest_with(path, "MANIFEST"), b.len - 20);
      free(b.data);
    }
    if (what == 0) remove_file(path, "CURRENT");
    if (what == 2) lose_manifest(path);
    if (what == 3) lose_all_lists(path);
    assert_true(repair(path) >= 1);
    expect_said("CURRENT");
    db = open_repaired(path);
    assert_int_equal(count_version(kist_default(db), 1, 0), KEYS - 10);
    expect(kist_default(db), NULL, "later", what == 1 ? "1" : NULL);
    OK(kist_keyspace_open(db, what < 2 ? "named" : "recovered-1", 0, NULL, &ks, &err));
    expect(ks, NULL, "a", "1");
    expect(ks, NULL, "b", "2");
    kist_keyspace_free(ks);
    close_strict(db);
    drop_path(path);
  }
}

static const char* watched;
static off_t manifest_bytes;
static kist_db* flushed;

/* A flush that ends while a compaction runs: its edit of the manifest knows of the numbers that the
 * compaction has taken. */
static int32_t flush_once(void* ctx, uint64_t done, uint64_t total) {
  char path[4400];
  struct stat st;
  (void)ctx, (void)done, (void)total;
  if (manifest_bytes != 0) return 0;
  put(kist_default(flushed), "meanwhile", "1");
  OK(kist_flush(flushed, &err));
  snprintf(path, sizeof path, "%s/%s", watched, newest_with(watched, "MANIFEST"));
  assert_int_equal(stat(path, &st), 0);
  manifest_bytes = st.st_size;
  return 0;
}

/* The edit is damaged; or it is cut off with all marks behind it, as if it had been the last. */
static void repair__tables_that_only_a_lost_edit_lists(void** state) {
  int how;
  (void)state;
  for (how = 0; how < 2; ++how) {
    char *path = new_path(), name[64];
    kist_db* db = open_manual(path);
    kist_job job = KIST_JOB_INIT;
    struct bytes b;
    put_all(kist_default(db), 1);
    OK(kist_flush(db, &err));
    put_all(kist_default(db), 2);
    OK(kist_flush(db, &err));
    manifest_bytes = 0;
    watched = path;
    flushed = db;
    job.progress = flush_once;
    OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, &job, &err));
    assert_true(manifest_bytes > 0);
    close_strict(db);
    strcpy(name, newest_with(path, "MANIFEST"));
    b = read_bytes(path, name);
    b.data[manifest_bytes + 60] ^= 1;
    if (how == 1) b.len = (size_t)manifest_bytes + 100;
    if (how == 1) memset(b.data + 512, 0, 1024);
    write_bytes(path, name, b);
    free(b.data);
    ASSERT_RC(KIST_E_CORRUPT, kist_open(path, NULL, &db, &err));
    assert_true(repair(path) > 0);
    db = open_repaired(path);
    assert_int_equal(count_version(kist_default(db), 2, 0), KEYS);
    expect(kist_default(db), NULL, "meanwhile", "1");
    close_strict(db);
    drop_path(path);
  }
}

/* A table that a compaction has replaced and whose removal a power cut took back. */
static void repair__the_newer_of_two_tables_counts(void** state) {
  int lists;
  (void)state;
  for (lists = 0; lists < 2; ++lists) {
    char *path = new_path(), name[64];
    kist_db* db = open_manual(path);
    struct bytes old;
    int version;
    for (version = 1; version <= 4; ++version) {
      put_all(kist_default(db), version);
      OK(kist_flush(db, &err));
      if (version % 2 == 1) continue;
      OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
      if (version == 4) break;
      strcpy(name, newest_with(path, ".kst"));
      old = read_bytes(path, name);
    }
    close_strict(db);
    assert_int_equal(names_with(path, name).count, 0);
    write_bytes(path, name, old);
    if (lists == 0) assert_int_equal(repair(path), 0);
    if (lists == 1) lose_all_lists(path);
    if (lists == 1) repair(path);
    db = open_repaired(path);
    assert_int_equal(count_version(kist_default(db), 4, 0), KEYS);
    close_strict(db);
    free(old.data);
    drop_path(path);
  }
}

/* Where: in a record, the first sector, the chain record; or the file ends too early. */
static void repair__a_damaged_log(void** state) {
  int where;
  (void)state;
  for (where = 0; where < 5; ++where) {
    char *path = new_path(), log[64], said[80];
    kist_db* db = open_manual(path);
    int held;
    put_all(kist_default(db), 1);
    close_strict(db);
    strcpy(log, newest_with(path, ".log"));
    if (where == 0) flip(path, log, 150000);
    if (where == 1) flip(path, log, 20);
    if (where == 2) flip(path, log, 1536 + 12);
    if (where == 3) cut(path, log, 200000);
    if (where == 4) flip(path, log, -20);
    if (where != 1) ASSERT_RC(KIST_E_CORRUPT, kist_open(path, NULL, &db, &err));
    assert_true(where == 1 || repair(path) >= 1);
    if (where == 1) repair(path);
    if (where != 1) {
      snprintf(said, sizeof said, "%s: offset ", log);
      expect_said(said);
    }
    db = open_repaired(path);
    held = count_version(kist_default(db), 1, 0);
    if (where == 0 || where == 4) assert_int_equal(held, KEYS - 1);
    if (where == 1 || where == 2) assert_int_equal(held, KEYS);
    if (where == 3) assert_true(held > 1000 && held < KEYS - 500);
    snprintf(said, sizeof said, "and %d commits of the log", held);
    expect_said(said);
    close_strict(db);
    drop_path(path);
  }
}

/* What was deleted by range or has expired stays away, whatever else is lost. */
static void repair__deletes_and_expiries_hold(void** state) {
  int lists;
  (void)state;
  for (lists = 0; lists < 2; ++lists) {
    char* path = new_path();
    kist_db* db = open_manual(path);
    kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
    int i;
    put_all(kist_default(db), 1);
    put(kist_default(db), "short", "older");
    OK(kist_flush(db, &err));
    OK(kist_delete_range(kist_default(db), NULL, "key00500", 8, "key01000", 8, &err));
    wo.ttl_ms = 1;
    OK(kist_put(kist_default(db), &wo, "short", 5, "newer", 5, &err));
    OK(kist_flush(db, &err));
    put(kist_default(db), "key00600", "again");
    OK(kist_delete_range(kist_default(db), NULL, "key02000", 8, "key02500", 8, &err));
    usleep(5000);
    expect(kist_default(db), NULL, "short", NULL);
    close_strict(db);
    flip(path, oldest_with(path, ".kst"), 1000); /* the first block */
    if (lists == 1) lose_all_lists(path);
    assert_true(repair(path) > 0);
    db = open_repaired(path);
    for (i = 500; i < 1000; ++i) {
      char key[16];
      snprintf(key, sizeof key, "key%05d", i);
      expect(kist_default(db), NULL, key, i == 600 ? "again" : NULL);
      snprintf(key, sizeof key, "key%05d", i + 1500);
      expect(kist_default(db), NULL, key, NULL);
    }
    expect(kist_default(db), NULL, "short", NULL);
    expect(kist_default(db), NULL, "key00000", NULL); /* lost */
    close_strict(db);
    drop_path(path);
  }
}

/* Commit numbers go on, also where nothing but the log knows how far they were. */
static void repair__commit_numbers_go_on(void** state) {
  char *path = new_path(), copy[4200];
  kist_db* db = open_manual(path);
  uint64_t seq = 0;
  int i;
  (void)state;
  for (i = 0; i < 4; ++i) { /* as if killed: numbers leap */
    put(kist_default(db), "k", "1");
    snprintf(copy, sizeof copy, "%s%d", path, i);
    copy_dir(path, copy);
    close_strict(db);
    remove_tree(path);
    assert_int_equal(rename(copy, path), 0);
    db = open_manual(path);
  }
  put(kist_default(db), "k", "2");
  OK(kist_compact(kist_default(db), NULL, 0, NULL, 0, NULL, &err));
  seq = kist_last_seq(db);
  assert_true(seq > 3 << 20);
  close_strict(db);
  db = open_manual(path);
  close_strict(db);
  lose_all_lists(path);
  repair(path);
  db = open_repaired(path);
  assert_true(kist_last_seq(db) >= seq);
  expect(kist_default(db), NULL, "k", "2");
  close_strict(db);
  drop_path(path);
}

/* A directory is left as an identity of its own, with foreign files as they were. */
static void repair__the_outcome_is_another_database(void** state) {
  char *path = new_path(), *target = new_path();
  struct bytes notes = {(unsigned char*)(uintptr_t) "mine", 4}, found;
  kist_db* db = open_manual(path);
  (void)state;
  put(kist_default(db), "a", "1");
  OK(kist_backup(db, target, NULL, NULL, &err));
  close_strict(db);
  write_bytes(path, "notes.tmp", notes);
  assert_int_equal(repair(path), 0);
  found = read_bytes(path, "notes.tmp");
  assert_int_equal(found.len, 4);
  assert_memory_equal(found.data, "mine", 4);
  free(found.data);
  db = open_repaired(path);
  ASSERT_RC(KIST_E_EXISTS, kist_backup(db, target, NULL, NULL, &err));
  close_strict(db);
  drop_path(target);
  drop_path(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(repair__of_a_sound_database_keeps_everything),
      cmocka_unit_test(repair__keyspaces_that_come_after_are_new),
      cmocka_unit_test(repair__two_keyspaces_of_one_name),
      cmocka_unit_test(repair__a_damaged_block_costs_what_it_held),
      cmocka_unit_test(repair__a_lost_delete_brings_the_key_back),
      cmocka_unit_test(repair__without_current_or_manifest),
      cmocka_unit_test(repair__tables_that_only_a_lost_edit_lists),
      cmocka_unit_test(repair__the_newer_of_two_tables_counts),
      cmocka_unit_test(repair__a_damaged_log),
      cmocka_unit_test(repair__deletes_and_expiries_hold),
      cmocka_unit_test(repair__commit_numbers_go_on),
      cmocka_unit_test(repair__the_outcome_is_another_database),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
