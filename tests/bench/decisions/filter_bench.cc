// Decision: which filter a table has, and how many bits a key.  filter_bench [keys]
// The engine's Bloom filter of cache lines against a plain Bloom filter and an xor filter (Graf and
// Lemire, "Xor Filters", 2020), which live here only. ns of the thread's CPU; load 20 on 2 cores.
// Result at a million keys:  build a key    hit    miss   wrong per million
//   lines / plain,  8 bits     16 /  6      6/6    12/14  23300 / 21500
//   lines / plain, 10 bits     17 /  7      7/7    13/15   9600 /  8100
//   lines / plain, 16 bits     21 / 11     16/10   12/15    824 /   440
//   lines / plain, 20 bits     23 / 14     12/13   11/16    203 /    76
//   xor 8 (9.84 bits)         182           6       6      3960
//   xor 16 (19.7 bits)        185           7       7        17
// Verdict: lines, 10 bits. A filter is built with every flush and compaction, where 165 ns more an
// entry would be twice what the rest of it takes, and asked with few of its keys. A plain filter is
// a little sharper, but touches ten lines instead of one where it does not fit the processor's
// cache. 16 bits keep out 99.9 % of absent keys for those who ask for many.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "table/filter.h"

namespace {

using namespace kist;

double Seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// What a lookup asks; the same for all.
struct AnyFilter {
  virtual ~AnyFilter() = default;
  virtual void Build(const std::vector<uint64_t>& hashes) = 0;
  virtual bool MayContain(uint64_t hash) const = 0;
  virtual double bits() const = 0;
};

class LineBloom final : public AnyFilter {
 public:
  explicit LineBloom(uint32_t bits) : bits_(bits) {}
  void Build(const std::vector<uint64_t>& hashes) override {
    FilterBuilder builder(bits_);
    bool ok = true;
    for (uint64_t h : hashes) ok = ok && builder.Add(h);
    GrowBuffer out;
    ok = ok && builder.Finish(&out);
    bool no_memory = false;
    if (!ok || filter_.Load(out.slice(), &no_memory) != nullptr) std::abort();
    per_key_ = static_cast<double>(out.size()) * 8 / static_cast<double>(hashes.size());
  }
  bool MayContain(uint64_t hash) const override { return filter_.MayContain(hash); }
  double bits() const override { return per_key_; }

 private:
  const uint32_t bits_;
  double per_key_ = 0;
  Filter filter_;
};

class PlainBloom final : public AnyFilter {
 public:
  explicit PlainBloom(uint32_t bits)
      : bits_(bits), probes_(static_cast<unsigned>(std::lround(bits * 0.693))) {}
  void Build(const std::vector<uint64_t>& hashes) override {
    words_.assign(hashes.size() * bits_ / 64 + 1, 0);
    size_ = words_.size() * 64;
    for (uint64_t h : hashes) {
      Each(h, [&](uint64_t bit) {
        words_[bit / 64] |= uint64_t{1} << bit % 64;
        return true;
      });
    }
  }
  bool MayContain(uint64_t hash) const override {
    return Each(hash, [&](uint64_t bit) { return (words_[bit / 64] >> bit % 64 & 1) != 0; });
  }
  double bits() const override { return bits_; }

 private:
  // Double hashing (Kirsch and Mitzenmacher).
  template <typename Visit>
  bool Each(uint64_t hash, Visit visit) const {
    const uint64_t step = hash * 0x9e3779b97f4a7c15 | 1;
    for (unsigned i = 0; i < probes_; ++i, hash += step) {
      const uint64_t bit =
          static_cast<uint64_t>(static_cast<unsigned __int128>(hash) * size_ >> 64);
      if (!visit(bit)) return false;
    }
    return true;
  }
  const uint32_t bits_;
  const unsigned probes_;
  uint64_t size_ = 0;
  std::vector<uint64_t> words_;
};

// Three places a key, one in each third; the xor of what stands there is the key's fingerprint.
template <typename Fingerprint>
class XorFilter final : public AnyFilter {
 public:
  void Build(const std::vector<uint64_t>& hashes) override {
    keys_ = hashes.size();
    third_ = keys_ * 123 / 300 + 32;
    std::vector<uint64_t> order, alone;
    do {
      seed_ = seed_ * 6364136223846793005 + 1442695040888963407;
      Peel(hashes, &order, &alone);
    } while (order.size() != keys_);
    cells_.assign(3 * third_, 0);
    for (size_t i = order.size(); i-- > 0;) {
      uint64_t at[3];
      Places(order[i], at);
      Fingerprint f = Print(order[i]);
      for (uint64_t p : at) f = static_cast<Fingerprint>(f ^ (p == alone[i] ? 0 : cells_[p]));
      cells_[alone[i]] = f;
    }
  }
  bool MayContain(uint64_t hash) const override {
    uint64_t at[3];
    Places(hash, at);
    return static_cast<Fingerprint>(cells_[at[0]] ^ cells_[at[1]] ^ cells_[at[2]]) == Print(hash);
  }
  double bits() const override {
    return static_cast<double>(cells_.size() * sizeof(Fingerprint) * 8) /
           static_cast<double>(keys_);
  }

 private:
  uint64_t Mix(uint64_t hash) const {
    hash = (hash + seed_) * 0x9e3779b97f4a7c15;
    return (hash ^ hash >> 32) * 0xd6e8feb86659fd93;
  }
  Fingerprint Print(uint64_t hash) const {
    const uint64_t m = Mix(hash);
    return static_cast<Fingerprint>(m ^ m >> 32);
  }
  void Places(uint64_t hash, uint64_t at[3]) const {
    const uint64_t m = Mix(hash);
    for (unsigned i = 0; i < 3; ++i) {
      const uint64_t part = (m << (21 * i) | m >> 1 >> (63 - 21 * i)) & 0xffffffff;
      at[i] = i * third_ + (part * third_ >> 32);
    }
  }
  // Takes keys that have a place alone until none is left; `order` holds fewer where a cycle is.
  void Peel(const std::vector<uint64_t>& hashes, std::vector<uint64_t>* order,
            std::vector<uint64_t>* alone) {
    std::vector<uint64_t> sum(3 * third_, 0), queue;
    std::vector<uint32_t> count(3 * third_, 0);
    uint64_t at[3];
    for (uint64_t h : hashes) {
      Places(h, at);
      for (uint64_t p : at) sum[p] ^= h, ++count[p];
    }
    order->clear();
    alone->clear();
    for (uint64_t p = 0; p < count.size(); ++p) {
      if (count[p] == 1) queue.push_back(p);
    }
    while (!queue.empty()) {
      const uint64_t place = queue.back();
      queue.pop_back();
      if (count[place] != 1) continue;
      const uint64_t h = sum[place];
      order->push_back(h);
      alone->push_back(place);
      Places(h, at);
      for (uint64_t p : at) {
        sum[p] ^= h;
        if (--count[p] == 1) queue.push_back(p);
      }
    }
  }
  uint64_t seed_ = 1;
  uint64_t third_ = 0;
  size_t keys_ = 0;
  std::vector<Fingerprint> cells_;
};

double Ask(const AnyFilter& filter, const std::vector<uint64_t>& hashes, uint64_t* yes) {
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    *yes = 0;
    const double start = Seconds();
    for (uint64_t h : hashes) *yes += filter.MayContain(h) ? 1 : 0;
    best = std::min(best, Seconds() - start);
  }
  return best / static_cast<double>(hashes.size()) * 1e9;
}

void Run(const char* name, AnyFilter* filter, const std::vector<uint64_t>& in,
         const std::vector<uint64_t>& out) {
  const double start = Seconds();
  filter->Build(in);
  const double build = (Seconds() - start) / static_cast<double>(in.size()) * 1e9;
  uint64_t hits = 0, wrong = 0;
  const double hit = Ask(*filter, in, &hits);
  const double miss = Ask(*filter, out, &wrong);
  if (hits != in.size()) std::printf("%s: WRONG, a key is missing\n", name);
  std::printf("%-16s %6.2f bits a key  build %6.1f  hit %6.1f  miss %6.1f ns  wrong %8.1f ppm\n",
              name, filter->bits(), build, hit, miss,
              static_cast<double>(wrong) / static_cast<double>(out.size()) * 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t keys = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  std::mt19937_64 random(7);
  std::vector<uint64_t> in(keys), out(2 * keys);
  for (uint64_t& h : in) h = random();
  for (uint64_t& h : out) h = random();
  for (uint32_t bits : {8u, 10u, 12u, 16u, 20u}) {
    LineBloom lines(bits);
    Run("lines", &lines, in, out);
    PlainBloom plain(bits);
    Run("plain", &plain, in, out);
  }
  XorFilter<uint8_t> small;
  Run("xor 8", &small, in, out);
  XorFilter<uint16_t> large;
  Run("xor 16", &large, in, out);
  return 0;
}
