// Filters. Mode 0: any bytes are refused or answer without harm. Mode 1: a filter over some keys
// misses none of them. With 2 in the first byte memory runs out.
#include <vector>

#include "failing_memory.h"
#include "fuzz_input.h"
#include "table/filter.h"
#include "table/table.h"

using namespace kist;

namespace {

void Any(Slice bytes, bool memory_fails) {
  bool no_memory = false;
  Filter filter;
  if (filter.Load(bytes, &no_memory) != nullptr) {
    MUST(!no_memory || memory_fails);
    return;
  }
  for (uint64_t h = 1; h < 200; ++h) static_cast<void>(filter.MayContain(h * 0x9e3779b97f4a7c15));
  MUST(filter.MayContain(0) == filter.MayContain(0) && filter.present());
}

void Built(fuzz::FuzzInput* input, bool memory_fails) {
  FilterBuilder builder(input->Byte() % (kFilterBitsMax + 1));
  std::vector<uint64_t> hashes;
  while (!input->empty() && hashes.size() < 4000) {
    hashes.push_back(HashKey(input->Bytes(1 + input->Byte() % 16)));
    if (builder.Add(hashes.back())) continue;
    MUST(memory_fails);
    hashes.pop_back();
  }
  const uint64_t bytes = builder.size();
  GrowBuffer out;
  if (!builder.Finish(&out)) {
    MUST(memory_fails);
    return;
  }
  MUST(out.size() == bytes);
  if (bytes == 0) return;
  bool no_memory = false;
  Filter filter;
  const bool loaded = filter.Load(Slice(out.data(), out.size()), &no_memory) == nullptr;
  MUST(loaded || (no_memory && memory_fails));
  for (const uint64_t h : hashes) MUST(filter.MayContain(h));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const uint8_t mode = input.Byte();
  const uint8_t memory = (mode & 2) != 0 ? input.Last() : 0;
  const std::string bytes(input.rest());  // on the heap, so that a read past the end is seen
  fuzz::WithFailingMemory(memory, [&] {
    if (mode % 2 == 0) {
      Any(bytes, memory != 0);
    } else {
      Built(&input, memory != 0);
    }
  });
  return 0;
}
