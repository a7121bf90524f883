// Reading, checking and decoding of data blocks; see table_blocks.h. A raw block is read straight
// into its block's memory, a compressed one of usual size to the stack and uncompressed from there.
// Threads: any.
#include "table/table_blocks.h"

#include <snappy.h>

#include <cstring>
#include <new>

#include "util/check.h"

namespace kist {

namespace {

// Compressed blocks up to this size are read to the stack.
constexpr size_t kStackBytes = 8192;

Status NoMemory() { return Status::Bare(Code::kNoMem); }

}  // namespace

Status TableFile::ReadExactly(uint64_t offset, char* buf, size_t n) const {
  KIST_TRY_ASSIGN(const size_t got, file->Read(offset, buf, n));
  if (got != n) return Status::Corrupt(path, offset + got, "the file ends too early");
  return Status();
}

TableBlocks::~TableBlocks() {
  if (cache_ != nullptr && slots_ != nullptr) cache_->Remove(slots_, index_.blocks());
}

Status TableBlocks::Init(RefPtr<TableFile> file, const BlockSeal& seal, BlockCache* cache) {
  const size_t n = index_.blocks();
  const size_t words = file->map != nullptr ? (n + 63) / 64 : 0;
  memory_bytes_ = n * sizeof(BlockCache::Slot) + words * sizeof(uint64_t);
  memory_ = AllocateAlignedBuffer(memory_bytes_, 64);
  if (memory_ == nullptr) return NoMemory();
  slots_ = reinterpret_cast<BlockCache::Slot*>(memory_.get());
  validated_ = reinterpret_cast<std::atomic<uint64_t>*>(slots_ + n);
  for (size_t i = 0; i < n; ++i) new (&slots_[i]) BlockCache::Slot(nullptr);
  for (size_t i = 0; i < words; ++i) new (&validated_[i]) std::atomic<uint64_t>(0);
  file_ = std::move(file);
  seal_ = seal;
  cache_ = cache;
  return Status();
}

size_t TableBlocks::memory_bytes() const { return index_.memory_bytes() + memory_bytes_; }

Status TableBlocks::Check(uint32_t i, const char* stored) const {
  const char* reason =
      CheckBlock(seal_, index_.offset(i), BlockType::kData, stored, index_.bytes(i));
  if (reason == nullptr && (DecodeBlockHeader(stored).compression != 0) != index_.compressed(i)) {
    reason = "block compressed otherwise than its index says";
  }
  return reason == nullptr ? Status() : Damage(i, reason);
}

Status TableBlocks::Read(uint32_t i, BlockUse use, RefPtr<Block>* block) const {
  if (mapped()) {
    const char* stored = file_->map + index_.offset(i);
    return Decode(i, stored, file_.get(), use, block);
  }
  if (!index_.compressed(i)) return ReadRaw(i, use, block);
  const size_t bytes = index_.bytes(i);
  char stack[kStackBytes];
  Buffer heap;
  if (bytes > sizeof stack) {
    heap = AllocateBuffer(bytes);
    if (heap == nullptr) return NoMemory();
  }
  char* stored = heap == nullptr ? stack : heap.get();
  KIST_TRY(file_->ReadExactly(index_.offset(i), stored, bytes));
  return Decode(i, stored, nullptr, use, block);
}

// Straight into the block's memory: the stored header comes to stand over the block's last,
// still unused members.
Status TableBlocks::ReadRaw(uint32_t i, BlockUse use, RefPtr<Block>* block) const {
  const size_t bytes = index_.bytes(i);
  RefPtr<Block> made = RefPtr<Block>::Adopt(Block::New(bytes - kBlockHeaderBytes, pool(), use));
  if (made.get() == nullptr) return NoMemory();
  char* stored = made->mutable_payload() - kBlockHeaderBytes;
  KIST_TRY(file_->ReadExactly(index_.offset(i), stored, bytes));
  KIST_TRY(Check(i, stored));
  const char* reason = made->Init();
  if (reason != nullptr) return Damage(i, reason);
  *block = std::move(made);
  return Status();
}

Status TableBlocks::Decode(uint32_t i, const char* stored, BlockBytes* owner, BlockUse use,
                           RefPtr<Block>* block) const {
  const bool in_map = owner != nullptr && owner == file_.get();
  const bool validated = in_map && Validated(i);
  if (!validated) KIST_TRY(Check(i, stored));
  const Slice payload(stored + kBlockHeaderBytes, index_.bytes(i) - kBlockHeaderBytes);
  const char* reason;
  if (owner == nullptr || index_.compressed(i)) {
    bool no_memory;
    const auto kind = static_cast<BlockCompression>(DecodeBlockHeader(stored).compression);
    reason = MakeBlock(payload, kind, pool(), use, block, &no_memory);
    if (no_memory) return NoMemory();
  } else {
    RefPtr<Block> view =
        RefPtr<Block>::Adopt(Block::NewView(payload.data(), payload.size(), owner));
    if (view.get() == nullptr) return NoMemory();
    reason = view->Init(validated);
    *block = std::move(view);
  }
  if (reason != nullptr) return Damage(i, reason);
  if (in_map && !validated) {
    validated_[i / 64].fetch_or(uint64_t{1} << (i % 64), std::memory_order_relaxed);
  }
  return Status();
}

const char* MakeBlock(Slice payload, BlockCompression kind, BlockPool* pool, BlockUse use,
                      RefPtr<Block>* block, bool* no_memory) {
  *no_memory = false;
  const bool compressed = kind != BlockCompression::kRaw;
  size_t bytes = payload.size();
  // Snappy cannot shrink by more than about 21 times: a length beyond is no reason to allocate.
  if (compressed && (!snappy::GetUncompressedLength(payload.data(), payload.size(), &bytes) ||
                     bytes > kBlockPayloadMax || bytes / 32 > payload.size())) {
    return "compressed block with an impossible length";
  }
  RefPtr<Block> made = RefPtr<Block>::Adopt(Block::New(bytes, pool, use));
  if (made.get() == nullptr) {
    *no_memory = true;
    return "no memory for a block";
  }
  if (!compressed) {
    std::memcpy(made->mutable_payload(), payload.data(), bytes);
  } else if (!snappy::RawUncompress(payload.data(), payload.size(), made->mutable_payload())) {
    return "compressed block that does not uncompress";
  } else if (kind == BlockCompression::kSnappyLengths &&
             !Block::LengthsToStarts(made->mutable_payload(), bytes)) {
    return "compressed block shorter than its arrays";
  }
  const char* reason = made->Init();
  if (reason == nullptr) *block = std::move(made);
  return reason;
}

}  // namespace kist
