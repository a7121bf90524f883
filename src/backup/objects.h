// The objects of a target: their names and their bytes. src/FORMAT.md tells the story.
//   KIST-TARGET                                   mark: whose target this is
//   tables/<number>-<bytes>-<crc>.kst             a table file as it is, shared by all bases
//   generations/<g>/start                         mark: generation g was begun, by which writer
//   generations/<g>/range-<i>                     the i-th piece of g's log
//   generations/<g>/base-<lsn>                    a base copy: the state after lsn; written last
//   generations/<g>/pending-<lsn>                 mark: a base is being made and shares tables
//   prune-<writer>                                mark: objects are being removed
// Little-endian; every object but tables begins with an 8-byte magic, u16 version 1, u16 0, u32
// kind, u64 database id, and its header ends with a CRC32C of all before it.
//   mark   := KISTMRK\0 head | u64 generation | u64 writer | i64 time | u64 lsn | u32 0 | u32 CRC
//   range  := KISTRNG\0 head | u64 generation | u64 index | 64 bytes: the segment's prefix |
//             u64 position in the segment | u64 payload bytes | u64 last LSN | u64 commits |
//             i64 first commit's time | i64 last commit's time | i64 time of shipping |
//             u32 CRC of the range before (its header's; 0: none) | u32 payload CRC | u32 0 |
//             u32 CRC | payload: whole records as they stand in the log
//   base   := KISTBAS\0 head | u64 generation | u64 writer | i64 time | u64 first range that it
//             needs | u64 ranges that were there | u32 CRC of the last of them | u32 tables |
//             u64 last LSN shipped | {u64 number | u64 bytes | u32 CRC32C}{tables} |
//             u32 edit bytes | edit: the manifest's state | u32 CRC
// Invariant: decoders take any bytes; what they accept is what an encoder made for this database
// and this place. Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "record/segment.h"
#include "version/manifest.h"

namespace kist {

enum class ObjectKind : uint8_t { kRoot, kTable, kStart, kRange, kBase, kPending, kPrune };

// What a name says; the fields that its kind has.
struct ObjectName {
  ObjectKind kind = ObjectKind::kRoot;
  uint64_t generation = 0;
  uint64_t index = 0;   // range
  uint64_t lsn = 0;     // base, pending
  uint64_t number = 0;  // table; prune: the writer
  uint64_t bytes = 0;   // table
  uint32_t crc = 0;     // table
};
std::string FormatObjectName(const ObjectName& name);
// Nothing where it is not ours; only the canonical form parses.
std::optional<ObjectName> ParseObjectName(const std::string& name);

struct Mark {
  ObjectKind kind = ObjectKind::kRoot;  // kRoot, kStart, kPending, kPrune
  uint64_t database_id = 0;
  uint64_t generation = 0;
  uint64_t writer = 0;
  int64_t time_ms = 0;
  Sequence lsn = 0;
};
constexpr size_t kMarkBytes = 64;
std::string EncodeMark(const Mark& mark);
Result<Mark> DecodeMark(Slice bytes, ObjectKind kind, const std::string& object);

struct RangeHeader {
  uint64_t database_id = 0;
  uint64_t generation = 0;
  uint64_t index = 0;
  SegmentInfo segment;
  uint64_t position = 0;
  uint64_t payload_bytes = 0;
  Sequence last_lsn = 0;
  uint64_t commits = 0;
  int64_t first_time_ms = 0;
  int64_t last_time_ms = 0;
  int64_t shipped_ms = 0;
  uint32_t previous_crc = 0;
  uint32_t payload_crc = 0;
  uint32_t crc = 0;  // of this header; set by both directions
};
constexpr size_t kRangeHeaderBytes = 176;
std::string EncodeRangeHeader(RangeHeader* header);
Result<RangeHeader> DecodeRangeHeader(Slice bytes, const std::string& object);

struct BaseTable {
  uint64_t number = 0;
  uint64_t bytes = 0;
  uint32_t crc = 0;
};
struct BaseListing {
  uint64_t generation = 0;
  uint64_t writer = 0;
  int64_t time_ms = 0;
  uint64_t first_range = 0;  // index of the range that begins its log; may not be shipped yet
  uint64_t ranges = 0;       // how many the generation had when it was written
  uint32_t range_crc = 0;    // of the last of them
  Sequence shipped_lsn = 0;  // what they and the tables reach
  std::vector<BaseTable> tables;
  ManifestState state;
};
constexpr uint64_t kBaseBytesMax = uint64_t{1} << 30;
std::string EncodeBase(const BaseListing& base);
Result<BaseListing> DecodeBase(Slice bytes, const std::string& object);

}  // namespace kist
