/* Runs the scripts of bindings/conformance against the library: conformance_test [FILE...].
 *
 * The language is bindings/conformance/README.md. A line becomes words, its verb a function that
 * makes the call and collects a result code with outputs; these are compared with what stands after
 * the `=`. Each case is printed as cmocka prints its own, and ends by freeing what is left,
 * databases before their children. One thread. */
#include <glob.h>

#include "conformance/script.h"

#ifndef KIST_TEST_SCRIPTS
#define KIST_TEST_SCRIPTS "bindings/conformance"
#endif

enum { kHandles = 64, kLine = 1 << 16, kName = 128 };

/* ---- arguments ------------------------------------------------------------------------------- */

static const char* word(int i) {
  if (i >= word_count) {
    COMPLAIN("%s wants more words", words[0]);
    return "-";
  }
  return words[i];
}
static bytes bytes_at(int i) { return decode(word(i)); }
static int64_t number_at(int i) { return strtoll(word(i), NULL, 10); }
static int64_t ttl_at(int i) {
  if (i >= word_count) return 0;
  return strcmp(words[i], "never") == 0 ? KIST_TTL_NEVER : number_at(i);
}

static uint32_t choice_at(int i, const char* const* names) {
  for (uint32_t at = 0; names[at] != NULL; ++at) {
    if (strcmp(word(i), names[at]) == 0) return at;
  }
  COMPLAIN("%s: unknown word %s", words[0], word(i));
  return 0;
}
#define CHOICE(i, ...) choice_at(i, (const char* const[]){__VA_ARGS__, NULL})
static int32_t direction_at(int i) { return CHOICE(i, "forward", "backward") == 0 ? 1 : -1; }

static const char* path_at(int i) {
  const char* name = word(i);
  if (strcmp(name, ":memory:") == 0) return name;
  char* path = keep(malloc(strlen(directory) + strlen(name) + 2));
  sprintf(path, "%s/%s", directory, name);
  return path;
}

static kist_rc options_at(int i, kist_options** out) {
  if (kist_options_new(out) != KIST_OK) abort();
  if (strcmp(word(i), "-") == 0) return KIST_OK;
  return kist_options_parse(*out, word(i), &last_error);
}

/* ---- handles --------------------------------------------------------------------------------- */

typedef enum { kDb, kKeyspace, kSnapshot, kIter, kBatch, kTxn, kFeed, kPin, kStream } handle_kind;
typedef struct {
  char name[kName];
  handle_kind kind;
  void* at; /* NULL where the slot is free */
  int keys_only;
  int borrowed; /* kist_default's: the database's own, which goes with it */
} handle;

static handle handles[kHandles];
static int handle_count; /* slots ever used in the case, in the order of making */

static handle* find(const char* name, size_t len) {
  for (int i = 0; i < handle_count; ++i) {
    handle* h = &handles[i];
    if (h->at != NULL && strlen(h->name) == len && memcmp(h->name, name, len) == 0) return h;
  }
  COMPLAIN("no handle %.*s", (int)len, name);
  return NULL;
}

static void* named(const char* name, size_t len, handle_kind kind) {
  const handle* h = find(name, len);
  if (h != NULL && h->kind != kind) COMPLAIN("%s: %s is another kind of handle", words[0], h->name);
  return h != NULL && h->kind == kind ? h->at : NULL;
}
static void* handle_at(int i, handle_kind kind) { return named(word(i), strlen(word(i)), kind); }

static kist_rc bind(int i, handle_kind kind, void* at, kist_rc rc) {
  if (rc != KIST_OK) {
    if (at != NULL) COMPLAIN("a failed call gave a handle");
    return rc;
  }
  for (int j = 0; j < handle_count; ++j) {
    if (handles[j].at != NULL && strcmp(handles[j].name, word(i)) == 0) abort();
  }
  if (handle_count == kHandles) abort();
  snprintf(handles[handle_count].name, kName, "%s", word(i));
  handles[handle_count].kind = kind;
  handles[handle_count].borrowed = 0;
  handles[handle_count++].at = at;
  return rc;
}

static void free_handle(handle* h) {
  switch (h->kind) {
    case kDb:
      if (kist_close(h->at, KIST_CLOSE_DEFER, &last_error) != KIST_OK) {
        COMPLAIN("release of %s: %s", h->name, last_error.message);
      }
      break;
    case kKeyspace:
      kist_keyspace_free(h->at);
      break;
    case kSnapshot:
      kist_snapshot_free(h->at);
      break;
    case kIter:
      kist_iter_free(h->at);
      break;
    case kBatch:
      kist_batch_free(h->at);
      break;
    case kTxn:
      kist_txn_free(h->at);
      break;
    case kFeed:
      kist_feed_free(h->at);
      break;
    case kStream:
      kist_stream_stop(h->at, 0, NULL);
      break;
    case kPin:
      kist_pin_release(h->at);
      free(h->at);
      break;
  }
  h->at = NULL;
}

typedef struct {
  kist_keyspace* ks;
  kist_snapshot* snapshot;
  kist_txn* txn;
} place;

static place place_at(int i) {
  const char* name = word(i);
  const char* at = strchr(name, '@');
  place p = {named(name, at == NULL ? strlen(name) : (size_t)(at - name), kKeyspace), NULL, NULL};
  const handle* view = at == NULL ? NULL : find(at + 1, strlen(at + 1));
  if (view != NULL && view->kind == kSnapshot) p.snapshot = view->at;
  if (view != NULL && view->kind == kTxn) p.txn = view->at;
  return p;
}

static kist_read_options read_options(place p) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  ro.snapshot = p.snapshot;
  ro.txn = p.txn;
  return ro;
}

/* ---- databases and keyspaces ----------------------------------------------------------------- */

static kist_rc do_open(void) {
  kist_options* options = NULL;
  kist_db* db = NULL;
  kist_rc rc = options_at(3, &options);
  if (rc == KIST_OK) rc = kist_open(path_at(2), options, &db, &last_error);
  kist_options_free(options);
  return bind(1, kDb, db, rc);
}
static kist_rc do_close(void) {
  handle* h = find(word(1), strlen(word(1)));
  kist_db* db = handle_at(1, kDb);
  if (db == NULL) return KIST_OK;
  h->at = NULL;
  return kist_close(db, KIST_CLOSE_REVOKE, &last_error);
}
static kist_rc do_free(void) {
  handle* h = find(word(1), strlen(word(1)));
  if (h != NULL && (h->kind == kDb) != (strcmp(words[0], "release") == 0)) COMPLAIN("not of a db");
  if (h != NULL) free_handle(h);
  return KIST_OK;
}
static kist_rc do_destroy(void) { return kist_destroy(path_at(1), &last_error); }
static kist_rc do_set_option(void) {
  return kist_set_option(handle_at(1, kDb), word(2), word(3), &last_error);
}
static kist_rc do_parse_options(void) {
  kist_options* options = NULL;
  const kist_rc rc = options_at(1, &options);
  kist_options_free(options);
  return rc;
}
static kist_rc do_get_option(void) {
  char text[256];
  kist_options* options = NULL;
  kist_rc rc = options_at(1, &options);
  if (rc == KIST_OK) {
    rc = kist_options_get(options, word(2), text, sizeof text, NULL, &last_error);
  }
  if (rc == KIST_OK) give_text(text);
  kist_options_free(options);
  return rc;
}
static kist_rc do_last_seq(void) {
  give_number(kist_last_seq(handle_at(1, kDb)));
  return KIST_OK;
}
static kist_rc do_durable_seq(void) {
  give_number(kist_durable_seq(handle_at(1, kDb)));
  return KIST_OK;
}
static kist_rc do_sync(void) { return kist_sync(handle_at(1, kDb), &last_error); }
static kist_rc do_flush(void) { return kist_flush(handle_at(1, kDb), &last_error); }
static kist_rc do_verify(void) { return kist_verify(handle_at(1, kDb), NULL, &last_error); }
static kist_rc do_wait_durable(void) {
  return kist_wait_durable(handle_at(1, kDb), (uint64_t)number_at(2), number_at(3), &last_error);
}
static kist_rc do_wait_idle(void) {
  return kist_wait_idle(handle_at(1, kDb), number_at(2), &last_error);
}
static kist_rc do_stat(void) {
  uint64_t value = 0;
  const kist_rc rc = kist_stat(handle_at(1, kDb), word(2), &value, &last_error);
  if (rc == KIST_OK) give_number(value);
  return rc;
}
static kist_rc do_stats(void) {
  const int32_t format = (int32_t)CHOICE(2, "text", "json", "prometheus");
  char* text = keep(malloc(1 << 20));
  size_t len = 0;
  const kist_rc rc = kist_stats(handle_at(1, kDb), format, text, 1 << 20, &len, &last_error);
  if (rc == KIST_OK && len == 0) COMPLAIN("no statistics");
  return rc;
}
static kist_rc do_sleep(void) {
  usleep((useconds_t)number_at(1) * 1000);
  return KIST_OK;
}
static kist_rc do_default(void) {
  const kist_rc rc = bind(2, kKeyspace, kist_default(handle_at(1, kDb)), KIST_OK);
  handles[handle_count - 1].borrowed = 1;
  return rc;
}
static kist_rc do_keyspace(void) {
  kist_options* options = NULL;
  kist_keyspace* ks = NULL;
  const bytes name = bytes_at(3);
  const uint32_t mode = CHOICE(4, "open", "create", "create_new");
  kist_rc rc = options_at(5, &options);
  if (name.data == NULL) return KIST_E_INVALID;
  ((char*)name.data)[name.len] = 0;
  if (rc == KIST_OK) {
    rc = kist_keyspace_open(handle_at(1, kDb), name.data, mode, options, &ks, &last_error);
  }
  kist_options_free(options);
  return bind(2, kKeyspace, ks, rc);
}
static kist_rc do_drop_keyspace(void) {
  return kist_keyspace_drop(handle_at(1, kDb), word(2), &last_error);
}
static kist_rc do_keyspaces(void) {
  char names[4096];
  size_t len = 0;
  const kist_rc rc = kist_keyspace_list(handle_at(1, kDb), names, sizeof names, &len, &last_error);
  for (size_t at = 0; rc == KIST_OK && at < len; at += strlen(names + at) + 1) {
    give_text(names + at);
  }
  return rc;
}
static kist_rc do_keyspace_id(void) {
  give_number(kist_keyspace_id(handle_at(1, kKeyspace)));
  return KIST_OK;
}
static kist_rc do_compact(void) {
  const bytes begin = bytes_at(2), end = bytes_at(3);
  return kist_compact(handle_at(1, kKeyspace), begin.data, begin.len, end.data, end.len, NULL,
                      &last_error);
}
static kist_rc do_approximate_size(void) {
  const bytes begin = bytes_at(2), end = bytes_at(3);
  uint64_t size = 0;
  const kist_rc rc = kist_approximate_size(handle_at(1, kKeyspace), begin.data, begin.len, end.data,
                                           end.len, &size, &last_error);
  if (rc == KIST_OK) give_number(size);
  return rc;
}

/* ---- reading --------------------------------------------------------------------------------- */

static kist_rc read_as(const kist_read_options* ro, kist_keyspace* ks, bytes key) {
  kist_pin pin;
  const kist_rc rc = kist_get_pin(ks, ro, key.data, key.len, &pin, &last_error);
  if (rc == KIST_OK) give(pin.data, pin.len);
  kist_pin_release(&pin);
  return rc;
}
static kist_rc do_get(void) {
  const place p = place_at(1);
  const kist_read_options ro = read_options(p);
  const bytes key = bytes_at(2);
  const kist_rc rc = read_as(&ro, p.ks, key);
  size_t len = 0;
  void* copy = NULL;
  if (kist_exists(p.ks, &ro, key.data, key.len, NULL) != rc) COMPLAIN("exists disagrees");
  if (kist_get_copy(p.ks, &ro, key.data, key.len, &copy, &len, NULL) != rc) {
    COMPLAIN("get_copy disagrees");
  }
  if (rc == KIST_OK) {
    const bytes want = outputs[0].text;
    char* buf = keep(malloc(want.len + 1));
    if (len != want.len || memcmp(copy, want.data, len) != 0) COMPLAIN("get_copy differs");
    if (kist_get(p.ks, &ro, key.data, key.len, buf, want.len, &len, NULL) != KIST_OK ||
        len != want.len || memcmp(buf, want.data, len) != 0) {
      COMPLAIN("get differs");
    }
  }
  kist_free(copy);
  return rc;
}
static kist_rc do_get_for_update(void) {
  const place p = place_at(1);
  kist_read_options ro = read_options(p);
  ro.flags = KIST_READ_FOR_UPDATE;
  return read_as(&ro, p.ks, bytes_at(2));
}
static kist_rc do_get_into(void) {
  const place p = place_at(1);
  const kist_read_options ro = read_options(p);
  const bytes key = bytes_at(2);
  const size_t cap = (size_t)number_at(3);
  char* buf = keep(malloc(cap + 1));
  size_t len = 0;
  const kist_rc rc = kist_get(p.ks, &ro, key.data, key.len, buf, cap, &len, &last_error);
  if (rc == KIST_OK || rc == KIST_TRUNCATED) {
    give_number(len);
    give(buf, len < cap ? len : cap);
  }
  return rc;
}
static kist_rc do_exists(void) {
  const place p = place_at(1);
  const kist_read_options ro = read_options(p);
  const bytes key = bytes_at(2);
  return kist_exists(p.ks, &ro, key.data, key.len, &last_error);
}
static kist_rc do_ttl(void) {
  const place p = place_at(1);
  const kist_read_options ro = read_options(p);
  const bytes key = bytes_at(2);
  int64_t left = 0;
  const kist_rc rc = kist_ttl(p.ks, &ro, key.data, key.len, &left, &last_error);
  if (rc == KIST_OK) give_kind(left < 0 ? kNever : kNumber, left);
  return rc;
}
static kist_rc do_multi_get(void) {
  const place p = place_at(1);
  const kist_read_options ro = read_options(p);
  kist_slice keys[kWords];
  kist_pin pins[kWords];
  kist_rc rcs[kWords];
  const size_t count = (size_t)word_count - 2;
  for (size_t i = 0; i < count; ++i) {
    const bytes key = bytes_at((int)i + 2);
    keys[i] = (kist_slice){key.data, key.len};
  }
  const kist_rc rc = kist_multi_get(p.ks, &ro, count, keys, pins, rcs, &last_error);
  for (size_t i = 0; rc == KIST_OK && i < count; ++i) {
    if (rcs[i] == KIST_OK) {
      give(pins[i].data, pins[i].len);
    } else {
      give_kind(kCode, rcs[i]);
    }
    kist_pin_release(&pins[i]);
  }
  return rc;
}
static kist_rc do_pin(void) {
  const place p = place_at(2);
  const kist_read_options ro = read_options(p);
  const bytes key = bytes_at(3);
  kist_pin* pin = calloc(1, sizeof *pin);
  const kist_rc rc = kist_get_pin(p.ks, &ro, key.data, key.len, pin, &last_error);
  if (rc != KIST_OK) {
    free(pin);
    return rc;
  }
  give(pin->data, pin->len);
  return bind(1, kPin, pin, rc);
}
static kist_rc do_pinned(void) {
  const kist_pin* pin = handle_at(1, kPin);
  if (pin != NULL) give(pin->data, pin->len);
  return KIST_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static kist_rc do_put(void) {
  const place p = place_at(1);
  const bytes key = bytes_at(2), val = bytes_at(3);
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.ttl_ms = ttl_at(4);
  if (p.txn != NULL) {
    return kist_txn_put(p.txn, p.ks, key.data, key.len, val.data, val.len, wo.ttl_ms, &last_error);
  }
  return kist_put(p.ks, &wo, key.data, key.len, val.data, val.len, &last_error);
}
static kist_rc do_put_with(void) {
  const bytes key = bytes_at(3), val = bytes_at(4);
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.durability = CHOICE(2, "default", "buffered", "os", "sync");
  return kist_put(handle_at(1, kKeyspace), &wo, key.data, key.len, val.data, val.len, &last_error);
}
static kist_rc do_delete(void) {
  const place p = place_at(1);
  const bytes key = bytes_at(2);
  if (p.txn != NULL) return kist_txn_delete(p.txn, p.ks, key.data, key.len, &last_error);
  return kist_delete(p.ks, NULL, key.data, key.len, &last_error);
}
static kist_rc do_delete_range(void) {
  const place p = place_at(1);
  const bytes begin = bytes_at(2), end = bytes_at(3);
  if (p.txn != NULL) {
    return kist_txn_delete_range(p.txn, p.ks, begin.data, begin.len, end.data, end.len,
                                 &last_error);
  }
  return kist_delete_range(p.ks, NULL, begin.data, begin.len, end.data, end.len, &last_error);
}
static kist_rc do_batch(void) {
  kist_batch* batch = NULL;
  const kist_rc rc = kist_batch_new(&batch);
  return bind(1, kBatch, batch, rc);
}
static kist_rc do_batch_put(void) {
  const bytes key = bytes_at(3), val = bytes_at(4);
  return kist_batch_put(handle_at(1, kBatch), handle_at(2, kKeyspace), key.data, key.len, val.data,
                        val.len, ttl_at(5), &last_error);
}
static kist_rc do_batch_delete(void) {
  const bytes key = bytes_at(3);
  return kist_batch_delete(handle_at(1, kBatch), handle_at(2, kKeyspace), key.data, key.len,
                           &last_error);
}
static kist_rc do_batch_delete_range(void) {
  const bytes begin = bytes_at(3), end = bytes_at(4);
  return kist_batch_delete_range(handle_at(1, kBatch), handle_at(2, kKeyspace), begin.data,
                                 begin.len, end.data, end.len, &last_error);
}
static kist_rc do_batch_clear(void) {
  kist_batch_clear(handle_at(1, kBatch));
  return KIST_OK;
}
static kist_rc do_batch_count(void) {
  give_number(kist_batch_count(handle_at(1, kBatch)));
  return KIST_OK;
}
static kist_rc do_batch_data(void) {
  const void* data = NULL;
  size_t len = 0;
  const kist_rc rc = kist_batch_data(handle_at(1, kBatch), &data, &len);
  if (rc == KIST_OK) give(data, len);
  return rc;
}
static kist_rc gave_seq(kist_rc rc, uint64_t seq) {
  if (rc == KIST_OK) give_number(seq);
  return rc;
}
static kist_rc do_write(void) {
  uint64_t seq = 0;
  kist_rc rc = kist_write(handle_at(1, kDb), NULL, handle_at(2, kBatch), &seq, &last_error);
  return gave_seq(rc, seq);
}
static kist_rc do_write_packed(void) {
  const bytes packed = bytes_at(2);
  uint64_t seq = 0;
  kist_rc rc =
      kist_write_packed(handle_at(1, kDb), NULL, packed.data, packed.len, &seq, &last_error);
  return gave_seq(rc, seq);
}

/* ---- snapshots and iterators ----------------------------------------------------------------- */

static kist_rc do_snapshot(void) {
  kist_snapshot* snapshot = NULL;
  const kist_rc rc = kist_snapshot_new(handle_at(1, kDb), &snapshot, &last_error);
  return bind(2, kSnapshot, snapshot, rc);
}
static kist_rc do_snapshot_seq(void) {
  give_number(kist_snapshot_seq(handle_at(1, kSnapshot)));
  return KIST_OK;
}

/* An iterator over the place at 1, with the bounds that follow from word `first` on. */
static kist_rc make_iter(int first, kist_iter** it, int* keys_only) {
  const place p = place_at(1);
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  io.snapshot = p.snapshot;
  io.txn = p.txn;
  *keys_only = 0;
  for (int i = first; i < word_count; ++i) {
    const char* at = strchr(words[i], '=');
    const bytes bound = at == NULL ? (bytes){NULL, 0} : decode(at + 1);
    const kist_slice slice = {bound.data, bound.len};
    if (strncmp(words[i], "lower=", 6) == 0) {
      io.lower = slice;
    } else if (strncmp(words[i], "upper=", 6) == 0) {
      io.upper = slice;
    } else if (strncmp(words[i], "prefix=", 7) == 0) {
      io.prefix = slice;
    } else if (strcmp(words[i], "keys_only") == 0) {
      *keys_only = 1;
      io.flags |= KIST_ITER_KEYS_ONLY;
    } else {
      COMPLAIN("%s: unknown word %s", words[0], words[i]);
    }
  }
  return kist_iter_new(p.ks, &io, it, &last_error);
}

static void give_entry(kist_slice key, kist_slice val, int keys_only) {
  give(key.data, key.len);
  if (!keys_only) give(val.data, val.len);
  if (keys_only && (val.data != NULL || val.len != 0)) COMPLAIN("a value with keys_only");
  if (!keys_only && val.data == NULL) COMPLAIN("a value that is NULL");
}

static kist_rc give_current(kist_rc rc, const kist_iter* it, int keys_only) {
  kist_slice key, val;
  if (rc != KIST_OK) return rc;
  rc = last_error.code = kist_iter_entry(it, &key, &val); /* it has no err */
  if (rc == KIST_OK) give_entry(key, val, keys_only);
  return rc;
}

/* The entries of a chunk, given as outputs. */
static void give_chunk(const char* buf, size_t used, int keys_only) {
  for (size_t at = 0; at < used;) {
    uint32_t lens[2];
    memcpy(lens, buf + at, sizeof lens);
    give(buf + at + 8, lens[0]);
    if (!keys_only) give(buf + at + 8 + lens[0], lens[1]);
    at += 8 + lens[0] + lens[1];
  }
}

/* All entries by chunks that grow from nothing: must be what the outputs so far are. */
static void scan_by_chunks(int32_t dir) {
  kist_iter* it = NULL;
  int keys_only = 0;
  size_t cap = 0, used = 0, need = 0;
  const int count = output_count;
  kist_rc rc = make_iter(3, &it, &keys_only);
  char* buf = malloc(1);
  while (rc == KIST_OK || rc == KIST_TRUNCATED) {
    rc = kist_iter_chunk(it, dir, buf, cap, 1000, &used, NULL, &need, &last_error);
    give_chunk(buf, used, keys_only);
    if (rc == KIST_TRUNCATED) buf = realloc(buf, cap = need);
  }
  free(buf);
  kist_iter_free(it);
  if (rc != KIST_DONE || output_count != 2 * count) COMPLAIN("chunks give another count");
  for (int i = 0; i < count && output_count == 2 * count; ++i) {
    const bytes a = outputs[i].text, b = outputs[count + i].text;
    if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0) COMPLAIN("chunks differ at %d", i);
  }
  output_count = count;
}

static kist_rc do_scan(void) {
  const int32_t dir = direction_at(2);
  kist_iter* it = NULL;
  int keys_only = 0;
  kist_rc rc = make_iter(3, &it, &keys_only);
  if (rc != KIST_OK) return rc;
  do {
    rc = dir > 0 ? kist_iter_next(it, &last_error) : kist_iter_prev(it, &last_error);
    rc = give_current(rc, it, keys_only);
  } while (rc == KIST_OK);
  kist_iter_free(it);
  if (rc != KIST_DONE) return rc;
  scan_by_chunks(dir);
  return KIST_OK;
}
static kist_rc do_iter(void) {
  kist_iter* it = NULL;
  int keys_only = 0;
  const kist_rc made = make_iter(3, &it, &keys_only);
  const kist_rc rc = bind(2, kIter, it, made);
  if (rc == KIST_OK) handles[handle_count - 1].keys_only = keys_only;
  return rc;
}
static int keys_only_at(int i) {
  const handle* h = find(word(i), strlen(word(i)));
  return h != NULL && h->keys_only;
}
static kist_rc do_seek(void) {
  kist_iter* it = handle_at(1, kIter);
  const int32_t mode = (int32_t)CHOICE(2, "first", "last", "ge", "gt", "le", "lt");
  const bytes key = mode < KIST_SEEK_GE ? (bytes){NULL, 0} : bytes_at(3);
  const kist_rc rc = kist_iter_seek(it, mode, key.data, key.len, &last_error);
  return give_current(rc, it, keys_only_at(1));
}
static kist_rc do_step(void) {
  kist_iter* it = handle_at(1, kIter);
  const int forward = strcmp(words[0], "next") == 0;
  const kist_rc rc = forward ? kist_iter_next(it, &last_error) : kist_iter_prev(it, &last_error);
  return give_current(rc, it, keys_only_at(1));
}
static kist_rc do_entry(void) {
  return give_current(KIST_OK, handle_at(1, kIter), keys_only_at(1));
}
static kist_rc do_take(void) {
  kist_iter* it = handle_at(1, kIter);
  const int32_t dir = direction_at(2);
  size_t left = (size_t)number_at(3), count = 0;
  kist_entry entries[256];
  kist_rc rc = KIST_OK;
  while (rc == KIST_OK && left > 0) {
    const size_t max = left < 256 ? left : 256;
    rc = kist_iter_entries(it, dir, entries, max, &count, &last_error);
    for (size_t i = 0; i < count; ++i) give_entry(entries[i].key, entries[i].val, keys_only_at(1));
    left -= count;
  }
  return rc == KIST_DONE && left == 0 ? KIST_OK : rc;
}
static kist_rc do_chunk(void) {
  const size_t cap = (size_t)number_at(3);
  char* buf = keep(malloc(cap + 1));
  size_t used = 0, need = 0;
  const kist_rc rc = kist_iter_chunk(handle_at(1, kIter), direction_at(2), buf, cap,
                                     (size_t)number_at(4), &used, NULL, &need, &last_error);
  give_chunk(buf, used, keys_only_at(1));
  if (rc == KIST_TRUNCATED) give_number(need);
  return rc;
}
static kist_rc do_refresh(void) { return kist_iter_refresh(handle_at(1, kIter), &last_error); }

/* ---- transactions ---------------------------------------------------------------------------- */

static kist_rc do_txn(void) {
  kist_txn* txn = NULL;
  const uint32_t isolation = CHOICE(3, "snapshot", "serializable");
  const kist_rc rc = kist_txn_begin(handle_at(1, kDb), isolation, &txn, &last_error);
  return bind(2, kTxn, txn, rc);
}
static kist_rc do_savepoint(void) { return kist_txn_savepoint(handle_at(1, kTxn), &last_error); }
static kist_rc do_rollback_to(void) {
  return kist_txn_rollback_to(handle_at(1, kTxn), &last_error);
}
static kist_rc do_commit(void) {
  uint64_t seq = 0;
  const kist_rc rc = kist_txn_commit(handle_at(1, kTxn), NULL, &seq, &last_error);
  return gave_seq(rc, seq);
}

/* ---- feed, copies, errors -------------------------------------------------------------------- */

static kist_rc do_feed(void) {
  kist_feed* feed = NULL;
  const kist_rc rc = kist_feed_open(handle_at(1, kDb), (uint64_t)number_at(3), &feed, &last_error);
  return bind(2, kFeed, feed, rc);
}
static kist_rc do_next_commit(void) {
  static const char* const kinds[] = {"?", "put", "delete", "delete_range", "create", "drop"};
  kist_slice packed;
  uint64_t seq = 0;
  const kist_rc rc =
      kist_feed_next(handle_at(1, kFeed), number_at(2), &seq, NULL, &packed, &last_error);
  if (rc != KIST_OK) return rc;
  give_number(seq);
  const unsigned char* data = packed.data;
  for (size_t at = 8; at < packed.len;) {
    const int kind = data[at], flags = data[at + 1];
    uint32_t parts[3]; /* keyspace, key_len, val_len */
    memcpy(parts, data + at + 4, sizeof parts);
    at += 16 + ((flags & 1) != 0 ? 8 : 0);
    give_text(kinds[kind <= 5 ? kind : 0]);
    give_number(parts[0]);
    give(data + at, parts[1]);
    give(data + at + parts[1], kind <= 3 ? parts[2] : 0);
    at += parts[1] + parts[2];
  }
  return rc;
}
static kist_rc do_checkpoint(void) {
  return kist_checkpoint(handle_at(1, kDb), path_at(2), &last_error);
}
static kist_rc do_backup(void) {
  uint64_t seq = 0;
  const kist_rc rc = kist_backup(handle_at(1, kDb), path_at(2), NULL, &seq, &last_error);
  return gave_seq(rc, seq);
}
static kist_rc do_restore(void) {
  kist_restore_options options = KIST_RESTORE_OPTIONS_INIT;
  uint64_t seq = 0;
  options.to_seq = word_count > 3 ? (uint64_t)number_at(3) : 0;
  const kist_rc rc = kist_restore(path_at(1), path_at(2), &options, NULL, &seq, &last_error);
  return gave_seq(rc, seq);
}
static kist_rc do_stream(void) {
  kist_stream* stream = NULL;
  const kist_rc rc = kist_stream_start(handle_at(1, kDb), path_at(3), NULL, &stream, &last_error);
  return bind(2, kStream, stream, rc);
}
static kist_rc do_stream_wait(void) {
  return kist_stream_wait(handle_at(1, kStream), (uint64_t)number_at(2), number_at(3), &last_error);
}
static kist_rc do_stream_stop(void) {
  handle* h = find(word(1), strlen(word(1)));
  const kist_rc rc = kist_stream_stop(handle_at(1, kStream), number_at(2), &last_error);
  if (rc == KIST_OK && h != NULL) h->at = NULL;
  return rc;
}
static kist_rc do_generations(void) {
  kist_generation list[16] = {KIST_GENERATION_INIT};
  size_t count = 0;
  const kist_rc rc = kist_generations(path_at(1), list, 16, &count, &last_error);
  for (size_t i = 0; i < count; ++i) {
    give_number(list[i].number);
    give_number(list[i].first_seq);
    give_number(list[i].last_seq);
    give_number(list[i].bases);
  }
  return rc;
}
static kist_rc do_prune(void) {
  kist_prune_options options = KIST_PRUNE_OPTIONS_INIT;
  uint64_t removed = 0;
  options.keep_count = (uint64_t)number_at(2);
  const kist_rc rc = kist_prune(path_at(1), &options, NULL, &removed, &last_error);
  return gave_seq(rc, removed);
}
static kist_rc do_repair(void) {
  char report[4096];
  const kist_rc rc = kist_repair(path_at(1), NULL, report, sizeof report, NULL, &last_error);
  if (rc != KIST_OK) return rc;
  uint64_t lines = report[0] != 0;
  for (const char* at = report; *at != 0; ++at) lines += at[0] == '\n' && at[1] != 0;
  give_number(lines);
  return rc;
}
/* Inverts the byte in the middle of the first file of a directory with this end of its name. */
static kist_rc do_damage(void) {
  glob_t found = {0};
  char pattern[5000];
  snprintf(pattern, sizeof pattern, "%s/*%s", path_at(1), word(2));
  FILE* file = glob(pattern, 0, NULL, &found) == 0 ? fopen(found.gl_pathv[0], "r+") : NULL;
  globfree(&found);
  if (file == NULL) {
    COMPLAIN("no file %s", pattern);
    return KIST_OK;
  }
  fseek(file, 0, SEEK_END);
  const long middle = ftell(file) / 2;
  fseek(file, middle, SEEK_SET);
  const int byte = fgetc(file);
  fseek(file, middle, SEEK_SET);
  fputc(byte ^ 0xff, file);
  fclose(file);
  return KIST_OK;
}
static kist_rc do_error_of(void) {
  give_text(kist_rc_name((kist_rc)number_at(1)) + strlen("KIST_"));
  return KIST_OK;
}
static kist_rc do_last_error(void) {
  give_text(kist_rc_name(last_error.code) + strlen("KIST_"));
  give_number((uint64_t)last_error.detail);
  give_number((uint64_t)last_error.sys_errno);
  give_number(last_error.aux);
  if (last_error.message[0] == 0) COMPLAIN("an error without a message");
  return KIST_OK;
}

/* ---- the interpreter ------------------------------------------------------------------------- */

static const struct {
  const char* name;
  kist_rc (*call)(void);
} verbs[] = {
    {"open", do_open},
    {"close", do_close},
    {"release", do_free},
    {"free", do_free},
    {"destroy", do_destroy},
    {"set_option", do_set_option},
    {"parse_options", do_parse_options},
    {"get_option", do_get_option},
    {"last_seq", do_last_seq},
    {"durable_seq", do_durable_seq},
    {"sync", do_sync},
    {"flush", do_flush},
    {"verify", do_verify},
    {"wait_durable", do_wait_durable},
    {"wait_idle", do_wait_idle},
    {"stat", do_stat},
    {"stats", do_stats},
    {"sleep", do_sleep},
    {"default", do_default},
    {"keyspace", do_keyspace},
    {"drop_keyspace", do_drop_keyspace},
    {"keyspaces", do_keyspaces},
    {"keyspace_id", do_keyspace_id},
    {"compact", do_compact},
    {"approximate_size", do_approximate_size},
    {"get", do_get},
    {"get_into", do_get_into},
    {"exists", do_exists},
    {"get_for_update", do_get_for_update},
    {"ttl", do_ttl},
    {"multi_get", do_multi_get},
    {"pin", do_pin},
    {"pinned", do_pinned},
    {"put", do_put},
    {"put_with", do_put_with},
    {"delete", do_delete},
    {"delete_range", do_delete_range},
    {"batch", do_batch},
    {"batch_put", do_batch_put},
    {"batch_delete", do_batch_delete},
    {"batch_delete_range", do_batch_delete_range},
    {"batch_clear", do_batch_clear},
    {"batch_count", do_batch_count},
    {"batch_data", do_batch_data},
    {"write", do_write},
    {"write_packed", do_write_packed},
    {"snapshot", do_snapshot},
    {"snapshot_seq", do_snapshot_seq},
    {"scan", do_scan},
    {"iter", do_iter},
    {"seek", do_seek},
    {"next", do_step},
    {"prev", do_step},
    {"entry", do_entry},
    {"take", do_take},
    {"chunk", do_chunk},
    {"refresh", do_refresh},
    {"txn", do_txn},
    {"savepoint", do_savepoint},
    {"rollback_to", do_rollback_to},
    {"commit", do_commit},
    {"feed", do_feed},
    {"next_commit", do_next_commit},
    {"checkpoint", do_checkpoint},
    {"backup", do_backup},
    {"restore", do_restore},
    {"stream", do_stream},
    {"stream_wait", do_stream_wait},
    {"stream_stop", do_stream_stop},
    {"generations", do_generations},
    {"prune", do_prune},
    {"repair", do_repair},
    {"damage", do_damage},
    {"error_of", do_error_of},
    {"last_error", do_last_error},
};

enum { kVerbs = sizeof verbs / sizeof *verbs };
static int verb_used[kVerbs];

static kist_rc call_verb(void) {
  for (size_t i = 0; i < kVerbs; ++i) {
    if (strcmp(words[0], verbs[i].name) != 0) continue;
    verb_used[i] = 1;
    return verbs[i].call();
  }
  COMPLAIN("no such verb: %s", words[0]);
  return KIST_OK;
}

static void compare(kist_rc rc, char** expected, int expected_count) {
  const char* got = kist_rc_name(rc) + strlen("KIST_");
  int same = expected_count < 0 ? rc == KIST_OK : strcmp(got, expected[0]) == 0;
  if (expected_count > 0) same = same && output_count == expected_count - 1;
  for (int i = 0; same && i + 1 < expected_count; ++i) same = matches(&outputs[i], expected[i + 1]);
  if (same) return;
  char text[32768];
  size_t len = (size_t)snprintf(text, sizeof text, "got: %s", got);
  for (int i = 0; i < output_count && len < sizeof text - 2000; ++i) {
    len += (size_t)snprintf(text + len, sizeof text - len, " %s", show(&outputs[i]));
  }
  COMPLAIN("%s%s%s", text, rc < 0 ? "; " : "", rc < 0 ? last_error.message : "");
}

static void run_line(char* line) {
  char* expected[kWords];
  int expected_count = -1;
  word_count = 0;
  for (char* part = strtok(line, " "); part != NULL; part = strtok(NULL, " ")) {
    if (word_count == kWords || expected_count == kWords) abort();
    if (expected_count >= 0) {
      expected[expected_count++] = part;
    } else if (strcmp(part, "=") == 0) {
      expected_count = 0;
    } else {
      words[word_count++] = part;
    }
  }
  const kist_err before = last_error;
  const kist_rc rc = call_verb();
  if (rc >= 0) last_error = before;
  if (rc < 0 && last_error.code != rc) COMPLAIN("the error says %d", (int)last_error.code);
  compare(rc, expected, expected_count);
  while (pool_count > 0) free(pool[--pool_count]);
  output_count = 0;
}

static void begin_case(void) {
  last_error = (kist_err)KIST_ERR_INIT;
  handle_count = 0;
  complaint[0] = 0;
  directory = new_path();
  *strrchr(directory, '/') = 0;
}

static void end_case(const char* name, int* failed) {
  for (int i = 0; i < handle_count; ++i) {
    if (handles[i].at != NULL && !handles[i].borrowed) free_handle(&handles[i]);
  }
  if (complaint[0] != 0) printf("%s\n", complaint);
  printf("[  %s] %s\n", complaint[0] != 0 ? "FAILED  " : "     OK ", name);
  *failed += complaint[0] != 0;
  remove_tree(directory);
  free(directory);
}

static int run_file(const char* path) {
  static char line[kLine];
  char name[kName] = "", text[200];
  int failed = 0, number = 0, broken = 0;
  FILE* file = fopen(path, "r");
  if (file == NULL) abort();
  while (fgets(line, sizeof line, file) != NULL) {
    ++number;
    line[strcspn(line, "\n")] = 0;
    if (line[0] == 0 || line[0] == '#') continue;
    if (strncmp(line, "case ", 5) == 0) {
      if (name[0] != 0) end_case(name, &failed);
      begin_case();
      broken = 0;
      snprintf(name, sizeof name, "%s", line + 5);
      printf("[ RUN      ] %s\n", name);
      continue;
    }
    if (broken || name[0] == 0) continue;
    snprintf(text, sizeof text, "%s", line);
    run_line(line);
    broken = complaint[0] != 0;
    if (broken) printf("%s:%d: %s\n", path, number, text);
    fflush(stdout);
  }
  if (name[0] != 0) end_case(name, &failed);
  fclose(file);
  return failed;
}

/* A verb that no script has is not shown to work in any language. */
static int find_unused_verbs(void) {
  int unused = 0;
  printf("[ RUN      ] conformance__every_verb_is_used\n");
  for (size_t i = 0; i < kVerbs; ++i) {
    if (!verb_used[i]) printf("no script has %s\n", verbs[i].name);
    unused += !verb_used[i];
  }
  printf("[  %s] conformance__every_verb_is_used\n", unused > 0 ? "FAILED  " : "     OK ");
  return unused;
}

int main(int argc, char** argv) {
  glob_t found = {0};
  int failed = 0;
  for (int i = 1; i < argc; ++i) failed += run_file(argv[i]);
  if (argc == 1 && glob(KIST_TEST_SCRIPTS "/*.txt", 0, NULL, &found) != 0) return 2;
  for (size_t i = 0; i < found.gl_pathc; ++i) failed += run_file(found.gl_pathv[i]);
  globfree(&found);
  if (argc == 1) failed += find_unused_verbs();
  return failed == 0 ? 0 : 1;
}
