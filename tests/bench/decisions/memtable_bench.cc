// Decision: how the memtable orders its entries. The B+-tree of src/memtable against a skip list as
// good as could be made (arena, eight bytes of the key inline, one writer, lock-free readers),
// which lives here only.
//
//   memtable_bench [entries ...]        default: 100000 500000 1000000
//
// RESULT
//
// Threads: one writer; "beside" rows have one reader thread that gets random keys all the time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "memtable/entry.h"
#include "memtable/memtable.h"
#include "util/slice.h"

namespace {

using kist::EntryPtr;
using kist::Place;
using kist::Slice;

class SkipList {
 public:
  SkipList() : head_(NewNode(nullptr, 0, kLevelsMax)) {
    for (int i = 0; i < kLevelsMax; ++i) head_->next()[i].store(nullptr, std::memory_order_relaxed);
  }
  ~SkipList() {
    for (char* chunk : chunks_) std::free(chunk);
  }

  void Add(Slice key, uint64_t tag, Slice value) {
    const Place place = {key, kist::AgeOf(kist::TagSequence(tag))};
    const uint64_t word = kist::WordAt(key, 0);
    Node* before[kLevelsMax];
    FindBefore(place, word, before);
    char* entry = Allocate(kist::kEntryHead + key.size() + value.size());
    char* at = kist::WriteEntryHead(entry, key, tag, static_cast<uint32_t>(value.size()));
    std::memcpy(at, value.data(), value.size());
    int levels = 1;
    while (levels < kLevelsMax && (Random() & 3) == 0) ++levels;
    for (; levels_ < levels; ++levels_) before[levels_] = head_;
    Node* node = NewNode(entry, word, levels);
    for (int i = 0; i < levels; ++i) {
      node->next()[i].store(before[i]->next()[i].load(std::memory_order_relaxed),
                            std::memory_order_relaxed);
      before[i]->next()[i].store(node, std::memory_order_release);
    }
  }
  bool Get(Slice key, kist::Sequence seq, Slice* value) const {
    Node* before[kLevelsMax];
    const Node* node = FindBefore({key, kist::AgeOf(seq)}, kist::WordAt(key, 0), before);
    if (node == nullptr || kist::EntryKey(node->entry) != key) return false;
    *value = kist::EntryValue(node->entry);
    return true;
  }
  uint64_t Scan() const {
    uint64_t bytes = 0;
    for (const Node* n = head_->next()[0].load(std::memory_order_acquire); n != nullptr;
         n = n->next()[0].load(std::memory_order_acquire)) {
      bytes += kist::EntryKey(n->entry).size() + kist::EntryValue(n->entry).size();
    }
    return bytes;
  }
  size_t memory_bytes() const { return memory_bytes_; }

 private:
  static constexpr int kLevelsMax = 12;
  struct Node {
    uint64_t word;
    EntryPtr entry;
    std::atomic<Node*>* next() { return reinterpret_cast<std::atomic<Node*>*>(this + 1); }
    const std::atomic<Node*>* next() const {
      return reinterpret_cast<const std::atomic<Node*>*>(this + 1);
    }
  };

  Node* FindBefore(const Place& place, uint64_t word, Node** before) const {
    Node* at = head_;
    Node* not_before = nullptr;
    Node* next = nullptr;
    for (int i = levels_ - 1; i >= 0; --i) {
      for (;;) {
        next = at->next()[i].load(std::memory_order_acquire);
        if (next == nullptr || next == not_before) break;
        if (next->word > word) break;
        if (next->word == word && !kist::EntryBefore(next->entry, place, 0)) break;
        at = next;
      }
      not_before = next;
      before[i] = at;
    }
    return next;
  }
  Node* NewNode(EntryPtr entry, uint64_t word, int levels) {
    used_ = (used_ + 7) & ~size_t{7};
    char* p = Allocate(sizeof(Node) + static_cast<size_t>(levels) * sizeof(void*));
    Node* node = new (p) Node{word, entry};
    for (int i = 0; i < levels; ++i) new (node->next() + i) std::atomic<Node*>(nullptr);
    return node;
  }
  char* Allocate(size_t n) {
    if (used_ + n > kChunk) {
      chunks_.push_back(static_cast<char*>(std::malloc(kChunk)));
      memory_bytes_ += kChunk;
      used_ = 0;
    }
    char* p = chunks_.back() + used_;
    used_ += n;
    return p;
  }
  uint32_t Random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_ >> 7;
  }

  static constexpr size_t kChunk = size_t{1} << 20;
  std::vector<char*> chunks_;
  size_t used_ = kChunk;
  size_t memory_bytes_ = 0;
  uint32_t random_ = 2463534242;
  int levels_ = 1;
  Node* head_;
};

// One interface for both.
class Skip {
 public:
  static constexpr const char* kName = "skip list";
  void Add(Slice key, kist::Sequence seq, Slice value) {
    list_.Add(key, kist::MakeTag(seq, kist::EntryKind::kPut), value);
  }
  bool Get(Slice key, Slice* value) const { return list_.Get(key, kist::kMaxSequence, value); }
  uint64_t Scan(bool) const { return list_.Scan(); }
  size_t memory_bytes() const { return list_.memory_bytes(); }

 private:
  SkipList list_;
};

class Tree {
 public:
  static constexpr const char* kName = "B+-tree";
  Tree() : memtable_(kist::Memtable::New(size_t{64} << 20, false).Take()) {}
  ~Tree() { memtable_->Unref(); }
  void Add(Slice key, kist::Sequence seq, Slice value) {
    if (!memtable_->Reserve(1, key.size() + value.size()).ok()) std::abort();
    memtable_->Add(0, key, kist::MakeTag(seq, kist::EntryKind::kPut), value);
  }
  bool Get(Slice key, Slice* value) const {
    kist::Memtable::Found found;
    if (!memtable_->Get(0, key, kist::kMaxSequence, &found)) return false;
    *value = found.value;
    return true;
  }
  uint64_t Scan(bool backward) const {
    const auto it = memtable_->NewIterator(0);
    uint64_t bytes = 0;
    if (backward) {
      for (it->SeekToLast(); it->valid(); it->Prev())
        bytes += it->key().size() + it->value().size();
    } else {
      for (it->SeekToFirst(); it->valid(); it->Next())
        bytes += it->key().size() + it->value().size();
    }
    return bytes;
  }
  size_t memory_bytes() const { return memtable_->memory_bytes(); }

 private:
  kist::Memtable* memtable_;
};

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

enum class Keys { kRandom, kDecimal, kSequential };

std::vector<std::string> MakeKeys(Keys kind, size_t n) {
  std::mt19937_64 random(n);
  std::vector<uint64_t> numbers(n);
  std::iota(numbers.begin(), numbers.end(), 0);
  if (kind == Keys::kDecimal) std::shuffle(numbers.begin(), numbers.end(), random);
  std::vector<std::string> keys;
  for (size_t i = 0; i < n; ++i) {
    char key[32];
    std::snprintf(key, sizeof key, "key%013llu", static_cast<unsigned long long>(numbers[i]));
    keys.emplace_back(key, 16);
    if (kind == Keys::kRandom) {
      const uint64_t words[2] = {random(), random()};
      std::memcpy(keys.back().data(), words, 16);
    }
  }
  return keys;
}

template <typename Map>
void Measure(const char* what, Keys kind, size_t n, bool beside) {
  const auto keys = MakeKeys(kind, n);
  const std::string value(100, 'v');
  Map map;
  std::atomic<size_t> added{0};
  std::atomic<bool> done{false};
  uint64_t reads = 0;
  std::thread reader;
  if (beside) {
    reader = std::thread([&] {
      std::mt19937_64 random(1);
      Slice found;
      while (!done.load(std::memory_order_relaxed)) {
        const size_t m = added.load(std::memory_order_acquire);
        if (m > 0 && !map.Get(keys[random() % m], &found)) std::abort();
        ++reads;
      }
    });
  }
  const double t0 = Seconds();
  for (size_t i = 0; i < n; ++i) {
    map.Add(keys[i], i + 1, value);
    if (beside) added.store(i + 1, std::memory_order_release);
  }
  const double t1 = Seconds();
  done.store(true);
  if (beside) {
    reader.join();
    std::printf("%-10s %-16s %8zu  insert %5.0f ns  reads beside it %4.2f M/s\n", Map::kName, what,
                n, (t1 - t0) / n * 1e9, reads / (t1 - t0) / 1e6);
    return;
  }
  std::mt19937_64 random(2);
  const size_t gets = std::min<size_t>(n, 500000);
  std::string wanted;  // in the order they are asked for: fetching them must not cost
  for (size_t i = 0; i < gets; ++i) wanted += keys[random() % n];
  const double t2 = Seconds();
  Slice found;
  for (size_t i = 0; i < gets; ++i) {
    if (!map.Get(Slice(wanted.data() + i * 16, 16), &found)) std::abort();
  }
  const double t3 = Seconds();
  if (map.Scan(false) != n * 116) std::abort();
  const double t4 = Seconds();
  if (map.Scan(true) != n * 116) std::abort();
  const double t5 = Seconds();
  std::printf(
      "%-10s %-16s %8zu  insert %5.0f ns  get %5.0f ns  next %5.1f ns  prev %5.1f ns  %5.1f "
      "B/entry\n",
      Map::kName, what, n, (t1 - t0) / n * 1e9, (t3 - t2) / gets * 1e9, (t4 - t3) / n * 1e9,
      (t5 - t4) / n * 1e9, static_cast<double>(map.memory_bytes()) / n);
}

template <typename Map>
void MeasureAll(size_t n) {
  Measure<Map>("random", Keys::kRandom, n, false);
  Measure<Map>("decimal", Keys::kDecimal, n, false);
  Measure<Map>("sequential", Keys::kSequential, n, false);
  Measure<Map>("random, beside", Keys::kRandom, n, true);
  Measure<Map>("decimal, beside", Keys::kDecimal, n, true);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<size_t> sizes = {100000, 500000, 1000000};
  if (argc > 1) {
    sizes.clear();
    for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  }
  for (const size_t n : sizes) {
    MeasureAll<Tree>(n);
    MeasureAll<Skip>(n);
  }
  return 0;
}
