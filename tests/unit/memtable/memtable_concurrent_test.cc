// Readers beside the writer: what was published before a read began is found by it, in order,
// whatever splits meanwhile. Meant for ThreadSanitizer and AddressSanitizer too.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "iter/range_tombstones.h"
#include "memtable/memtable.h"
#include "tests/support/unit_test.h"
#include "util/ref.h"

namespace kist {
namespace {

using test::Rng;
using test::Seed;

constexpr int kReaders = 8;
constexpr size_t kKeys = 6000;
constexpr size_t kCommits = 8000;
constexpr size_t kCommitKeys = 4;
constexpr uint32_t kKeyspaces = 3;

[[noreturn]] void Broken(const char* what, size_t a, size_t b) {
  std::fprintf(stderr, "broken: %s (%zu, %zu)\n", what, a, b);
  std::abort();
}
void Check(bool ok, const char* what, size_t a = 0, size_t b = 0) {
  if (!ok) Broken(what, a, b);
}

// What the writer has published, for readers to hold the memtable to.
struct World {
  RefPtr<Memtable> memtable;
  std::vector<std::string> keys;  // ascending
  std::unique_ptr<std::atomic<Sequence>[]> newest[kKeyspaces];
  std::atomic<Sequence> covered_from[kKeyspaces] =
      {};  // sequence of the newest tombstone over keys[0]
  std::atomic<Sequence> visible{0};
  std::atomic<bool> done{false};
};

std::string ValueOf(size_t key, Sequence seq) {
  return std::to_string(key) + "@" + std::to_string(seq);
}

void CheckGet(const World& w, uint32_t keyspace, size_t key) {
  const Sequence known = w.newest[keyspace][key].load(std::memory_order_acquire);
  const Sequence seq = w.visible.load(std::memory_order_acquire);
  Memtable::Found found;
  if (!w.memtable->Get(keyspace, w.keys[key], seq, &found)) {
    Check(known == 0, "a published key is missing", key, known);
    return;
  }
  const Sequence got = TagSequence(found.tag);
  Check(got <= seq && got >= known, "not the newest version", got, known);
  Check(found.value == ValueOf(key, got), "a value of something else", key, got);
  Check(w.memtable->LatestSequence(keyspace, w.keys[key]) >= known, "latest is old", key, known);
}

void CheckGetMany(const World& w, uint32_t keyspace, Rng* rng) {
  constexpr size_t kCount = 20;
  size_t which[kCount];
  Sequence known[kCount];
  Slice keys[kCount];
  for (size_t i = 0; i < kCount; ++i) {
    which[i] = rng->Below(kKeys);
    known[i] = w.newest[keyspace][which[i]].load(std::memory_order_acquire);
    keys[i] = w.keys[which[i]];
  }
  const Sequence seq = w.visible.load(std::memory_order_acquire);
  Memtable::Found found[kCount];
  w.memtable->GetMany(keyspace, keys, kCount, seq, found);
  for (size_t i = 0; i < kCount; ++i) {
    if (found[i].tag == 0) {
      Check(known[i] == 0, "a published key is missing among many", which[i], known[i]);
      continue;
    }
    const Sequence got = TagSequence(found[i].tag);
    Check(got <= seq && got >= known[i], "not the newest version among many", got, known[i]);
    Check(found[i].value == ValueOf(which[i], got), "a value of something else among many",
          which[i], got);
  }
}

void CheckScan(const World& w, uint32_t keyspace, bool backward) {
  std::vector<Sequence> known(kKeys);
  for (size_t i = 0; i < kKeys; ++i)
    known[i] = w.newest[keyspace][i].load(std::memory_order_acquire);
  const auto it = w.memtable->NewIterator(keyspace);
  std::string last_key;
  Sequence last_seq = 0;
  bool first = true;
  size_t at = 0;
  if (it == nullptr) {
    for (size_t i = 0; i < kKeys; ++i) Check(known[i] == 0, "no iterator over a published key", i);
    return;
  }
  for (backward ? it->SeekToLast() : it->SeekToFirst(); it->valid();
       backward ? it->Prev() : it->Next(), first = false) {
    const int c = first ? 0 : it->key().compare(last_key) * (backward ? -1 : 1);
    const Sequence seq = TagSequence(it->tag());
    Check(first || c > 0 || (c == 0 && (backward ? seq > last_seq : seq < last_seq)), "disorder",
          at);
    last_key = it->key();
    last_seq = seq;
    // Every published version of a key that was passed over must have been seen.
    while (w.keys[backward ? kKeys - 1 - at : at] != last_key) {
      const size_t passed = backward ? kKeys - 1 - at : at;
      Check(known[passed] == 0, "a scan misses a key", passed, known[passed]);
      Check(++at < kKeys, "a key that was never written");
    }
    const size_t here = backward ? kKeys - 1 - at : at;
    Check(it->value() == ValueOf(here, seq), "a value of something else", here, seq);
    if (seq == known[here]) known[here] = 0;
  }
  for (; at < kKeys; ++at) {
    const size_t passed = backward ? kKeys - 1 - at : at;
    Check(known[passed] == 0, "a scan ends early", passed, known[passed]);
  }
}

void CheckSeeks(const World& w, uint32_t keyspace, Rng* rng) {
  const auto it = w.memtable->NewIterator(keyspace);
  if (it == nullptr) return;
  for (int i = 0; i < 50; ++i) {
    const size_t key = rng->Below(kKeys);
    const Sequence known = w.newest[keyspace][key].load(std::memory_order_acquire);
    it->Seek(w.keys[key], kMaxTag);
    if (known != 0) Check(it->valid() && it->key() == w.keys[key], "a seek misses", key, known);
    if (!it->valid()) continue;
    const std::string found(it->key());
    it->SeekBefore(found, kMaxTag);
    Check(!it->valid() || it->key() < found, "a seek before finds what is behind", key);
    if (!it->valid()) continue;
    it->Next();
    Check(it->valid() && it->key() <= found, "the next of what is before is behind", key);
  }
}

void CheckTombstones(const World& w, uint32_t keyspace, size_t key) {
  const Sequence known = w.covered_from[keyspace].load(std::memory_order_acquire);
  const Sequence seq = w.visible.load(std::memory_order_acquire);
  Check(w.memtable->MaxCovering(keyspace, w.keys[0], seq) >= known, "a tombstone is missing",
        known);
  w.memtable->MaxCovering(keyspace, w.keys[key], seq / 2);
  Sequence best = 0;
  for (const auto& set : w.memtable->RangeTombstoneSets(keyspace)) {
    best = std::max(best, set->MaxCovering(w.keys[0], kMaxSequence));
  }
  Check(best >= known, "the sets miss a tombstone", known);
  if (key % 32 != 0) return;
  const auto set = w.memtable->RangeTombstones(keyspace);
  Check(set == nullptr ? known == 0 : set->MaxCovering(w.keys[0], kMaxSequence) >= known,
        "a set misses a tombstone", known);
}

void Read(const World& w, uint64_t seed) {
  Rng rng(seed);
  bool last_round = false;
  while (!last_round) {
    last_round = w.done.load(std::memory_order_acquire);
    const uint32_t keyspace = static_cast<uint32_t>(rng.Below(kKeyspaces));
    for (int i = 0; i < 300; ++i) CheckGet(w, keyspace, rng.Below(kKeys));
    for (int i = 0; i < 30; ++i) CheckGetMany(w, keyspace, &rng);
    CheckSeeks(w, keyspace, &rng);
    if (rng.OneIn(4)) CheckScan(w, keyspace, rng.OneIn(2));
    if (rng.OneIn(4)) CheckTombstones(w, keyspace, rng.Below(kKeys));
    Check(w.memtable->used_bytes() <= w.memtable->memory_bytes(), "more used than there is");
    w.memtable->Keyspaces();
  }
}

void Write(World* w, uint64_t seed) {
  Rng rng(seed);
  size_t ascending = 0;
  for (Sequence seq = 1; seq <= kCommits; ++seq) {
    size_t keys[kCommitKeys];
    const auto keyspace = static_cast<uint32_t>(rng.OneIn(8) ? 1 + rng.Below(kKeyspaces - 1) : 0);
    for (size_t& key : keys) key = rng.OneIn(2) ? ascending++ % kKeys : rng.Below(kKeys);
    const bool tombstone = rng.OneIn(20);
    if (!w->memtable->Reserve(kCommitKeys + 1, (kCommitKeys + 1) * 80, 1).ok())
      Broken("memory", 0, 0);
    for (const size_t key : keys) {
      w->memtable->Add(keyspace, w->keys[key], MakeTag(seq, EntryKind::kPut), ValueOf(key, seq));
    }
    if (tombstone) w->memtable->AddRangeTombstone(keyspace, "", w->keys[keys[0]] + '\0', seq);
    w->visible.store(seq, std::memory_order_release);
    for (const size_t key : keys) w->newest[keyspace][key].store(seq, std::memory_order_release);
    if (tombstone) w->covered_from[keyspace].store(seq, std::memory_order_release);
  }
  w->done.store(true, std::memory_order_release);
}

void Run(uint64_t seed, bool decimal) {
  World w;
  auto made = Memtable::New(size_t{1} << 20, false);
  ASSERT_OK(made);
  w.memtable = RefPtr<Memtable>::Adopt(*made);
  Rng rng(seed);
  for (size_t i = 0; i < kKeys; ++i) {
    char key[32];
    std::snprintf(key, sizeof key, "key%012zu", i);
    w.keys.push_back(decimal ? key : rng.Bytes(16));
  }
  std::sort(w.keys.begin(), w.keys.end());
  for (auto& newest : w.newest) {
    newest = std::make_unique<std::atomic<Sequence>[]>(kKeys);
    for (size_t i = 0; i < kKeys; ++i) newest[i].store(0);
  }
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&w, seed, i] { Read(w, seed + i + 1); });
  }
  Write(&w, seed);
  for (auto& reader : readers) reader.join();
  for (uint32_t keyspace = 0; keyspace < kKeyspaces; ++keyspace) {
    for (size_t i = 0; i < kKeys; ++i) CheckGet(w, keyspace, i);
    CheckScan(w, keyspace, false);
    CheckScan(w, keyspace, true);
  }
}

void memtable__readers_beside_a_writer_find_what_was_published(void**) {
  const uint64_t seed = Seed(__func__);
  Run(seed, false);
  Run(seed, true);
}

}  // namespace
}  // namespace kist

int main() {
  using namespace kist;
  const CMUnitTest tests[] = {
      cmocka_unit_test(memtable__readers_beside_a_writer_find_what_was_published),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
