// Every read path of the C interface and the feed, against the model.
#include <algorithm>
#include <set>

#include "support/interface_walk.h"
#include "support/must.h"

namespace kist::test {
namespace {

const ModelState& StateOf(const ModelStates& states, uint32_t id) {
  static const ModelState kEmpty;
  const auto it = states.find(id);
  return it != states.end() ? it->second : kEmpty;
}

bool Same(const void* data, size_t len, const std::string& want) {
  return len == want.size() &&
         (len == 0 || std::string(static_cast<const char*>(data), len) == want);
}

bool SameOp(const ModelOp& given, const ModelOp& want) {
  if (given.kind != want.kind || given.keyspace != want.keyspace || given.key != want.key)
    return false;
  if (given.kind == kModelCreate) return true;  // its value is the options, which are the engine's
  return given.value == want.value && (given.kind != kModelPut || given.Ttl() == want.Ttl());
}

void Show(const char* whose, const std::vector<ModelOp>& ops) {
  for (const ModelOp& op : ops) {
    std::fprintf(stderr, "%s: kind %d, keyspace %u, '%s', %zu bytes, TTL %lld (default %lld)\n",
                 whose, op.kind, op.keyspace, op.key.c_str(), op.value.size(),
                 static_cast<long long>(op.ttl_ms), static_cast<long long>(op.otherwise));
  }
}

}  // namespace

void InterfaceWalk::Differs(const std::string& what, const std::string& key) {
  std::fprintf(stderr, "%s differs at '%s', %zu commits in\n", what.c_str(), key.c_str(),
               model_.journal.size());
  std::abort();
}

// ---- what is asked for

std::string InterfaceWalk::Key() {
  const uint64_t kind = Below(20);
  if (kind == 0) return std::string();
  if (kind == 1) return rng_.Bytes(Below(300));
  char buf[32];
  std::snprintf(buf, sizeof buf, "key%03u", static_cast<unsigned>(Below(200)));
  return buf;
}

std::string InterfaceWalk::Value() {
  return rng_.Bytes(Below(20) == 0 ? Below(20000) : Below(100), 'a', 1 + Below(200) % 150);
}

int64_t InterfaceWalk::Ttl() {
  switch (Below(8)) {
    case 0:
      return KIST_TTL_NEVER;
    case 1:
      return KIST_TTL_NEVER - 1;
    case 2:
      return 3600000;
    case 3:
    case 4:
      return 1 + static_cast<int64_t>(Below(500));
    default:
      return 0;
  }
}

std::string InterfaceWalk::DefaultTtl(int64_t* ms) {
  *ms = Below(2) == 0 ? 0 : 1 + static_cast<int64_t>(Below(1000));
  return *ms == 0 ? "0" : std::to_string(*ms) + "ms";
}

const InterfaceWalk::Held& InterfaceWalk::AnyHeld(const Held& newest) {
  return held_.empty() || Below(2) == 0 ? newest : held_[Below(held_.size())];
}

// ---- reads

void InterfaceWalk::CheckKey(const Space& space, const Held& at, const std::string& key) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  ro.snapshot = at.snapshot;
  ro.txn = at.txn;
  const ModelEntry* want = Visible(StateOf(at.states, space.id), key, at.time_ms);
  const kist_rc rc = want != nullptr ? KIST_OK : KIST_NOT_FOUND;
  void* value = nullptr;
  size_t len = 0;
  MUST_GIVE(rc, kist_get_copy(space.handle, &ro, key.data(), key.size(), &value, &len, &err));
  if (want != nullptr && !Same(value, len, want->value)) Differs("get: value", key);
  kist_free(value);
  MUST_GIVE(rc, kist_exists(space.handle, &ro, key.data(), key.size(), &err));
  int64_t left = 0;
  MUST_GIVE(rc, kist_ttl(space.handle, &ro, key.data(), key.size(), &left, &err));
  int64_t want_left = 0;
  if (want != nullptr) want_left = want->expires_ms != 0 ? want->expires_ms - at.time_ms : -1;
  if (left != want_left) Differs("ttl", key);
}

void InterfaceWalk::CheckMany(const Space& space, const Held& at) {
  kist_read_options ro = KIST_READ_OPTIONS_INIT;
  ro.snapshot = at.snapshot;
  ro.txn = at.txn;
  std::vector<std::string> keys(Below(100));
  for (std::string& key : keys) key = Key();
  std::vector<kist_slice> slices;
  for (const std::string& key : keys) slices.push_back({key.data(), key.size()});
  std::vector<kist_pin> pins(keys.size());
  std::vector<kist_rc> rcs(keys.size());
  MUST(
      kist_multi_get(space.handle, &ro, keys.size(), slices.data(), pins.data(), rcs.data(), &err));
  for (size_t i = 0; i < keys.size(); ++i) {
    const ModelEntry* want = Visible(StateOf(at.states, space.id), keys[i], at.time_ms);
    if (rcs[i] != (want != nullptr ? KIST_OK : KIST_NOT_FOUND))
      Differs("multi_get: presence", keys[i]);
    if (want != nullptr && !Same(pins[i].data, pins[i].len, want->value))
      Differs("multi_get: value", keys[i]);
    kist_pin_release(&pins[i]);
  }
}

void InterfaceWalk::CheckEntry(kist_iter* iter, const std::string& key, const std::string& value) {
  kist_slice k, v;
  if (kist_iter_entry(iter, &k, &v) != KIST_OK) Differs("iterator: no entry", key);
  if (!Same(k.data, k.len, key)) Differs("iterator: key", key);
  if (!Same(v.data, v.len, value)) Differs("iterator: value", key);
}

void InterfaceWalk::CheckRange(const Space& space, const Held& at) {
  kist_iter_options io = KIST_ITER_OPTIONS_INIT;
  io.snapshot = at.snapshot;
  io.txn = at.txn;
  ModelState seen = VisiblePart(StateOf(at.states, space.id), at.time_ms);
  const std::string lower = Below(2) == 0 ? Key() : "", upper = Below(2) == 0 ? Key() : "";
  io.lower = {lower.data(), lower.size()};
  io.upper = {upper.data(), upper.size()};
  if (!upper.empty()) seen.erase(seen.lower_bound(upper), seen.end());
  seen.erase(seen.begin(), seen.lower_bound(lower));
  kist_iter* iter = nullptr;
  MUST(kist_iter_new(space.handle, &io, &iter, &err));
  for (int i = 0; i < 10; ++i) {
    const std::string key = Key();
    const int32_t mode = static_cast<int32_t>(KIST_SEEK_GE + Below(4));
    const auto found = mode == KIST_SEEK_GE || mode == KIST_SEEK_LT ? seen.lower_bound(key)
                                                                    : seen.upper_bound(key);
    const bool forwards = mode == KIST_SEEK_GE || mode == KIST_SEEK_GT;
    const bool on = found != (forwards ? seen.end() : seen.begin());
    MUST_GIVE(on ? KIST_OK : KIST_DONE, kist_iter_seek(iter, mode, key.data(), key.size(), &err));
    if (!on) continue;
    const auto& [want_key, want] = *(forwards ? found : std::prev(found));
    CheckEntry(iter, want_key, want.value);
  }
  Scan(iter, seen);
  kist_iter_free(iter);
}

// All of it, step by step forwards and many at a time backwards.
void InterfaceWalk::Scan(kist_iter* iter, const ModelState& seen) {
  MUST_GIVE(seen.empty() ? KIST_DONE : KIST_OK,
            kist_iter_seek(iter, KIST_SEEK_FIRST, nullptr, 0, &err));
  for (auto it = seen.begin(); it != seen.end();) {
    CheckEntry(iter, it->first, it->second.value);
    ++it;
    MUST_GIVE(it == seen.end() ? KIST_DONE : KIST_OK, kist_iter_next(iter, &err));
  }
  kist_entry entries[50];
  auto it = seen.rbegin();
  for (kist_rc rc = KIST_OK; rc == KIST_OK;) {
    size_t count = 0;
    kist_err err = KIST_ERR_INIT;
    rc = kist_iter_entries(iter, -1, entries, 1 + Below(50), &count, &err);
    if (rc < 0) Differs(err.message, "");
    for (size_t i = 0; i < count; ++i, ++it) {
      if (it == seen.rend()) Differs("backwards: too much", "");
      if (!Same(entries[i].key.data, entries[i].key.len, it->first))
        Differs("backwards: key", it->first);
      if (!Same(entries[i].val.data, entries[i].val.len, it->second.value))
        Differs("backwards: value", it->first);
    }
  }
  if (it != seen.rend()) Differs("backwards: an early end", it->first);
}

void InterfaceWalk::CheckAll() {
  const Held newest = Newest();
  for (const Space& space : spaces_) {
    for (size_t h = 0; h <= held_.size(); ++h) {
      const Held& at = h < held_.size() ? held_[h] : newest;
      for (const auto& [key, entry] : StateOf(at.states, space.id)) CheckKey(space, at, key);
      CheckRange(space, at);
    }
  }
  for (const HeldIterator& h : iterators_) Scan(h.iter, h.state);
}

void InterfaceWalk::CheckNames() {
  std::set<std::string> names;
  for (const Space& space : spaces_) names.insert(space.name);
  std::string want;
  for (const std::string& name : names) want += name + '\0';
  std::string buf(1000, 0);
  size_t len = 0;
  MUST(kist_keyspace_list(db_, buf.data(), buf.size(), &len, &err));
  buf.resize(len);
  if (buf != want) Differs("names", buf);
}

// ---- the feed

// The consumer resumes from its saved sequence. Only where no log is retained may the database say
// that it cannot; the consumer takes the whole state then, and goes on from there.
void InterfaceWalk::OpenFeed() {
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_feed_open(db_, fed_seq_, &feed_, &err);
  if (rc == KIST_OK) return;
  if (rc != KIST_E_MISSING || retains_ || fed_ == model_.journal.size()) Differs(err.message, "");
  fed_ = model_.journal.size();
  fed_seq_ = kist_last_seq(db_);
  MUST(kist_feed_open(db_, fed_seq_, &feed_, &err));
}

void InterfaceWalk::CheckFeed(uint64_t most) {
  if (Below(3) == 0) {
    kist_feed_free(feed_);
    OpenFeed();
  }
  for (; most > 0; --most) {
    uint64_t seq = 0;
    int64_t time_ms = 0;
    kist_slice packed;
    kist_err err = KIST_ERR_INIT;
    const kist_rc rc = kist_feed_next(feed_, 0, &seq, &time_ms, &packed, &err);
    if (rc == KIST_E_MISSING) {
      kist_feed_free(feed_);
      OpenFeed();
      continue;
    }
    if (rc == KIST_DONE) {
      if (fed_ != model_.journal.size()) Differs("feed: an early end", std::to_string(fed_));
      return;
    }
    if (rc != KIST_OK) Differs(err.message, "");
    if (fed_ == model_.journal.size()) Differs("feed: too much", std::to_string(seq));
    const ModelCommit& want = model_.journal[fed_++];
    if (seq != want.seq) Differs("feed: sequence", std::to_string(seq));
    if (time_ms != want.time_ms && (timestamps_ || time_ms != 0))
      Differs("feed: time", std::to_string(time_ms - want.time_ms));
    std::vector<ModelOp> ops;
    if (!ParsePacked(packed, &ops)) Differs("feed: layout", std::to_string(seq));
    // What a put without a TTL means to the consumer: its keyspace's default.
    for (ModelOp& op : ops)
      for (const ModelOp& w : want.ops)
        if (w.keyspace == op.keyspace) op.otherwise = w.otherwise;
    const std::vector<ModelOp> given = Lasting(ops), wanted = Lasting(want.ops);
    if (!std::equal(given.begin(), given.end(), wanted.begin(), wanted.end(), SameOp)) {
      Show("given", given);
      Show("wanted", wanted);
      Differs("feed: operations", std::to_string(seq));
    }
    fed_seq_ = seq;
  }
}

// Commits of a log that is gone are said to be missing, at once after a flush and an opening.
void InterfaceWalk::CheckGap() {
  if (retains_) return;
  const uint64_t before = kist_last_seq(db_);
  WriteOne();
  MUST(kist_flush(db_, &err));
  Reopen();
  kist_feed* none = nullptr;
  MUST_GIVE(KIST_E_MISSING, kist_feed_open(db_, before, &none, &err));
}

}  // namespace kist::test
