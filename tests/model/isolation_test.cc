// Isolation of transactions, judged by the dependency cycles in what they did (support/history.h):
// random histories of several open transactions in one thread, where all is known, and of threads
// whose commits meet in groups. Write skew must show up under snapshot isolation, so that it is
// known that the judge sees it, and no cycle ever under serializable.
#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "db/db.h"
#include "support/history.h"
#include "support/unit_test.h"
#include "support/wrap_vfs.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

constexpr uint32_t kKeys = 12;

// Syncs take a while, so that commits wait for one another and make groups.
class SlowSyncVfs : public WrapVfs {
 public:
  explicit SlowSyncVfs(Vfs* base) : WrapVfs(base) {}
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    struct Slow : WrapFile {
      using WrapFile::WrapFile;
      Status Sync() override {
        std::this_thread::sleep_for(std::chrono::microseconds(300));
        return base_->Sync();
      }
    };
    auto opened = base_->Open(path, mode);
    if (!opened.ok()) return std::move(opened).status();
    return std::unique_ptr<File>(std::make_unique<Slow>(opened.Take()));
  }
};

std::string Key(uint32_t i) { return std::string("k") + static_cast<char>('a' + i); }

struct Store {
  explicit Store(Vfs* vfs, const char* options = "sync=never; memory_budget=4MiB") {
    OptionSet set;
    ASSERT_OK(set.Parse(options));
    auto opened = Db::Open("/db", set, LogSink(), vfs);
    ASSERT_OK(opened);
    db = opened.Take();
    ks = db->DefaultKeyspace();
  }
  ~Store() {
    ks = RefPtr<Keyspace>();
    ASSERT_OK(db->Close());
  }
  std::unique_ptr<Db> db;
  RefPtr<Keyspace> ks;
};

// One transaction and the record of what it did. A value is the writer's id; a delete is told from
// "never written" by `deleted`, which knows each commit's deletes.
class Worker {
 public:
  Worker(Store* store, uint64_t id, bool serializable)
      : store_(store), low_(store->db->last_seq()) {
    record_.id = id;
    auto made = store->db->NewTxn(serializable);
    ASSERT_OK(made);
    txn_ = made.Take();
    high_ = store->db->last_seq();
  }
  // A read of an absent key, whose version is known only where the state is.
  struct Absent {
    uint32_t key;
    size_t read;  // of record().reads
  };
  void Step(Rng* rng) {
    const auto key = static_cast<uint32_t>(rng->Below(kKeys));
    switch (rng->Below(8)) {
      case 0:
      case 1:
      case 2:
        return Get(key, rng->OneIn(5));
      case 3:
        return Scan(key, static_cast<uint32_t>(rng->Below(kKeys + 1)), rng->OneIn(2));
      case 4:
        ASSERT_OK(txn_->Delete(store_->ks.get(), Key(key)));
        return Wrote(key);
      case 5:
        if (rng->OneIn(3)) return DeleteRange(key);
        [[fallthrough]];
      default:
        ASSERT_OK(txn_->Put(store_->ks.get(), Key(key), Value(), 0));
        return Wrote(key);
    }
  }
  Status Commit(Durability durability) {
    uint64_t seq = 0;
    Status s = txn_->Commit(durability, &seq);
    record_.seq = record_.wrote() ? seq : high_;
    txn_.reset();
    return s;
  }
  TxnRecord& record() { return record_; }
  const std::vector<Absent>& absent() const { return absent_; }
  uint64_t low() const { return low_; }  // the state it reads is between these
  uint64_t high() const { return high_; }

 private:
  std::string Value() const { return std::string(reinterpret_cast<const char*>(&record_.id), 8); }
  void Wrote(uint32_t key) {
    if (own_.insert(key).second) record_.writes.push_back(key);
  }
  void Saw(uint32_t key, const Slice* value) {
    if (own_.count(key) != 0) return;  // its own, checked by tests/capi
    uint64_t writer = kNobody;
    if (value != nullptr) {
      assert_int_equal(value->size(), 8);
      std::memcpy(&writer, value->data(), 8);
    } else {
      absent_.push_back({key, record_.reads.size()});
    }
    record_.reads.push_back({key, writer});
  }
  void Get(uint32_t key, bool for_update) {
    Epoch::Guard guard(store_->db->epoch());
    ReadFound found;
    ASSERT_OK(txn_->Get(store_->ks.get(), Key(key), for_update, true, &found));
    Saw(key, found.found ? &found.value : nullptr);
  }
  void Scan(uint32_t begin, uint32_t end, bool backwards) {
    if (end <= begin) return;
    IterOptions io;
    const std::string lower = Key(begin), upper = Key(end);
    const bool bounded = own_.size() % 2 == 0;
    if (bounded) {
      io.lower = lower;
      io.upper = upper;
      io.has_upper = true;
    }
    auto made = txn_->NewIterator(store_->ks.get(), io);
    ASSERT_OK(made);
    DbIterator* it = made->get();
    const auto in_range = [&] { return it->on() && it->key() >= lower && it->key() < upper; };
    std::vector<uint64_t> writers(kKeys, kNobody);
    if (backwards) {
      bounded ? it->SeekToLast() : it->SeekLt(upper);
      for (; in_range(); it->Prev())
        std::memcpy(&writers[IndexOf(it->key())], it->value().data(), 8);
    } else {
      bounded ? it->SeekToFirst() : it->SeekGe(lower);
      for (; in_range(); it->Next())
        std::memcpy(&writers[IndexOf(it->key())], it->value().data(), 8);
    }
    ASSERT_OK(it->status());
    for (uint32_t key = begin; key < end; ++key) {
      const Slice value(reinterpret_cast<const char*>(&writers[key]), 8);
      Saw(key, writers[key] == kNobody ? nullptr : &value);
    }
  }
  static uint32_t IndexOf(Slice key) { return static_cast<uint32_t>(key[1] - 'a'); }
  void DeleteRange(uint32_t begin) {
    const uint32_t end = std::min(begin + 3, kKeys);
    ASSERT_OK(txn_->DeleteRange(store_->ks.get(), Key(begin), Key(end)));
    for (uint32_t key = begin; key < end; ++key) Wrote(key);
  }

  Store* const store_;
  uint64_t low_ = 0, high_ = 0;
  std::unique_ptr<Txn> txn_;
  TxnRecord record_;
  std::set<uint32_t> own_;
  std::vector<Absent> absent_;
};

// Who deleted what, by commit: tells which version an absent read saw.
class Deletes {
 public:
  void Add(const TxnRecord& t) {
    for (const uint32_t key : t.writes) writers_[key].push_back({t.seq, t.id});
  }
  // The last writer at or before seq.
  uint64_t LastAt(uint32_t key, uint64_t seq) const {
    uint64_t id = kNobody, newest = 0;
    for (const auto& [at, writer] : writers_[key]) {
      if (at <= seq && at > newest) {
        newest = at;
        id = writer;
      }
    }
    return id;
  }

 private:
  std::vector<std::pair<uint64_t, uint64_t>> writers_[kKeys];
};

// Fills in who is behind absent reads; those that cannot be told are left out, which can hide a
// cycle but makes none.
TxnRecord Resolve(const TxnRecord& record, const std::vector<Worker::Absent>& absent, uint64_t low,
                  uint64_t high, const Deletes& deletes) {
  TxnRecord out = record;
  std::set<size_t> unknown;
  for (const Worker::Absent& a : absent) {
    const uint64_t writer = deletes.LastAt(a.key, low);
    if (writer != deletes.LastAt(a.key, high)) unknown.insert(a.read);
    out.reads[a.read].writer = writer;
  }
  size_t kept = 0;
  for (size_t i = 0; i < out.reads.size(); ++i) {
    if (unknown.count(i) == 0) out.reads[kept++] = out.reads[i];
  }
  out.reads.resize(kept);
  return out;
}

struct Tally {
  int commits = 0, conflicts = 0, needless = 0, skewed = 0;
};

// Several open transactions, stepped in turn.
void Interleave(uint64_t seed, bool serializable, Tally* tally) {
  Rng rng(seed);
  MemoryVfs vfs;
  Store store(&vfs);
  History history(kKeys);
  Deletes deletes;
  uint64_t next_id = 1;
  std::vector<std::unique_ptr<Worker>> open;
  for (int step = 0; step < 400; ++step) {
    if (open.size() < 4) open.push_back(std::make_unique<Worker>(&store, next_id++, serializable));
    const size_t at = rng.Below(open.size());
    Worker* w = open[at].get();
    if (!rng.OneIn(5)) {
      w->Step(&rng);
      continue;
    }
    if (rng.OneIn(10)) ASSERT_OK(store.db->Flush());
    Status s = w->Commit(Durability::kOs);
    const TxnRecord record = Resolve(w->record(), w->absent(), w->low(), w->high(), deletes);
    if (s.ok()) {
      ++tally->commits;
      history.Add(record);
      if (record.wrote()) deletes.Add(record);
    } else {
      ASSERT_CODE(s, Code::kConflict);
      ++tally->conflicts;
      TxnRecord as_if = record;
      as_if.seq = store.db->last_seq() + 1;
      if (!history.WouldCycle(as_if)) ++tally->needless;
    }
    open.erase(open.begin() + static_cast<ptrdiff_t>(at));
  }
  const History::Verdict v = history.Check();
  if (!v.dirty.empty())
    fail_msg("seed %llu: %s", static_cast<unsigned long long>(seed), v.dirty.c_str());
  if (!v.bad_cycle.empty())
    fail_msg("seed %llu: %s", static_cast<unsigned long long>(seed), v.bad_cycle.c_str());
  if (serializable && !v.cycle.empty())
    fail_msg("seed %llu: %s", static_cast<unsigned long long>(seed), v.cycle.c_str());
  tally->skewed += !v.cycle.empty();
}

int Rounds(int full) { return std::getenv("KIST_TEST_QUICK") != nullptr ? full / 5 : full; }

void isolation__interleaved(void**) {
  const uint64_t seed = Seed("isolation__interleaved");
  for (const bool serializable : {false, true}) {
    Tally tally;
    for (int round = 0; round < Rounds(60); ++round)
      Interleave(seed + static_cast<uint64_t>(round), serializable, &tally);
    std::printf("%s: %d commits, %d conflicts, %d of them in no cycle, %d histories with a cycle\n",
                serializable ? "serializable" : "snapshot", tally.commits, tally.conflicts,
                tally.needless, tally.skewed);
    assert_true(tally.commits > 0 && tally.conflicts > 0);
    if (serializable) {
      assert_int_equal(tally.skewed, 0);
    } else {
      assert_true(tally.skewed > 0);  // write skew is seen
    }
  }
}

// Sixteen threads whose commits meet in groups.
void isolation__threads(void**) {
  const uint64_t seed = Seed("isolation__threads");
  for (const bool serializable : {false, true}) {
    MemoryVfs memory;
    SlowSyncVfs vfs(&memory);
    Store store(&vfs, "sync=every_write; memory_budget=4MiB");
    struct Done {
      TxnRecord record;
      std::vector<Worker::Absent> absent;
      uint64_t low, high;
    };
    std::vector<Done> done;
    std::mutex mutex;
    std::atomic<uint64_t> next_id{1};
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 16; ++t) {
      threads.emplace_back([&, t] {
        Rng rng(seed * 31 + t);
        for (int i = 0; i < Rounds(100); ++i) {
          Worker w(&store, next_id.fetch_add(1), serializable);
          for (uint64_t n = 1 + rng.Below(4); n > 0; --n) w.Step(&rng);
          Status s = w.Commit(rng.OneIn(3) ? Durability::kOs : Durability::kSync);
          if (!s.ok()) {
            ASSERT_CODE(s, Code::kConflict);
            continue;
          }
          std::lock_guard<std::mutex> lock(mutex);
          done.push_back({w.record(), w.absent(), w.low(), w.high()});
        }
      });
    }
    for (std::thread& t : threads) t.join();
    Deletes deletes;
    for (const Done& d : done) {
      if (d.record.wrote()) deletes.Add(d.record);
    }
    History history(kKeys);
    for (const Done& d : done) history.Add(Resolve(d.record, d.absent, d.low, d.high, deletes));
    const History::Verdict v = history.Check();
    if (!v.dirty.empty()) fail_msg("%s", v.dirty.c_str());
    if (!v.bad_cycle.empty()) fail_msg("%s", v.bad_cycle.c_str());
    if (serializable && !v.cycle.empty()) fail_msg("%s", v.cycle.c_str());
    std::printf("%zu commits in %llu groups with %llu syncs\n", history.size(),
                static_cast<unsigned long long>(store.db->Stat("commit_groups").value_or(0)),
                static_cast<unsigned long long>(store.db->Stat("wal_syncs").value_or(0)));
  }
}

// The judge itself: the classic anomalies, and orders that are none.
void isolation__the_judge(void**) {
  const auto txn = [](uint64_t id, uint64_t seq, std::vector<TxnRecord::Read> reads,
                      std::vector<uint32_t> writes) {
    TxnRecord t;
    t.id = id;
    t.seq = seq;
    t.reads = std::move(reads);
    t.writes = std::move(writes);
    return t;
  };
  History skew(2);  // each reads what the other writes
  skew.Add(txn(1, 1, {{0, 0}, {1, 0}}, {0}));
  assert_true(skew.Check().cycle.empty());
  assert_true(skew.WouldCycle(txn(2, 2, {{0, 0}, {1, 0}}, {1})));
  assert_false(skew.WouldCycle(txn(2, 2, {{1, 0}}, {1})));  // one behind the other
  skew.Add(txn(2, 2, {{0, 0}, {1, 0}}, {1}));
  assert_false(skew.Check().cycle.empty());
  assert_true(skew.Check().bad_cycle.empty());
  History lost(1);  // both count from the same number
  lost.Add(txn(1, 1, {{0, 0}}, {0}));
  lost.Add(txn(2, 2, {{0, 0}}, {0}));
  assert_false(lost.Check().bad_cycle.empty());
  History torn(2);  // half of T1, half of what was before
  torn.Add(txn(1, 1, {}, {0, 1}));
  torn.Add(txn(2, 1, {{0, 1}, {1, 0}}, {}));
  assert_false(torn.Check().bad_cycle.empty());
  History dirty(1);
  dirty.Add(txn(1, 1, {{0, 7}}, {}));
  assert_false(dirty.Check().dirty.empty());
  History fine(2);
  fine.Add(txn(1, 1, {}, {0, 1}));
  fine.Add(txn(2, 2, {{0, 1}}, {0}));
  fine.Add(txn(3, 1, {{0, 1}, {1, 1}}, {}));
  assert_true(fine.Check().cycle.empty() && fine.Check().dirty.empty());
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(isolation__the_judge),
      cmocka_unit_test(isolation__interleaved),
      cmocka_unit_test(isolation__threads),
  };
  return cmocka_run_group_tests_name("isolation", tests, nullptr, nullptr);
}
