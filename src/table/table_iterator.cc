// Moving a table's iterator from block to block, and reading ahead; see table_iterator.h. A guard
// is held only while a cached block is found and referenced, never between calls.
// Threads: one at a time.
#include "table/table_iterator.h"

#include <algorithm>

#include "table/read_buffer.h"
#include "table/table.h"

namespace kist {

namespace {

constexpr uint32_t kMissesBeforeReadAhead = 2;
constexpr size_t kFirstStretch = size_t{16} << 10;

}  // namespace

TableIterator::TableIterator(RefPtr<Table> table, TableBlocks* blocks, const ReadContext& context)
    : table_(std::move(table)), blocks_(blocks), context_(context) {}

TableIterator::~TableIterator() { Leave(); }

void TableIterator::Leave() {
  Block* block = block_.Release();
  if (block == nullptr) return;
  if (context_.sink != nullptr && context_.sink->active) {
    context_.sink->Hold(block, Block::Release);
  } else {
    block->Unref();
  }
}

void TableIterator::SeekToFirst() {
  status_ = Status();
  End();
  if (blocks_->index().blocks() == 0 || !LoadBlock(0, Move::kSeek)) return;
  entry_ = 0;
  SetEntry();
}

void TableIterator::SeekToLast() {
  status_ = Status();
  End();
  const uint32_t blocks = blocks_->index().blocks();
  if (blocks == 0 || !LoadBlock(blocks - 1, Move::kSeek)) return;
  entry_ = entries_ - 1;
  SetEntry();
}

void TableIterator::Seek(Slice key, uint64_t tag) {
  status_ = Status();
  if (blocks_->index().blocks() == 0) return End();
  if (!LoadBlock(blocks_->Find(key, tag), Move::kSeek)) return;
  entry_ = block_->LowerBound(key, tag);
  if (entry_ < entries_) {
    SetEntry();
  } else {
    NextBlock();
  }
}

void TableIterator::SeekBefore(Slice key, uint64_t tag) {
  status_ = Status();
  if (blocks_->index().blocks() == 0) return End();
  if (!LoadBlock(blocks_->Find(key, tag), Move::kSeek)) return;
  entry_ = block_->LowerBound(key, tag);
  Prev();
}

void TableIterator::NextBlock() {
  if (number_ + 1 == blocks_->index().blocks()) return End();
  if (!LoadBlock(number_ + 1, Move::kForward)) return;
  entry_ = 0;
  SetEntry();
}

void TableIterator::PrevBlock() {
  if (number_ == 0) return End();
  if (!LoadBlock(number_ - 1, Move::kBackward)) return;
  entry_ = entries_ - 1;
  SetEntry();
}

// Leaps over the stretches that are older, and walks the others.
void TableIterator::PassUp(Slice end, Sequence seq) {
  const Stretches& all = table_->stretches();
  if (!all.known()) return InternalIterator::PassUp(end, seq);
  while (valid_ && TagSequence(tag_) < seq && (end.empty() || key_ < end)) {
    const size_t first = all.Find(key_);
    size_t at = first;
    while (at < all.count() && all[at].newest < seq && (end.empty() || all[at].begin < end)) ++at;
    const bool last = at == all.count();
    if (at == first) {
      const Slice next = at + 1 == all.count() ? end : all[at + 1].begin;
      const bool before_end = !next.empty() && (end.empty() || next < end);
      InternalIterator::PassUp(before_end ? next : end, seq);
    } else if (last && end.empty()) {
      End();
    } else {
      Seek(last || (!end.empty() && end < all[at].begin) ? end : all[at].begin, kMaxTag);
    }
  }
}

void TableIterator::PassDown(Slice begin, Sequence seq) {
  const Stretches& all = table_->stretches();
  if (!all.known()) return InternalIterator::PassDown(begin, seq);
  while (valid_ && TagSequence(tag_) < seq && key_ >= begin) {
    const size_t first = all.Find(key_);
    size_t behind = first + 1;  // of those that are older
    while (behind > 0 && all[behind - 1].newest < seq &&
           (behind > first || all[behind].begin > begin))
      --behind;
    if (behind > first) {
      InternalIterator::PassDown(std::max(begin, all[first].begin), seq);
    } else if (all[behind].begin.empty() && begin.empty()) {
      End();
    } else {
      SeekBefore(std::max(begin, all[behind].begin), kMaxTag);
    }
  }
}

size_t TableIterator::Run(bool forward, const Slice* bound, InternalEntry* out, size_t max,
                          uint64_t* repeats) {
  const Block& block = *block_.get();
  const uint32_t first = entry_;
  size_t n = std::min<size_t>(max, forward ? entries_ - first : first + 1);
  if (bound != nullptr && n > 1) {
    const uint32_t last =
        forward ? first + static_cast<uint32_t>(n) - 1 : first - (static_cast<uint32_t>(n) - 1);
    const int order = block.key(last).compare(*bound);
    if (forward ? order >= 0 : order <= 0) {
      const uint32_t end =
          forward ? block.LowerBound(*bound, kMaxTag) : block.LowerBound(*bound, 0);
      const uint32_t before =
          forward ? std::max(end, first) - first : first + 1 - std::min(end, first + 1);
      n = std::max<size_t>(before, 1);
    }
  }
  *repeats = block.Entries(first, forward ? 1 : -1, n, out) | 1;
  entry_ = forward ? first + static_cast<uint32_t>(n) - 1 : first - (static_cast<uint32_t>(n) - 1);
  key_ = out[n - 1].key;
  tag_ = out[n - 1].tag;
  value_ = out[n - 1].value;
  return n;
}

bool TableIterator::LoadBlock(uint32_t i, Move move) {
  if (move == Move::kSeek && block_.get() != nullptr && number_ == i) {
    valid_ = false;
    return true;
  }
  End();
  if (!TakeCached(i, move)) {
    RefPtr<Block> read;
    status_ = ReadBlock(i, move, &read);
    if (!status_.ok()) return false;
    StoreRead(i, move, &read);
    block_ = std::move(read);
  }
  number_ = i;
  entries_ = block_->entries();
  return true;
}

bool TableIterator::TakeCached(uint32_t i, Move move) {
  BlockCache* cache = blocks_->cache();
  if (cache == nullptr) return false;
  Epoch::Guard guard(*cache->epoch());
  Block* cached = blocks_->Cached(i);
  if (cached == nullptr) return false;
  if (move == Move::kSeek) {
    Block::PrefetchSearch(cached);
  } else {
    Block::Prefetch(cached);
  }
  block_ = RefPtr<Block>::Share(cached);
  // What a scan runs over stays cold.
  if (move == Move::kSeek) cached->Touch();
  if (context_.by_user) cache->CountHit();
  misses_in_a_row_ = 0;
  return true;
}

void TableIterator::StoreRead(uint32_t i, Move move, RefPtr<Block>* block) {
  BlockCache* cache = blocks_->cache();
  if (cache == nullptr) return;
  if (context_.by_user) cache->CountMiss();
  if (!context_.fill_cache) return;
  Epoch::Guard guard(*cache->epoch());
  Block* stored = blocks_->Store(i, block->get(), move != Move::kSeek);
  if (stored != nullptr && stored != block->get()) *block = RefPtr<Block>::Share(stored);
}

// How many bytes to read at once for an uncached block; 0: the block by itself.
size_t TableIterator::StretchBytes(Move move) {
  if (blocks_->mapped()) return 0;
  if (context_.readahead_bytes != 0) return context_.readahead_bytes;
  if (move == Move::kSeek) {
    misses_in_a_row_ = 0;
    automatic_bytes_ = kFirstStretch;
    return 0;
  }
  if (++misses_in_a_row_ <= kMissesBeforeReadAhead) return 0;
  const size_t bytes = automatic_bytes_;
  automatic_bytes_ = std::min(bytes * 2, context_.readahead_max);
  return bytes;
}

Status TableIterator::ReadBlock(uint32_t i, Move move, RefPtr<Block>* block) {
  if (i < stretch_first_ || i >= stretch_end_) {
    const size_t bytes = StretchBytes(move);
    if (bytes <= blocks_->index().bytes(i)) return blocks_->Read(i, Use(), block);
    KIST_TRY(ReadStretch(i, move, bytes));
  }
  const uint64_t from = blocks_->index().offset(stretch_first_);
  const char* stored = stretch_->data() + (blocks_->index().offset(i) - from);
  // A cached block must not keep its whole stretch alive.
  const bool copy = context_.fill_cache && blocks_->cache() != nullptr;
  return blocks_->Decode(i, stored, copy ? nullptr : stretch_.get(),
                         copy ? BlockUse::kCache : Use(), block);
}

Status TableIterator::ReadStretch(uint32_t i, Move move, size_t bytes) {
  const TableIndex& index = blocks_->index();
  uint32_t first = i;
  uint32_t end = i + 1;
  if (move == Move::kBackward) {
    while (first > 0 && index.offset(end) - index.offset(first - 1) <= bytes) --first;
  } else {
    while (end < index.blocks() && index.offset(end + 1) - index.offset(first) <= bytes) ++end;
  }
  const size_t need = index.offset(end) - index.offset(first);
  stretch_first_ = stretch_end_ = 0;
  if (stretch_.get() == nullptr || !stretch_->Unshared() || stretch_->capacity() < need) {
    stretch_ = ReadBuffer::New(std::max(need, bytes), blocks_->pool(),
                               context_.by_user ? BlockUse::kReader : BlockUse::kJob);
    if (stretch_.get() == nullptr) return Status::Bare(Code::kNoMem);
    if (blocks_->cache() != nullptr) blocks_->cache()->Trim();
  }
  KIST_TRY(blocks_->file().ReadExactly(index.offset(first), stretch_->data(), need));
  stretch_first_ = first;
  stretch_end_ = end;
  return Status();
}

}  // namespace kist
