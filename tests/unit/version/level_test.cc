// Level: what its numbers say of files and keys is what the keys say.
#include <algorithm>

#include "support/unit_test.h"
#include "version/version.h"

namespace kist::test {
namespace {

// A few letters, so that keys share beginnings, are beginnings of each other, and are equal.
std::string RandomKey(Rng* r, const std::string& shared) {
  std::string key = shared;
  for (uint64_t n = r->Below(4) == 0 ? r->Below(3) : 7 + r->Below(6); n > 0; --n)
    key.push_back("\0ab\xff"[r->Below(4)]);
  return key;
}

struct File {
  std::string first, last;  // entries, where there are any
  bool entries = true;
  bool tombstone = false, unbounded = false;
  std::string tombstone_end;  // exclusive
  bool Spans(const std::string& key) const {
    if (key < first) return false;
    return (entries && key <= last) || (tombstone && (unbounded || key < tombstone_end));
  }
};

RefPtr<LiveTable> Live(TableStore* store, const File& f, uint64_t number) {
  TableProperties p;
  p.smallest_key = f.first;
  p.largest_key = f.entries ? f.last : "";
  p.entries = f.entries ? 1 : 0;
  p.range_tombstones = f.tombstone ? 1 : 0;
  p.tombstone_unbounded = f.unbounded;
  p.tombstone_end = f.tombstone_end;
  p.largest_seq = number;
  return RefPtr<LiveTable>::Adopt(new LiveTable(store, number, 0, p));
}

// Between sorted distinct keys, so that files do not overlap.
std::vector<File> RandomFiles(Rng* r, const std::string& shared) {
  std::vector<std::string> keys;
  for (uint64_t n = r->Below(12); n > 0; --n) keys.push_back(RandomKey(r, shared));
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::vector<File> files;
  for (size_t i = 0; i + 1 < keys.size(); i += 2) {
    File f;
    f.first = keys[i];
    f.last = r->Below(3) == 0 ? keys[i] : keys[i + 1];
    const uint64_t kind = r->Below(6);
    f.tombstone = kind < 2;
    f.tombstone_end = f.tombstone ? keys[i + 1] : "";
    f.entries = kind != 1;
    if (i + 3 >= keys.size() && kind < 2 && r->Below(2) == 0) {
      f.unbounded = true;
      f.tombstone_end.clear();
    }
    files.push_back(f);
  }
  return files;
}

void level__numbers_decide_as_keys_do(void**) {
  TableStore store((TableStore::Options()));
  Rng random(Seed(__func__));
  for (int round = 0; round < 3000; ++round) {
    const std::string shared(random.Below(2) == 0 ? 0 : random.Below(12), 'k');
    const std::vector<File> files = RandomFiles(&random, shared);
    Level::Files live;
    for (const File& f : files) live.push_back(Live(&store, f, live.size() + 1));
    const Level level(live, true);
    for (int probe = 0; probe < 60; ++probe) {
      std::string key = RandomKey(&random, random.Below(4) == 0 ? "" : shared);
      if (!files.empty() && probe % 3 == 0) {
        const File& f = files[random.Below(files.size())];
        key = probe % 2 == 0 ? f.first : f.tombstone ? f.tombstone_end : f.last;
        if (probe % 5 == 0) key.push_back('\0');
      }
      LiveTable* holder = nullptr;
      for (size_t i = 0; i < files.size(); ++i) {
        assert_int_equal(level.MayHold(i, key, level.Rank(key)), files[i].Spans(key));
        if (files[i].Spans(key)) holder = live[i].get();
      }
      assert_ptr_equal(level.Holder(key), holder);
      if (holder != nullptr) assert_ptr_equal(level.files()[level.FindFile(key)].get(), holder);
    }
  }
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(level__numbers_decide_as_keys_do),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
