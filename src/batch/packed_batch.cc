// The packed batch out of line: growth and validation. See packed_batch.h for the layout.
//
// The validator reads each op's header once and touches keys only to compare the ends of range
// deletes; it costs a few nanoseconds an op and allocates only for an error's text.
#include "batch/packed_batch.h"

#include <new>
#include <string>

#include "util/alloc.h"
#include "util/check.h"

namespace kist {
namespace {

constexpr char kMagic[4] = {'K', 'W', 'B', 1};
constexpr char kEmptyBatch[kBatchHeaderBytes] = {'K', 'W', 'B', 1, 0, 0, 0, 0};
constexpr uint32_t kNoOp = UINT32_MAX;

[[gnu::cold, gnu::noinline]] Status Refuse(Code code, uint32_t op, const char* what,
                                           uint64_t aux = 0) {
  try {
    std::string m = "packed batch: ";
    if (op != kNoOp) m += "op " + std::to_string(op) + ": ";
    m += what;
    if (code == Code::kLimit) m += ", the limit is " + std::to_string(aux) + " bytes";
    return Status::Error(code, std::move(m), aux);
  } catch (const std::bad_alloc&) {
    return Status::Bare(code);
  }
}

Status Bad(uint32_t op, const char* what) { return Refuse(Code::kInvalid, op, what); }

inline void Count(BatchSummary* s, OpKind kind, uint32_t keyspace, size_t key_bytes,
                  size_t value_bytes, bool ttl) {
  s->has_ttl |= ttl;
  if (s->count == 0) s->first_keyspace = keyspace;
  s->one_keyspace &= keyspace == s->first_keyspace;
  ++s->count;
  switch (kind) {
    case OpKind::kPut:
      s->key_bytes += key_bytes;
      s->value_bytes += value_bytes;
      break;
    case OpKind::kDelete:
      s->key_bytes += key_bytes;
      break;
    case OpKind::kDeleteRange:
      s->key_bytes += key_bytes + value_bytes;
      ++s->range_deletes;
      break;
    case OpKind::kCreateKeyspace:
    case OpKind::kDropKeyspace:
      ++s->keyspace_ops;
      break;
  }
}

// What the kind asks of flags and lengths; nullptr where all is well.
const char* KindRule(uint8_t kind, uint8_t flags, uint32_t value_bytes, bool engine_ops) {
  switch (kind) {
    case 1:
      return nullptr;
    case 2:
      if (flags != 0) return "a delete with a flag";
      return value_bytes != 0 ? "a delete with a value" : nullptr;
    case 3:
      return flags != 0 ? "a range delete with a flag" : nullptr;
    case 4:
    case 5:
      if (!engine_ops) break;
      if (flags != 0) return "a keyspace op with a flag";
      return kind == 5 && value_bytes != 0 ? "a keyspace drop with a value" : nullptr;
    default:
      break;
  }
  return "unknown kind";
}

Status CheckLimits(uint32_t op, uint8_t kind, uint64_t key_bytes, uint64_t value_bytes,
                   const BatchLimits& limits) {
  // Bounds of a range may be one byte longer than the longest key: the key's immediate successor.
  const uint64_t key_max = limits.max_key_bytes + (kind == 3 ? 1 : 0);
  const uint64_t value_max = kind == 3 ? key_max : limits.max_value_bytes;
  if (key_bytes > key_max) {
    return Refuse(Code::kLimit, op, kind == 3 ? "begin too long" : "key too long", key_max);
  }
  if (value_bytes > value_max) {
    return Refuse(Code::kLimit, op, kind == 3 ? "end too long" : "value too long", value_max);
  }
  return Status();
}

}  // namespace

Status ValidateBatch(Slice batch, const BatchLimits& limits, bool allow_engine_ops,
                     BatchSummary* summary) {
  *summary = BatchSummary();
  if (batch.size() > kBatchBytesMax) {
    return Refuse(Code::kLimit, kNoOp, "too many bytes", kBatchBytesMax);
  }
  if (batch.size() < kBatchHeaderBytes) return Bad(kNoOp, "shorter than its header");
  if (std::memcmp(batch.data(), kMagic, sizeof kMagic) != 0) {
    return Bad(kNoOp, "does not begin with the bytes K W B 1");
  }
  const uint32_t count = Load32(batch.data() + 4);
  const char* p = batch.data() + kBatchHeaderBytes;
  size_t left = batch.size() - kBatchHeaderBytes;
  for (uint32_t i = 0; i < count; ++i) {
    if (left < kOpHeaderBytes) return Bad(i, "the batch ends inside its header");
    const uint8_t kind = static_cast<uint8_t>(p[0]);
    const uint8_t flags = static_cast<uint8_t>(p[1]);
    const uint64_t key_bytes = Load32(p + 8);
    const uint64_t value_bytes = Load32(p + 12);
    if ((flags & ~kOpTtl) != 0) return Bad(i, "unknown flag");
    if (Load16(p + 2) != 0) return Bad(i, "reserved bytes are not 0");
    const char* broken = KindRule(kind, flags, Load32(p + 12), allow_engine_ops);
    if (broken != nullptr) return Bad(i, broken);
    if (key_bytes > limits.max_key_bytes || value_bytes > limits.max_value_bytes || kind == 3) {
      KIST_TRY(CheckLimits(i, kind, key_bytes, value_bytes, limits));
    }
    const uint64_t need = kOpHeaderBytes + (flags != 0 ? 8 : 0) + key_bytes + value_bytes;
    if (left < need) return Bad(i, "the batch ends inside it");
    if (flags != 0 && LoadLe<int64_t>(p + kOpHeaderBytes) <= 0) {
      return Bad(i, "ttl is not above 0");
    }
    if (kind == 3 && value_bytes != 0 &&
        Slice(p + kOpHeaderBytes, key_bytes) > Slice(p + kOpHeaderBytes + key_bytes, value_bytes)) {
      return Bad(i, "a range delete whose begin is above its end");
    }
    Count(summary, static_cast<OpKind>(kind), Load32(p + 4), key_bytes, value_bytes,
          (p[1] & kOpTtl) != 0);
    p += need;
    left -= need;
  }
  if (left != 0) return Bad(kNoOp, "bytes follow its last op");
  return Status();
}

BatchBuilder::~BatchBuilder() { DeallocateSized(buf_, capacity_); }

Slice BatchBuilder::data() const {
  if (buf_ == nullptr) return Slice(kEmptyBatch, kBatchHeaderBytes);
  return Slice(buf_ + headroom_, size_);
}

Status BatchBuilder::Grow(uint64_t more) {
  if (more > kBatchBytesMax - size_) {
    return Refuse(Code::kLimit, summary_.count, "too many bytes in the batch", kBatchBytesMax);
  }
  const size_t need = headroom_ + size_ + more + kBatchTailroom;
  if (need <= capacity_) return Status();
  // Doubling up to 64 MiB, then by a quarter: amortised, without holding twice a large batch.
  constexpr size_t kGentle = size_t{64} << 20;
  size_t want = capacity_ < kGentle ? capacity_ * 2 : capacity_ + capacity_ / 4;
  if (want < 512) want = 512;
  if (want < need) want = need;
  char* p = static_cast<char*>(ReallocateSized(buf_, capacity_, want));
  if (p == nullptr && want > need)
    p = static_cast<char*>(ReallocateSized(buf_, capacity_, want = need));
  if (p == nullptr) return Status::Bare(Code::kNoMem);
  if (buf_ == nullptr) std::memcpy(p + headroom_, kEmptyBatch, kBatchHeaderBytes);
  buf_ = p;
  capacity_ = want;
  return Status();
}

Status BatchBuilder::Add(OpKind kind, uint32_t keyspace, Slice key, Slice value, int64_t ttl_ms) {
  if (key.size() > kBatchBytesMax || value.size() > kBatchBytesMax) {
    return Refuse(Code::kLimit, summary_.count, "too many bytes in the batch", kBatchBytesMax);
  }
  if (summary_.count == UINT32_MAX) return Refuse(Code::kLimit, kNoOp, "too many ops", UINT32_MAX);
  const size_t ttl_bytes = ttl_ms != 0 ? 8 : 0;
  const size_t more = kOpHeaderBytes + ttl_bytes + key.size() + value.size();
  if (more > kBatchBytesMax - size_ || headroom_ + size_ + more + kBatchTailroom > capacity_) {
    KIST_TRY(Grow(more));
  }
  char* p = buf_ + headroom_ + size_;
  p[0] = static_cast<char>(kind);
  p[1] = ttl_ms != 0 ? kOpTtl : 0;
  Store16(p + 2, 0);
  Store32(p + 4, keyspace);
  Store32(p + 8, static_cast<uint32_t>(key.size()));
  Store32(p + 12, static_cast<uint32_t>(value.size()));
  p += kOpHeaderBytes;
  if (ttl_ms != 0) StoreLe(p, ttl_ms);
  p += ttl_bytes;
  if (!key.empty()) std::memcpy(p, key.data(), key.size());
  if (!value.empty()) std::memcpy(p + key.size(), value.data(), value.size());
  size_ += more;
  Count(&summary_, kind, keyspace, key.size(), value.size(), ttl_ms != 0);
  Store32(buf_ + headroom_ + 4, summary_.count);
  return Status();
}

Status BatchBuilder::AppendBatch(Slice batch) {
  const uint32_t count = Load32(batch.data() + 4);
  if (count > UINT32_MAX - summary_.count) {
    return Refuse(Code::kLimit, kNoOp, "too many ops", UINT32_MAX);
  }
  const size_t more = batch.size() - kBatchHeaderBytes;
  KIST_TRY(Grow(more));
  std::memcpy(buf_ + headroom_ + size_, batch.data() + kBatchHeaderBytes, more);
  size_ += more;
  BatchWalker walker(batch);
  Op op;
  while (walker.Next(&op)) {
    Count(&summary_, op.kind, op.keyspace, op.key.size(), op.value.size(), op.has_ttl);
  }
  Store32(buf_ + headroom_ + 4, summary_.count);
  return Status();
}

void BatchBuilder::Clear() {
  const bool used = capacity_ <= kKeptUsedBytes && size_ >= capacity_ / 4;
  if (capacity_ > kKeptBytes && !used) {
    DeallocateSized(buf_, capacity_);
    buf_ = nullptr;
    capacity_ = 0;
  }
  size_ = kBatchHeaderBytes;
  summary_ = BatchSummary();
  if (buf_ != nullptr) Store32(buf_ + headroom_ + 4, 0);
}

void BatchBuilder::TruncateTo(size_t bytes, uint32_t count) {
  KIST_DCHECK(bytes <= size_ && bytes >= kBatchHeaderBytes && count <= summary_.count);
  if (buf_ == nullptr) return;
  size_ = bytes;
  Store32(buf_ + headroom_ + 4, count);
  summary_ = BatchSummary();
  BatchWalker walker(data());
  Op op;
  while (walker.Next(&op)) {
    Count(&summary_, op.kind, op.keyspace, op.key.size(), op.value.size(), op.has_ttl);
  }
}

}  // namespace kist
