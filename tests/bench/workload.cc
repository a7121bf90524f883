// Construction of keys, values and expected answers; the contract stands in workload.h.
#include "workload.h"

#include <cmath>

namespace kist::bench {

namespace {

const char* TwoDigits() {
  static const struct Table {
    char digits[200];
    Table() {
      for (int i = 0; i < 100; ++i) {
        digits[2 * i] = static_cast<char>('0' + i / 10);
        digits[2 * i + 1] = static_cast<char>('0' + i % 10);
      }
    }
  } table;
  return table.digits;
}

void EightDigits(uint32_t v, const char* two, char* out) {
  const uint32_t high = v / 10000;
  const uint32_t low = v % 10000;
  std::memcpy(out, two + 2 * (high / 100), 2);
  std::memcpy(out + 2, two + 2 * (high % 100), 2);
  std::memcpy(out + 4, two + 2 * (low / 100), 2);
  std::memcpy(out + 6, two + 2 * (low % 100), 2);
}

// Eight ASCII digits to their value, all at once; ~0 where one is no digit.
uint64_t ParseEight(const char* p) {
  uint64_t v = Load64(p) - 0x3030303030303030u;
  if (((v | (v + 0x7676767676767676u)) & 0x8080808080808080u) != 0) return ~uint64_t{0};
  v = (v * 10) + (v >> 8);
  return (((v & 0x000000ff000000ffu) * 0x000f424000000064u) +
          (((v >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
         32;
}

double Zeta(uint64_t n, double theta) {
  double sum = 0;
  for (uint64_t i = 1; i <= n; ++i) sum += 1.0 / std::pow(static_cast<double>(i), theta);
  return sum;
}

}  // namespace

Permutation::Permutation(uint64_t n, uint64_t seed) : n_(n) {
  half_bits_ = 1;
  while ((uint64_t{1} << (2 * half_bits_)) < n) ++half_bits_;
  mask_ = (uint64_t{1} << half_bits_) - 1;
  for (int i = 0; i < 4; ++i) keys_[i] = Mix(seed, static_cast<uint64_t>(i) + 1);
}

Workload::Workload(const DataSet& set) : set_(set) {
  stride_ = (uint64_t{1} << 63) / (2 * set.entries + 2) * 2 - 1;
  second_ = (set.value_bytes - 8) / 2;
  first_ = set.value_bytes - 8 - second_;
  pool_.resize(kPoolBytes + first_);
  Random random(4711);
  for (char& byte : pool_) byte = static_cast<char>(random.Next() >> 33);
}

void Workload::Key(uint64_t number, char* out) const {
  if (set_.style == KeyStyle::kDecimal) {
    const char* two = TwoDigits();
    EightDigits(static_cast<uint32_t>(number / 100000000), two, out);
    EightDigits(static_cast<uint32_t>(number % 100000000), two, out + 8);
    return;
  }
  const uint64_t high = __builtin_bswap64(number * stride_);
  const uint64_t low = Mix(number, 0xabcdef);
  std::memcpy(out, &high, 8);
  std::memcpy(out + 8, &low, 8);
}

uint64_t Workload::Number(std::string_view key) const {
  if (key.size() != kKeyBytes) return ~uint64_t{0};
  if (set_.style == KeyStyle::kDecimal) {
    const uint64_t high = ParseEight(key.data());
    const uint64_t low = ParseEight(key.data() + 8);
    if (high > 99999999 || low > 99999999) return ~uint64_t{0};
    return high * 100000000 + low;
  }
  const uint64_t high = __builtin_bswap64(Load64(key.data()));
  const uint64_t number = high / stride_;
  if (number * stride_ != high || Load64(key.data() + 8) != Mix(number, 0xabcdef))
    return ~uint64_t{0};
  return number;
}

void Workload::Value(uint64_t number, uint8_t generation, char* out) const {
  const uint64_t stamp = Mix(number, generation);
  std::memcpy(out, &stamp, 8);
  const char* body = pool_.data() + stamp % kPoolBytes;
  std::memcpy(out + 8, body, first_);
  std::memcpy(out + 8 + first_, body, second_);
}

uint64_t EntryCheck::ExpectedSum(const Workload& workload, bool forward, uint8_t generation) {
  uint64_t sum = 0;
  const uint64_t n = workload.set().entries;
  char key[kKeyBytes];
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t number = 2 * (forward ? i : n - 1 - i);
    workload.Key(number, key);
    sum = sum * 0x9e3779b97f4a7c15u + (Load64(key) ^ Load64(key + 8) ^ Mix(number, generation));
  }
  return sum;
}

void EntryCheck::AddExact(std::string_view key, std::string_view value) {
  const uint64_t number = workload_->Number(key);
  const std::vector<uint8_t>& generations = *generations_;
  while (next_ < generations.size() && generations[next_] == 0) ++next_;
  if (number != next_ || number >= generations.size()) {
    ok_ = false;
    why_ = "scan expected number " + std::to_string(next_) + " and got " + std::to_string(number);
    return;
  }
  if (!workload_->ValueIs(value, number, generations[number], (number & 62) == 0)) {
    ok_ = false;
    why_ = "scan got a wrong value for number " + std::to_string(number);
  }
  ++next_;
}

void EntryCheck::AddSampled(std::string_view key, std::string_view value) {
  const uint64_t number = workload_->Number(key);
  const uint64_t stamp = Load64(value.data());
  for (int generation = 1; generation < 256; ++generation) {
    if (stamp != Mix(number, static_cast<uint8_t>(generation))) continue;
    if (workload_->ValueIs(value, number, static_cast<uint8_t>(generation), true)) return;
    break;
  }
  ok_ = false;
  why_ = "scan got a wrong value for number " + std::to_string(number);
}

std::vector<uint32_t> ZipfRanks(uint64_t n, size_t count, uint64_t seed) {
  // Gray et al., "Quickly generating billion-record synthetic databases".
  const double theta = 0.99;
  const double zeta_n = Zeta(n, theta);
  const double alpha = 1.0 / (1.0 - theta);
  const double eta =
      (1.0 - std::pow(2.0 / static_cast<double>(n), 1.0 - theta)) / (1.0 - Zeta(2, theta) / zeta_n);
  Random random(seed);
  std::vector<uint32_t> ranks(count);
  for (uint32_t& rank : ranks) {
    const double u = static_cast<double>(random.Next() >> 11) * 0x1.0p-53;
    const double uz = u * zeta_n;
    if (uz < 1.0) {
      rank = 0;
    } else if (uz < 1.0 + std::pow(0.5, theta)) {
      rank = 1;
    } else {
      const double r = static_cast<double>(n) * std::pow(eta * u - eta + 1.0, alpha);
      rank = r < static_cast<double>(n) ? static_cast<uint32_t>(r) : static_cast<uint32_t>(n - 1);
    }
  }
  return ranks;
}

}  // namespace kist::bench
