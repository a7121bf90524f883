// The packed batch (layout in kist.h at kist_write_packed): build, validate, walk. The same bytes are what a caller packs, what a
// commit's record carries, and what the feed hands out.
//   batch := 'K' 'W' 'B' 1 | u32 count | op{count}
//   op    := u8 kind | u8 flags (1: ttl follows) | u16 0 | u32 keyspace id | u32 key_len | u32 val_len | [i64 ttl_ms] | key | value-or-end
// Kinds: 1 put, 2 delete, 3 delete_range (value is the end key), 4 keyspace created (key: name, value: options), 5 keyspace dropped
// (key: name). 4 and 5 are written by the engine alone.
// In a log record a put without the ttl flag never expires: the write path has put keyspace defaults in before.
// Threads: a builder has one user at a time.
#pragma once

#include <cstdint>

#include "util/slice.h"
#include "util/status.h"

namespace kist {

enum class OpKind : uint8_t { kPut = 1, kDelete = 2, kDeleteRange = 3, kCreateKeyspace = 4, kDropKeyspace = 5 };
constexpr size_t kBatchHeaderBytes = 8;
constexpr size_t kOpHeaderBytes = 16;
constexpr uint8_t kOpTtl = 1;
constexpr size_t kBatchBytesMax = size_t{2} << 30;
constexpr int64_t kTtlNever = INT64_MAX;

struct Op {
  OpKind kind = OpKind::kPut;
  bool has_ttl = false;
  uint32_t keyspace = 0;
  int64_t ttl_ms = 0;
  Slice key;
  Slice value;  // or the end key
};

struct BatchLimits {
  size_t max_key_bytes = 65535;
  size_t max_value_bytes = size_t{1} << 30;
};

// What one pass over a batch learns, for reserving memtable room and for choosing fast paths.
struct BatchSummary {
  uint32_t count = 0;
  uint32_t range_deletes = 0;
  uint32_t keyspace_ops = 0;
  uint64_t key_bytes = 0;    // of puts and deletes; of range deletes with their ends
  uint64_t value_bytes = 0;  // of puts
  bool one_keyspace = true;  // every op names first_keyspace
  uint32_t first_keyspace = 0;
};

// Walks ops of a batch that was validated.
class BatchWalker {
 public:
  explicit BatchWalker(Slice batch);
  bool Next(Op* op);

 private:
  const char* p_;
  uint32_t left_;
};

// Checks every length, kind, flag and count; keyspaces are the caller's to check (it walks them). kInvalid with the op's index and what
// is wrong; kLimit for lengths over a limit. allow_engine_ops: kinds 4 and 5 are fine (log records).
Status ValidateBatch(Slice batch, const BatchLimits& limits, bool allow_engine_ops, BatchSummary* summary);

// Grows through util/alloc; keeps `headroom` free bytes in front of the packed form, for the record's header.
class BatchBuilder {
 public:
  explicit BatchBuilder(size_t headroom = 0);
  ~BatchBuilder();
  BatchBuilder(const BatchBuilder&) = delete;
  BatchBuilder& operator=(const BatchBuilder&) = delete;
  // kNoMem, or kLimit above kBatchBytesMax; the batch is unchanged then. ttl_ms 0: no ttl flag.
  Status Put(uint32_t keyspace, Slice key, Slice value, int64_t ttl_ms);
  Status Delete(uint32_t keyspace, Slice key);
  Status DeleteRange(uint32_t keyspace, Slice begin, Slice end);
  Status EngineOp(OpKind kind, uint32_t keyspace, Slice name, Slice value);
  // Appends all ops of a validated batch.
  Status AppendBatch(Slice batch);
  void Clear();                     // keeps a bounded capacity
  void TruncateTo(size_t bytes, uint32_t count);  // back to an earlier (data().size(), count())
  Slice data() const;               // the packed form, header included
  char* mutable_data();             // kBatch bytes; `headroom` bytes before it are the caller's to use
  uint32_t count() const { return summary_.count; }
  const BatchSummary& summary() const { return summary_; }
  size_t memory_bytes() const { return capacity_; }

 private:
  Status Grow(size_t more);
  Status Add(OpKind kind, uint32_t keyspace, Slice key, Slice value, int64_t ttl_ms);
  char* buf_ = nullptr;
  size_t headroom_;
  size_t size_ = 0;  // bytes of the packed form
  size_t capacity_ = 0;
  BatchSummary summary_;
};

}  // namespace kist
