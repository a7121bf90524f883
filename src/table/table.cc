// Opening a table, point lookups and estimates; see table.h. Open trusts nothing: sizes, ids,
// checksums, then each part by its own rules, then all of them against the properties.
// Threads: Open by one, the rest by any.
#include "table/table.h"

#include "table/format.h"
#include "table/table_iterator.h"
#include "util/check.h"

namespace kist {

namespace {

std::string Numbers(const char* before, uint64_t a, const char* between, uint64_t b) {
  return before + std::to_string(a) + between + std::to_string(b);
}

Status CheckSize(const std::string& path, uint64_t size, uint64_t expected) {
  if (size == 0) return Status::Corrupt(path, 0, "the table file is empty");
  if (expected != 0 && size > expected) {
    return Status::Corrupt(
        path, expected, Numbers("bytes behind the table's end: ", size, " instead of ", expected));
  }
  if (expected != 0 && size < expected) {
    return Status::Corrupt(
        path, size, Numbers("the table is cut short: ", size, " bytes instead of ", expected));
  }
  if (size < kFooterBytes) return Status::Corrupt(path, 0, "too short for a table");
  return Status();
}

}  // namespace

Result<RefPtr<Table>> Table::Open(std::unique_ptr<File> file, std::string path,
                                  const OpenOptions& options) {
  return OpenFile(RefPtr<TableFile>::Adopt(new TableFile(std::move(file), std::move(path))),
                  options);
}

Result<RefPtr<Table>> Table::OpenFile(RefPtr<TableFile> opened, const OpenOptions& options) {
  RefPtr<Table> table = RefPtr<Table>::Adopt(new Table);
  Footer footer;
  KIST_TRY(table->LoadFooter(opened.get(), options, &footer));
  KIST_TRY(table->LoadParts(opened.get(), footer));
  KIST_TRY(table->CheckProperties(*opened, footer));
  table->properties_.file_bytes = footer.file_bytes;
  if (options.map) opened->map = opened->file->Map(footer.file_bytes);
  const BlockSeal seal(footer.database_id, footer.table_id);
  KIST_TRY(table->blocks_.Init(std::move(opened), seal, options.cache));
  table->charge_ = MemoryCharge(options.budget, MemoryBudget::kTables, table->memory_bytes());
  return table;
}

Status Table::LoadFooter(TableFile* file, const OpenOptions& options, Footer* footer) {
  KIST_TRY_ASSIGN(const uint64_t size, file->file->Size());
  KIST_TRY(CheckSize(file->path, size, options.file_bytes));
  char bytes[kFooterBytes];
  const uint64_t at = size - kFooterBytes;
  KIST_TRY(file->ReadExactly(at, bytes, sizeof bytes));
  KIST_TRY(DecodeFooter(file->path, size, bytes, footer));
  if (options.table_id != 0 && footer->table_id != options.table_id) {
    return Status::Corrupt(file->path, at,
                           Numbers("this is table ", footer->table_id, ", not ", options.table_id));
  }
  if (options.database_id != 0 && footer->database_id != options.database_id) {
    return Status::Corrupt(file->path, at, "the table belongs to another database");
  }
  return Status();
}

// The parts stand end to end in front of the footer: one read.
Status Table::LoadParts(TableFile* file, const Footer& footer) {
  const uint64_t begin = footer.tombstones.offset;
  const size_t bytes = footer.file_bytes - kFooterBytes - begin;
  Buffer memory = AllocateBuffer(bytes);
  if (memory == nullptr) return Status::Bare(Code::kNoMem);
  KIST_TRY(file->ReadExactly(begin, memory.get(), bytes));
  const BlockSeal seal(footer.database_id, footer.table_id);
  const struct {
    BlockType type;
    const Part& part;
  } parts[] = {{BlockType::kTombstones, footer.tombstones},
               {BlockType::kFilter, footer.filter},
               {BlockType::kIndex, footer.index},
               {BlockType::kProperties, footer.properties}};
  for (const auto& p : parts) {
    if (p.part.bytes == 0) continue;
    KIST_TRY(LoadPart(*file, seal, p.type, p.part, memory.get() + (p.part.offset - begin), begin));
  }
  return Status();
}

Status Table::LoadPart(const TableFile& file, const BlockSeal& seal, BlockType type,
                       const Part& part, const char* stored, uint64_t data_bytes) {
  const char* reason = CheckBlock(seal, part.offset, type, stored, part.bytes);
  const Slice payload(stored + kBlockHeaderBytes, part.bytes - kBlockHeaderBytes);
  bool no_memory = false;
  if (reason == nullptr) {
    std::vector<RangeTombstone> tombstones;
    switch (type) {
      case BlockType::kTombstones:
        reason = DecodeTombstones(payload, &tombstones);
        if (reason == nullptr) range_tombstones_ = RangeTombstoneSet::Build(tombstones);
        if (reason == nullptr) properties_.range_tombstones = tombstones.size();
        break;
      case BlockType::kFilter:
        reason = filter_.Load(payload, &no_memory);
        break;
      case BlockType::kIndex:
        reason = blocks_.mutable_index()->Load(payload, data_bytes, &no_memory);
        break;
      case BlockType::kProperties: {
        const uint64_t range_tombstones = properties_.range_tombstones;
        Slice stretches;
        reason = DecodeProperties(payload, &identity_, &properties_, &stretches);
        if (reason == nullptr) reason = stretches_.Load(stretches);
        if (reason == nullptr && properties_.range_tombstones != range_tombstones) {
          reason = "properties with another number of range tombstones";
        }
        break;
      }
      case BlockType::kData:
        break;
    }
  }
  if (no_memory) return Status::Bare(Code::kNoMem);
  if (reason == nullptr) return Status();
  return Status::Corrupt(file.path, part.offset, std::string(BlockTypeName(type)) + ": " + reason);
}

Status Table::CheckProperties(const TableFile& file, const Footer& footer) const {
  const char* reason = nullptr;
  const TableProperties& p = properties_;
  if (identity_.database_id != footer.database_id || identity_.table_id != footer.table_id ||
      identity_.keyspace != footer.keyspace) {
    reason = "properties of another table";
  } else if (p.data_blocks != blocks_.index().blocks() ||
             (p.entries == 0) != (p.data_blocks == 0)) {
    reason = "properties with another number of blocks";
  } else if (p.smallest_seq > p.largest_seq || p.largest_seq > kMaxSequence) {
    reason = "properties with impossible sequences";
  } else if (p.entries != 0 && p.smallest_key > p.largest_key) {
    reason = "properties with impossible keys";
  } else if (p.deletes > p.entries || p.ttl_entries > p.entries) {
    reason = "properties with impossible counts";
  }
  if (reason == nullptr) return Status();
  return Status::Corrupt(file.path, footer.properties.offset, reason);
}

Status Table::Get(Slice key, uint64_t hash, Sequence seq, const ReadContext& context,
                  TableFound* found) {
  found->found = false;
  found->filtered = false;
  if (blocks_.index().blocks() == 0) return Status();
  uint32_t number = 0;
  const bool index_first = mostly_there_.load(std::memory_order_relaxed);
  if (index_first) {
    filter_.Prefetch(hash);
    number = blocks_.Find(key, SeekTag(seq));
  }
  found->filtered = !filter_.MayContain(hash);
  if (found->filtered == index_first && hash % kLearnEvery == 0)
    mostly_there_.store(!found->filtered, std::memory_order_relaxed);
  if (found->filtered) return Status();
  if (!index_first) number = blocks_.Find(key, SeekTag(seq));
  return GetAt(number, key, hash, seq, context, found);
}

uint32_t Table::Locate(Slice key, uint64_t hash, Sequence seq) const {
  if (!filter_.MayContain(hash) || blocks_.index().blocks() == 0) return kNowhere;
  const uint32_t number = blocks_.Find(key, SeekTag(seq));
  if (const Block* block = blocks_.Cached(number)) Block::Prefetch(block);
  return number;
}

Status Table::GetAt(uint32_t number, Slice key, uint64_t hash, Sequence seq,
                    const ReadContext& context, TableFound* found) {
  found->found = false;
  const uint64_t tag = SeekTag(seq);
  Block* block = blocks_.Cached(number);
  if (__builtin_expect(block != nullptr, 1)) {
    Block::Prefetch(block);
    block->Touch();
    blocks_.cache()->CountHit();
  } else {
    KIST_TRY(ReadMissed(number, context, found, &block));
  }
  const uint32_t i = block->Find(key, hash, tag);
  if (i == block->entries()) return Status();
  found->found = true;
  found->tag = block->tag(i);
  found->value = block->value(i);
  found->block = block;
  return Status();
}

Status Table::ReadMissed(uint32_t i, const ReadContext& context, TableFound* found, Block** block) {
  BlockCache* cache = blocks_.cache();
  RefPtr<Block> read;
  KIST_TRY(blocks_.Read(i, context.fill_cache ? BlockUse::kCache : BlockUse::kReader, &read));
  *block = nullptr;
  if (cache != nullptr) {
    cache->CountMiss();
    // The cache's own reference, under the caller's guard, keeps what it takes.
    if (context.fill_cache) *block = blocks_.Store(i, read.get(), false);
  }
  if (*block == nullptr) {
    *block = read.get();
    found->owned = std::move(read);
  }
  return Status();
}

std::unique_ptr<InternalIterator> Table::NewIterator(const ReadContext& context) {
  return std::make_unique<TableIterator>(RefPtr<Table>::Share(this), &blocks_, context);
}

uint64_t Table::memory_bytes() const {
  return sizeof(Table) + filter_.memory_bytes() + blocks_.memory_bytes() +
         (range_tombstones_ == nullptr ? 0 : range_tombstones_->memory_bytes()) +
         properties_.smallest_key.capacity() + properties_.largest_key.capacity() +
         properties_.tombstone_end.capacity() + stretches_.memory_bytes();
}

uint64_t Table::ApproximateBytes(Slice begin, Slice end) const {
  const TableIndex& index = blocks_.index();
  if (index.blocks() == 0 || begin > properties_.largest_key) return 0;
  if (!end.empty() && (end <= begin || end <= properties_.smallest_key)) return 0;
  const uint32_t first = index.Find(begin, kMaxTag);
  const bool to_end = end.empty() || end > properties_.largest_key;
  const uint32_t last = to_end ? index.blocks() : index.Find(end, kMaxTag);
  // A range inside one block is taken for half of it.
  if (first == last) return index.bytes(first) / 2;
  return index.offset(last) - index.offset(first);
}

}  // namespace kist
