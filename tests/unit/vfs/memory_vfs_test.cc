// What only the file system in memory has: images that share bytes until written, locks that
// outlive it.
#include "vfs/memory_vfs.h"

#include "support/unit_test.h"

using namespace kist;
using kist::test::Rng;

static void memory_vfs__image_is_a_copy_that_shares_nothing_visible(void**) {
  MemoryVfs vfs;
  ASSERT_OK(vfs.MakeDir("/d"));
  auto file = vfs.Open("/d/a", OpenMode::kCreateNew);
  ASSERT_OK((*file)->Write(0, std::string(50000, 'o')));
  ASSERT_OK(vfs.Link("/d/a", "/d/b"));
  MemoryVfs copy(vfs.Image());
  ASSERT_OK((*file)->Write(20000, "new"));
  ASSERT_OK(vfs.MakeDir("/e"));
  auto copied = copy.Open("/d/b", OpenMode::kReadWrite);
  ASSERT_OK((*copied)->Write(0, "mine"));
  assert_true(*ReadFile(&copy, "/d/a") == "mine" + std::string(49996, 'o'));
  assert_true((*ReadFile(&vfs, "/d/b")).substr(19999, 5) == "onewo");
  assert_true((*ReadFile(&vfs, "/d/b")).substr(0, 4) == "oooo");
  ASSERT_CODE(copy.Stat("/e"), Code::kMissing);
  // New inodes do not collide with those of the image.
  ASSERT_OK(copy.Open("/d/c", OpenMode::kCreateNew));
  assert_true((*copy.Stat("/d/c")).inode != (*copy.Stat("/d/a")).inode);
}

static void memory_vfs__content_copies_match_a_model(void**) {
  Rng rng(kist::test::Seed("memory_vfs"));
  std::vector<MemoryContent> contents(4);
  std::vector<std::string> models(4);
  for (int i = 0; i < 4000; ++i) {
    const size_t a = rng.Below(4);
    const size_t b = rng.Below(4);
    const uint64_t what = rng.Below(10);
    if (what < 3) {
      contents[a] = contents[b];
      models[a] = models[b];
    } else if (what < 5) {
      const size_t size = rng.Below(100000);
      ASSERT_OK(contents[a].Resize(size));
      models[a].resize(size);
    } else {
      const std::string data = rng.Bytes(1 + rng.Below(20000));
      const size_t at = rng.Below(80000);
      ASSERT_OK(contents[a].Write(at, data));
      if (models[a].size() < at + data.size()) models[a].resize(at + data.size());
      models[a].replace(at, data.size(), data);
    }
    std::string got(models[b].size() + 10, '?');
    got.resize(contents[b].Read(0, got.data(), got.size()));
    assert_true(got == models[b]);
    const uint64_t next = contents[b].NextData(0);
    assert_true(next <= models[b].size());
    assert_true(models[b].find_first_not_of('\0') >= next);
  }
}

static void memory_vfs__lock_may_outlive_the_file_system(void**) {
  auto vfs = NewMemoryVfs();
  auto lock = vfs->Lock("/LOCK");
  ASSERT_OK(lock);
  vfs.reset();
  lock.Take().reset();
}

static void memory_vfs__paths_start_at_the_root(void**) {
  MemoryVfs vfs;
  ASSERT_OK(vfs.MakeDir("d"));
  ASSERT_OK(vfs.Open("./d//a", OpenMode::kCreateNew));
  ASSERT_OK(vfs.Stat("/d/a"));
  ASSERT_OK(vfs.SyncDir("."));
  ASSERT_CODE(vfs.Stat("/d/a/b"), Code::kMissing);
  assert_true((*vfs.Stat("/")).is_directory);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(memory_vfs__image_is_a_copy_that_shares_nothing_visible),
      cmocka_unit_test(memory_vfs__content_copies_match_a_model),
      cmocka_unit_test(memory_vfs__lock_may_outlive_the_file_system),
      cmocka_unit_test(memory_vfs__paths_start_at_the_root),
  };
  return cmocka_run_group_tests_name("memory_vfs", tests, nullptr, nullptr);
}
