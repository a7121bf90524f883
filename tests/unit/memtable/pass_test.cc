// Leaping over what is older than a range tombstone: a memtable's iterator against steps, both
// ways, with and without a writer beside it.
#include <atomic>
#include <map>
#include <thread>

#include "memtable/memtable.h"
#include "support/unit_test.h"
#include "util/ref.h"

using namespace kist;
using kist::test::Rng;

namespace {

std::string Key(uint64_t i) {
  char key[24];
  std::snprintf(key, sizeof key, "key%07llu", static_cast<unsigned long long>(i));
  return key;
}

RefPtr<Memtable> New() { return RefPtr<Memtable>::Adopt(Memtable::New(1 << 20, false).Take()); }

void Put(Memtable* m, const std::string& key, Sequence seq) {
  ASSERT_OK(m->Reserve(1, key.size() + 8));
  m->Add(0, key, MakeTag(seq, EntryKind::kPut), "value");
}

void DeleteRange(Memtable* m, const std::string& begin, const std::string& end, Sequence seq) {
  ASSERT_OK(m->Reserve(1, begin.size() + end.size()));
  m->AddRangeTombstone(0, begin, end, seq);
}

void AssertSame(const InternalIterator& a, const InternalIterator& b) {
  assert_int_equal(a.valid(), b.valid());
  if (!a.valid()) return;
  ASSERT_SLICE(a.key(), b.key());
  assert_int_equal(a.tag(), b.tag());
  ASSERT_SLICE(a.value(), b.value());
}

void pass__like_steps(void**) {
  Rng rng(kist::test::Seed("pass__like_steps"));
  for (int round = 0; round < 30; ++round) {
    const auto m = New();
    const uint64_t keys = 1 + rng.Below(round % 3 == 0 ? 50 : 5000);
    Sequence seq = 0;
    std::vector<Sequence> tombstones;
    for (uint64_t n = rng.Below(6000); n > 0; --n) {
      if (rng.OneIn(500)) {
        DeleteRange(m.get(), Key(rng.Below(keys)), Key(rng.Below(keys)), ++seq);
        tombstones.push_back(seq);
      } else {
        // Some grow at the end, as a queue does.
        ++seq;
        Put(m.get(), rng.OneIn(3) ? Key(keys + seq) : Key(rng.Below(keys)), seq);
      }
    }
    const auto leaps = m->NewIterator(0);
    const auto steps = m->NewIterator(0);
    if (leaps == nullptr || tombstones.empty()) continue;
    for (int probe = 0; probe < 200; ++probe) {
      const std::string from = Key(rng.Below(2 * keys));
      const std::string bound = rng.OneIn(4) ? std::string() : Key(rng.Below(2 * keys));
      // A tombstone's sequence: nothing older was added after the first of them without a trace.
      const Sequence s = tombstones[rng.Below(tombstones.size())];
      const bool up = rng.OneIn(2);
      for (InternalIterator* it : {leaps.get(), steps.get()})
        up ? it->Seek(from, kMaxTag) : it->SeekBefore(from, kMaxTag);
      if (!leaps->valid()) continue;
      if (up) {
        leaps->PassUp(bound, s);
        steps->InternalIterator::PassUp(bound, s);
      } else {
        leaps->PassDown(bound, s);
        steps->InternalIterator::PassDown(bound, s);
      }
      AssertSame(*leaps, *steps);
      if (!leaps->valid()) continue;
      for (InternalIterator* it : {leaps.get(), steps.get()}) up ? it->Next() : it->Prev();
      AssertSame(*leaps, *steps);
    }
  }
}

// Readers leap while a writer adds to the range and splits its nodes: what was there before they
// began is found, nothing that is older than the tombstone comes up.
void pass__beside_a_writer(void**) {
  constexpr uint64_t kKeys = 20000;
  const auto m = New();
  Sequence seq = 0;
  for (uint64_t i = 0; i < kKeys; ++i) Put(m.get(), Key(i * 10), ++seq);
  const Sequence tombstone = ++seq;
  DeleteRange(m.get(), Key(0), "", tombstone);
  for (uint64_t i = 0; i < kKeys; i += 1000) Put(m.get(), Key(i * 10 + 1), ++seq);
  const Sequence visible = seq;
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int t = 0; t < 2; ++t) {
    readers.emplace_back([&, t] {
      const auto it = m->NewIterator(0);
      while (!stop.load()) {
        uint64_t found = 0;
        std::string last;
        t == 0 ? it->SeekToFirst() : it->SeekToLast();
        while (it->valid()) {
          t == 0 ? it->PassUp("", tombstone) : it->PassDown("", tombstone);
          if (!it->valid()) break;
          assert_true(TagSequence(it->tag()) > tombstone);
          const std::string key(it->key());
          assert_true(last.empty() || (t == 0 ? last <= key : last >= key));
          last = key;
          found += TagSequence(it->tag()) <= visible;
          t == 0 ? it->Next() : it->Prev();
        }
        assert_int_equal(found, kKeys / 1000);
      }
    });
  }
  Rng rng(kist::test::Seed("pass__beside_a_writer"));
  for (int i = 0; i < 30000; ++i) Put(m.get(), Key(rng.Below(kKeys * 10) * 10 + 2), ++seq);
  stop.store(true);
  for (std::thread& t : readers) t.join();
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(pass__like_steps),
      cmocka_unit_test(pass__beside_a_writer),
  };
  return cmocka_run_group_tests_name("pass", tests, nullptr, nullptr);
}
