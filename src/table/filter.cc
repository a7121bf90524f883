// Building and loading of filters; the format stands in filter.h. The builder keeps hashes, not
// keys, because the number of lines must be known before the first bit is set.
// Threads: one at a time.
#include "table/filter.h"

#include <algorithm>
#include <cstring>

#include "util/planted.h"

namespace kist {

namespace {

// The number of probes with the fewest false positives for lines of 512 bits.
unsigned Probes(uint32_t bits) {
  constexpr uint8_t kBest[kFilterBitsMax + 1] = {0, 1, 1, 2, 3, 3, 4,  4,  5,  6, 6,
                                                 7, 7, 8, 9, 9, 9, 10, 10, 11, 11};
  return kBest[std::min(bits, kFilterBitsMax)];
}

// A filter of a billion bytes is the largest; more keys make it less sharp.
constexpr uint64_t kLinesMax = uint64_t{1} << 24;

uint64_t Lines(uint64_t keys, uint32_t bits) {
  const uint64_t line_bits = kFilterLineBytes * 8;
  return std::min(std::max<uint64_t>((keys * bits + line_bits - 1) / line_bits, 1), kLinesMax);
}

}  // namespace

const char* Filter::Load(Slice payload, bool* no_memory) {
  *no_memory = false;
  if (payload.size() < kFilterHeaderBytes) return "filter too short";
  const uint64_t lines = Load32(payload.data());
  const unsigned probes = static_cast<uint8_t>(payload[4]);
  if (lines == 0 || payload.size() - kFilterHeaderBytes != lines * kFilterLineBytes)
    return "filter of another length";
  if (probes == 0 || probes > kFilterProbesMax) return "filter with an unknown number of probes";
  if (payload[5] != 0 || Load16(payload.data() + 6) != 0) return "unknown filter flags";
  Buffer memory = AllocateAlignedBuffer(lines * kFilterLineBytes, kFilterLineBytes);
  if (memory == nullptr) {
    *no_memory = true;
    return "no memory for the filter";
  }
  std::memcpy(memory.get(), payload.data() + kFilterHeaderBytes, lines * kFilterLineBytes);
  lines_ = std::move(memory);
  line_count_ = static_cast<uint32_t>(lines);
  probes_ = probes;
  return nullptr;
}

uint64_t FilterBuilder::size() const {
  if (bits_ == 0 || keys() == 0) return 0;
  return kFilterHeaderBytes + Lines(keys(), bits_) * kFilterLineBytes;
}

bool FilterBuilder::Finish(GrowBuffer* out) noexcept {
  const uint64_t bytes = size();
  if (bytes == 0) return true;
  if (!out->Reserve(bytes)) return false;
  char* p = out->data() + out->size();
  out->Resize(out->size() + bytes);
  std::memset(p, 0, bytes);
  const uint32_t lines = static_cast<uint32_t>(Lines(keys(), bits_));
  const unsigned probes = Probes(bits_);
  Store32(p, lines);
  p[4] = static_cast<char>(probes);
  char* first = p + kFilterHeaderBytes;
  for (uint64_t k = 0; k < keys(); ++k) {
    if (k % 5 == 4 && Planted(Bug::kFilterMissesKeys)) continue;
    const uint64_t hash = Load64(hashes_.data() + k * sizeof(uint64_t));
    char* line = first + filter_internal::Line(hash, lines) * kFilterLineBytes;
    uint64_t fields = filter_internal::FirstFields(hash);
    const uint64_t second = filter_internal::SecondFields(fields);
    for (unsigned i = 0; i < probes; ++i, fields <<= 9) {
      if (i == 7) fields = second;
      const uint64_t bit = fields >> 55;
      line[bit / 8] = static_cast<char>(line[bit / 8] | 1 << (bit % 8));
    }
  }
  return true;
}

}  // namespace kist
