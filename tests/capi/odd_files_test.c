/* What is no file in the place of one: a pipe, a socket, a directory, a device, a link that leads
 * nowhere or back to itself, for each kind of file that a database has. No call waits for such a
 * thing; one that needs the file says which one it is; one that does not need it goes on. */
#include "support/files.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

enum kind { PIPE, SOCKET, DIRECTORY, DEVICE, NOWHERE, LOOP, KINDS };
static const char* const kind_names[] = {"pipe",   "socket",  "directory",
                                         "device", "nowhere", "loop"};

enum { PATIENCE_S = 60 };

static char* path;

static int set_up(void** state) {
  kist_db* db;
  (void)state;
  path = new_path();
  db = open_with(path, "sync=never; compaction=manual");
  put(kist_default(db), "table", "1");
  OK(kist_flush(db, &err));
  put(kist_default(db), "log", "2");
  close_strict(db);
  return 0;
}

static int tear_down(void** state) {
  (void)state;
  drop_path(path);
  return 0;
}

/* 0: not allowed here. What was there goes. */
static int put_in_place(const char* name, enum kind kind) {
  char place[4400];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd;
  snprintf(place, sizeof place, "%s/%s", path, name);
  unlink(place);
  switch (kind) {
    case PIPE:
      return mkfifo(place, 0644) == 0;
    case SOCKET:
      if (strlen(place) >= sizeof address.sun_path) return 0;
      memcpy(address.sun_path, place, strlen(place));
      fd = socket(AF_UNIX, SOCK_STREAM, 0);
      if (bind(fd, (struct sockaddr*)&address, sizeof address) != 0) abort();
      close(fd);
      return 1;
    case DIRECTORY:
      return mkdir(place, 0755) == 0;
    case DEVICE:
      return mknod(place, S_IFCHR | 0644, (1 << 8) | 5) == 0; /* /dev/zero; root alone may */
    case NOWHERE:
      return symlink("nowhere", place) == 0;
    default:
      return symlink(name, place) == 0;
  }
}

/* In a child that may hang: the code, or a failure here where it did not return. */
static kist_rc in_child(kist_rc (*call)(kist_err*), const char* names_it) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    kist_err err = KIST_ERR_INIT;
    kist_rc rc;
    alarm(PATIENCE_S);
    rc = call(&err);
    if (rc < 0 && names_it != NULL && strstr(err.message, names_it) == NULL) {
      fprintf(stderr, "%s does not name %s\n", err.message, names_it);
      _exit(100);
    }
    _exit(-rc);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFSIGNALED(status)) fail_msg("%s: it ended by signal %d", names_it, WTERMSIG(status));
  assert_int_not_equal(WEXITSTATUS(status), 100);
  return -WEXITSTATUS(status);
}

static kist_rc open_and_look(const char* text, kist_err* err) {
  kist_options* options = NULL;
  kist_db* db = NULL;
  kist_rc rc = kist_options_new(&options);
  if (rc == KIST_OK) rc = kist_options_parse(options, text, err);
  if (rc == KIST_OK) rc = kist_open(path, options, &db, err);
  if (rc == KIST_OK) rc = kist_verify(db, NULL, err);
  if (rc == KIST_OK && kist_exists(kist_default(db), NULL, "table", 5, err) != KIST_OK) _exit(101);
  if (rc == KIST_OK && kist_exists(kist_default(db), NULL, "log", 3, err) != KIST_OK) _exit(102);
  if (rc == KIST_OK) rc = kist_close(db, KIST_CLOSE_STRICT, err);
  return rc;
}

static kist_rc open_for_writing(kist_err* err) {
  return open_and_look("sync=never; create_if_missing=true", err);
}

static kist_rc open_read_only(kist_err* err) { return open_and_look("read_only=true", err); }

static kist_rc repair(kist_err* err) {
  const kist_rc rc = kist_repair(path, NULL, NULL, 0, NULL, err);
  return rc == KIST_TRUNCATED ? KIST_OK : rc; /* the report */
}

/* After a repair: whatever is left opens. */
static kist_rc open_at_all(kist_err* err) {
  kist_db* db = NULL;
  kist_rc rc = kist_open(path, NULL, &db, err);
  if (rc == KIST_OK) rc = kist_verify(db, NULL, err);
  if (rc == KIST_OK) rc = kist_close(db, KIST_CLOSE_STRICT, err);
  return rc;
}

/* A file that counts: neither open does without it, and what was there stays. */
static void needed(const char* file) {
  char name[64];
  enum kind kind;
  strcpy(name, file);
  for (kind = 0; kind < KINDS; ++kind) {
    const kist_rc want = kind == LOOP ? KIST_E_IO : KIST_E_CORRUPT;
    struct bytes before = read_bytes(path, name);
    if (put_in_place(name, kind)) {
      char place[4400];
      print_message("%s in the place of %s\n", kind_names[kind], name);
      assert_int_equal(in_child(open_read_only, name), want);
      assert_int_equal(in_child(open_for_writing, name), want);
      snprintf(place, sizeof place, "%s/%s", path, name);
      assert_int_equal(remove(place), 0);
    }
    write_bytes(path, name, before);
    free(before.data);
    assert_int_equal(in_child(open_read_only, NULL), KIST_OK);
  }
}

static void odd_files__current(void** state) {
  (void)state;
  needed("CURRENT");
}

static void odd_files__manifest(void** state) {
  (void)state;
  needed(newest_with(path, "MANIFEST-"));
}

static void odd_files__log(void** state) {
  (void)state;
  needed(newest_with(path, ".log"));
}

static void odd_files__table(void** state) {
  (void)state;
  needed(newest_with(path, ".kst"));
}

/* Beyond the log's end nobody can tell what it was. */
static void odd_files__a_log_too_many(void** state) {
  enum kind kind;
  (void)state;
  for (kind = 0; kind < KINDS; ++kind) {
    const kist_rc want = kind == LOOP ? KIST_E_IO : KIST_E_CORRUPT;
    char place[4400];
    if (!put_in_place("000999.log", kind)) continue;
    assert_int_equal(in_child(open_read_only, "000999.log"), want);
    assert_int_equal(in_child(open_for_writing, "000999.log"), want);
    snprintf(place, sizeof place, "%s/000999.log", path);
    assert_int_equal(remove(place), 0);
    assert_int_equal(in_child(open_read_only, NULL), KIST_OK);
  }
}

/* Readers need no lock; a link to nowhere becomes a file. */
static void odd_files__lock(void** state) {
  enum kind kind;
  (void)state;
  for (kind = 0; kind < KINDS; ++kind) {
    char place[4400];
    snprintf(place, sizeof place, "%s/LOCK", path);
    remove(place);
    if (!put_in_place("LOCK", kind)) continue;
    assert_int_equal(in_child(open_read_only, NULL), KIST_OK);
    assert_int_equal(in_child(open_for_writing, "LOCK"), kind == NOWHERE ? KIST_OK : KIST_E_IO);
  }
}

/* What a database is as well without. */
static void unneeded(const char* name) {
  enum kind kind;
  for (kind = 0; kind < KINDS; ++kind) {
    char place[4400];
    if (!put_in_place(name, kind)) continue;
    print_message("%s in the place of %s\n", kind_names[kind], name);
    assert_int_equal(in_child(open_read_only, NULL), KIST_OK);
    assert_int_equal(in_child(open_for_writing, NULL), KIST_OK);
    snprintf(place, sizeof place, "%s/%s", path, name);
    remove(place);
  }
}

static void odd_files__reserve(void** state) {
  (void)state;
  unneeded("RESERVE");
}

static void odd_files__leftovers(void** state) {
  (void)state;
  unneeded("MANIFEST-000001");
  unneeded("000998.kst");
}

/* The file that becomes CURRENT: whatever is in its place goes, but a directory stays. */
static void odd_files__temporary(void** state) {
  enum kind kind;
  (void)state;
  for (kind = 0; kind < KINDS; ++kind) {
    const kist_rc want = kind == DIRECTORY ? KIST_E_IO : KIST_OK;
    if (!put_in_place("CURRENT.tmp", kind)) continue;
    print_message("%s in the place of CURRENT.tmp\n", kind_names[kind]);
    assert_int_equal(in_child(open_read_only, NULL), KIST_OK);
    assert_int_equal(in_child(open_for_writing, NULL), want);
    if (want != KIST_OK) {
      char place[4400];
      snprintf(place, sizeof place, "%s/CURRENT.tmp", path);
      assert_int_equal(rmdir(place), 0);
    }
    if (kind != PIPE && kind != DEVICE) continue;
    assert_true(put_in_place("CURRENT.tmp", kind));
    assert_int_equal(in_child(repair, NULL), KIST_OK);
    assert_int_equal(in_child(open_for_writing, NULL), KIST_OK);
  }
}

/* A repair counts it as lost, and its outcome opens. */
static void repaired(const char* part) {
  enum kind kind;
  for (kind = 0; kind < LOOP; ++kind) {
    char* const kept = path;
    set_up(NULL);
    if (put_in_place(newest_with(path, part), kind)) {
      print_message("%s in the place of %s\n", kind_names[kind], part);
      assert_int_equal(in_child(repair, NULL), KIST_OK);
      assert_int_equal(in_child(open_at_all, NULL), KIST_OK);
    }
    tear_down(NULL);
    path = kept;
  }
}

static void odd_files__are_repaired(void** state) {
  (void)state;
  repaired("MANIFEST-");
  repaired(".log");
  repaired(".kst");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(odd_files__current, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__manifest, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__log, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__table, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__a_log_too_many, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__lock, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__reserve, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__leftovers, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__temporary, set_up, tear_down),
      cmocka_unit_test_setup_teardown(odd_files__are_repaired, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
