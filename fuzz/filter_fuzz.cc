// Filters. Mode 0: any bytes are refused or answer without harm. Mode 1: a filter over some keys
// misses none of them.
#include <vector>

#include "fuzz_input.h"
#include "table/filter.h"
#include "table/table.h"

using namespace kist;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  bool no_memory = false;
  Filter filter;
  if (input.Byte() % 2 == 0) {
    const std::string bytes(input.rest());
    if (filter.Load(bytes, &no_memory) != nullptr) return 0;
    for (uint64_t h = 1; h < 200; ++h) static_cast<void>(filter.MayContain(h * 0x9e3779b97f4a7c15));
    MUST(filter.MayContain(0) == filter.MayContain(0) && filter.present());
    return 0;
  }
  FilterBuilder builder(input.Byte() % (kFilterBitsMax + 1));
  std::vector<uint64_t> hashes;
  while (!input.empty() && hashes.size() < 4000) {
    hashes.push_back(HashKey(input.Bytes(1 + input.Byte() % 16)));
    MUST(builder.Add(hashes.back()));
  }
  const uint64_t bytes = builder.size();
  GrowBuffer out;
  MUST(builder.Finish(&out) && out.size() == bytes);
  if (bytes == 0) return 0;
  MUST(filter.Load(Slice(out.data(), out.size()), &no_memory) == nullptr);
  for (const uint64_t h : hashes) MUST(filter.MayContain(h));
  return 0;
}
