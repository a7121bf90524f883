// Applying a commit's batch to a memtable: what the write path does after the log, and recovery
// from the log. The batch was normalised (db/write.cc): no op of it is covered by a later range
// delete of it, and a put without the ttl flag never expires.
// Threads: the memtable's writer.
#pragma once

#include "batch/packed_batch.h"
#include "memtable/memtable.h"

namespace kist {

inline int64_t ExpiryMs(int64_t time_ms, int64_t ttl_ms) {
  return ttl_ms > INT64_MAX - time_ms ? INT64_MAX : time_ms + ttl_ms;
}

inline void ApplyOp(Memtable* memtable, const Op& op, Sequence seq, int64_t time_ms) noexcept {
  switch (op.kind) {
    case OpKind::kPut:
      if (op.has_ttl && op.ttl_ms != kTtlNever) {
        memtable->AddTtl(op.keyspace, op.key, seq, ExpiryMs(time_ms, op.ttl_ms), op.value);
      } else {
        memtable->Add(op.keyspace, op.key, MakeTag(seq, EntryKind::kPut), op.value);
      }
      break;
    case OpKind::kDelete:
      memtable->Add(op.keyspace, op.key, MakeTag(seq, EntryKind::kDelete), Slice());
      break;
    case OpKind::kDeleteRange:
      memtable->AddRangeTombstone(op.keyspace, op.key, op.value, seq);
      break;
    case OpKind::kCreateKeyspace:
    case OpKind::kDropKeyspace:
      break;  // the database's own state, not the memtable's
  }
}

// The memtable has room: see ReserveFor.
inline void ApplyBatch(Memtable* memtable, Slice batch, Sequence seq, int64_t time_ms) noexcept {
  BatchWalker walker(batch);
  Op op;
  while (walker.Next(&op)) ApplyOp(memtable, op, seq, time_ms);
}

// What Memtable::Reserve is asked for: values may gain an expiry of 8 bytes.
inline uint64_t ReserveBytes(const BatchSummary& s) {
  return s.key_bytes + s.value_bytes + uint64_t{8} * s.count;
}

}  // namespace kist
