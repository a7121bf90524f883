// Each run function is one loop; the clock is read twice an operation, which costs about 50 ns and
// is part of what is printed. Scans are timed by the chunk: an entry takes less than reading the
// clock.
//
// Random numbers come from the seed and the thread's index, so a run can be repeated.
#include "cli/bench_workload.h"

#include <algorithm>
#include <chrono>

#include "cli/database.h"
#include "cli/interrupt.h"

namespace kist::cli {
namespace {

constexpr size_t kNoiseBytes = 1 << 20;
constexpr size_t kChunkEntries = 256;

uint64_t NowNs() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

void WriteKey(uint64_t number, std::string* key) {
  for (size_t i = key->size(); i > 0; --i) {
    (*key)[i - 1] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
}

std::string_view Value(const BenchWorker& worker, uint64_t number) {
  const size_t size = static_cast<size_t>(worker.config.value_size);
  const size_t room = worker.noise.size() - size;
  return std::string_view(worker.noise).substr(room == 0 ? 0 : number * 127 % room, size);
}

// False when the worker has to end: an error, or Ctrl-C.
bool Step(BenchWorker* worker, uint64_t began, uint64_t operations) {
  worker->latency.Add(NowNs() - began);
  const uint64_t done = worker->done.fetch_add(operations, std::memory_order_relaxed);
  return worker->rc >= 0 && ((done & 255) != 0 || InterruptPending() == 0);
}

enum class Order { kSequential, kRandom };

void Fill(BenchWorker* worker, Order order, uint32_t durability, uint64_t batch_count) {
  const BenchConfig& config = worker->config;
  kist_write_options write = KIST_WRITE_OPTIONS_INIT;
  write.durability = durability;
  OwnedBatch batch;
  worker->rc = kist_batch_new(batch.out());
  std::string key(config.key_size, '0');
  uint64_t next = worker->index * worker->operations;
  for (uint64_t i = 0; i < worker->operations && worker->rc >= 0;) {
    const uint64_t count = std::min(batch_count, worker->operations - i);
    const uint64_t began = NowNs();
    for (uint64_t j = 0; j < count && worker->rc >= 0; ++j) {
      const uint64_t number = order == Order::kSequential ? next++ : worker->random() % config.keys;
      const std::string_view value = Value(*worker, number);
      WriteKey(number, &key);
      worker->rc = batch_count == 1
                       ? kist_put(worker->keyspace, &write, key.data(), key.size(), value.data(),
                                  value.size(), &worker->err)
                       : kist_batch_put(batch.get(), worker->keyspace, key.data(), key.size(),
                                        value.data(), value.size(), 0, &worker->err);
    }
    if (batch_count > 1 && worker->rc >= 0) {
      worker->rc = kist_write(worker->db, &write, batch.get(), nullptr, &worker->err);
      kist_batch_clear(batch.get());
    }
    i += count;
    worker->bytes += count * (config.key_size + config.value_size);
    if (!Step(worker, began, count)) return;
  }
}

void FillSeq(BenchWorker* worker) {
  Fill(worker, Order::kSequential, worker->config.durability, worker->config.batch);
}
void FillRandom(BenchWorker* worker) {
  Fill(worker, Order::kRandom, worker->config.durability, worker->config.batch);
}
void FillBatch(BenchWorker* worker) {
  Fill(worker, Order::kRandom, worker->config.durability,
       std::max<uint64_t>(worker->config.batch, 100));
}
void FillSync(BenchWorker* worker) { Fill(worker, Order::kRandom, KIST_DURABILITY_SYNC, 1); }

void DeleteRandom(BenchWorker* worker) {
  kist_write_options write = KIST_WRITE_OPTIONS_INIT;
  write.durability = worker->config.durability;
  std::string key(worker->config.key_size, '0');
  for (uint64_t i = 0; i < worker->operations; ++i) {
    WriteKey(worker->random() % worker->config.keys, &key);
    const uint64_t began = NowNs();
    worker->rc = kist_delete(worker->keyspace, &write, key.data(), key.size(), &worker->err);
    worker->bytes += key.size();
    if (!Step(worker, began, 1)) return;
  }
}

void ReadOne(BenchWorker* worker, const std::string& key) {
  kist_pin pin = {};
  worker->rc = kist_get_pin(worker->keyspace, nullptr, key.data(), key.size(), &pin, &worker->err);
  if (worker->rc != KIST_OK) return;
  ++worker->found;
  worker->bytes += key.size() + pin.len;
  kist_pin_release(&pin);
}

void ReadRandom(BenchWorker* worker) {
  std::string key(worker->config.key_size, '0');
  for (uint64_t i = 0; i < worker->operations; ++i) {
    WriteKey(worker->random() % worker->config.keys, &key);
    const uint64_t began = NowNs();
    ReadOne(worker, key);
    if (!Step(worker, began, 1)) return;
  }
}

// Keys that lie between those that are there.
void ReadMissing(BenchWorker* worker) {
  std::string digits(worker->config.key_size, '0');
  std::string key;
  for (uint64_t i = 0; i < worker->operations; ++i) {
    WriteKey(worker->random() % worker->config.keys, &digits);
    key = digits;
    key += '.';
    const uint64_t began = NowNs();
    ReadOne(worker, key);
    if (!Step(worker, began, 1)) return;
  }
}

void ReadAll(BenchWorker* worker, int32_t direction) {
  OwnedIter iter;
  worker->rc = kist_iter_new(worker->keyspace, nullptr, iter.out(), &worker->err);
  kist_entry entries[kChunkEntries];
  while (worker->rc == KIST_OK) {
    size_t count = 0;
    const uint64_t began = NowNs();
    worker->rc =
        kist_iter_entries(iter.get(), direction, entries, kChunkEntries, &count, &worker->err);
    for (size_t i = 0; i < count; ++i) worker->bytes += entries[i].key.len + entries[i].val.len;
    worker->found += count;
    if (!Step(worker, began, count)) return;
  }
}

void ReadSeq(BenchWorker* worker) { ReadAll(worker, 1); }
void ReadReverse(BenchWorker* worker) { ReadAll(worker, -1); }

void SeekRandom(BenchWorker* worker) {
  OwnedIter iter;
  worker->rc = kist_iter_new(worker->keyspace, nullptr, iter.out(), &worker->err);
  std::string key(worker->config.key_size, '0');
  kist_entry entries[10];
  for (uint64_t i = 0; i < worker->operations && worker->rc >= 0; ++i) {
    WriteKey(worker->random() % worker->config.keys, &key);
    const uint64_t began = NowNs();
    worker->rc = kist_iter_seek(iter.get(), KIST_SEEK_GE, key.data(), key.size(), &worker->err);
    size_t count = 0;
    if (worker->rc == KIST_OK) {
      worker->rc = kist_iter_entries(iter.get(), 1, entries, 10, &count, &worker->err);
    }
    for (size_t j = 0; j < count; ++j) worker->bytes += entries[j].key.len + entries[j].val.len;
    if (count > 0) ++worker->found;
    if (!Step(worker, began, 1)) return;
  }
}

void Mixed(BenchWorker* worker) {
  kist_write_options write = KIST_WRITE_OPTIONS_INIT;
  write.durability = worker->config.durability;
  std::string key(worker->config.key_size, '0');
  for (uint64_t i = 0; i < worker->operations; ++i) {
    const uint64_t number = worker->random() % worker->config.keys;
    WriteKey(number, &key);
    const uint64_t began = NowNs();
    if (worker->random() % 2 == 0) {
      ReadOne(worker, key);
    } else {
      const std::string_view value = Value(*worker, number);
      worker->rc = kist_put(worker->keyspace, &write, key.data(), key.size(), value.data(),
                            value.size(), &worker->err);
      worker->bytes += key.size() + value.size();
    }
    if (!Step(worker, began, 1)) return;
  }
}

uint64_t Keys(const BenchConfig& config) { return config.keys; }
uint64_t Reads(const BenchConfig& config) { return config.reads != 0 ? config.reads : config.keys; }
uint64_t TenthOfReads(const BenchConfig& config) {
  return std::max<uint64_t>(Reads(config) / 10, 1);
}
uint64_t Syncs(const BenchConfig& config) {
  return std::clamp<uint64_t>(config.keys / 500, std::min<uint64_t>(config.keys, 100), 10000);
}

constexpr Workload kWorkloads[] = {
    {"fillseq", "puts in key order", true, false, true, Keys, FillSeq},
    {"fillrandom", "puts in random order", true, false, true, Keys, FillRandom},
    {"fillbatch", "puts in random order, 100 a commit", true, false, false, Keys, FillBatch},
    {"overwrite", "puts over what is there", false, true, true, Keys, FillRandom},
    {"readrandom", "gets in random order", false, true, true, Reads, ReadRandom},
    {"readmissing", "gets of keys that are not there", false, true, true, Reads, ReadMissing},
    {"readseq", "a scan of everything, 256 entries a call", false, true, false, Keys, ReadSeq},
    {"readreverse", "the same backwards", false, true, false, Keys, ReadReverse},
    {"seekrandom", "a seek and 10 entries", false, true, true, TenthOfReads, SeekRandom},
    {"mixed", "half gets, half puts", false, true, true, Reads, Mixed},
    {"deleterandom", "deletes in random order", false, true, true, Keys, DeleteRandom},
    {"fillsync", "puts, each on stable storage before the next", false, false, true, Syncs,
     FillSync},
};

}  // namespace

const Workload* WorkloadAt(size_t index) {
  return index < sizeof(kWorkloads) / sizeof(kWorkloads[0]) ? &kWorkloads[index] : nullptr;
}

const Workload* FindWorkload(std::string_view name) {
  for (const Workload& workload : kWorkloads) {
    if (name == workload.name) return &workload;
  }
  return nullptr;
}

// Runs of 50 random bytes, each written twice.
std::string MakeNoise(uint64_t seed, uint64_t value_size) {
  std::mt19937_64 random(seed);
  std::string noise;
  noise.reserve(kNoiseBytes + value_size);
  while (noise.size() < kNoiseBytes + value_size) {
    std::string run(50, ' ');
    for (char& c : run) c = static_cast<char>(' ' + random() % 95);
    noise += run + run;
  }
  noise.resize(kNoiseBytes + value_size);
  return noise;
}

}  // namespace kist::cli
