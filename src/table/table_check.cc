// Verify and salvage of open tables. Both read from the file, past the cache, and trust nothing
// that is in memory already: Verify opens the table a second time and walks over all of it.
// Threads: any number beside readers.
#include <algorithm>
#include <cstring>

#include "table/format.h"
#include "table/read_buffer.h"
#include "table/table.h"
#include "util/coding.h"

namespace kist {

namespace {

constexpr size_t kStretchBytes = size_t{1} << 20;

// Calls fn(i, stored bytes or nullptr, status) for each data block in order, reading by stretches;
// where a stretch cannot be read, its blocks are read one by one. read(bytes) after each stretch.
template <typename Fn, typename Read>
Status ForEachStored(const TableBlocks& blocks, Fn fn, Read read) {
  const TableIndex& index = blocks.index();
  Buffer memory;
  size_t capacity = 0;
  for (uint32_t first = 0; first < index.blocks();) {
    uint32_t end = first + 1;
    while (end < index.blocks() && index.offset(end + 1) - index.offset(first) <= kStretchBytes) {
      ++end;
    }
    const size_t bytes = index.offset(end) - index.offset(first);
    if (bytes > capacity) {
      capacity = std::max(bytes, kStretchBytes);
      memory = AllocateBuffer(capacity + kBlockPadding);
      if (memory == nullptr) return Status::Bare(Code::kNoMem);
    }
    const Status all = blocks.file().ReadExactly(index.offset(first), memory.get(), bytes);
    for (uint32_t i = first; i < end; ++i) {
      char* stored = memory.get() + (index.offset(i) - index.offset(first));
      Status one;
      if (!all.ok()) one = blocks.file().ReadExactly(index.offset(i), stored, index.bytes(i));
      KIST_TRY(fn(i, stored, one));
    }
    KIST_TRY(read(bytes));
    first = end;
  }
  return Status();
}

// What Verify learns walking over the entries, and what it compares them with.
class Verifier {
 public:
  Verifier(const TableBlocks& blocks, const Filter& filter, const Stretches& stretches)
      : blocks_(blocks), filter_(filter), stretches_(stretches) {}

  Status Block(uint32_t i, const kist::Block& block) {
    const char* reason = Boundary(i, block);
    for (uint32_t e = 0; reason == nullptr && e < block.entries(); ++e) {
      reason = Entry(block.key(e), block.tag(e), block.value(e), block.hash(e));
    }
    if (reason != nullptr) return blocks_.Damage(i, reason);
    return Status();
  }

  // Compares with what the table says of itself. Its number of blocks is its index's, or it is not
  // open.
  const char* Differs(const TableProperties& p, const RangeTombstoneSet* tombstones) const {
    if (seen_.entries != p.entries) return "another number of entries than the properties say";
    if (seen_.deletes != p.deletes) return "another number of deletes than the properties say";
    if (seen_.ttl_entries != p.ttl_entries) return "another number of expiries than said";
    if (seen_.raw_key_bytes != p.raw_key_bytes) return "other key bytes than the properties say";
    if (seen_.raw_value_bytes != p.raw_value_bytes) return "other value bytes than said";
    if (seen_.earliest_expiry_ms != p.earliest_expiry_ms ||
        seen_.latest_expiry_ms != p.latest_expiry_ms) {
      return "other expiries than the properties say";
    }
    if (p.entries != 0 && key_ != p.largest_key) return "another largest key than said";
    return Bounds(p, tombstones);
  }

 private:
  const char* Boundary(uint32_t i, const kist::Block& block) const {
    if (i == 0) return nullptr;
    const Slice start = blocks_.index().start_key(i);
    const uint64_t tag = blocks_.index().start_tag(i);
    if (CompareEntry(key_, tag_, start, tag) >= 0 ||
        CompareEntry(start, tag, block.key(0), block.tag(0)) > 0) {
      return "the index says another start of this block";
    }
    return nullptr;
  }

  const char* Entry(Slice key, uint64_t tag, Slice value, uint8_t hash_byte) {
    const bool first = seen_.entries == 0;
    if (!first && CompareEntry(key_, tag_, key, tag) >= 0) return "entries out of order";
    const uint64_t hash = HashKey(key);
    if (static_cast<uint8_t>(hash) != hash_byte) return "an entry with a wrong hash byte";
    if (!filter_.MayContain(hash)) return "the filter does not know a key";
    const Sequence seq = TagSequence(tag);
    if (stretches_.known() && seq > stretches_[stretches_.Find(key)].newest)
      return "an entry newer than its stretch";
    if (first) seen_.smallest_key.assign(key);
    seen_.smallest_seq = first ? seq : std::min(seen_.smallest_seq, seq);
    seen_.largest_seq = std::max(seen_.largest_seq, seq);
    ++seen_.entries;
    seen_.raw_key_bytes += key.size();
    seen_.raw_value_bytes += value.size();
    if (TagKind(tag) == EntryKind::kDelete) ++seen_.deletes;
    if (TagKind(tag) == EntryKind::kPutTtl) Expiry(static_cast<int64_t>(Load64(value.data())));
    key_.assign(key);
    tag_ = tag;
    return nullptr;
  }

  void Expiry(int64_t ms) {
    const bool first = seen_.ttl_entries++ == 0;
    seen_.earliest_expiry_ms = first ? ms : std::min(seen_.earliest_expiry_ms, ms);
    seen_.latest_expiry_ms = first ? ms : std::max(seen_.latest_expiry_ms, ms);
  }

  // Smallest key and sequences come from entries and range tombstones together.
  const char* Bounds(const TableProperties& p, const RangeTombstoneSet* tombstones) const {
    Slice smallest = seen_.smallest_key;
    Sequence low = seen_.smallest_seq;
    Sequence high = seen_.largest_seq;
    bool none = seen_.entries == 0;
    if (tombstones != nullptr) {
      for (const RangeTombstone& t : tombstones->tombstones()) {
        if (none || t.begin < smallest) smallest = t.begin;
        low = none ? t.seq : std::min(low, t.seq);
        high = std::max(high, t.seq);
        none = false;
      }
    }
    if (!none && smallest != p.smallest_key) return "another smallest key than said";
    if (low != p.smallest_seq || high != p.largest_seq) return "other sequences than said";
    return nullptr;
  }

  const TableBlocks& blocks_;
  const Filter& filter_;
  const Stretches& stretches_;
  TableProperties seen_;
  std::string key_;  // the entry before
  uint64_t tag_ = 0;
};

}  // namespace

Status Table::Verify(const std::function<Status(uint64_t bytes)>& progress) {
  const TableFile& file = blocks_.file();
  OpenOptions options;
  options.table_id = identity_.table_id;
  options.database_id = identity_.database_id;
  options.file_bytes = properties_.file_bytes;
  KIST_TRY_ASSIGN(const RefPtr<Table> fresh, OpenFile(blocks_.shared_file(), options));
  const TableBlocks& blocks = fresh->blocks_;
  KIST_TRY(progress(properties_.file_bytes - blocks.index().data_bytes()));
  Verifier verifier(blocks, fresh->filter_, fresh->stretches_);
  KIST_TRY(ForEachStored(
      blocks,
      [&](uint32_t i, char* stored, const Status& read) -> Status {
        KIST_TRY(read);
        RefPtr<Block> block;
        KIST_TRY(blocks.Decode(i, stored, nullptr, BlockUse::kReader, &block));
        return verifier.Block(i, *block);
      },
      progress));
  const char* reason = verifier.Differs(fresh->properties_, fresh->range_tombstones());
  if (reason == nullptr) return Status();
  return Status::Corrupt(file.path, blocks.index().data_bytes(), reason);
}

Status Table::Salvage(const EntryFn& entry, const DamageFn& damage) {
  return ForEachStored(
      blocks_,
      [&](uint32_t i, char* stored, Status read) -> Status {
        RefPtr<Block> block;
        if (read.ok()) read = blocks_.Decode(i, stored, nullptr, BlockUse::kReader, &block);
        if (read.Is(Code::kNoMem)) return read;
        if (!read.ok()) return damage(blocks_.index().offset(i), read.message()), Status();
        for (uint32_t e = 0; e < block->entries(); ++e) {
          KIST_TRY(entry(block->key(e), block->tag(e), block->value(e)));
        }
        return Status();
      },
      [](uint64_t) { return Status(); });
}

}  // namespace kist
