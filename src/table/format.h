// The table file, byte by byte. Everything is little-endian; parts stand end to end without gaps,
// so that every byte of the file is under some checksum and its whole length is known from the
// footer.
//
//   table      := block{data}* block{tombstones}? block{filter}? block{index} block{properties}
//                 footer
//   block      := u32 crc | u32 payload bytes (never 0) | u8 type | u8 compression | u16 0
//                 | payload
//   crc         = CRC32C of: u64 database id | u64 table id | u64 file offset of the block
//                 | block from byte 4 on
//   payload     = for compression 0 the content; in data blocks alone, for 1 the content as one
//                 Snappy stream, for 2 the same of the content with lengths for starts (block.h)
//   data       := see block.h          filter := see filter.h         index := see index.h
//   tombstones, properties := see properties.h
//   footer     := u64 database id | u64 table id | u64 file bytes | part{tombstones}
//                 | part{filter} | part{index} | part{properties} | u32 keyspace id | u32 0 | tail
//   part       := u64 file offset | u32 bytes with the block's header; 0 bytes: there is none (its
//                 offset is the next one's)
//   tail       := u32 footer bytes | u32 CRC32C of the footer without this field
//                 | u32 format version | u32 minor version | u64 magic
//
// Invariants
//  1. A block's checksum holds for one place of one file of one database: stale, swapped and
//     misdirected blocks fail it, and zeros never validate (no payload is empty, type and magic
//     are not 0).
//  2. The tail keeps its form in every later version, so that a reader can tell a newer table from
//     a damaged one. The minor version grows where older readers may read on; the format version
//     where they must not.
// Threads: free functions and plain data.
#pragma once

#include <cstdint>
#include <string>

#include "util/slice.h"
#include "util/status.h"

namespace kist {

constexpr uint64_t kTableMagic = 0x0a4c42545453494b;  // "KISTTBL\n"
constexpr uint32_t kTableVersion = 1;
constexpr uint32_t kTableMinorVersion = 0;
constexpr size_t kBlockHeaderBytes = 12;
constexpr size_t kFooterTailBytes = 24;
constexpr size_t kFooterBytes = 8 * 3 + 4 * 12 + 8 + kFooterTailBytes;
static_assert(kFooterBytes == 104, "the footer of version 1");
// A payload is below 2 GiB, so that the index has a bit to spare in a block's length.
constexpr uint64_t kBlockPayloadMax = (uint64_t{1} << 31) - 4096;
constexpr size_t kTableKeyBytesMax = 65535;

enum class BlockType : uint8_t {
  kData = 1,
  kTombstones = 2,
  kFilter = 3,
  kIndex = 4,
  kProperties = 5
};
const char* BlockTypeName(BlockType type);
enum class BlockCompression : uint8_t { kRaw = 0, kSnappy = 1, kSnappyLengths = 2 };

// Makes and checks block checksums of one file.
class BlockSeal {
 public:
  BlockSeal(uint64_t database_id, uint64_t table_id);
  // `block`: header and payload, `bytes` in all.
  uint32_t Crc(uint64_t offset, const char* block, size_t bytes) const;
  // Writes the header of a block at `offset`; the payload may stand anywhere.
  void WriteHeader(uint64_t offset, BlockType type, BlockCompression compression, Slice payload,
                   char* header) const;

 private:
  uint32_t seed_;
};

struct BlockHeader {
  uint32_t crc = 0;
  uint32_t payload_bytes = 0;
  uint8_t type = 0;
  uint8_t compression = 0;
  uint16_t reserved = 0;
};
BlockHeader DecodeBlockHeader(const char* p);

// Checks a stored block of `bytes` bytes that was read from `offset`. Returns what is wrong, or
// nullptr.
const char* CheckBlock(const BlockSeal& seal, uint64_t offset, BlockType type, const char* block,
                       size_t bytes);

struct Part {
  uint64_t offset = 0;
  uint32_t bytes = 0;
};

struct Footer {
  uint64_t database_id = 0;
  uint64_t table_id = 0;
  uint64_t file_bytes = 0;
  Part tombstones;
  Part filter;
  Part index;
  Part properties;
  uint32_t keyspace = 0;
  uint32_t minor_version = kTableMinorVersion;
};
void EncodeFooter(const Footer& footer, char* out);  // kFooterBytes
// `in`: the last kFooterBytes of a file of `file_bytes`. kCorrupt or kTooNew.
Status DecodeFooter(const std::string& path, uint64_t file_bytes, const char* in, Footer* footer);

}  // namespace kist
