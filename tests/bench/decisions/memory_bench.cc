// Decision: where entries of memtables, cached blocks and small objects live.  memory_bench
// ns of the thread's CPU, the best of three; 2 cores under load 20. "read": one byte of a block of
// 128 MiB of them, the next place known only then; memory for 67 MiB of entries, 128 of blocks.
// Result:                        malloc    mimalloc   ours
//   an entry of 140 bytes        84        16         12 (arena)
//   memory of all of them        81 MiB    81 MiB     74 MiB
//   a block replaced by another  690       500        310 (block pool: cells of huge pages)
//   a read                       235       245        165
//   memory of all of them        131 MiB   155 MiB    141 MiB
//   a small object               13        10
// Verdict: arenas for memtables, the pool for cached blocks; mimalloc, where it may be had, for the
// rest, though the system's is good enough: a build without it loses little.
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "memtable/twin_arena.h"
#include "table/block_pool.h"
#include "util/alloc.h"

namespace {

using namespace kist;

double Seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// MiB of this process in memory.
double Resident() {
  double pages = 0;
  if (FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%*f %lf", &pages) != 1) pages = 0;
    std::fclose(f);
  }
  return pages * 4096 / 1048576;
}

struct Source {
  const char* name;
  void* (*take)(size_t);
  void (*give)(void*);
};

BlockPool* pool = nullptr;
TwinArena* arena = nullptr;

constexpr Source kSystem = {"malloc", [](size_t n) { return std::malloc(n); }, std::free};
constexpr Source kSeam = {"util/alloc", [](size_t n) { return Allocate(n); }, Deallocate};
constexpr Source kPool = {"block pool", [](size_t n) { return pool->Allocate(n); },
                          BlockPool::Deallocate};
constexpr Source kArena = {"arena",
                           [](size_t n) -> void* {
                             n = (n + 7) & ~size_t{7};
                             return arena->Reserve(n) ? arena->AllocateReserved(n) : nullptr;
                           },
                           [](void*) {}};

// A memtable's entries: taken one after the other, written once, given back all together.
void Entries(const Source& source) {
  constexpr size_t kCount = 500000, kBytes = 16 + 100 + 24;
  double best = 1e9, memory = 0;
  for (int round = 0; round < 3; ++round) {
    const double before = Resident();
    ChunkSource chunks;
    TwinArena own(&chunks, size_t{64} << 10, size_t{4} << 20);
    arena = &own;
    std::vector<void*> all(kCount);
    const double start = Seconds();
    for (void*& p : all) {
      p = source.take(kBytes);
      std::memset(p, 'v', kBytes);
    }
    memory = std::max(memory, Resident() - before);
    for (void* p : all) source.give(p);
    best = std::min(best, Seconds() - start);
  }
  std::printf("  entries  %-12s %6.1f ns an entry of %zu bytes, %.0f MiB for %.0f\n", source.name,
              best / kCount * 1e9, kBytes, memory, kCount * kBytes / 1048576.0);
}

// A cache at its limit: a block goes, one of another size comes, a little of each is read.
void Blocks(const Source& source) {
  constexpr size_t kLive = size_t{128} << 20, kBytes = 4200, kChurn = 300000, kReads = 2000000;
  const double before = Resident();
  pool = new BlockPool;
  pool->SetLimit(kLive / 7 * 8);
  std::mt19937_64 random(5);
  std::vector<char*> live(kLive / kBytes);
  const auto fresh = [&]() {
    const size_t n = kBytes - 128 + random() % 256;
    char* p = static_cast<char*>(source.take(n));
    if (p == nullptr) std::abort();
    std::memset(p, 'b', n);
    return p;
  };
  for (char*& p : live) p = fresh();
  double start = Seconds();
  for (size_t i = 0; i < kChurn; ++i) {
    char*& p = live[random() % live.size()];
    source.give(p);
    p = fresh();
  }
  const double churn = (Seconds() - start) / kChurn * 1e9;
  uint64_t sum = 0;
  double read = 1e9;
  for (int round = 0; round < 3; ++round) {
    start = Seconds();
    for (size_t i = 0; i < kReads; ++i) {
      // Each place depends on what was read before, as a lookup's second access does on its first.
      const uint64_t r = random() + (sum & 1);
      sum += static_cast<uint8_t>(live[r % live.size()][r >> 32 & 4000]);
    }
    read = std::min(read, (Seconds() - start) / kReads * 1e9);
  }
  const double memory = Resident() - before;
  for (char* p : live) source.give(p);
  pool->Close();
  std::printf("  blocks   %-12s %6.0f ns a replaced block, %5.1f a read, %.0f MiB for %zu (%llu)\n",
              source.name, churn, read, memory, kLive >> 20,
              static_cast<unsigned long long>(sum % 10));
}

// Handles, iterators, lists: taken and given back soon, of mixed sizes.
void Small(const Source& source) {
  constexpr size_t kCount = 2000000;
  std::mt19937_64 random(9);
  std::vector<void*> live(256, nullptr);
  double best = 1e9;
  for (int round = 0; round < 3; ++round) {
    const double start = Seconds();
    for (size_t i = 0; i < kCount; ++i) {
      const uint64_t r = random();
      void*& p = live[r % live.size()];
      if (p != nullptr) source.give(p);
      p = source.take(16 + (r >> 32) % 1000);
      *static_cast<char*>(p) = 1;
    }
    best = std::min(best, Seconds() - start);
  }
  for (void* p : live) source.give(p);
  std::printf("  small    %-12s %6.1f ns\n", source.name, best / kCount * 1e9);
}

// Each in a process of its own, so that none inherits what another one left.
void InChild(void (*run)(const Source&), const Source& source) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    run(source);
    std::fflush(stdout);
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) std::abort();
}

}  // namespace

int main() {
  std::printf("util/alloc is %s\n", AllocatorName());
  for (const Source& s : {kSystem, kSeam, kArena}) InChild(Entries, s);
  for (const Source& s : {kSystem, kSeam, kPool}) InChild(Blocks, s);
  for (const Source& s : {kSystem, kSeam}) InChild(Small, s);
  return 0;
}
