// The packed batch: build, validate, walk. The same bytes are what a caller packs, what a commit's
// record carries, and what the feed hands out. Little-endian, unaligned:
//   batch := 'K' 'W' 'B' 1 | u32 count | op{count}
//   op    := u8 kind | u8 flags (1: ttl follows) | u16 0 | u32 keyspace id | u32 key_len |
//            u32 val_len | [i64 ttl_ms] | key | value-or-end
// Kinds: 1 put, 2 delete, 3 delete_range (value is the end key, empty: past the last key),
// 4 keyspace created (key: name, value: options), 5 keyspace dropped (key: name); 4 and 5 are the
// engine's alone. A put in a log record without a ttl never expires: keyspace defaults are put in
// before it is written.
// Invariant: what ValidateBatch accepted, BatchWalker walks without a check.
// Threads: a builder has one user at a time; the rest keeps no state.
#pragma once

#include <cstdint>

#include "util/coding.h"
#include "util/slice.h"
#include "util/status.h"

namespace kist {

// Stored in logs and in callers' programs; values never change.
enum class OpKind : uint8_t {
  kPut = 1,
  kDelete = 2,
  kDeleteRange = 3,
  kCreateKeyspace = 4,
  kDropKeyspace = 5,
};
constexpr size_t kBatchHeaderBytes = 8;
constexpr size_t kOpHeaderBytes = 16;
constexpr uint8_t kOpTtl = 1;
constexpr size_t kBatchBytesMax = size_t{2} << 30;
// BatchBuilder keeps so many bytes writable behind the packed form (a record's padding, see
// record/segment.h).
constexpr size_t kBatchTailroom = 8;
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
  bool has_ttl = false;  // some put carries a TTL
};

// Walks the ops of a batch that was validated.
class BatchWalker {
 public:
  explicit BatchWalker(Slice batch)
      : p_(batch.data() + kBatchHeaderBytes), left_(Load32(batch.data() + 4)) {}
  bool Next(Op* op) {
    if (left_ == 0) return false;
    --left_;
    const char* p = p_;
    op->kind = static_cast<OpKind>(p[0]);
    op->has_ttl = (p[1] & kOpTtl) != 0;
    op->keyspace = Load32(p + 4);
    const size_t key_bytes = Load32(p + 8);
    const size_t value_bytes = Load32(p + 12);
    p += kOpHeaderBytes;
    op->ttl_ms = 0;
    if (op->has_ttl) {
      op->ttl_ms = LoadLe<int64_t>(p);
      p += 8;
    }
    op->key = Slice(p, key_bytes);
    op->value = Slice(p + key_bytes, value_bytes);
    p_ = p + key_bytes + value_bytes;
    return true;
  }

 private:
  const char* p_;
  uint32_t left_;
};

// Checks every length, kind, flag and count in one pass without allocating; whether a keyspace
// exists is the caller's to check while walking. kInvalid names the op's index and what is wrong;
// kLimit (aux: the limit) where a length is over it. allow_engine_ops: kinds 4 and 5 are fine, as
// in log records. *summary is complete only where the result is ok.
Status ValidateBatch(Slice batch, const BatchLimits& limits, bool allow_engine_ops,
                     BatchSummary* summary);

// Grows through util/alloc; keeps `headroom` free bytes in front of the packed form for a record's
// header and kBatchTailroom behind it. Key and value limits are the caller's to check.
class BatchBuilder {
 public:
  explicit BatchBuilder(size_t headroom = 0) : headroom_(headroom) {}
  ~BatchBuilder();
  BatchBuilder(const BatchBuilder&) = delete;
  BatchBuilder& operator=(const BatchBuilder&) = delete;
  // kNoMem, or kLimit above kBatchBytesMax; the batch is unchanged then. ttl_ms 0: no ttl flag.
  Status Put(uint32_t keyspace, Slice key, Slice value, int64_t ttl_ms) {
    return Add(OpKind::kPut, keyspace, key, value, ttl_ms);
  }
  Status Delete(uint32_t keyspace, Slice key) {
    return Add(OpKind::kDelete, keyspace, key, Slice(), 0);
  }
  Status DeleteRange(uint32_t keyspace, Slice begin, Slice end) {
    return Add(OpKind::kDeleteRange, keyspace, begin, end, 0);
  }
  Status EngineOp(OpKind kind, uint32_t keyspace, Slice name, Slice value) {
    return Add(kind, keyspace, name, value, 0);
  }
  // Appends all ops of a validated batch, which must not be this builder's own.
  Status AppendBatch(Slice batch);
  // Empties it. Keeps kKeptBytes of memory at most, or kKeptUsedBytes where a quarter was in use:
  // who writes one large batch after the other need not have its pages cleared each time.
  void Clear();
  // Back to an earlier (data().size(), count()). Walks what is left.
  void TruncateTo(size_t bytes, uint32_t count);
  // The packed form, valid until the batch changes.
  Slice data() const;
  // Where data() begins, nullptr before the first op; the headroom before it and kBatchTailroom
  // bytes behind data() are the caller's to write.
  char* mutable_data() { return buf_ == nullptr ? nullptr : buf_ + headroom_; }
  uint32_t count() const { return summary_.count; }
  const BatchSummary& summary() const { return summary_; }
  size_t memory_bytes() const { return capacity_; }

  static constexpr size_t kKeptBytes = size_t{256} << 10;
  static constexpr size_t kKeptUsedBytes = size_t{16} << 20;

 private:
  Status Grow(uint64_t more);
  Status Add(OpKind kind, uint32_t keyspace, Slice key, Slice value, int64_t ttl_ms);

  const size_t headroom_;
  char* buf_ = nullptr;              // headroom | packed form | tailroom
  size_t size_ = kBatchHeaderBytes;  // bytes of the packed form
  size_t capacity_ = 0;              // bytes of buf_
  BatchSummary summary_;
};

}  // namespace kist
