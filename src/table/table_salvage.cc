// SalvageFile: what a table holds when its footer or index cannot be read. Every block carries its
// length and a checksum over its place, so blocks are found by trying: after one that is good the
// next follows at once; after damage every offset is tried until a checksum holds.
//
// A false match would need a checksum to hold by chance at an offset it is seeded with; where a
// header looks right but lies, at worst its bytes are read in vain, which is bounded.
// Threads: one a call.
#include <algorithm>
#include <utility>

#include "table/format.h"
#include "table/table.h"

namespace kist {

namespace {

constexpr size_t kWindowBytes = size_t{4} << 20;
// Once so many times the file's size was checksummed in vain, only small blocks are tried.
constexpr uint64_t kVainFactor = 16;
constexpr uint64_t kPage = 4096;
constexpr uint32_t kSmallBlock = 64 << 10;

class Salvager {
 public:
  Salvager(File* file, const std::string& path, uint64_t size, const BlockSeal& seal,
           const Table::Salvaging& to)
      : file_(file), path_(path), size_(size), seal_(seal), to_(to) {}

  // `end`: where the footer begins, or the file's size where there is none.
  Status Run(uint64_t end) {
    uint64_t at = 0;
    bool damaged = false;
    while (at + kBlockHeaderBytes < end) {
      uint64_t next = 0;
      KIST_TRY(TryBlock(at, end, &next));
      if (next != 0) {
        damaged = false;
        at = next;
        continue;
      }
      if (!damaged) to_.damage(at, "no block of this table begins here");
      damaged = true;
      if (++at % kPage != 0) continue;
      KIST_TRY_ASSIGN(next, file_->NextData(at));  // what was never written is not tried
      at = std::max(at, next);
    }
    return Status();
  }

 private:
  // *next: where the block at `at` ends, 0: there is none.
  Status TryBlock(uint64_t at, uint64_t end, uint64_t* next) {
    const char* p;
    KIST_TRY(Bytes(at, kBlockHeaderBytes, &p));
    const BlockHeader h = DecodeBlockHeader(p);
    const uint8_t type = h.type;
    if (h.payload_bytes == 0 || h.payload_bytes > end - at - kBlockHeaderBytes || type == 0 ||
        type > static_cast<uint8_t>(BlockType::kProperties) ||
        h.compression > static_cast<uint8_t>(BlockCompression::kSnappyLengths) || h.reserved != 0 ||
        (h.payload_bytes > kSmallBlock && vain_ > size_ * kVainFactor)) {
      return Status();
    }
    const size_t bytes = kBlockHeaderBytes + h.payload_bytes;
    KIST_TRY(Bytes(at, bytes, &p));
    if (CheckBlock(seal_, at, static_cast<BlockType>(type), p, bytes) != nullptr) {
      vain_ += bytes;
      return Status();
    }
    *next = at + bytes;
    const Slice payload(p + kBlockHeaderBytes, h.payload_bytes);
    if (type == static_cast<uint8_t>(BlockType::kData)) return Entries(at, payload, h.compression);
    if (type == static_cast<uint8_t>(BlockType::kTombstones)) return Tombstones(at, payload);
    if (type == static_cast<uint8_t>(BlockType::kProperties) && to_.keyspace != nullptr) {
      TableIdentity identity;
      TableProperties properties;
      if (DecodeProperties(payload, &identity, &properties) == nullptr)
        *to_.keyspace = identity.keyspace;
    }
    return Status();
  }

  Status Entries(uint64_t at, Slice payload, uint8_t compression) {
    RefPtr<Block> block;
    bool no_memory;
    const char* reason = MakeBlock(payload, static_cast<BlockCompression>(compression), nullptr,
                                   BlockUse::kReader, &block, &no_memory);
    if (no_memory) return Status::Bare(Code::kNoMem);
    if (reason != nullptr) return to_.damage(at, reason), Status();
    for (uint32_t e = 0; e < block->entries(); ++e) {
      KIST_TRY(to_.entry(block->key(e), block->tag(e), block->value(e)));
    }
    return Status();
  }

  Status Tombstones(uint64_t at, Slice payload) {
    std::vector<RangeTombstone> tombstones;
    const char* reason = DecodeTombstones(payload, &tombstones);
    if (reason != nullptr) return to_.damage(at, reason), Status();
    for (const RangeTombstone& t : tombstones) KIST_TRY(to_.tombstone(t));
    return Status();
  }

  // [at, at + n), which the file has, from a window that is read as needed and never goes back.
  Status Bytes(uint64_t at, size_t n, const char** p) {
    if (at + n > window_at_ + window_bytes_) {
      const size_t want = std::max(n, kWindowBytes);
      if (want > capacity_) {
        window_ = AllocateBuffer(want);
        capacity_ = window_ == nullptr ? 0 : want;
        window_bytes_ = 0;
        if (window_ == nullptr) return Status::Bare(Code::kNoMem);
      }
      window_bytes_ = 0;
      KIST_TRY_ASSIGN(const size_t got, file_->Read(at, window_.get(), want));
      if (got < n) return Status::Corrupt(path_, at + got, "the file ends too early");
      window_at_ = at;
      window_bytes_ = got;
      if (to_.progress != nullptr) {
        const uint64_t end = at + got;
        KIST_TRY(to_.progress(end - std::exchange(told_, end)));
      }
    }
    *p = window_.get() + (at - window_at_);
    return Status();
  }

  File* const file_;
  const std::string& path_;
  const uint64_t size_;
  const BlockSeal& seal_;
  const Table::Salvaging& to_;
  Buffer window_;
  size_t capacity_ = 0;
  uint64_t window_at_ = 0;
  size_t window_bytes_ = 0;
  uint64_t told_ = 0;  // how far progress was told of
  uint64_t vain_ = 0;
};

}  // namespace

Status Table::SalvageFile(File* file, const std::string& path, uint64_t table_id,
                          uint64_t database_id, const Salvaging& to) {
  KIST_TRY_ASSIGN(const uint64_t size, file->Size());
  uint64_t end = size;
  if (size >= kFooterBytes) {
    char bytes[kFooterBytes];
    KIST_TRY_ASSIGN(const size_t got, file->Read(size - kFooterBytes, bytes, sizeof bytes));
    Footer footer;
    if (got == sizeof bytes && DecodeFooter(path, size, bytes, &footer).ok()) {
      end = size - kFooterBytes;
      if (table_id == 0) table_id = footer.table_id;
      if (database_id == 0) database_id = footer.database_id;
    }
  }
  if (end == size) to.damage(end, "the footer cannot be read");
  const BlockSeal seal(database_id, table_id);
  return Salvager(file, path, size, seal, to).Run(end);
}

}  // namespace kist
