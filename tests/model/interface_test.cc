// Seeded random walks through the C interface beside a model (interface_walk.h), under several sets
// of options. KIST_SEED is the first of two seeds for each; KIST_STEPS sets the length.
#include <cstdlib>

#include "support/interface_walk.h"

namespace kist::test {
namespace {

const char* const kOptionSets[] = {
    "sync=never; write_buffer_size=64KiB; target_file_size=64KiB; log_retention=1GiB",
    "sync=every_n:10; write_back=true; write_back_size=4KiB; write_back_interval=20ms; "
    "write_buffer_size=64KiB; target_file_size=64KiB; wal_timestamps=false",
    "sync=interval:20ms; write_back_size=64KiB; write_buffer_size=128KiB; wal_compression=snappy; "
    "block_size=1KiB; log_retention=1GiB",
    "sync=never; compaction=manual; write_buffer_size=1MiB; filter_bits=0; wal_preallocate=false",
};

uint64_t Environment(const char* name, uint64_t otherwise) {
  const char* v = std::getenv(name);
  return v != nullptr ? std::strtoull(v, nullptr, 10) : otherwise;
}

template <int kSet>
void interface__agrees_with_the_model(void**) {
  const uint64_t seed = Environment("KIST_SEED", 1);
  const int steps = static_cast<int>(Environment("KIST_STEPS", 2500));
  for (uint64_t i = 0; i < 2; ++i) {
    std::fprintf(stderr, "options %d, seed %llu\n", kSet,
                 static_cast<unsigned long long>(seed + i));
    InterfaceWalk(seed + i, kOptionSets[kSet]).Run(steps);
  }
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(interface__agrees_with_the_model<0>),
      cmocka_unit_test(interface__agrees_with_the_model<1>),
      cmocka_unit_test(interface__agrees_with_the_model<2>),
      cmocka_unit_test(interface__agrees_with_the_model<3>),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
