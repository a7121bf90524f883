// A keyspace that is dropped at the worst moment: while a flush or a compaction writes its tables,
// or moves them.
// Manifest and version list the same tables all along, so that copies can be made, and no file is
// left over.
#include <functional>
#include <thread>

#include "backup/checkpoint.h"
#include "db/retain.h"
#include "key/file_name.h"
#include "support/fault_vfs.h"
#include "support/unit_test.h"

namespace kist::test {
namespace {

constexpr char kDir[] = "/db";
constexpr char kName[] = "of a short life";

// Calls a hook, once, before a table is made; another one before a directory is synced.
class TableHook : public WrapVfs {
 public:
  explicit TableHook(Vfs* base) : WrapVfs(base) {}
  void Arm(std::function<void()> hook) { hook_ = std::move(hook); }
  void ArmSyncDir(std::function<void()> hook) { sync_hook_ = std::move(hook); }
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    const auto name = ParseFileName(path.substr(path.rfind('/') + 1));
    const bool table = name && name->type == FileType::kTable && mode == OpenMode::kCreateNew;
    if (table && hook_) std::exchange(hook_, nullptr)();
    return base_->Open(path, mode);
  }
  Status SyncDir(const std::string& dir) override {
    if (sync_hook_) std::exchange(sync_hook_, nullptr)();
    return base_->SyncDir(dir);
  }

 private:
  std::function<void()> hook_;
  std::function<void()> sync_hook_;
};

struct Fixture {
  Fixture() : memory(NewMemoryVfs()), faults(memory.get()), vfs(&faults) { Open(); }
  void Open() {
    OptionSet options;
    ASSERT_OK(options.Parse("memory_budget=4MiB; sync=never; compaction=manual"));
    auto opened = Db::Open(kDir, options, LogSink(), &vfs);
    ASSERT_OK(opened);
    db = opened.Take();
  }
  void Fill(Keyspace* ks) {
    for (int i = 0; i < 100; ++i)
      ASSERT_OK(db->Put(ks, Durability::kDefault, std::to_string(i), "value", 0, nullptr));
  }
  RefPtr<Keyspace> Create() {
    auto ks = db->OpenKeyspace(kName, KeyspaceMode::kCreateNew, nullptr);
    ASSERT_OK(ks);
    return ks.Take();
  }
  // On a thread of its own: the hook's is the flush's.
  void DropSoon() {
    vfs.Arm([this] { std::thread([this] { ASSERT_OK(db->DropKeyspace(kName)); }).join(); });
  }
  size_t Tables() {
    size_t count = 0;
    const auto names = vfs.List(kDir);
    ASSERT_OK(names);
    for (const std::string& name : *names) {
      const auto parsed = ParseFileName(name);
      count += parsed && parsed->type == FileType::kTable;
    }
    return count;
  }
  void ExpectConsistent() {
    ASSERT_OK(db->PinState());
    ASSERT_OK(MakeCheckpoint(db.get(), &vfs, "/copy" + std::to_string(++copies), nullptr));
    ASSERT_OK(db->Verify({}));
  }

  std::unique_ptr<Vfs> memory;
  FaultVfs faults;
  TableHook vfs;
  std::unique_ptr<Db> db;
  int copies = 0;
};

void dropping__while_it_is_flushed(void**) {
  Fixture f;
  f.Create();
  ASSERT_OK(f.db->Flush());  // the manifest knows it
  for (int round = 0; round < 3; ++round) {
    auto ks = f.db->OpenKeyspace(kName, KeyspaceMode::kCreate, nullptr);
    ASSERT_OK(ks);
    if (round == 1) {  // tables from before, too
      f.Fill(ks->get());
      ASSERT_OK(f.db->Flush());
    }
    f.Fill(ks->get());
    f.DropSoon();
    ASSERT_OK(f.db->Flush());
    f.ExpectConsistent();
    ASSERT_OK(f.db->Flush());
    ASSERT_OK(f.db->WaitIdle(-1));
    f.ExpectConsistent();
  }
  ASSERT_OK(f.db->Close());
  f.db.reset();
  assert_int_equal(f.Tables(), 0);
  f.Open();
  ASSERT_CODE(f.db->OpenKeyspace(kName, KeyspaceMode::kOpen, nullptr), Code::kMissing);
  ASSERT_OK(f.db->Close());
}

void dropping__while_it_is_compacted(void**) {
  Fixture f;
  auto ks = f.Create();
  for (int i = 0; i < 3; ++i) {
    f.Fill(ks.get());
    ASSERT_OK(f.db->Flush());
  }
  f.DropSoon();
  ASSERT_CODE(f.db->Compact(ks.get(), Slice(), Slice(), {}), Code::kMissing);
  f.ExpectConsistent();
  ASSERT_OK(f.db->Flush());
  ASSERT_OK(f.db->WaitIdle(-1));
  f.ExpectConsistent();
  ks = RefPtr<Keyspace>();
  ASSERT_OK(f.db->Close());
  f.db.reset();
  assert_int_equal(f.Tables(), 0);
}

// Tables that lie side by side go down as they are. The manifest lists them until the drop is
// flushed, which it is not before the database is closed.
void dropping__while_its_tables_are_moved(void**) {
  Fixture f;
  auto ks = f.Create();
  for (int i = 0; i < 4; ++i) {
    ASSERT_OK(f.db->Put(ks.get(), Durability::kDefault, std::to_string(i), "value", 0, nullptr));
    ASSERT_OK(f.db->Flush());
  }
  while (f.db->Stat("background_running").value_or(0) != 0) f.vfs.SleepUs(1000);
  const auto other = f.db->DefaultKeyspace();
  ASSERT_OK(f.db->Put(other.get(), Durability::kDefault, "key", "value", 0, nullptr));
  Fault full(kFaultCreate, 1, ENOSPC, true);
  full.path_contains = ".kst";
  f.faults.Fail(full);
  std::atomic<bool> dropped{false};
  f.vfs.ArmSyncDir([&] {
    std::thread([&] { ASSERT_OK(f.db->DropKeyspace(kName)); }).join();
    dropped = true;
  });
  ASSERT_OK(f.db->SetOption("compaction", "auto"));
  while (!dropped || f.db->Stat("compactions_running").value_or(0) != 0) f.vfs.SleepUs(1000);
  ks = RefPtr<Keyspace>();
  ASSERT_OK(f.db->Close());
  f.db.reset();
  f.faults.Heal();
  f.Open();
  ASSERT_CODE(f.db->OpenKeyspace(kName, KeyspaceMode::kOpen, nullptr), Code::kMissing);
  f.ExpectConsistent();
  ASSERT_OK(f.db->Flush());
  ASSERT_OK(f.db->Close());
  f.db.reset();
  assert_int_equal(f.Tables(), 1);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(dropping__while_it_is_flushed),
      cmocka_unit_test(dropping__while_it_is_compacted),
      cmocka_unit_test(dropping__while_its_tables_are_moved),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
