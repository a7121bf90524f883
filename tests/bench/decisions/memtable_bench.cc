// Decision: how the memtable orders its entries. The B+-tree of src/memtable against a skip list
// that lives here only (arena, eight bytes of the key inline, one writer, lock-free readers).
//   memtable_bench [tree|skip] [entries ...]        default: both at 100000, 500000 and 1000000
// Times are of the thread's CPU; "beside": one writer and one reader of random keys at once.
// Result in ns, tree / skip list, 16-byte random keys, 2 cores shared with other work (load 12):
//   entries   insert        get          next        memory an entry
//   100 k     187 /  943    368 / 1467   16 / 147    189 / 168
//   500 k     276 / 1954    560 / 2370   18 / 166    164 / 164   (load 5: tree 224, 457)
//   1 M       338 / 2446    675 / 3112   21 / 192    162 / 164
// Decimal keys with a common prefix: the tree alike, the list a fifth slower. Ascending: insert
// 40 / 105, next 6.5 / 5.5. A reader beside the writer does not slow inserts.
// Verdict: the tree. Tried in it: nodes of 32 slots (inserts and gets alike, next 36 ns), pages of
// 4 KiB (insert 330, get 690, next 23), no fetching ahead in the iterator (next 31 ns).
#include <time.h>

#include <algorithm>
#include <atomic>
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
#include "util/alloc.h"
#include "util/slice.h"
#include "vfs/huge_pages.h"

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
    for (char* chunk : chunks_) kist::Deallocate(chunk);
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
      chunks_.push_back(static_cast<char*>(kist::AllocateAligned(kChunk, kChunk)));
      kist::AdviseHugePages(chunks_.back(), kChunk);
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

  static constexpr size_t kChunk = kist::kHugePageBytes;
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

// Of this thread's CPU time: what else the machine does disturbs it least.
double Seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
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

// Nanoseconds an operation, each the best of some runs.
struct Figures {
  double insert = 1e9, get = 1e9, next = 1e9, prev = 1e9;
  double bytes = 0;  // of memory, an entry

  void Take(const Figures& f) {
    insert = std::min(insert, f.insert);
    get = std::min(get, f.get);
    next = std::min(next, f.next);
    prev = std::min(prev, f.prev);
    bytes = f.bytes;
  }
};

constexpr size_t kKeyBytes = 16;
constexpr size_t kValueBytes = 100;

template <typename Map>
Figures Alone(const std::vector<std::string>& keys) {
  const size_t n = keys.size();
  const std::string value(kValueBytes, 'v');
  Figures f;
  Map map;
  double start = Seconds();
  const auto lap = [&start](size_t ops) {
    const double now = Seconds();
    const double ns = (now - start) / static_cast<double>(ops) * 1e9;
    start = Seconds();
    return ns;
  };
  for (size_t i = 0; i < n; ++i) map.Add(keys[i], i + 1, value);
  f.insert = lap(n);
  std::mt19937_64 random(2);
  const size_t gets = std::min<size_t>(n, 500000);
  std::string wanted;  // in the order they are asked for: fetching them must not cost
  for (size_t i = 0; i < gets; ++i) wanted += keys[random() % n];
  Slice found;
  lap(1);
  for (size_t i = 0; i < gets; ++i) {
    if (!map.Get(Slice(wanted.data() + i * kKeyBytes, kKeyBytes), &found)) std::abort();
  }
  f.get = lap(gets);
  if (map.Scan(false) != n * (kKeyBytes + kValueBytes)) std::abort();
  f.next = lap(n);
  if (map.Scan(true) != n * (kKeyBytes + kValueBytes)) std::abort();
  f.prev = lap(n);
  f.bytes = static_cast<double>(map.memory_bytes()) / static_cast<double>(n);
  return f;
}

// The writer's inserts and a reader's gets at the same time.
template <typename Map>
Figures Beside(const std::vector<std::string>& keys) {
  const std::string value(kValueBytes, 'v');
  Map map;
  Figures f;
  std::atomic<size_t> added{0};
  std::atomic<bool> done{false};
  std::thread reader([&] {
    std::mt19937_64 random(1);
    Slice found;
    size_t reads = 0;
    double start = 0;
    while (!done.load(std::memory_order_relaxed)) {
      const size_t m = added.load(std::memory_order_acquire);
      if (m == 0) continue;
      if (reads++ == 0) start = Seconds();
      if (!map.Get(keys[random() % m], &found)) std::abort();
    }
    f.get = (Seconds() - start) / static_cast<double>(reads) * 1e9;
  });
  const double start = Seconds();
  for (size_t i = 0; i < keys.size(); ++i) {
    map.Add(keys[i], i + 1, value);
    added.store(i + 1, std::memory_order_release);
  }
  f.insert = (Seconds() - start) / static_cast<double>(keys.size()) * 1e9;
  done.store(true);
  reader.join();
  return f;
}

template <typename Map>
void Measure(const char* what, Keys kind, size_t n) {
  const auto keys = MakeKeys(kind, n);
  constexpr int kRuns = 3;
  Figures alone;
  Figures beside;
  for (int i = 0; i < kRuns; ++i) alone.Take(Alone<Map>(keys));
  for (int i = 0; i < kRuns; ++i) beside.Take(Beside<Map>(keys));
  std::printf("%-9s %-10s %7zu %7.0f %5.0f %6.1f %6.1f %7.1f %10.0f %5.0f\n", Map::kName, what, n,
              alone.insert, alone.get, alone.next, alone.prev, alone.bytes, beside.insert,
              beside.get);
  std::fflush(stdout);
}

template <typename Map>
void MeasureAll(size_t n) {
  Measure<Map>("random", Keys::kRandom, n);
  Measure<Map>("decimal", Keys::kDecimal, n);
  Measure<Map>("sequential", Keys::kSequential, n);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<size_t> sizes;
  bool tree = true;
  bool skip = true;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "tree") == 0) {
      skip = false;
    } else if (std::strcmp(argv[i], "skip") == 0) {
      tree = false;
    } else {
      sizes.push_back(std::strtoull(argv[i], nullptr, 10));
    }
  }
  if (sizes.empty()) sizes = {100000, 500000, 1000000};
  std::printf(
      "ns                       entries  insert   get   next   prev B/entry | beside: insert  "
      "get\n");
  for (const size_t n : sizes) {
    if (tree) MeasureAll<Tree>(n);
    if (skip) MeasureAll<Skip>(n);
  }
  return 0;
}
