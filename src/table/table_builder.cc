// TableBuilder: entries go into a block under construction; a full one is compressed where that
// pays and appended to the output buffer, which goes to the file a mebibyte at a time, write-back
// started behind it, so that the sync at the end finds little left to do.
//
// Invariants
//  1. written_ + out_.size() is the file offset of the next byte.
//  2. The first error is kept in status_; nothing is written after it.
//  3. Once buffers have grown, adding an entry allocates nothing.
#include <snappy.h>

#include <algorithm>

#include "table/block.h"
#include "table/block_builder.h"
#include "table/filter.h"
#include "table/format.h"
#include "table/index.h"
#include "table/stretches.h"
#include "table/table.h"
#include "util/check.h"
#include "util/coding.h"
#include "util/planted.h"

namespace kist {

namespace {

constexpr size_t kAppendBytes = size_t{1} << 20;
// Payloads from here on are not copied to the output buffer, and compressed only if their
// beginning shrinks.
constexpr size_t kLargePayload = size_t{512} << 10;
constexpr size_t kSampleBytes = size_t{64} << 10;
constexpr size_t kLeastBlockBytes = 256;
// After this many blocks in a row that did not shrink only every such-th is tried.
constexpr uint32_t kRawRun = 8;

bool SavesAnEighth(size_t raw, size_t compressed) { return compressed <= raw - raw / 8; }

}  // namespace

class TableBuilder::Impl {
 public:
  Impl(const TableOptions& options, File* file, std::string name)
      : options_(options),
        file_(file),
        name_(std::move(name)),
        seal_(options.database_id, options.table_id),
        // So that the block in memory, its object and padding included, has the size asked for.
        target_(std::max<size_t>(options.block_bytes, kLeastBlockBytes) - Block::MemoryBytes(0)),
        filter_(options.filter_bits) {}

  Status Add(Slice key, uint64_t tag, Slice value) {
    if (!status_.ok()) return status_;
    // Stays where the standard library throws for want of memory.
    status_ = Status::Bare(Code::kNoMem);
    status_ = AddEntry(key, tag, value);
    return status_;
  }
  Status AddTombstone(const RangeTombstone& t);
  bool sync_failed() const { return sync_failed_; }
  Status Finish(TableProperties* properties) {
    if (!status_.ok()) return status_;
    status_ = Status::Bare(Code::kNoMem);
    status_ = FinishFile(properties);
    return status_;
  }
  uint64_t estimated_bytes() const {
    return written_ + out_.size() + (block_.empty() ? 0 : block_.size() + kBlockHeaderBytes);
  }
  uint64_t entries() const { return properties_.entries; }

 private:
  Status AddEntry(Slice key, uint64_t tag, Slice value);
  Status CheckEntry(Slice key, uint64_t tag, Slice value) const;
  bool FollowsLast(Slice key, uint64_t tag, bool* same_key) const;
  void Count(Slice key, uint64_t tag, Slice value);
  Status FinishBlock();
  Status AppendData(bool* compressed, uint64_t* stored_bytes);
  bool TryCompress(Slice payload, size_t* compressed_bytes);
  Status AppendLarge(Slice payload);
  Status FinishFile(TableProperties* properties);
  Status FinishParts(Footer* footer);
  template <typename Fill>
  Status AppendPart(BlockType type, Part* part, Fill fill);
  Status Flush();
  Status TooLong(const char* what, size_t bytes) const {
    return Status::Error(Code::kLimit,
                         name_ + ": " + what + " of " + std::to_string(bytes) + " bytes");
  }

  // Constant after construction.
  const TableOptions options_;
  File* const file_;
  const std::string name_;
  const BlockSeal seal_;
  const size_t target_;
  // The one user's.
  BlockBuilder block_;
  FilterBuilder filter_;
  IndexBuilder index_;
  StretchBuilder stretches_;
  GrowBuffer out_;
  uint64_t written_ = 0;
  uint32_t raw_run_ = 0;
  uint64_t last_hash_ = 0;
  uint64_t last_tag_ = 0;
  std::string last_key_;  // of the last finished block
  std::string tombstones_;
  TableProperties properties_;
  Status status_;
  bool sync_failed_ = false;
};

Status TableBuilder::Impl::CheckEntry(Slice key, uint64_t tag, Slice value) const {
  if (key.size() > kTableKeyBytesMax) return TooLong("a key", key.size());
  if (value.size() > kBlockPayloadMax - kTableKeyBytesMax - 4096) {
    return TooLong("a value", value.size());
  }
  const EntryKind kind = TagKind(tag);
  KIST_CHECK(kind == EntryKind::kPut || kind == EntryKind::kDelete || kind == EntryKind::kPutTtl);
  KIST_CHECK(kind != EntryKind::kDelete || value.empty());
  KIST_CHECK(kind != EntryKind::kPutTtl || value.size() >= 8);
  return Status();
}

bool TableBuilder::Impl::FollowsLast(Slice key, uint64_t tag, bool* same_key) const {
  *same_key = false;
  if (properties_.entries == 0) return true;
  const int c = key.compare(block_.empty() ? Slice(last_key_) : block_.last_key());
  *same_key = c == 0;
  return c > 0 || (c == 0 && tag < last_tag_);
}

Status TableBuilder::Impl::AddEntry(Slice key, uint64_t tag, Slice value) {
  KIST_TRY(CheckEntry(key, tag, value));
  bool same_key;
  if (!FollowsLast(key, tag, &same_key)) {
    return Status::Error(Code::kInternal, name_ + ": entries added out of order");
  }
  if (!same_key) last_hash_ = HashKey(key);
  if (!same_key && !filter_.Add(last_hash_)) return Status::Bare(Code::kNoMem);
  if (!block_.empty() && block_.SizeWith(key, tag, value) > target_) KIST_TRY(FinishBlock());
  if (block_.empty() && index_.blocks() != 0 && !index_.AddBoundary(last_key_, last_tag_, key)) {
    return Status::Bare(Code::kNoMem);
  }
  if (block_.empty()) stretches_.BeginBlock(last_key_, key);
  if (!block_.Add(key, last_hash_, tag, value)) return Status::Bare(Code::kNoMem);
  stretches_.Note(TagSequence(tag));
  last_tag_ = tag;
  Count(key, tag, value);
  return Status();
}

void TableBuilder::Impl::Count(Slice key, uint64_t tag, Slice value) {
  TableProperties& p = properties_;
  const Sequence seq = TagSequence(tag);
  const bool first = p.entries == 0 && p.range_tombstones == 0;
  if (first || seq < p.smallest_seq) p.smallest_seq = seq;
  if (first || seq > p.largest_seq) p.largest_seq = seq;
  // Tombstones added before may begin at a smaller key.
  if (first || (p.entries == 0 && key < p.smallest_key)) p.smallest_key.assign(key);
  ++p.entries;
  p.raw_key_bytes += key.size();
  p.raw_value_bytes += value.size();
  if (TagKind(tag) == EntryKind::kDelete) ++p.deletes;
  if (TagKind(tag) == EntryKind::kPutTtl) {
    const int64_t expiry = static_cast<int64_t>(Load64(value.data()));
    if (p.ttl_entries == 0 || expiry < p.earliest_expiry_ms) p.earliest_expiry_ms = expiry;
    if (p.ttl_entries == 0 || expiry > p.latest_expiry_ms) p.latest_expiry_ms = expiry;
    ++p.ttl_entries;
  }
}

Status TableBuilder::Impl::AddTombstone(const RangeTombstone& t) {
  if (!status_.ok()) return status_;
  KIST_CHECK(t.seq <= kMaxSequence && (t.end.empty() || t.begin < t.end));
  if (t.begin.size() > kTableKeyBytesMax + 1 || t.end.size() > kTableKeyBytesMax + 1) {
    return TooLong("a range tombstone's key", std::max(t.begin.size(), t.end.size()));
  }
  TableProperties& p = properties_;
  const bool first = p.entries == 0 && p.range_tombstones == 0;
  if (first || t.seq < p.smallest_seq) p.smallest_seq = t.seq;
  if (first || t.seq > p.largest_seq) p.largest_seq = t.seq;
  if (first || t.begin < p.smallest_key) p.smallest_key.assign(t.begin);
  if (t.end.empty()) p.tombstone_unbounded = true;
  if (t.end > p.tombstone_end) p.tombstone_end.assign(t.end);
  ++p.range_tombstones;
  AppendTombstone(t, &tombstones_);
  return Status();
}

Status TableBuilder::Impl::FinishBlock() {
  bool compressed;
  uint64_t stored_bytes;
  KIST_TRY(AppendData(&compressed, &stored_bytes));
  if (!index_.AddBlock(static_cast<uint32_t>(stored_bytes), compressed)) {
    return Status::Bare(Code::kNoMem);
  }
  if (index_.size() > kBlockPayloadMax) return TooLong("an index", index_.size());
  last_key_.assign(block_.last_key());
  block_.Reset();
  return out_.size() >= kAppendBytes ? Flush() : Status();
}

// Appends a data block, compressed or raw.
Status TableBuilder::Impl::AppendData(bool* compressed, uint64_t* stored_bytes) {
  const bool lengths = options_.compression != Compression::kNone;
  Slice payload = block_.Finish(lengths);
  if (payload.data() == nullptr) return Status::Bare(Code::kNoMem);
  if (payload.size() > kBlockPayloadMax) return TooLong("a block", payload.size());
  const size_t at = out_.size();
  const uint64_t offset = written_ + at;
  const size_t most = std::max(payload.size(), snappy::MaxCompressedLength(payload.size()));
  size_t bytes = 0;
  *compressed = TryCompress(payload.substr(0, kSampleBytes), &bytes);
  if (!*compressed && lengths) payload = block_.Finish();
  if (payload.size() >= kLargePayload && !*compressed) {
    *stored_bytes = kBlockHeaderBytes + payload.size();
    return AppendLarge(payload);
  }
  if (!out_.Reserve(kBlockHeaderBytes + most)) return Status::Bare(Code::kNoMem);
  char* header = out_.data() + at;
  char* stored = header + kBlockHeaderBytes;
  if (*compressed && payload.size() > kSampleBytes) {
    *compressed = TryCompress(payload, &bytes);
    if (!*compressed) payload = block_.Finish();
  }
  if (!*compressed) {
    std::memcpy(stored, payload.data(), payload.size());
    bytes = payload.size();
  }
  const BlockCompression kind =
      *compressed ? BlockCompression::kSnappyLengths : BlockCompression::kRaw;
  seal_.WriteHeader(offset, BlockType::kData, kind, Slice(stored, bytes), header);
  out_.Resize(at + kBlockHeaderBytes + bytes);
  *stored_bytes = kBlockHeaderBytes + bytes;
  return Status();
}

// Compresses into the free part of the output buffer, behind room for a header; true: it pays.
bool TableBuilder::Impl::TryCompress(Slice payload, size_t* compressed_bytes) {
  if (options_.compression == Compression::kNone) return false;
  const bool adaptive = options_.compression == Compression::kAdaptive;
  if (adaptive && raw_run_ >= kRawRun && raw_run_ % kRawRun != 0) {
    ++raw_run_;
    return false;
  }
  if (!out_.Reserve(kBlockHeaderBytes + snappy::MaxCompressedLength(payload.size()))) return false;
  char* stored = out_.data() + out_.size() + kBlockHeaderBytes;
  snappy::RawCompress(payload.data(), payload.size(), stored, compressed_bytes);
  const bool pays = adaptive ? SavesAnEighth(payload.size(), *compressed_bytes)
                             : *compressed_bytes < payload.size();
  raw_run_ = pays ? 0 : raw_run_ + 1;
  return pays;
}

// Writes a raw payload from where it stands; its builder left room for the header in front.
Status TableBuilder::Impl::AppendLarge(Slice payload) {
  KIST_TRY(Flush());
  char header[kBlockHeaderBytes];
  seal_.WriteHeader(written_, BlockType::kData, BlockCompression::kRaw, payload, header);
  const Slice parts[] = {Slice(header, sizeof header), payload};
  KIST_TRY(file_->WriteV(written_, parts, 2));
  const uint64_t bytes = sizeof header + payload.size();
  file_->StartWriteback(written_, bytes);
  written_ += bytes;
  return Status();
}

Status TableBuilder::Impl::Flush() {
  if (out_.size() == 0) return Status();
  KIST_TRY(file_->Write(written_, out_.slice()));
  file_->StartWriteback(written_, out_.size());
  written_ += out_.size();
  out_.Clear(4 * kAppendBytes);
  return Status();
}

// `fill` appends the payload to out_ and returns false where memory is missing.
template <typename Fill>
Status TableBuilder::Impl::AppendPart(BlockType type, Part* part, Fill fill) {
  KIST_TRY(Flush());
  part->offset = written_;
  if (!out_.Reserve(kBlockHeaderBytes)) return Status::Bare(Code::kNoMem);
  out_.Resize(kBlockHeaderBytes);
  if (!fill()) return Status::Bare(Code::kNoMem);
  const Slice payload = out_.slice().substr(kBlockHeaderBytes);
  if (payload.empty()) {  // no such part
    out_.Resize(0);
    return Status();
  }
  if (payload.size() > kBlockPayloadMax) return TooLong(BlockTypeName(type), payload.size());
  seal_.WriteHeader(written_, type, BlockCompression::kRaw, payload, out_.data());
  part->bytes = static_cast<uint32_t>(out_.size());
  return Status();
}

Status TableBuilder::Impl::FinishParts(Footer* footer) {
  KIST_TRY(AppendPart(BlockType::kTombstones, &footer->tombstones, [&] {
    char count[4];
    Store32(count, static_cast<uint32_t>(properties_.range_tombstones));
    return tombstones_.empty() || (out_.Append(count, 4) && out_.Append(tombstones_));
  }));
  KIST_TRY(AppendPart(BlockType::kFilter, &footer->filter, [&] { return filter_.Finish(&out_); }));
  KIST_TRY(AppendPart(BlockType::kIndex, &footer->index, [&] { return index_.Finish(&out_); }));
  const TableIdentity identity = {options_.database_id, options_.table_id, options_.keyspace};
  const std::string encoded =
      EncodeProperties(identity, properties_, stretches_.Finish(properties_.largest_seq));
  return AppendPart(BlockType::kProperties, &footer->properties,
                    [&] { return out_.Append(encoded); });
}

Status TableBuilder::Impl::FinishFile(TableProperties* properties) {
  if (properties_.entries != 0) {
    properties_.largest_key.assign(block_.last_key());
    KIST_TRY(FinishBlock());
  }
  properties_.data_blocks = index_.blocks();
  Footer footer;
  KIST_TRY(FinishParts(&footer));
  footer.database_id = options_.database_id;
  footer.table_id = options_.table_id;
  footer.keyspace = options_.keyspace;
  footer.file_bytes = written_ + out_.size() + kFooterBytes;
  char bytes[kFooterBytes];
  EncodeFooter(footer, bytes);
  if (!out_.Append(bytes, sizeof bytes)) return Status::Bare(Code::kNoMem);
  KIST_TRY(Flush());
  Status synced = Planted(Bug::kTableNotSynced) ? Status() : file_->Sync();
  sync_failed_ = !synced.ok();
  KIST_TRY(std::move(synced));
  properties_.file_bytes = footer.file_bytes;
  *properties = properties_;
  return Status();
}

TableBuilder::TableBuilder(const TableOptions& options, File* file, std::string file_name)
    : impl_(std::make_unique<Impl>(options, file, std::move(file_name))) {}

TableBuilder::~TableBuilder() = default;

Status TableBuilder::Add(Slice key, uint64_t tag, Slice value) {
  return impl_->Add(key, tag, value);
}

Status TableBuilder::AddRangeTombstone(const RangeTombstone& tombstone) {
  return impl_->AddTombstone(tombstone);
}

uint64_t TableBuilder::estimated_bytes() const { return impl_->estimated_bytes(); }

uint64_t TableBuilder::entries() const { return impl_->entries(); }

Status TableBuilder::Finish(TableProperties* properties) { return impl_->Finish(properties); }

bool TableBuilder::sync_failed() const { return impl_->sync_failed(); }

}  // namespace kist
