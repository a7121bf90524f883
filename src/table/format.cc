// Encoding and checking of block headers and the footer; the grammar stands in format.h. Each
// Decode or Check returns the reason by name, which readers put beside file and offset.
// Threads: pure functions.
#include "table/format.h"

#include <algorithm>

#include "util/coding.h"
#include "util/crc32c.h"
#include "util/planted.h"

namespace kist {

const char* BlockTypeName(BlockType type) {
  switch (type) {
    case BlockType::kData:
      return "data block";
    case BlockType::kTombstones:
      return "range tombstone block";
    case BlockType::kFilter:
      return "filter block";
    case BlockType::kIndex:
      return "index block";
    case BlockType::kProperties:
      return "properties block";
  }
  return "block";
}

BlockSeal::BlockSeal(uint64_t database_id, uint64_t table_id) {
  char ids[16];
  Store64(ids, database_id);
  Store64(ids + 8, table_id);
  seed_ = crc32c::Value(ids, sizeof ids);
}

uint32_t BlockSeal::Crc(uint64_t offset, const char* block, size_t bytes) const {
  char place[8];
  Store64(place, offset);
  return crc32c::Extend(crc32c::Extend(seed_, place, sizeof place), block + 4, bytes - 4);
}

void BlockSeal::WriteHeader(uint64_t offset, BlockType type, BlockCompression compression,
                            Slice payload, char* header) const {
  Store32(header + 4, static_cast<uint32_t>(payload.size()));
  header[8] = static_cast<char>(type);
  header[9] = static_cast<char>(compression);
  Store16(header + 10, 0);
  const uint32_t crc = Crc(offset, header, kBlockHeaderBytes);
  Store32(header, crc32c::Extend(crc, payload.data(), payload.size()));
}

BlockHeader DecodeBlockHeader(const char* p) {
  BlockHeader h;
  h.crc = Load32(p);
  h.payload_bytes = Load32(p + 4);
  h.type = static_cast<uint8_t>(p[8]);
  h.compression = static_cast<uint8_t>(p[9]);
  h.reserved = Load16(p + 10);
  return h;
}

const char* CheckBlock(const BlockSeal& seal, uint64_t offset, BlockType type, const char* block,
                       size_t bytes) {
  if (bytes <= kBlockHeaderBytes) return "block too short";
  const BlockHeader h = DecodeBlockHeader(block);
  if (h.payload_bytes != bytes - kBlockHeaderBytes) return "block length does not match its place";
  if (seal.Crc(offset, block, bytes) != h.crc && !Planted(Bug::kTableChecksumIgnored))
    return "block checksum does not match";
  if (h.type != static_cast<uint8_t>(type)) return "block of another type";
  if (h.reserved != 0) return "unknown block flags";
  if (h.compression == static_cast<uint8_t>(BlockCompression::kRaw)) return nullptr;
  if (h.compression <= static_cast<uint8_t>(BlockCompression::kSnappyLengths) &&
      type == BlockType::kData)
    return nullptr;
  return "unknown block compression";
}

namespace {

char* PutPart(char* p, const Part& part) {
  Store64(p, part.offset);
  Store32(p + 8, part.bytes);
  return p + 12;
}

const char* TakePart(const char* p, Part* part) {
  part->offset = Load64(p);
  part->bytes = Load32(p + 8);
  return p + 12;
}

// The CRC's own field is the second of the tail.
uint32_t FooterCrc(const char* footer, size_t bytes) {
  const size_t at = bytes - kFooterTailBytes + 4;
  return crc32c::Extend(crc32c::Value(footer, at), footer + at + 4, bytes - at - 4);
}

bool PartsChain(const Footer& f, uint64_t end) {
  uint64_t at = f.tombstones.offset;
  for (const Part* part : {&f.tombstones, &f.filter, &f.index, &f.properties}) {
    if (part->offset != at || part->bytes > end || at > end - part->bytes) return false;
    if (part->bytes != 0 && part->bytes <= kBlockHeaderBytes) return false;
    at += part->bytes;
  }
  return at == end && f.index.bytes != 0 && f.properties.bytes != 0;
}

}  // namespace

void EncodeFooter(const Footer& footer, char* out) {
  Store64(out, footer.database_id);
  Store64(out + 8, footer.table_id);
  Store64(out + 16, footer.file_bytes);
  char* p = out + 24;
  for (const Part* part : {&footer.tombstones, &footer.filter, &footer.index, &footer.properties}) {
    p = PutPart(p, *part);
  }
  Store32(p, footer.keyspace);
  Store32(p + 4, 0);
  char* tail = p + 8;
  Store32(tail, kFooterBytes);
  Store32(tail + 8, kTableVersion);
  Store32(tail + 12, footer.minor_version);
  Store64(tail + 16, kTableMagic);
  Store32(tail + 4, FooterCrc(out, kFooterBytes));
}

Status DecodeFooter(const std::string& path, uint64_t file_bytes, const char* in, Footer* footer) {
  const uint64_t at = file_bytes - kFooterBytes;
  const char* tail = in + kFooterBytes - kFooterTailBytes;
  if (Load64(tail + 16) != kTableMagic) {
    const bool zeros = std::all_of(in, in + kFooterBytes, [](char c) { return c == 0; });
    return Status::Corrupt(
        path, at, zeros ? "the table ends in zeros instead of a footer" : "not a table footer");
  }
  const uint32_t version = Load32(tail + 8);
  const uint32_t footer_bytes = Load32(tail);
  // A newer footer may be longer or shorter than ours; its checksum can be computed if it is not
  // longer.
  if (footer_bytes <= kFooterBytes && footer_bytes >= kFooterTailBytes) {
    const char* start = in + kFooterBytes - footer_bytes;
    if (FooterCrc(start, footer_bytes) != Load32(tail + 4)) {
      return Status::Corrupt(path, at, "the table footer's checksum does not match");
    }
  }
  if (version > kTableVersion) {
    return Status::Error(Code::kTooNew, path + ": table format version " + std::to_string(version) +
                                            " is newer than this library's " +
                                            std::to_string(kTableVersion));
  }
  if (version == 0 || footer_bytes != kFooterBytes)
    return Status::Corrupt(path, at, "bad table footer length or version");
  footer->database_id = Load64(in);
  footer->table_id = Load64(in + 8);
  footer->file_bytes = Load64(in + 16);
  const char* p = in + 24;
  for (Part* part : {&footer->tombstones, &footer->filter, &footer->index, &footer->properties}) {
    p = TakePart(p, part);
  }
  footer->keyspace = Load32(p);
  footer->minor_version = Load32(tail + 12);
  if (footer->file_bytes != file_bytes) {
    return Status::Corrupt(path, at,
                           "the table says it has " + std::to_string(footer->file_bytes) +
                               " bytes, the file has " + std::to_string(file_bytes));
  }
  if (!PartsChain(*footer, at))
    return Status::Corrupt(path, at, "the table footer's parts do not fit the file");
  return Status();
}

}  // namespace kist
