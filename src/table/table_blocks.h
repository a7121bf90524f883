// TableBlocks: the data blocks of one open table: where they stand, which are cached, how one is
// read, checked and decoded. Point reads, iterators and Verify all get their blocks here.
//
// Invariants
//  1. slots_[i] holds block i of this table or nullptr, and is filled and emptied by the cache
//     alone; without a cache all stay empty.
//  2. Every block that leaves here has passed its checksum and Block::Init. In a mapping both are
//     done when the block is first touched and remembered in a bit; the file does not change.
// Threads: any, after Init.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "table/block.h"
#include "table/block_cache.h"
#include "table/format.h"
#include "table/index.h"
#include "util/alloc.h"
#include "util/ref.h"
#include "vfs/vfs.h"

namespace kist {

// An open file and its mapping; blocks that point into the mapping keep it open.
class TableFile : public BlockBytes {
 public:
  TableFile(std::unique_ptr<File> f, std::string p) : file(std::move(f)), path(std::move(p)) {}
  // All of [offset, offset + n), or kCorrupt where the file ends before.
  Status ReadExactly(uint64_t offset, char* buf, size_t n) const;

  const std::unique_ptr<File> file;
  const std::string path;
  const char* map = nullptr;  // set before any reader comes
};

// Makes a block of a stored payload that passed its checksum: a copy, uncompressed where it is
// compressed. Returns what is wrong with it, or nullptr; *no_memory apart.
const char* MakeBlock(Slice payload, BlockCompression kind, BlockPool* pool, BlockUse use,
                      RefPtr<Block>* block, bool* no_memory);

class TableBlocks {
 public:
  TableBlocks() = default;
  ~TableBlocks();
  TableBlocks(const TableBlocks&) = delete;
  TableBlocks& operator=(const TableBlocks&) = delete;

  // The index is loaded. kNoMem.
  Status Init(RefPtr<TableFile> file, const BlockSeal& seal, BlockCache* cache);
  TableIndex* mutable_index() { return &index_; }  // before Init

  const TableIndex& index() const { return index_; }
  const TableFile& file() const { return *file_; }
  const RefPtr<TableFile>& shared_file() const { return file_; }
  BlockCache* cache() const { return cache_; }
  // Counts the memory of blocks; nullptr without a cache.
  BlockPool* pool() const { return cache_ != nullptr ? cache_->pool() : nullptr; }
  bool mapped() const { return file_->map != nullptr; }
  size_t memory_bytes() const;

  // The block for (key, tag), see TableIndex::Find.
  uint32_t Find(Slice key, uint64_t tag) const { return index_.Find(key, tag, slots_); }
  // Inside a guard of the cache's epoch; nullptr: not cached.
  Block* Cached(uint32_t i) const { return slots_[i].load(std::memory_order_acquire); }
  // Reads block i by itself; for the cache where Store is to follow.
  Status Read(uint32_t i, BlockUse use, RefPtr<Block>* block) const;
  // Decodes block i from its stored bytes, which were read with others. Raw blocks point into
  // them where `owner` keeps them alive (padded as Block asks), and are copied without one.
  Status Decode(uint32_t i, const char* stored, BlockBytes* owner, BlockUse use,
                RefPtr<Block>* block) const;
  // Offers a block that was read to the cache. Inside a guard. Returns what the slot then holds,
  // nullptr where the cache does not take it.
  Block* Store(uint32_t i, Block* block, bool cold) {
    return cache_->Insert(&slots_[i], block, cold);
  }
  Status Damage(uint32_t i, const std::string& reason) const {
    return Status::Corrupt(file_->path, index_.offset(i), reason);
  }

 private:
  Status ReadRaw(uint32_t i, BlockUse use, RefPtr<Block>* block) const;
  // The checksum and the header of a stored block.
  Status Check(uint32_t i, const char* stored) const;
  bool Validated(uint32_t i) const {
    return (validated_[i / 64].load(std::memory_order_relaxed) >> (i % 64) & 1) != 0;
  }

  // Constant after Init.
  RefPtr<TableFile> file_;
  BlockSeal seal_{0, 0};
  TableIndex index_;
  BlockCache* cache_ = nullptr;
  Buffer memory_;  // slots_ and validated_
  size_t memory_bytes_ = 0;
  // Self-synchronised.
  BlockCache::Slot* slots_ = nullptr;
  std::atomic<uint64_t>* validated_ = nullptr;  // of a mapped table: a bit per block
};

}  // namespace kist
