/* kist_repair: arguments, the report's buffer, what it refuses, and its ends half way. Until the
 * outcome is complete the original is as it was: names and bytes are compared. What it saves is
 * repair_test.c's. */
#include "support/files.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define KEYS 2000

static char* path;

static kist_db* open_manual(void) {
  return open_with(path, "sync=never; compaction=manual; compression=none");
}

/* Two tables of the same keys, one of them damaged, and a log. */
static int set_up(void** state) {
  kist_db* db;
  char key[16], val[200];
  int i, round;
  (void)state;
  path = new_path();
  db = open_manual();
  memset(val, 'v', sizeof val);
  for (round = 0; round < 2; ++round) {
    for (i = 0; i < KEYS; ++i) {
      snprintf(key, sizeof key, "key%05d", i);
      OK(kist_put(kist_default(db), NULL, key, 8, val, sizeof val, &err));
    }
    OK(kist_flush(db, &err));
  }
  put(kist_default(db), "late", "1");
  close_strict(db);
  flip(path, newest_with(path, ".kst"), 100000);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  drop_path(path);
  return 0;
}

static void expect_repaired(void) {
  kist_db* db = open_manual();
  char key[16];
  int i;
  OK(kist_verify(db, NULL, &err));
  for (i = 0; i < KEYS; ++i) {
    snprintf(key, sizeof key, "key%05d", i);
    OK(kist_exists(kist_default(db), NULL, key, 8, &err));
  }
  expect(kist_default(db), NULL, "late", "1");
  close_strict(db);
}

static void repair_refused__arguments(void** state) {
  const uint64_t before = hash_of(path);
  kist_job job = KIST_JOB_INIT;
  struct {
    kist_job known;
    uint64_t more;
  } newer = {KIST_JOB_INIT, 1};
  char report[64] = "before";
  size_t len = 9;
  (void)state;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_repair(NULL, NULL, report, sizeof report, &len, &err));
  assert_string_equal(report, "");
  assert_int_equal(len, 0);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NAME,
               kist_repair("", NULL, report, sizeof report, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_repair(path, NULL, NULL, 1, &len, &err));
  job.flags = 1;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_FLAG, kist_repair(path, &job, NULL, 0, &len, &err));
  job.flags = 0;
  job.size = 0;
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_STRUCT, kist_repair(path, &job, NULL, 0, &len, &err));
  newer.known.size = sizeof newer;
  ASSERT_FAILS(KIST_E_TOO_NEW, KIST_D_STRUCT, kist_repair(path, &newer.known, NULL, 0, &len, &err));
  assert_int_equal(kist_repair(NULL, NULL, NULL, 0, NULL, NULL), KIST_E_INVALID);
  assert_true(hash_of(path) == before);
  newer.more = 0;
  assert_int_equal(kist_repair(path, &newer.known, NULL, 0, NULL, NULL), KIST_TRUNCATED);
  expect_repaired();
}

/* Whatever the buffer holds, the repair is made, and the length is told. */
static void repair_refused__a_report_that_does_not_fit(void** state) {
  char copy[4200], whole[4096], part[4096];
  size_t len = 0, told = 0, cap;
  int i;
  (void)state;
  snprintf(copy, sizeof copy, "%s.whole", path);
  copy_dir(path, copy);
  OK(kist_repair(copy, NULL, whole, sizeof whole, &len, &err));
  assert_int_equal(len, strlen(whole));
  assert_true(len > 100 && whole[len - 1] == '\n');
  remove_tree(copy);
  for (i = 0; i < 5; ++i) {
    const size_t caps[] = {0, 1, 50, len, len + 1};
    cap = caps[i];
    copy_dir(path, copy);
    memset(part, '#', sizeof part);
    ASSERT_RC(cap > len ? KIST_OK : KIST_TRUNCATED,
              kist_repair(copy, NULL, cap == 0 ? NULL : part, cap, &told, &err));
    assert_int_equal(told, len);
    if (cap > 0) assert_memory_equal(part, whole, cap - 1);
    if (cap > 0) assert_int_equal(part[cap - 1], '\0');
    assert_int_equal(part[cap], '#');
    close_strict(open_plain(copy));
    remove_tree(copy);
  }
}

static void repair_refused__nothing_to_repair(void** state) {
  struct bytes notes = {(unsigned char*)(uintptr_t) "mine", 4};
  char other[4200], file[4300], report[4096];
  kist_db* db = NULL;
  (void)state;
  snprintf(other, sizeof other, "%s.other", path);
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_repair(other, NULL, NULL, 0, NULL, &err));
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_repair(":memory:", NULL, NULL, 0, NULL, &err));
  assert_int_equal(mkdir(other, 0755), 0);
  write_bytes(other, "notes.txt", notes);
  write_bytes(other, "CURRENT.tmp", notes);
  ASSERT_FAILS(KIST_E_MISSING, KIST_D_NONE, kist_repair(other, NULL, NULL, 0, NULL, &err));
  assert_int_equal(names_with(other, "").count, 2);
  snprintf(file, sizeof file, "%s/notes.txt", other);
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NONE, kist_repair(file, NULL, NULL, 0, NULL, &err));
  /* A CURRENT alone is all that is left of one. */
  write_bytes(other, "CURRENT", notes);
  ASSERT_RC(KIST_E_CORRUPT, kist_open(other, NULL, &db, &err));
  OK(kist_repair(other, NULL, report, sizeof report, NULL, &err));
  assert_non_null(strstr(report, "0 entries"));
  close_strict(open_plain(other));
  remove_tree(other);
}

static void repair_refused__while_it_is_open(void** state) {
  const uint64_t before = hash_of(path);
  kist_db* db = NULL;
  int ready[2], done[2], status = 0;
  char c = 0;
  pid_t child;
  (void)state;
  assert_int_equal(pipe(ready), 0);
  assert_int_equal(pipe(done), 0);
  child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    db = open_manual();
    if (write(ready[1], "x", 1) != 1 || read(done[0], &c, 1) != 1) _exit(1);
    _exit(0);
  }
  assert_int_equal(read(ready[0], &c, 1), 1);
  ASSERT_FAILS(KIST_E_LOCKED, KIST_D_NONE, kist_repair(path, NULL, NULL, 0, NULL, &err));
  assert_int_equal(write(done[1], "x", 1), 1);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  close(ready[0]), close(ready[1]), close(done[0]), close(done[1]);
  db = open_manual();
  ASSERT_FAILS(KIST_E_LOCKED, KIST_D_NONE, kist_repair(path, NULL, NULL, 0, NULL, &err));
  expect(kist_default(db), NULL, "late", "1");
  close_strict(db);
  assert_true(hash_of(path) != before); /* the openings made files of their own */
  ASSERT_RC(KIST_TRUNCATED, kist_repair(path, NULL, NULL, 0, NULL, &err));
  expect_repaired();
}

static void* repair_too(void* rc) {
  *(kist_rc*)rc = kist_repair(path, NULL, NULL, 0, NULL, NULL);
  return NULL;
}

static void repair_refused__one_at_a_time(void** state) {
  pthread_t threads[4];
  kist_rc rcs[4];
  int i, made = 0;
  (void)state;
  for (i = 0; i < 4; ++i)
    assert_int_equal(pthread_create(&threads[i], NULL, repair_too, &rcs[i]), 0);
  for (i = 0; i < 4; ++i) {
    pthread_join(threads[i], NULL);
    assert_true(rcs[i] == KIST_TRUNCATED || rcs[i] == KIST_E_LOCKED);
    made += rcs[i] == KIST_TRUNCATED;
  }
  assert_true(made > 0);
  expect_repaired();
}

struct watch {
  int calls, stop_at, kill;
  uint64_t done, total;
};

static int32_t stop_or_kill(void* ctx, uint64_t done, uint64_t total) {
  struct watch* w = ctx;
  assert_true(done <= total && done >= w->done);
  w->done = done;
  w->total = total;
  if (++w->calls != w->stop_at) return 0;
  if (w->kill) raise(SIGKILL);
  return 1;
}

static void repair_refused__cancelled(void** state) {
  const uint64_t before = hash_of(path);
  kist_rc rc = KIST_E_CANCELLED;
  int n;
  (void)state;
  for (n = 1; rc == KIST_E_CANCELLED; ++n) {
    struct watch w = {0, 0, 0, 0, 0};
    kist_job job = KIST_JOB_INIT;
    char report[64];
    kist_err err = KIST_ERR_INIT;
    w.stop_at = n;
    job.progress = stop_or_kill;
    job.ctx = &w;
    rc = kist_repair(path, &job, report, sizeof report, NULL, &err);
    if (rc == KIST_E_CANCELLED) {
      assert_int_equal(err.code, rc);
      assert_int_equal(w.calls, n); /* it asks no more */
      assert_string_equal(report, "");
      assert_true(hash_of(path) == before);
    } else {
      assert_int_equal(rc, KIST_TRUNCATED);
      assert_int_equal(w.done, w.total);
    }
  }
  assert_true(n > 5);
  expect_repaired();
}

/* The files of the original are there with their bytes, new ones stand beside them. */
static void repair_refused__killed_half_way(void** state) {
  char copy[4200];
  int n, status = 0;
  (void)state;
  snprintf(copy, sizeof copy, "%s.copy", path);
  copy_dir(path, copy);
  for (n = 1; n < 200; ++n) {
    const struct names names = names_with(copy, "");
    int i;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      struct watch w = {0, 0, 1, 0, 0};
      kist_job job = KIST_JOB_INIT;
      w.stop_at = n;
      job.progress = stop_or_kill;
      job.ctx = &w;
      _exit(kist_repair(path, &job, NULL, 0, NULL, NULL) == KIST_TRUNCATED ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) break;
    for (i = 0; i < names.count; ++i) {
      struct bytes a = read_bytes(copy, names.name[i]), b = read_bytes(path, names.name[i]);
      assert_int_equal(a.len, b.len);
      assert_memory_equal(a.data, b.data, a.len);
      free(a.data);
      free(b.data);
    }
  }
  assert_int_equal(status, 0);
  assert_true(n > 5);
  expect_repaired();
  remove_tree(copy);
}

/* Files may only be so long: as a full disk, wherever it is met. */
static void repair_refused__no_space(void** state) {
  const uint64_t before = hash_of(path);
  struct rlimit r, limited;
  kist_rc rc = KIST_E_NOSPACE;
  rlim_t most;
  int refused = 0;
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
  for (most = 0; rc != KIST_TRUNCATED; most = most * 3 / 2 + 20) {
    kist_err err = KIST_ERR_INIT;
    limited = r;
    limited.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limited), 0);
    rc = kist_repair(path, NULL, NULL, 0, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
    if (rc == KIST_TRUNCATED) break;
    if (rc != KIST_E_NOSPACE) fail_msg("%s: %s", kist_rc_name(rc), err.message);
    assert_true(hash_of(path) == before);
    ++refused;
  }
  assert_true(refused > 5);
  expect_repaired();
}

/* Without descriptors it reads or writes nothing: that is no damage. */
static void repair_refused__io_errors(void** state) {
  const uint64_t before = hash_of(path);
  struct rlimit r, limited;
  rlim_t most;
  int refused = 0;
  (void)state;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &r), 0);
  for (most = 3; most < 40; ++most) {
    kist_err err = KIST_ERR_INIT;
    kist_rc rc;
    limited = r;
    limited.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limited), 0);
    rc = kist_repair(path, NULL, NULL, 0, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
    if (rc == KIST_TRUNCATED) break;
    if (rc != KIST_E_IO) fail_msg("%s: %s", kist_rc_name(rc), err.message);
    assert_int_equal(err.sys_errno, EMFILE);
    assert_true(hash_of(path) == before);
    ++refused;
  }
  assert_true(refused > 1 && most < 40);
  expect_repaired();
}

static void repair_refused__without_permission(void** state) {
  const uint64_t before = hash_of(path);
  const int root = geteuid() == 0;
  int what;
  (void)state;
  for (what = 0; what < 2; ++what) { /* the directory cannot be entered; or not be changed */
    char parent[4096];
    kist_rc rc;
    kist_err err = KIST_ERR_INIT;
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(chmod(parent, what == 0 ? 0700 : 0755), 0);
    assert_int_equal(chmod(path, what == 0 && !root ? 0 : 0555), 0);
    if (root) assert_int_equal(seteuid(65534), 0);
    rc = kist_repair(path, NULL, NULL, 0, NULL, &err);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(path, 0755), 0);
    if (rc != KIST_E_PERMISSION) fail_msg("%s: %s", kist_rc_name(rc), err.message);
    assert_true(hash_of(path) == before);
  }
  ASSERT_RC(KIST_TRUNCATED, kist_repair(path, NULL, NULL, 0, NULL, &err));
  expect_repaired();
}

static uint32_t crc32c(const unsigned char* p, size_t n) {
  uint32_t crc = ~0u;
  size_t i;
  int bit;
  for (i = 0; i < n; ++i) {
    crc ^= p[i];
    for (bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

static void seal_with_crc(unsigned char* p, size_t n) {
  const uint32_t crc = crc32c(p, n);
  int i;
  for (i = 0; i < 4; ++i) p[n + (size_t)i] = (unsigned char)(crc >> 8 * i);
}

/* What a newer version of Kist wrote is not damage. */
static void repair_refused__a_newer_format(void** state) {
  static const char* const kinds[] = {"CURRENT", "MANIFEST", ".log"};
  int i;
  (void)state;
  for (i = 0; i < 3; ++i) {
    char name[64];
    kist_db* db = NULL;
    struct bytes was, b;
    uint64_t before;
    strcpy(name, newest_with(path, kinds[i]));
    was = read_bytes(path, name);
    b = read_bytes(path, name);
    b.data[8] = 9; /* the version, of each of them */
    seal_with_crc(b.data, i == 0 ? 36 : 60);
    write_bytes(path, name, b);
    before = hash_of(path);
    ASSERT_RC(KIST_E_TOO_NEW, kist_open(path, NULL, &db, &err));
    ASSERT_FAILS(KIST_E_TOO_NEW, KIST_D_NONE, kist_repair(path, NULL, NULL, 0, NULL, &err));
    assert_true(hash_of(path) == before);
    write_bytes(path, name, was);
    free(was.data);
    free(b.data);
  }
  ASSERT_RC(KIST_TRUNCATED, kist_repair(path, NULL, NULL, 0, NULL, &err));
  expect_repaired();
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(repair_refused__arguments),         TEST(repair_refused__a_report_that_does_not_fit),
      TEST(repair_refused__nothing_to_repair), TEST(repair_refused__while_it_is_open),
      TEST(repair_refused__one_at_a_time),     TEST(repair_refused__cancelled),
      TEST(repair_refused__killed_half_way),   TEST(repair_refused__no_space),
      TEST(repair_refused__io_errors),         TEST(repair_refused__without_permission),
      TEST(repair_refused__a_newer_format),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
