// A seeded random walk over the database beside a std::map of versions: every read path must agree
// with it after every kind of event: flush, compaction, reopening, snapshots held over all of it.
// Runs under many option sets. KIST_SEED repeats a run; KIST_STEPS sets its length.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "db/db.h"
#include "support/unit_test.h"

namespace kist {
namespace {

struct Random {
  uint64_t s;
  uint64_t Next() {
    s ^= s << 13;
    s ^= s >> 7;
    s ^= s << 17;
    return s;
  }
  uint64_t Below(uint64_t n) { return Next() % n; }
};

using State = std::map<std::string, std::string>;

void Must(const Status& s, const char* what) {
  if (s.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, s.ToString().c_str());
  std::abort();
}
#define MUST(expr) Must((expr), #expr)

class Walk {
 public:
  Walk(uint64_t seed, const char* options, std::string path, Vfs* vfs)
      : random_{seed * 2654435761u + 1}, path_(std::move(path)), vfs_(vfs) {
    MUST(set_.Parse(options));
    Reopen();
  }
  ~Walk() {
    snapshots_.clear();
    iterators_.clear();
    keyspaces_.clear();
    MUST(db_->Close());
  }
  void Run(int steps) {
    for (int i = 0; i < steps; ++i) Step();
    Compare();
  }

 private:
  struct Held {
    std::unique_ptr<Snapshot> snapshot;
    std::vector<State> states;
  };
  struct HeldIterator {
    std::unique_ptr<DbIterator> iterator;
    State state;
  };

  std::string Key() {
    const uint64_t kind = random_.Below(10);
    if (kind == 0) return std::string();
    if (kind == 1) return std::string(random_.Below(300), static_cast<char>(random_.Below(256)));
    char buf[32];
    std::snprintf(buf, sizeof buf, "key%06llu",
                  static_cast<unsigned long long>(random_.Below(500)));
    return buf;
  }
  std::string Value() {
    const uint64_t n = random_.Below(20) == 0 ? random_.Below(20000) : random_.Below(120);
    std::string v(n, 'v');
    for (size_t i = 0; i < n; i += 3) v[i] = static_cast<char>(random_.Below(256));
    return v;
  }
  Durability AnyDurability() { return static_cast<Durability>(random_.Below(4)); }
  size_t AnyKeyspace() { return random_.Below(keyspaces_.size()); }

  void Reopen() {
    snapshots_.clear();
    iterators_.clear();
    keyspaces_.clear();
    if (db_ != nullptr) MUST(db_->Close());
    db_.reset();
    auto db = Db::Open(path_, set_, LogSink(), vfs_);
    MUST(db.status());
    db_ = db.Take();
    keyspaces_.push_back(db_->DefaultKeyspace());
    for (const char* name : {"one", "two"}) {
      auto ks = db_->OpenKeyspace(name, KeyspaceMode::kCreate, nullptr);
      MUST(ks.status());
      keyspaces_.push_back(ks.Take());
    }
    states_.resize(keyspaces_.size());
  }

  void DropAndRecreate() {
    MUST(db_->DropKeyspace("two"));
    assert_true(keyspaces_[2]->dropped());
    auto ks = db_->OpenKeyspace("two", KeyspaceMode::kCreateNew, nullptr);
    MUST(ks.status());
    keyspaces_[2] = ks.Take();
    states_[2].clear();
    for (Held& h : snapshots_)
      h.states[2].clear();  // a new keyspace was empty at every earlier time
  }

  void EraseRange(State* s, const std::string& begin, const std::string& end) {
    s->erase(s->lower_bound(begin), end.empty() ? s->end() : s->lower_bound(end));
  }

  void WriteBatch() {
    BatchBuilder batch(random_.Below(2) != 0 ? 40 : 0);
    std::vector<State> next = states_;
    const uint64_t n = random_.Below(30);
    for (uint64_t i = 0; i < n; ++i) {
      const size_t k = AnyKeyspace();
      const std::string key = Key();
      const uint64_t kind = random_.Below(10);
      if (kind < 6) {
        const std::string v = Value();
        MUST(batch.Put(keyspaces_[k]->id(), key, v, 0));
        next[k][key] = v;
      } else if (kind < 9) {
        MUST(batch.Delete(keyspaces_[k]->id(), key));
        next[k].erase(key);
      } else {
        std::string end = random_.Below(20) == 0 ? std::string() : Key();
        if (!end.empty() && end < key) continue;
        MUST(batch.DeleteRange(keyspaces_[k]->id(), key, end));
        EraseRange(&next[k], key, end);
      }
    }
    if (batch.count() == 0) return;
    WriteRequest r;
    r.durability = AnyDurability();
    std::string copy(batch.data());
    r.batch = copy.data();
    r.batch_bytes = copy.size();
    MUST(ValidateBatch(copy, db_->limits(), false, &r.summary));
    MUST(db_->Write(&r, nullptr));
    states_ = std::move(next);
  }

  // Alone, so it never conflicts: its reads see its writes, and its commit makes them the state.
  void Transaction() {
    auto made = db_->NewTxn(random_.Below(2) == 0);
    MUST(made.status());
    std::unique_ptr<Txn> txn = made.Take();
    std::vector<State> next = states_, saved = states_;
    bool savepoint = false;
    for (uint64_t n = random_.Below(20); n > 0; --n) {
      const size_t k = AnyKeyspace();
      const std::string key = Key();
      const uint64_t kind = random_.Below(12);
      if (kind < 5) {
        const std::string v = Value();
        MUST(txn->Put(keyspaces_[k].get(), key, v, 0));
        next[k][key] = v;
      } else if (kind < 7) {
        MUST(txn->Delete(keyspaces_[k].get(), key));
        next[k].erase(key);
      } else if (kind == 7) {
        const std::string end = Key();
        if (end < key || end.empty()) continue;
        MUST(txn->DeleteRange(keyspaces_[k].get(), key, end));
        EraseRange(&next[k], key, end);
      } else if (kind == 8 && !savepoint) {
        MUST(txn->Savepoint());
        saved = next;
        savepoint = true;
      } else if (kind == 9 && savepoint) {
        MUST(txn->RollbackTo());
        next = saved;
        savepoint = false;
      } else {
        auto it = txn->NewIterator(keyspaces_[k].get(), IterOptions());
        MUST(it.status());
        Scan(it->get(), next[k], k);
      }
    }
    if (random_.Below(4) == 0) return;  // rolled back
    MUST(txn->Commit(AnyDurability(), nullptr));
    states_ = std::move(next);
  }

  // Several keys of one state, as kist_multi_get reads them.
  void CheckMany(size_t k) {
    std::vector<std::string> keys;
    for (uint64_t n = random_.Below(60); n > 0; --n) keys.push_back(Key());
    std::sort(keys.begin(), keys.end());
    const Held* h = snapshots_.empty() || random_.Below(2) == 0
                        ? nullptr
                        : &snapshots_[random_.Below(snapshots_.size())];
    const State& state = h != nullptr ? h->states[k] : states_[k];
    std::vector<ManyGet> gets(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) gets[i].key = keys[i];
    Epoch::Guard guard(db_->epoch());
    const ReadState at = db_->FixState(h != nullptr ? h->snapshot.get() : nullptr);
    db_->GetMany(keyspaces_[k].get(), at, random_.Below(2) == 0, gets.data(), gets.size());
    for (const ManyGet& g : gets) {
      MUST(g.status);
      const auto it = state.find(std::string(g.key));
      if (g.found.found != (it != state.end())) Fail("many: presence", k, std::string(g.key));
      if (g.found.found && g.found.value != it->second) Fail("many: value", k, std::string(g.key));
    }
  }

  void Step() {
    const uint64_t op = random_.Below(1000);
    const size_t k = AnyKeyspace();
    if (random_.Below(25) == 0) {
      Transaction();
    } else if (random_.Below(25) == 0) {
      CheckMany(k);
    } else if (op < 500) {
      const std::string key = Key(), v = Value();
      MUST(db_->Put(keyspaces_[k].get(), AnyDurability(), key, v, 0, nullptr));
      states_[k][key] = v;
    } else if (op < 650) {
      const std::string key = Key();
      MUST(db_->Delete(keyspaces_[k].get(), AnyDurability(), key, nullptr));
      states_[k].erase(key);
    } else if (op < 680) {
      std::string begin = Key(), end = Key();
      if (end < begin) std::swap(begin, end);
      if (end.empty()) return;
      MUST(db_->DeleteRange(keyspaces_[k].get(), AnyDurability(), begin, end, nullptr));
      EraseRange(&states_[k], begin, end);
    } else if (op < 780) {
      WriteBatch();
    } else if (op < 860) {
      CheckGet(k, Key());
    } else if (op < 900) {
      CheckIterator(k);
    } else if (op < 920) {
      auto s = db_->NewSnapshot();
      MUST(s.status());
      snapshots_.push_back({s.Take(), states_});
      if (snapshots_.size() > 4)
        snapshots_.erase(snapshots_.begin() + static_cast<long>(random_.Below(4)));
    } else if (op < 940) {
      IterOptions io;
      auto it = db_->NewIterator(keyspaces_[k].get(), io);
      MUST(it.status());
      iterators_.push_back({it.Take(), states_[k]});
      if (iterators_.size() > 3) iterators_.erase(iterators_.begin());
    } else if (op < 965) {
      MUST(db_->Flush());
    } else if (op < 975) {
      std::string begin = Key(), end = Key();
      if (end < begin) std::swap(begin, end);
      MUST(db_->Compact(keyspaces_[k].get(), begin, end, JobControl()));
    } else if (op < 980) {
      MUST(db_->Compact(keyspaces_[k].get(), Slice(), Slice(), JobControl()));
    } else if (op < 984) {
      MUST(db_->Verify(JobControl()));
    } else if (op < 988) {
      DropAndRecreate();
    } else if (op < 994) {
      Reopen();
      Compare();
    } else {
      Compare();
    }
  }

  void CheckGet(size_t k, const std::string& key) {
    const Held* h = snapshots_.empty() || random_.Below(2) == 0
                        ? nullptr
                        : &snapshots_[random_.Below(snapshots_.size())];
    CheckOne(k, key, h != nullptr ? h->states[k] : states_[k],
             h != nullptr ? h->snapshot.get() : nullptr);
  }
  void CheckOne(size_t k, const std::string& key, const State& state, const Snapshot* snapshot) {
    Epoch::Guard guard(db_->epoch());
    ReadFound found;
    MUST(db_->Get(keyspaces_[k].get(), snapshot, key, true, &found));
    auto it = state.find(key);
    if (found.found != (it != state.end())) Fail("get: presence", k, key);
    if (found.found && found.value != it->second) Fail("get: value", k, key);
  }
  void Fail(const char* what, size_t k, const std::string& key) {
    std::fprintf(stderr, "%s differs in keyspace %zu at '%s'\n", what, k, key.c_str());
    std::abort();
  }

  // Whole state by both scan directions.
  void Scan(DbIterator* it, const State& state, size_t k) {
    it->SeekToFirst();
    for (const auto& [key, value] : state) {
      if (!it->on()) Fail("scan ends early", k, key);
      if (it->key() != key) Fail("scan: key", k, key);
      if (it->value() != value) Fail("scan: value", k, key);
      it->Next();
    }
    if (it->on()) Fail("scan: too much", k, std::string(it->key()));
    MUST(it->status());
    it->SeekToLast();
    for (auto r = state.rbegin(); r != state.rend(); ++r) {
      if (!it->on()) Fail("reverse scan ends early", k, r->first);
      if (it->key() != r->first || it->value() != r->second) Fail("reverse scan", k, r->first);
      it->Prev();
    }
    if (it->on()) Fail("reverse scan: too much", k, std::string(it->key()));
    MUST(it->status());
  }

  void Compare() {
    for (size_t k = 0; k < keyspaces_.size(); ++k) {
      for (size_t h = 0; h <= snapshots_.size(); ++h) {
        IterOptions io;
        const State& state = h < snapshots_.size() ? snapshots_[h].states[k] : states_[k];
        if (h < snapshots_.size()) io.snapshot = snapshots_[h].snapshot.get();
        auto it = db_->NewIterator(keyspaces_[k].get(), io);
        MUST(it.status());
        Scan(it->get(), state, k);
        for (const auto& [key, value] : state) CheckOne(k, key, state, io.snapshot);
      }
    }
    for (HeldIterator& h : iterators_) Scan(h.iterator.get(), h.state, 99);
  }

  void CheckIterator(size_t k) {
    const Held* h = snapshots_.empty() || random_.Below(2) == 0
                        ? nullptr
                        : &snapshots_[random_.Below(snapshots_.size())];
    State state = h != nullptr ? h->states[k] : states_[k];
    IterOptions io;
    if (h != nullptr) io.snapshot = h->snapshot.get();
    std::string lower, upper;
    if (random_.Below(2) == 0) {
      lower = Key();
      io.lower = lower;
      state.erase(state.begin(), state.lower_bound(lower));
    }
    if (random_.Below(2) == 0) {
      upper = Key();
      if (!upper.empty()) {
        io.upper = upper;
        io.has_upper = true;
        state.erase(state.lower_bound(upper), state.end());
      }
    }
    auto made = db_->NewIterator(keyspaces_[k].get(), io);
    MUST(made.status());
    DbIterator* it = made->get();
    auto at = state.end();
    bool on = false;
    for (int i = 0; i < 40; ++i) {
      const std::string key = Key();
      switch (random_.Below(10)) {
        case 0:
          it->SeekToFirst();
          at = state.begin();
          on = at != state.end();
          break;
        case 1:
          it->SeekToLast();
          on = !state.empty();
          at = on ? std::prev(state.end()) : state.end();
          break;
        case 2:
          it->SeekGe(key);
          at = state.lower_bound(key);
          on = at != state.end();
          break;
        case 3:
          it->SeekGt(key);
          at = state.upper_bound(key);
          on = at != state.end();
          break;
        case 4:
          it->SeekLe(key);
          at = state.upper_bound(key);
          on = at != state.begin();
          if (on) --at;
          break;
        case 5:
          it->SeekLt(key);
          at = state.lower_bound(key);
          on = at != state.begin();
          if (on) --at;
          break;
        case 6:
        case 7:
          if (!on) continue;
          it->Next();
          ++at;
          on = at != state.end();
          break;
        default:
          if (!on) continue;
          it->Prev();
          on = at != state.begin();
          if (on) --at;
      }
      MUST(it->status());
      if (it->on() != on) Fail("iterator: position", k, key);
      if (on && (it->key() != at->first || it->value() != at->second))
        Fail("iterator: entry", k, at->first);
    }
  }

  Random random_;
  const std::string path_;
  Vfs* const vfs_;
  OptionSet set_;
  std::unique_ptr<Db> db_;
  std::vector<RefPtr<Keyspace>> keyspaces_;
  std::vector<State> states_;
  std::vector<Held> snapshots_;
  std::vector<HeldIterator> iterators_;
};

const char* const kOptionSets[] = {
    "sync=never; write_buffer_size=64KiB; target_file_size=64KiB",
    "sync=every_write; write_buffer_size=128KiB; cache_size=64KiB; block_size=1KiB; "
    "target_file_size=64KiB",
    "sync=every_n:10; compression=none; filter_bits=0; write_buffer_size=64KiB; "
    "wal_preallocate=false",
    "sync=interval:1ms; compression=snappy; wal_compression=snappy; write_buffer_size=256KiB; "
    "wal_timestamps=false",
    "sync=hybrid:5:1ms; write_back=true; write_back_size=4KiB; write_back_interval=1ms; "
    "memtable_preallocate=true; write_buffer_size=64KiB",
    "sync=never; compaction=manual; write_buffer_size=1MiB; filter_bits=16",
    "sync=never; mmap_reads=true; compression=none; write_buffer_size=64KiB; max_open_files=16; "
    "target_file_size=64KiB",
};

uint64_t Environment(const char* name, uint64_t otherwise) {
  const char* v = std::getenv(name);
  return v != nullptr ? std::strtoull(v, nullptr, 10) : otherwise;
}

template <int kSet>
void model__agrees_with_a_map(void** state) {
  static_cast<void>(state);
  const uint64_t seed = Environment("KIST_SEED", 1);
  const int steps = static_cast<int>(Environment("KIST_STEPS", 4000));
  for (uint64_t i = 0; i < 3; ++i) {
    std::fprintf(stderr, "options %d, seed %llu\n", kSet,
                 static_cast<unsigned long long>(seed + i));
    auto vfs = NewMemoryVfs();
    Walk(seed + i, kOptionSets[kSet], "/db", vfs.get()).Run(steps);
  }
}

}  // namespace
}  // namespace kist

int main() {
  using namespace kist;
  const CMUnitTest tests[] = {
      cmocka_unit_test(model__agrees_with_a_map<0>), cmocka_unit_test(model__agrees_with_a_map<1>),
      cmocka_unit_test(model__agrees_with_a_map<2>), cmocka_unit_test(model__agrees_with_a_map<3>),
      cmocka_unit_test(model__agrees_with_a_map<4>), cmocka_unit_test(model__agrees_with_a_map<5>),
      cmocka_unit_test(model__agrees_with_a_map<6>),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
