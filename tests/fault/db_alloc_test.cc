// Out of memory (promise G20): every Nth allocation inside one call fails, once and from then on,
// of all threads. The call ends with KIST_E_NOMEM or well; nothing aborts, leaks or hangs; what
// was acknowledged stays; a commit refused with KIST_E_NOMEM is absent; with memory again the
// database works, unless it says that it is poisoned.
#include <functional>
#include <new>
#include <set>

#include "db/repair.h"
#include "db/retain.h"
#include "support/counting_alloc.h"
#include "support/crash_harness.h"
#include "support/fault_run.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

// Too long for a string without memory of its own: destructors that make paths allocate.
constexpr char kDir[] = "/a directory of a database";
constexpr Durability kOs = Durability::kOs;
constexpr Durability kSync = Durability::kSync;

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }
std::string V(uint64_t i) { return "value" + std::to_string(i) + std::string(60, 'v'); }

// A database in memory, each time as a kill left the one that was made once. The file system takes
// its memory from the same allocators.
class Fixture {
 public:
  Fixture() {
    ASSERT_OK(
        set_.Parse("memory_budget=4MiB; cache_size=64KiB; block_size=1KiB;"
                   "write_buffer_size=64KiB; compaction=manual; wal_preallocate=false"));
    reading_ = set_;
    ASSERT_OK(reading_.Set("read_only", "true"));
    vfs_ = std::make_unique<MemoryVfs>();
    ASSERT_OK(Open());
    CreateOne();
    for (uint64_t i = 0; i < 40; ++i) Put(K(i % 30), V(i));
    ASSERT_OK(db_->Flush());
    for (uint64_t i = 0; i < 30; ++i) Put(K(i % 13), V(i + 100));
    ASSERT_OK(db_->DeleteRange(Ks(), kSync, K(20), K(22), nullptr));
    std::string error;
    held_ = ReadAll(db_.get(), &error)["default"];
    killed_ = vfs_->Image();
    Close();
  }

  Status Open(bool read_only = false) {
    auto opened = Db::Open(kDir, read_only ? reading_ : set_, LogSink(), vfs_.get());
    if (opened.ok()) db_ = opened.Take();
    return opened.status();
  }
  void Close() {
    ks_ = RefPtr<Keyspace>();
    // As the interface has it: the database goes, whatever its Close says.
    const std::unique_ptr<Db> db = std::move(db_);
    if (db != nullptr) static_cast<void>(db->Close());
  }
  void Drop() {
    Close();
    vfs_.reset();
    now_.clear();
  }
  // A fresh copy, not yet open.
  void Begin() {
    Close();
    const MemoryVfs killed(killed_);
    vfs_ = std::make_unique<MemoryVfs>(killed.Image());
    now_ = held_;
  }
  Keyspace* Ks() {
    if (!ks_) ks_ = db_->DefaultKeyspace();
    return ks_.get();
  }
  void Put(const std::string& key, const std::string& value) {
    ASSERT_OK(db_->Put(Ks(), kOs, key, value, 0, nullptr));
  }
  void CreateOne() { ASSERT_OK(db_->OpenKeyspace("one", KeyspaceMode::kCreate, nullptr)); }
  Vfs* vfs() { return vfs_.get(); }
  Db* db() { return db_.get(); }
  bool open() const { return db_ != nullptr; }
  bool poisoned() { return db_->Stat("poisoned").value_or(0) != 0; }

  // key -> value of the default keyspace
  const std::map<std::string, std::string>& held() const { return held_; }
  std::map<std::string, std::string> now_;  // what must be there

  void Check(const std::string& what, const std::string& doubtful) {
    std::string error;
    auto found = ReadAll(db_.get(), &error)["default"];
    auto want = now_;
    for (const char* key : {"~probe"}) {
      found.erase(key);
      want.erase(key);
    }
    if (!doubtful.empty()) {
      found.erase(doubtful);
      want.erase(doubtful);
    }
    if (!error.empty() || found != want)
      fail_msg("%s: another state: %s", what.c_str(), error.c_str());
  }

 private:
  OptionSet set_;
  OptionSet reading_;
  std::shared_ptr<MemoryNode> killed_;  // never changed
  std::unique_ptr<MemoryVfs> vfs_;
  std::unique_ptr<Db> db_;
  RefPtr<Keyspace> ks_;
  std::map<std::string, std::string> held_;
};

using Body = std::function<Status(Fixture*)>;

Status Guarded(const Body& body, Fixture* f) {
  try {
    return body(f);
  } catch (const std::bad_alloc&) {  // what the interface's guard turns into KIST_E_NOMEM
    return Status::Bare(Code::kNoMem);
  }
}

// before: without faults, on the open database. body: the call that meets them; needs_open: on an
// open one. key: that the body puts.
void Loop(const char* name, bool needs_open, const Body& before, const Body& body,
          const std::string& key = std::string()) {
  Fixture f;
  uint64_t runs = 0;
  for (const bool for_ever : {false, true}) {
    const auto once = [&](uint64_t n) {
      const std::string what =
          std::string(name) + ", allocation " + std::to_string(n) + (for_ever ? " and later" : "");
      WatchDog(what);
      f.Drop();
      const int64_t live = LiveAllocations();
      f.Begin();
      if (needs_open) {
        ASSERT_OK(f.Open());
        f.Ks();
        if (before) ASSERT_OK(before(&f));
      }
      FailAllocation(n, for_ever);
      Status s = Guarded(body, &f);
      const bool hit = AllocationFailed();
      FailAllocation(0);
      bool doubt = false;
      if (f.open() && f.poisoned()) {
        doubt = !s.Is(Code::kNoMem);
        if (!s.ok() && !s.Is(Code::kIo) && !s.Is(Code::kPoisoned) && !s.Is(Code::kNoMem)) {
          fail_msg("%s: %s", what.c_str(), s.ToString().c_str());
        }
      } else if (!s.ok() && !s.Is(Code::kNoMem)) {
        fail_msg("%s: %s", what.c_str(), s.ToString().c_str());
      }
      if (s.ok() && !key.empty()) f.now_[key] = "new";
      if (f.open()) {
        f.Check(what, "");
        const Status probe = f.db()->Put(f.Ks(), kOs, "~probe", "1", 0, nullptr);
        if (!probe.ok() && !f.poisoned())
          fail_msg("%s: then %s", what.c_str(), probe.ToString().c_str());
        if (!f.poisoned()) ASSERT_OK(f.db()->WaitIdle(5000));
      }
      f.Close();
      Status reopened = f.Open();
      if (!reopened.ok()) fail_msg("%s: reopened: %s", what.c_str(), reopened.ToString().c_str());
      f.Check(what + ", reopened", doubt ? key : "");
      ASSERT_OK(f.db()->Verify(JobControl()));
      f.Drop();
      s = reopened = Status();
      const int64_t leaked = LiveAllocations() - live;
      if (leaked > 0 && n != 0) {
        fail_msg("%s: %lld allocations leak", what.c_str(), static_cast<long long>(leaked));
      }
      return hit;
    };
    once(0);  // what is made once in a process is made now
    runs += FailEach(once);
  }
  alarm(0);
  std::printf("%s: %llu runs\n", name, static_cast<unsigned long long>(runs));
}

void db_alloc__open(void**) {
  Loop("open", false, nullptr, [](Fixture* f) { return f->Open(); });
  Loop("open read-only", false, nullptr, [](Fixture* f) {
    Status s = f->Open(true);
    f->Close();
    return s;
  });
}

// A repair that says that it went well has lost nothing, names of keyspaces included: what fails
// for a moment is no damage.
void db_alloc__repair(void**) {
  Loop("repair", false, nullptr, [](Fixture* f) -> Status {
    std::string report;
    KIST_TRY(RepairDb(kDir, f->vfs(), JobControl(), &report));
    if (report.find("losses: 0") == std::string::npos) fail_msg("%s", report.c_str());
    return Status();
  });
}

void db_alloc__put(void**) {
  Loop(
      "put", true, nullptr,
      [](Fixture* f) { return f->db()->Put(f->Ks(), kSync, "a key", "new", 0, nullptr); }, "a key");
  // One that needs a new memtable and a new segment.
  Loop(
      "put that switches", true,
      [](Fixture* f) {
        f->now_["large"] = std::string(60000, 'x');
        return f->db()->Put(f->Ks(), kOs, "large", f->now_["large"], 0, nullptr);
      },
      [](Fixture* f) {
        const std::string key(9000, 'k');
        return f->db()->Put(f->Ks(), kOs, key, "new", 0, nullptr);
      },
      std::string(9000, 'k'));
}

void db_alloc__batch(void**) {
  Loop(
      "batch", true, nullptr,
      [](Fixture* f) -> Status {
        BatchBuilder batch;
        KIST_TRY(batch.Put(0, "b", "covered", 0));
        KIST_TRY(batch.DeleteRange(0, "a", "c"));
        KIST_TRY(batch.Put(0, "b", "new", 0));
        std::string bytes(batch.data());
        WriteRequest r;
        r.durability = kSync;
        r.batch = bytes.data();
        r.batch_bytes = bytes.size();
        r.summary = batch.summary();
        return f->db()->Write(&r, nullptr);
      },
      "b");
}

void db_alloc__keyspaces(void**) {
  Loop("create keyspace", true, nullptr, [](Fixture* f) {
    return f->db()->OpenKeyspace("two", KeyspaceMode::kCreate, nullptr).status();
  });
  Loop("drop keyspace", true, nullptr, [](Fixture* f) { return f->db()->DropKeyspace("one"); });
}

void db_alloc__reads(void**) {
  Loop("get", true, nullptr, [](Fixture* f) -> Status {
    for (const auto& [key, value] : f->held()) {
      Epoch::Guard guard(f->db()->epoch());
      ReadFound found;
      KIST_TRY(f->db()->Get(f->Ks(), nullptr, key, true, &found));
      if (!found.found || found.value != value) return Status::Bare(Code::kInternal);
    }
    return Status();
  });
  Loop("iterate", true, nullptr, [](Fixture* f) -> Status {
    auto snapshot = f->db()->NewSnapshot();
    KIST_TRY(snapshot.status());
    IterOptions io;
    io.snapshot = snapshot->get();
    auto it = f->db()->NewIterator(f->Ks(), io);
    KIST_TRY(it.status());
    size_t n = 0;
    for ((*it)->SeekToFirst(); (*it)->on(); (*it)->Next()) ++n;
    KIST_TRY((*it)->status());
    if (n != f->held().size()) return Status::Bare(Code::kInternal);
    for ((*it)->SeekToLast(); (*it)->on(); (*it)->Prev()) --n;
    KIST_TRY((*it)->status());
    return n == 0 ? Status() : Status::Bare(Code::kInternal);
  });
}

void db_alloc__flush(void**) {
  Loop(
      "flush", true,
      [](Fixture* f) {
        f->now_["more"] = "x";
        return f->db()->Put(f->Ks(), kOs, "more", "x", 0, nullptr);
      },
      [](Fixture* f) { return f->db()->Flush(); });
}

// What lets go of held log is a destructor.
void db_alloc__held_log(void**) {
  Loop(
      "held log", true,
      [](Fixture* f) {
        f->now_["more"] = "x";
        return f->db()->Put(f->Ks(), kOs, "more", "x", 0, nullptr);
      },
      [](Fixture* f) -> Status {
        KIST_TRY_ASSIGN(const auto hold, f->db()->HoldLog());
        return f->db()->Flush();
      });
}

void db_alloc__compact(void**) {
  Loop("compact", true, nullptr,
       [](Fixture* f) { return f->db()->Compact(f->Ks(), Slice(), Slice(), JobControl()); });
}

void db_alloc__verify_and_close(void**) {
  Loop("verify", true, nullptr, [](Fixture* f) { return f->db()->Verify(JobControl()); });
  Loop("statistics", true, nullptr, [](Fixture* f) {
    return f->db()->Stats(Db::StatsFormat::kJson).empty() ? Status::Bare(Code::kInternal)
                                                          : Status();
  });
  Loop("close", true, nullptr, [](Fixture* f) {
    f->Close();
    return Status();
  });
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(db_alloc__put),
      cmocka_unit_test(db_alloc__batch),
      cmocka_unit_test(db_alloc__keyspaces),
      cmocka_unit_test(db_alloc__reads),
      cmocka_unit_test(db_alloc__flush),
      cmocka_unit_test(db_alloc__compact),
      cmocka_unit_test(db_alloc__held_log),
      cmocka_unit_test(db_alloc__open),
      cmocka_unit_test(db_alloc__verify_and_close),
      cmocka_unit_test(db_alloc__repair),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
