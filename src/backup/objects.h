// The objects of a target: their names and their bytes. src/FORMAT.md tells the story.
//   KIST-TARGET                                     mark: whose target this is
//   claim-<writer>-<n>                              what a writer at work needs there
//   prune-<writer>                                  what a pruning removes
//   tables/<number>-<bytes>-<crc>-<upload>.kst      a table file as it is, shared by all bases
//   generations/<g>/start                           mark: generation g was begun, by which writer
//   generations/<g>/range-<i>                       the i-th piece of g's log
//   generations/<g>/base-<lsn>                      a base copy: the state after lsn; written last
// Little-endian; every object but tables begins with an 8-byte magic, u16 version 1, u16 0, u32
// kind, u64 database id; the last field (of a range: of its header) is a CRC32C of all before it.
//   mark   := KISTMRK\0 head | u64 generation | u64 writer | i64 time | u64 0 | u32 0 | u32 CRC
//   claim  := KISTCLM\0 head | u64 generation | u64 writer | i64 time | u32 tables |
//             {u64 number}{tables} | u32 CRC
//   prune  := KISTPRN\0 head | u64 writer | i64 time | u32 cuts | u32 tables |
//             {u64 generation | u64 first range that stays}{cuts} | {table}{tables} | u32 CRC
//   range  := KISTRNG\0 head | u64 generation | u64 index | 64 bytes: the segment's prefix |
//             u64 position in the segment | u64 payload bytes | u64 last LSN | u64 commits |
//             i64 first commit's time | i64 last commit's time | i64 time of capture |
//             u32 CRC of the range before (its header's; 0: none) | u32 payload CRC | u32 0 |
//             u32 CRC | payload: whole records as they stand in the log
//   base   := KISTBAS\0 head | u64 generation | u64 writer | i64 time of capture | u64 first range
//             that it needs | u64 ranges that were there | u32 CRC of the first one | u32 CRC of
//             the last | u32 tables | u64 last LSN shipped | {table}{tables} | u32 edit bytes |
//             edit: the manifest's state | u32 CRC
//   table  := u64 number | u64 bytes | u32 CRC32C | u64 upload
// An upload is a random number: the name of a table that was removed never comes back.
// Invariant: decoders take any bytes; what they accept is what an encoder made for this database
// and this place. Threads: pure functions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "record/segment.h"
#include "version/manifest.h"

namespace kist {

enum class ObjectKind : uint8_t { kRoot, kTable, kStart, kRange, kBase, kClaim, kPrune };

// What a name says; the fields that its kind has.
struct ObjectName {
  ObjectKind kind = ObjectKind::kRoot;
  uint64_t generation = 0;
  uint64_t index = 0;   // range; claim: its n
  uint64_t lsn = 0;     // base
  uint64_t number = 0;  // table; claim, prune: the writer
  uint64_t bytes = 0;   // table
  uint32_t crc = 0;     // table
  uint64_t upload = 0;  // table
};
std::string FormatObjectName(const ObjectName& name);
// Nothing where it is not ours; only the canonical form parses.
std::optional<ObjectName> ParseObjectName(const std::string& name);

struct Mark {
  ObjectKind kind = ObjectKind::kRoot;  // kRoot, kStart
  uint64_t database_id = 0;
  uint64_t generation = 0;
  uint64_t writer = 0;
  int64_t time_ms = 0;
};
constexpr size_t kMarkBytes = 64;
std::string EncodeMark(const Mark& mark);
Result<Mark> DecodeMark(Slice bytes, ObjectKind kind, const std::string& object);

// A table as a base names it; number, bytes and checksum say what is in it.
struct BaseTable {
  uint64_t number = 0;
  uint64_t bytes = 0;
  uint32_t crc = 0;
  uint64_t upload = 0;
};
ObjectName NameOf(const BaseTable& table);
constexpr uint64_t kListBytesMax = uint64_t{1} << 30;  // of a claim, a prune, a base

struct Claim {
  uint64_t database_id = 0;
  uint64_t generation = 0;
  uint64_t writer = 0;
  int64_t time_ms = 0;
  std::vector<uint64_t> tables;  // by number, ascending
};
std::string EncodeClaim(const Claim& claim);
Result<Claim> DecodeClaim(Slice bytes, const std::string& object);

struct PruneMark {
  uint64_t database_id = 0;
  uint64_t writer = 0;
  int64_t time_ms = 0;
  std::map<uint64_t, uint64_t> cuts;  // generation: its ranges below this index go
  std::vector<BaseTable> tables;
};
std::string EncodePrune(const PruneMark& mark);
Result<PruneMark> DecodePrune(Slice bytes, const std::string& object);

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
  int64_t captured_ms = 0;  // everything acknowledged before then is in it or before it
  uint32_t previous_crc = 0;
  uint32_t payload_crc = 0;
  uint32_t crc = 0;  // of this header; set by both directions
};
constexpr size_t kRangeHeaderBytes = 176;
std::string EncodeRangeHeader(RangeHeader* header);
Result<RangeHeader> DecodeRangeHeader(Slice bytes, const std::string& object);

struct BaseListing {
  uint64_t generation = 0;
  uint64_t writer = 0;
  int64_t time_ms = 0;       // of capture
  uint64_t first_range = 0;  // begins its log: the chain record of segment state.log_number
  uint64_t ranges = 0;       // how many the generation had when it was written; > first_range
  uint32_t first_crc = 0;    // of the header of range first_range
  uint32_t last_crc = 0;     // of range ranges - 1
  Sequence shipped_lsn = 0;  // what they and the tables reach
  std::vector<BaseTable> tables;
  ManifestState state;
};
std::string EncodeBase(const BaseListing& base);
Result<BaseListing> DecodeBase(Slice bytes, const std::string& object);

}  // namespace kist
