// Damage out of line. See damage.h.
#include "support/damage.h"

#include "version/manifest.h"

namespace kist::test {
namespace {

constexpr Durability kSync = Durability::kSync;

std::string K(uint64_t i) { return "key" + std::to_string(100 + i); }
std::string V(uint64_t i) { return "value" + std::to_string(i) + std::string(20 + i % 30, 'v'); }

}  // namespace

OptionSet DamageOptions(const char* more) {
  OptionSet set;
  ASSERT_OK(set.Parse(std::string("memory_budget=4MiB; cache_size=64KiB; write_buffer_size=64KiB;"
                                  "compaction=manual; block_size=1KiB;") +
                      more));
  return set;
}

Files FilesOf(Vfs* vfs) {
  Files files;
  auto names = vfs->List(kDamageDir);
  ASSERT_OK(names);
  for (const std::string& name : *names) {
    auto data = ReadFile(vfs, JoinPath(kDamageDir, name));
    if (data.status().Is(Code::kMissing)) continue;  // removed meanwhile, in the background
    ASSERT_OK(data);
    files[name] = data.Take();
  }
  return files;
}

std::unique_ptr<MemoryVfs> VfsOf(const Files& files) {
  auto vfs = std::make_unique<MemoryVfs>();
  ASSERT_OK(vfs->MakeDir(kDamageDir));
  for (const auto& [name, data] : files) {
    auto file = vfs->Open(JoinPath(kDamageDir, name), OpenMode::kCreateNew);
    ASSERT_OK(file);
    ASSERT_OK((*file)->Write(0, data));
  }
  return vfs;
}

Sample MakeSample(bool closed, const char* options) {
  Sample sample;
  MemoryVfs vfs;
  auto opened = Db::Open(kDamageDir, DamageOptions(options), LogSink(), &vfs);
  ASSERT_OK(opened);
  Db* db = opened->get();
  auto ks = db->DefaultKeyspace();
  auto one = db->OpenKeyspace("one", KeyspaceMode::kCreate, nullptr);
  ASSERT_OK(one);
  for (uint64_t i = 0; i < 24; ++i) {
    ASSERT_OK(db->Put(i % 4 == 0 ? one->get() : ks.get(), kSync, K(i % 17), V(i), 0, nullptr));
    if (i == 12) ASSERT_OK(db->DeleteRange(ks.get(), kSync, K(2), K(4), nullptr));
    if (i % 12 == 11) ASSERT_OK(db->Flush());
    if (i % 4 == 3) sample.older.push_back(FilesOf(&vfs));
  }
  std::string error;
  sample.states.push_back(Serialise(ReadAll(db, &error)));
  for (uint64_t i = 0; i < 6; ++i) {
    ASSERT_OK(db->Put(ks.get(), kSync, K(i), V(100 + i), 0, nullptr));
    sample.states.push_back(Serialise(ReadAll(db, &error)));
    sample.older.push_back(FilesOf(&vfs));
  }
  assert_string_equal(error.c_str(), "");
  sample.floor = sample.states.size() - (closed ? 1 : 2);
  if (!closed) sample.files = FilesOf(&vfs);
  ks = RefPtr<Keyspace>();
  one = Status::Bare(Code::kClosed);
  ASSERT_OK(db->Close());
  if (closed) sample.files = FilesOf(&vfs);
  auto state = ReadManifest(VfsOf(sample.files).get(), kDamageDir);
  ASSERT_OK(state);
  sample.log_number = state->log_number;
  return sample;
}

void JudgeDamage(const Sample& sample, const Files& files, size_t floor, bool read_only,
                 const std::string& what) {
  auto vfs = VfsOf(files);
  const auto opened =
      Db::Open(kDamageDir, DamageOptions(read_only ? "read_only=true" : ""), LogSink(), vfs.get());
  if (!opened.ok()) {
    if (!opened.status().Is(Code::kCorrupt) && !opened.status().Is(Code::kTooNew)) {
      fail_msg("%s: open: %s", what.c_str(), opened.status().ToString().c_str());
    }
    if (FilesOf(vfs.get()) != files) fail_msg("%s: a failed open wrote", what.c_str());
    return;
  }
  if (read_only && FilesOf(vfs.get()) != files) fail_msg("%s: a reader wrote", what.c_str());
  std::string error;
  const std::string held = Serialise(ReadAll((*opened).get(), &error));
  if (!error.empty()) {
    if (error.find("orrupt") == std::string::npos && error.find(".kst") == std::string::npos) {
      fail_msg("%s: reading: %s", what.c_str(), error.c_str());
    }
    ASSERT_CODE((*opened)->Verify(JobControl()), Code::kCorrupt);
    return;
  }
  for (size_t i = floor; i < sample.states.size(); ++i) {
    if (held == sample.states[i]) return;
  }
  fail_msg("%s: a state that never was: %s", what.c_str(), held.c_str());
}

}  // namespace kist::test
