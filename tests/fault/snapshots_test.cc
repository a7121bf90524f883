// Snapshots made and released, and writes, at every call that a flush or a compaction makes to the
// file system, one place after the other (promises G15, G16): what a snapshot shows is what was
// there when it was made, however far the work beside it was, and stays so afterwards.
#include <cstdio>
#include <functional>

#include "support/crash_harness.h"
#include "support/unit_test.h"
#include "support/wrap_vfs.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

using State = std::map<std::string, std::string>;

constexpr char kDir[] = "/db";
constexpr Durability kOs = Durability::kOs;

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }

// Runs `hook` before the nth call from Arm on that touches a table or the manifest. Those of the
// log and of its directory entries are made with the writers' turn held.
class HookVfs : public WrapVfs {
 public:
  using WrapVfs::WrapVfs;
  void Arm(uint64_t nth, std::function<void()> hook) {
    hook_ = std::move(hook);
    left_.store(static_cast<int64_t>(nth));
  }
  bool Disarm() { return left_.exchange(0) <= 0; }  // whether it was run
  void Called(const std::string& path) {
    const bool ours =
        path.find(".kst") != std::string::npos || path.find("MANIFEST") != std::string::npos;
    if (!ours || left_.load() <= 0) return;
    if (left_.fetch_sub(1) == 1) hook_();
  }
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    Called(path);
    KIST_TRY_ASSIGN(auto file, base_->Open(path, mode));
    return std::unique_ptr<File>(std::make_unique<HookFile>(this, path, std::move(file)));
  }
  Status Remove(const std::string& path) override {
    Called(path);
    return base_->Remove(path);
  }

 private:
  class HookFile : public WrapFile {
   public:
    HookFile(HookVfs* vfs, std::string path, std::unique_ptr<File> base)
        : WrapFile(std::move(base)), vfs_(vfs), path_(std::move(path)) {}
    Result<size_t> Read(uint64_t offset, char* buf, size_t n) override {
      vfs_->Called(path_);
      return base_->Read(offset, buf, n);
    }
    Status Write(uint64_t offset, Slice data) override {
      vfs_->Called(path_);
      return base_->Write(offset, data);
    }
    Status WriteV(uint64_t offset, const Slice* parts, size_t count) override {
      vfs_->Called(path_);
      return base_->WriteV(offset, parts, count);
    }
    Status Sync() override {
      vfs_->Called(path_);
      return base_->Sync();
    }

   private:
    HookVfs* const vfs_;
    const std::string path_;
  };

  std::function<void()> hook_;
  std::atomic<int64_t> left_{0};
};

struct Seen {
  std::unique_ptr<Snapshot> snapshot;
  State state;
};

class Scene {
 public:
  Scene() {
    OptionSet set;
    ASSERT_OK(
        set.Parse("memory_budget=16MiB; cache_size=64KiB; block_size=1KiB; filter_bits=10;"
                  "compaction=manual"));
    auto opened = Db::Open(kDir, set, LogSink(), &vfs);
    ASSERT_OK(opened);
    db = opened.Take();
    ks = db->DefaultKeyspace();
  }
  ~Scene() {
    ks = RefPtr<Keyspace>();
    seen.clear();
    static_cast<void>(db->Close());
  }
  void Put(uint64_t i) {
    const std::string value = "value" + std::to_string(++writes_) + std::string(60, 'v');
    ASSERT_OK(db->Put(ks.get(), kOs, K(i), value, 0, nullptr));
    state[K(i)] = value;
  }
  void Delete(uint64_t i) {
    ASSERT_OK(db->Delete(ks.get(), kOs, K(i), nullptr));
    state.erase(K(i));
  }
  void DeleteRange(uint64_t from, uint64_t to) {
    ASSERT_OK(db->DeleteRange(ks.get(), kOs, K(from), K(to), nullptr));
    state.erase(state.lower_bound(K(from)), state.lower_bound(K(to)));
  }
  void Look() {
    auto made = db->NewSnapshot();
    ASSERT_OK(made);
    seen.push_back({made.Take(), state});
  }
  // Two layers of tables and a memtable, a snapshot between any two of them.
  void Fill() {
    for (int layer = 0; layer < 3; ++layer) {
      for (uint64_t i = 0; i < 12; ++i) {
        if ((i + static_cast<uint64_t>(layer)) % 4 != 0) Put(i);
      }
      Delete(static_cast<uint64_t>(layer) * 3);
      Look();
      DeleteRange(static_cast<uint64_t>(layer) + 4, static_cast<uint64_t>(layer) + 6);
      Put(5);
      if (layer < 2) ASSERT_OK(db->Flush());
    }
  }
  void Check(const std::string& what) {
    Look();
    for (const Seen& s : seen) {
      IterOptions io;
      io.snapshot = s.snapshot.get();
      auto it = db->NewIterator(ks.get(), io);
      ASSERT_OK(it);
      State forwards, backwards;
      for ((*it)->SeekToFirst(); (*it)->on(); (*it)->Next())
        forwards[std::string((*it)->key())] = std::string((*it)->value());
      for ((*it)->SeekToLast(); (*it)->on(); (*it)->Prev())
        backwards[std::string((*it)->key())] = std::string((*it)->value());
      ASSERT_OK((*it)->status());
      if (forwards != s.state || backwards != s.state)
        fail_msg("%s: a scan of snapshot %d shows another state", what.c_str(),
                 static_cast<int>(&s - seen.data()));
      for (uint64_t i = 0; i < 12; ++i) {
        Epoch::Guard guard(db->epoch());
        ReadFound found;
        ASSERT_OK(db->Get(ks.get(), s.snapshot.get(), K(i), true, &found));
        const auto want = s.state.find(K(i));
        if (found.found != (want != s.state.end()) || (found.found && found.value != want->second))
          fail_msg("%s: a get of %s at snapshot %d differs", what.c_str(), K(i).c_str(),
                   static_cast<int>(&s - seen.data()));
      }
    }
    seen.pop_back();
  }

  MemoryVfs memory;
  HookVfs vfs{&memory};
  std::unique_ptr<Db> db;
  RefPtr<Keyspace> ks;
  State state;
  std::vector<Seen> seen;

 private:
  uint64_t writes_ = 0;
};

Status Flush(Scene* s) { return s->db->Flush(); }
Status Compact(Scene* s) { return s->db->Compact(s->ks.get(), Slice(), Slice(), JobControl()); }

// how: 1 the snapshots before go, oldest first; 2 a new one; 4 writes and one more after them.
void AtEachCall(const char* name, Status (*work)(Scene*)) {
  uint64_t runs = 0;
  for (int how = 1; how < 8; ++how) {
    for (uint64_t n = 1;; ++n) {
      Scene scene;
      scene.Fill();
      scene.vfs.Arm(n, [&] {
        if ((how & 1) != 0) scene.seen.erase(scene.seen.begin(), scene.seen.begin() + 2);
        if ((how & 2) != 0) scene.Look();
        if ((how & 4) == 0) return;
        scene.Put(2);
        scene.Delete(3);
        scene.DeleteRange(7, 9);
        scene.Look();
        scene.Put(7);
      });
      ASSERT_OK(work(&scene));
      const bool hit = scene.vfs.Disarm();
      const std::string what =
          std::string(name) + ", " + std::to_string(how) + ", call " + std::to_string(n);
      scene.Check(what);
      ASSERT_OK(Compact(&scene));
      scene.Check(what + ", compacted");
      scene.seen.clear();
      ASSERT_OK(Compact(&scene));
      scene.Check(what + ", without snapshots");
      ASSERT_OK(scene.db->Verify(JobControl()));
      if (!hit) break;
      ++runs;
      assert_true(n < 1000);
    }
  }
  std::printf("%s: %llu runs\n", name, static_cast<unsigned long long>(runs));
  assert_true(runs > 50);
}

void snapshots__at_every_call_of_a_flush(void**) { AtEachCall("flush", Flush); }
void snapshots__at_every_call_of_a_compaction(void**) { AtEachCall("compaction", Compact); }

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(snapshots__at_every_call_of_a_flush),
      cmocka_unit_test(snapshots__at_every_call_of_a_compaction),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
