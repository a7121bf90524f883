// What the walk does to the database; interface_check.cc compares.
#include "support/interface_walk.h"

#include <algorithm>
#include <utility>

#include "capi/lifecycle.h"
#include "support/must.h"

namespace kist::test {

InterfaceWalk::InterfaceWalk(uint64_t seed, const std::string& options)
    : rng_(seed),
      options_(options),
      retains_(options.find("log_retention=") != std::string::npos),
      timestamps_(options.find("wal_timestamps=false") == std::string::npos),
      memory_(NewMemoryVfs()),
      vfs_(memory_.get()),
      now_ms_(vfs_.WallMs()) {
  Open();
}

InterfaceWalk::~InterfaceWalk() { Close(); }

void InterfaceWalk::Run(int steps) {
  for (int i = 0; i < steps; ++i) Step();
  CheckAll();
  CheckFeed(UINT64_MAX);
  Reopen();
  CheckAll();
}

void InterfaceWalk::Open() {
  OptionSet set;
  const std::string ttl = DefaultTtl(&opened_ttl_);
  MustBeOk(set.Parse(options_ + "; default_ttl=" + ttl), "options");
  auto engine = Db::Open("/db", set, LogSink(), &vfs_);
  MustBeOk(engine.status(), "open");
  MUST(capi::MakeDb(engine.Take(), nullptr, &db_, &err));
  model_.default_ttl_ms[0] = opened_ttl_;
  if (spaces_.empty()) spaces_.push_back({0, "default", nullptr});
  spaces_[0].handle = kist_default(db_);
  for (size_t i = 1; i < spaces_.size(); ++i) {
    MUST(kist_keyspace_open(db_, spaces_[i].name.c_str(), KIST_KEYSPACE_OPEN, nullptr,
                            &spaces_[i].handle, &err));
    if (kist_keyspace_id(spaces_[i].handle) != spaces_[i].id) Differs("id", spaces_[i].name);
  }
  OpenFeed();
}

void InterfaceWalk::Close() {
  LetGo(0);
  kist_feed_free(feed_);
  for (Space& space : spaces_) kist_keyspace_free(space.handle);
  MUST(kist_close(db_, KIST_CLOSE_STRICT, &err));
}

// The time is at least that of the last opening, which the test sees to: how far the wall clock may
// go back meanwhile is told in tests/fault/expiry_test.cc.
void InterfaceWalk::Reopen() {
  Close();
  now_ms_ += static_cast<int64_t>(Below(3) * 100);
  vfs_.SetWallMs(now_ms_);
  Open();
  CheckNames();
}

// Time passes, or somebody sets the wall clock, which the database follows forwards only.
void InterfaceWalk::Advance() {
  const uint64_t kind = Below(20);
  const int64_t by = kind == 0 ? 3600000 : static_cast<int64_t>(Below(100));
  if (kind < 18) {
    vfs_.AdvanceMs(static_cast<uint64_t>(by));
    now_ms_ = std::max(now_ms_ + by, vfs_.WallMs());
    return;
  }
  vfs_.JumpWallMs(kind == 18 ? by : -by);
  now_ms_ = std::max(now_ms_, vfs_.WallMs());
  kist_snapshot* looks = nullptr;  // which the database sees when it next looks
  MUST(kist_snapshot_new(db_, &looks, &err));
  kist_snapshot_free(looks);
}

// Creates a keyspace, or changes options of one that is there.
void InterfaceWalk::OpenSpace() {
  const std::string name = Below(8) == 0 ? "default" : "space" + std::to_string(Below(5));
  kist_options* options = nullptr;
  MUST(kist_options_new(&options));
  const auto maybe = [&](const char* option, const std::vector<const char*>& values) {
    if (Below(2) != 0) MUST(kist_options_set(options, option, values[Below(values.size())], &err));
  };
  maybe("compression", {"none", "snappy", "adaptive"});
  maybe("filter_bits", {"0", "4", "10", "20"});
  maybe("block_size", {"1KiB", "4KiB", "64KiB"});
  maybe("target_file_size", {"64KiB", "256KiB"});
  int64_t ttl = opened_ttl_;
  const bool sets_ttl = Below(2) != 0;
  if (sets_ttl) MUST(kist_options_set(options, "default_ttl", DefaultTtl(&ttl).c_str(), &err));
  const auto known =
      std::find_if(spaces_.begin(), spaces_.end(), [&](const Space& s) { return s.name == name; });
  const bool is_new = known == spaces_.end();
  kist_keyspace* handle = nullptr;
  MUST(kist_keyspace_open(db_, name.c_str(), KIST_KEYSPACE_CREATE, options, &handle, &err));
  kist_options_free(options);
  const uint32_t id = kist_keyspace_id(handle);
  if (is_new) {
    spaces_.push_back({id, name, handle});
    model_.Commit(kist_last_seq(db_), now_ms_, {{kModelCreate, id, name, "", 0, 0}});
  } else {
    if (id != known->id) Differs("id", name);
    kist_keyspace_free(handle);
  }
  if (is_new || sets_ttl) model_.default_ttl_ms[id] = ttl;
}

void InterfaceWalk::DropSpace() {
  if (spaces_.size() == 1) return;
  const size_t at = 1 + Below(spaces_.size() - 1);
  const Space space = spaces_[at];
  MUST(kist_keyspace_drop(db_, space.name.c_str(), &err));
  model_.Commit(kist_last_seq(db_), now_ms_, {{kModelDrop, space.id, space.name, "", 0, 0}});
  MUST_GIVE(KIST_E_MISSING, kist_exists(space.handle, nullptr, "k", 1, &err));
  kist_keyspace_free(space.handle);
  spaces_.erase(spaces_.begin() + static_cast<long>(at));
}

kist_write_options InterfaceWalk::RandomWrite() {
  kist_write_options wo = KIST_WRITE_OPTIONS_INIT;
  wo.durability = static_cast<uint32_t>(Below(4));
  return wo;
}

void InterfaceWalk::Written(const kist_write_options& wo, std::vector<ModelOp> ops) {
  const uint64_t seq = kist_last_seq(db_);
  if (!model_.journal.empty() && seq <= model_.journal.back().seq) Differs("no commit", "");
  if (wo.durability == KIST_DURABILITY_SYNC && kist_durable_seq(db_) < seq)
    Differs("not durable", "");
  model_.Commit(seq, now_ms_, std::move(ops));
}

ModelOp InterfaceWalk::RandomOp() {
  const uint64_t kind = Below(12);
  ModelOp op;
  op.keyspace = AnySpace().id;
  op.key = Key();
  op.kind = kind < 8 ? kModelPut : kind < 11 ? kModelDelete : kModelRange;
  if (op.kind == kModelPut) {
    op.value = Value();
    op.ttl_ms = Ttl();
  } else if (op.kind == kModelRange) {
    op.value = op.key + Key();
    if (op.value == op.key) op.value += '!';
    if (Below(3) != 0) op.value.resize(op.key.size() + 1);
  }
  return op;
}

void InterfaceWalk::WriteOne() {
  const ModelOp op = RandomOp();
  kist_write_options wo = RandomWrite();
  const auto space = std::find_if(spaces_.begin(), spaces_.end(),
                                  [&](const Space& s) { return s.id == op.keyspace; });
  const std::string &k = op.key, &v = op.value;
  if (op.kind == kModelPut) {
    wo.ttl_ms = op.ttl_ms;
    MUST(kist_put(space->handle, &wo, k.data(), k.size(), v.data(), v.size(), &err));
  } else if (op.kind == kModelDelete) {
    MUST(kist_delete(space->handle, &wo, k.data(), k.size(), &err));
  } else {
    MUST(kist_delete_range(space->handle, &wo, k.data(), k.size(), v.data(), v.size(), &err));
  }
  Written(wo, {op});
}

void InterfaceWalk::WriteMany(bool packed) {
  kist_batch* batch = nullptr;
  MUST(kist_batch_new(&batch));
  std::vector<ModelOp> ops;
  for (uint64_t n = 1 + Below(20); n > 0; --n) {
    const ModelOp op = RandomOp();
    const std::string &k = op.key, &v = op.value;
    const auto space = std::find_if(spaces_.begin(), spaces_.end(),
                                    [&](const Space& s) { return s.id == op.keyspace; });
    kist_keyspace* ks = space->handle;
    if (op.kind == kModelPut) {
      MUST(kist_batch_put(batch, ks, k.data(), k.size(), v.data(), v.size(), op.ttl_ms, &err));
    } else if (op.kind == kModelDelete) {
      MUST(kist_batch_delete(batch, ks, k.data(), k.size(), &err));
    } else {
      MUST(kist_batch_delete_range(batch, ks, k.data(), k.size(), v.data(), v.size(), &err));
    }
    ops.push_back(op);
  }
  if (Below(5) == 0) Advance();  // a TTL counts from the commit
  const kist_write_options wo = RandomWrite();
  uint64_t seq = 0;
  if (packed) {
    const void* data = nullptr;
    size_t len = 0;
    MUST(kist_batch_data(batch, &data, &len));
    MUST(kist_write_packed(db_, &wo, data, len, &seq, &err));
  } else {
    MUST(kist_write(db_, &wo, batch, &seq, &err));
  }
  if (seq != kist_last_seq(db_)) Differs("sequence of a batch", "");
  kist_batch_free(batch);
  Written(wo, std::move(ops));
}

// Alone, so it never conflicts. Its time stands still; its TTLs count from the commit.
void InterfaceWalk::Transaction() {
  Held at = Newest();
  MUST(kist_txn_begin(db_, static_cast<uint32_t>(Below(2)), &at.txn, &err));
  std::vector<ModelOp> ops;
  std::vector<std::pair<size_t, ModelStates>> savepoints;
  for (uint64_t n = Below(20); n > 0; --n) {
    const uint64_t kind = Below(16);
    if (kind == 0) {
      MUST(kist_txn_savepoint(at.txn, &err));
      savepoints.emplace_back(ops.size(), at.states);
    } else if (kind == 1 && !savepoints.empty()) {
      MUST(kist_txn_rollback_to(at.txn, &err));
      ops.resize(savepoints.back().first);
      at.states = savepoints.back().second;
      savepoints.pop_back();
    } else if (kind == 2) {
      Advance();
    } else if (kind < 6) {
      const Space& space = AnySpace();
      CheckKey(space, at, ops.empty() ? Key() : ops[Below(ops.size())].key);
      if (kind == 4) CheckMany(space, at);
      if (kind == 5) CheckRange(space, at);
    } else {
      const ModelOp op = RandomOp();
      const std::string &k = op.key, &v = op.value;
      kist_keyspace* ks = std::find_if(spaces_.begin(), spaces_.end(), [&](const Space& s) {
                            return s.id == op.keyspace;
                          })->handle;
      if (op.kind == kModelPut) {
        MUST(kist_txn_put(at.txn, ks, k.data(), k.size(), v.data(), v.size(), op.ttl_ms, &err));
      } else if (op.kind == kModelDelete) {
        MUST(kist_txn_delete(at.txn, ks, k.data(), k.size(), &err));
      } else {
        MUST(kist_txn_delete_range(at.txn, ks, k.data(), k.size(), v.data(), v.size(), &err));
      }
      Apply(model_.Resolved(op), at.time_ms, &at.states);
      ops.push_back(op);
    }
  }
  if (Below(4) != 0) {
    const kist_write_options wo = RandomWrite();
    MUST(kist_txn_commit(at.txn, &wo, nullptr, &err));
    if (!ops.empty()) Written(wo, std::move(ops));
  }
  kist_txn_free(at.txn);
}

void InterfaceWalk::Hold() {
  if (Below(2) == 0) {
    Held h = Newest();
    MUST(kist_snapshot_new(db_, &h.snapshot, &err));
    held_.push_back(std::move(h));
  } else {
    const Space& space = AnySpace();
    kist_iter* iter = nullptr;
    MUST(kist_iter_new(space.handle, nullptr, &iter, &err));
    iterators_.push_back({iter, VisiblePart(model_.states[space.id], now_ms_)});
  }
  LetGo(3);
}

void InterfaceWalk::LetGo(size_t most) {
  while (held_.size() > most) {
    const size_t i = Below(held_.size());
    kist_snapshot_free(held_[i].snapshot);
    held_.erase(held_.begin() + static_cast<long>(i));
  }
  while (iterators_.size() > most) {
    Scan(iterators_.front().iter, iterators_.front().state);
    kist_iter_free(iterators_.front().iter);
    iterators_.erase(iterators_.begin());
  }
}

void InterfaceWalk::Maintain() {
  const uint64_t kind = Below(8);
  if (kind < 3) {
    MUST(kist_flush(db_, &err));
  } else if (kind == 3) {
    MUST(kist_compact(AnySpace().handle, nullptr, 0, nullptr, 0, nullptr, &err));
  } else if (kind == 4) {
    MUST(kist_verify(db_, nullptr, &err));
  } else if (kind == 5) {
    const std::string begin = Key();
    MUST(kist_compact(AnySpace().handle, begin.data(), begin.size(), nullptr, 0, nullptr, &err));
  } else {
    const uint64_t last = kist_last_seq(db_);
    MUST(kist_sync(db_, &err));
    if (kist_durable_seq(db_) < last) Differs("not durable after kist_sync", "");
  }
}

void InterfaceWalk::Step() {
  const uint64_t op = Below(1000);
  if (op < 450) {
    WriteOne();
  } else if (op < 550) {
    WriteMany(Below(2) == 0);
  } else if (op < 590) {
    Transaction();
  } else if (op < 690) {
    Advance();
  } else if (op < 860) {
    const Held newest = Newest();
    const Held& at = AnyHeld(newest);
    const Space& space = AnySpace();
    if (op < 760) CheckKey(space, at, Key());
    if (op >= 760 && op < 810) CheckMany(space, at);
    if (op >= 810) CheckRange(space, at);
  } else if (op < 890) {
    Hold();
  } else if (op < 920) {
    Maintain();
  } else if (op < 940) {
    OpenSpace();
  } else if (op < 947) {
    DropSpace();
  } else if (op < 985) {
    CheckFeed(Below(60));
  } else if (op < 992) {
    Reopen();
    CheckAll();
  } else if (op < 994) {
    CheckGap();
  } else {
    CheckAll();
  }
}

}  // namespace kist::test
