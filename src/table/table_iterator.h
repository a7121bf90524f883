// TableIterator: over all versions of one table, both directions. It holds a real reference of the
// block it stands in, so it needs no guard between calls and may live as long as it likes.
//
// Reading ahead: where blocks come one after the other and are not cached, a stretch of several is
// read by one call into a buffer and decoded from there as the iterator comes to them: at once
// where the context says how much, else growing from the third uncached block in a row. Stretches
// reach backwards when it runs backwards.
// Invariants
//  1. block_ is held while valid_, and key_ and value_ point into it.
//  2. stretch_ holds the stored bytes of blocks [stretch_first_, stretch_end_).
// Threads: one at a time.
#pragma once

#include "iter/internal_iterator.h"
#include "table/table_blocks.h"
#include "util/ref.h"

namespace kist {

class Table;
class ReadBuffer;

class TableIterator final : public InternalIterator {
 public:
  TableIterator(RefPtr<Table> table, TableBlocks* blocks, const ReadContext& context);
  ~TableIterator() override;
  void SeekToFirst() override;
  void SeekToLast() override;
  void Seek(Slice key, uint64_t tag) override;
  void SeekBefore(Slice key, uint64_t tag) override;
  void Next() override {
    if (++entry_ < entries_) {
      SetEntry();
    } else {
      NextBlock();
    }
  }
  void Prev() override {
    if (entry_ != 0) {
      --entry_;
      SetEntry();
    } else {
      PrevBlock();
    }
  }
  void PassUp(Slice end, Sequence seq) override;
  void PassDown(Slice begin, Sequence seq) override;
  size_t Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
             uint64_t* repeats) override;

 private:
  enum class Move { kSeek, kForward, kBackward };

  void SetEntry() {
    const Block& block = *block_.get();
    const uint32_t start = block.start(entry_);
    const uint32_t end = block.start(entry_ + 1);
    const uint32_t key_bytes = block.key_bytes(entry_);
    key_ = Slice(block.payload() + start, key_bytes);
    value_ = Slice(block.payload() + start + key_bytes, end - start - key_bytes);
    tag_ = block.tag(entry_);
    valid_ = true;
  }
  BlockUse Use() const {
    if (context_.fill_cache) return BlockUse::kCache;
    return context_.by_user ? BlockUse::kReader : BlockUse::kJob;
  }
  void NextBlock();
  void PrevBlock();
  // Makes block i the current one; false: status_ says why not. Leaves valid_ false.
  bool LoadBlock(uint32_t i, Move move);
  bool TakeCached(uint32_t i, Move move);
  Status ReadBlock(uint32_t i, Move move, RefPtr<Block>* block);
  Status ReadStretch(uint32_t i, Move move, size_t bytes);
  size_t StretchBytes(Move move);
  void StoreRead(uint32_t i, Move move, RefPtr<Block>* block);
  void Leave();  // the current block
  void End() {
    Leave();
    valid_ = false;
  }

  const RefPtr<Table> table_;
  TableBlocks* const blocks_;
  const ReadContext context_;

  RefPtr<Block> block_;
  uint32_t number_ = 0;   // of block_
  uint32_t entry_ = 0;    // within block_
  uint32_t entries_ = 0;  // of block_

  RefPtr<ReadBuffer> stretch_;
  uint32_t stretch_first_ = 0;
  uint32_t stretch_end_ = 0;
  uint32_t misses_in_a_row_ = 0;
  size_t automatic_bytes_ = 0;  // of the next stretch
};

}  // namespace kist
