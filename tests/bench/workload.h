// Keys, values, orders and checks of the benchmark: everything is a function of a key's number, so
// that any answer can be checked without remembering what was written.
//
// Numbers: a data set of n entries holds the even numbers 0, 2, .. 2(n-1). Odd numbers are inside
// the key range but absent until a workload inserts them. Keys are 16 bytes and their order is that
// of the numbers. Values: 8 bytes of stamp = Mix(number, generation), then random bytes of a fixed
// pool at an offset that the stamp decides, then the same bytes again: half of a value is
// compressible, whatever block it lies in.
//
// Threads: all constant after construction except EntryCheck and Random, which belong to one
// thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace kist::bench {

inline constexpr size_t kKeyBytes = 16;

inline uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t x = (a + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u + b * 0x94d049bb133111ebu;
  x ^= x >> 29;
  x *= 0xd6e8feb86659fd93u;
  return x ^ (x >> 32);
}

inline uint64_t Load64(const char* p) {
  uint64_t v;
  std::memcpy(&v, p, 8);
  return v;
}

// xorshift64*: cheap enough to stand in the timed loop.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed, 77) | 1) {}
  uint64_t Next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  uint64_t Below(uint64_t n) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * n) >> 64);
  }

 private:
  uint64_t state_;
};

// A random order of 0..n-1 without memory: a Feistel network, walked until it lands inside.
class Permutation {
 public:
  Permutation(uint64_t n, uint64_t seed);
  uint64_t At(uint64_t i) const {
    do {
      i = Once(i);
    } while (i >= n_);
    return i;
  }

 private:
  uint64_t Once(uint64_t i) const {
    uint64_t left = i >> half_bits_;
    uint64_t right = i & mask_;
    for (uint64_t k : keys_) {
      const uint64_t f = (((right + k) * 0x9e3779b97f4a7c15u) >> 40) & mask_;
      const uint64_t t = left ^ f;
      left = right;
      right = t;
    }
    return (left << half_bits_) | right;
  }
  uint64_t n_;
  unsigned half_bits_;
  uint64_t mask_;
  uint64_t keys_[4];
};

enum class KeyStyle {
  kDecimal,  // "0000000000012346", as LevelDB's db_bench writes them: long common prefixes
  kSpread,   // 8 bytes big-endian of number * stride, 8 bytes of hash: no common prefix, yet in
             // number order
};

struct DataSet {
  uint64_t entries = 1000000;
  uint32_t value_bytes = 100;
  KeyStyle style = KeyStyle::kDecimal;
  uint64_t record_bytes() const { return kKeyBytes + value_bytes; }
  uint64_t bytes() const { return entries * record_bytes(); }
};

class Workload {
 public:
  explicit Workload(const DataSet& set);
  const DataSet& set() const { return set_; }

  // Writes the 16 bytes of the key with this number.
  void Key(uint64_t number, char* out) const;
  std::string_view KeyView(uint64_t number, char* out) const {
    Key(number, out);
    return {out, kKeyBytes};
  }
  // The number of a key; ~0 where the bytes are no key of this workload.
  uint64_t Number(std::string_view key) const;
  // Writes value_bytes bytes.
  void Value(uint64_t number, uint8_t generation, char* out) const;
  // Length, stamp and last bytes; with `whole` every byte.
  bool ValueIs(std::string_view value, uint64_t number, uint8_t generation, bool whole) const {
    if (value.size() != set_.value_bytes) return false;
    const uint64_t stamp = Mix(number, generation);
    if (Load64(value.data()) != stamp) return false;
    const char* body = pool_.data() + stamp % kPoolBytes;
    const char* v = value.data() + 8;
    if (whole)
      return std::memcmp(v, body, first_) == 0 && std::memcmp(v + first_, body, second_) == 0;
    return Load64(v + first_ + second_ - 8) == Load64(body + second_ - 8);
  }

 private:
  static constexpr size_t kPoolBytes = size_t{256} << 10;
  DataSet set_;
  uint64_t stride_;         // of kSpread
  size_t first_, second_;   // the two halves behind the stamp; second_ >= 8
  std::vector<char> pool_;  // kPoolBytes + first_
};

// What a scan shows its entries to. In the sum mode an entry costs about one nanosecond: an
// order-sensitive sum over key and stamp that must equal the sum of the expected sequence, and
// every 64th value is compared whole. In the exact mode each entry must be the one that follows the
// previous number, as `generations` (one byte a number, 0: absent) says.
class EntryCheck {
 public:
  explicit EntryCheck(const Workload* workload) : workload_(workload) {}

  void BeginSum() {
    exact_ = false;
    count_ = sum_ = 0;
  }
  // Entries must begin at the first present number >= `number` and ascend without a gap.
  void BeginExact(uint64_t number, const std::vector<uint8_t>* generations) {
    exact_ = true;
    count_ = 0;
    next_ = number;
    generations_ = generations;
  }
  void Add(const char* key, size_t key_len, const char* value, size_t value_len) {
    ++count_;
    if (exact_) return AddExact({key, key_len}, {value, value_len});
    if (key_len != kKeyBytes || value_len != workload_->set().value_bytes) {
      ok_ = false;
      return;
    }
    sum_ = sum_ * 0x9e3779b97f4a7c15u + (Load64(key) ^ Load64(key + 8) ^ Load64(value));
    if ((count_ & 63) == 0) AddSampled({key, key_len}, {value, value_len});
  }
  bool ok() const { return ok_; }
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  const std::string& why() const { return why_; }

  // The sum that the whole data set must have, every value of this generation.
  static uint64_t ExpectedSum(const Workload& workload, bool forward, uint8_t generation);

 private:
  void AddExact(std::string_view key, std::string_view value);
  void AddSampled(std::string_view key, std::string_view value);

  const Workload* workload_;
  bool exact_ = false;
  bool ok_ = true;
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t next_ = 0;
  const std::vector<uint8_t>* generations_ = nullptr;
  std::string why_;
};

// Zipf-distributed ranks 0..n-1 (theta 0.99), drawn ahead of time so that the timed loop pays no
// pow().
std::vector<uint32_t> ZipfRanks(uint64_t n, size_t count, uint64_t seed);

}  // namespace kist::bench
