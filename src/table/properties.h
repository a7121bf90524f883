// The two small parts of a table that hold no keys' places: properties and range tombstones.
//
//   properties := u32 count | property{count}, ids ascending
//   property   := u16 id (PropertyId) | u16 0 | u32 bytes | value
//   tombstones := u32 count | tombstone{count}
//   tombstone  := u64 sequence | u32 begin bytes | u32 end bytes | begin | end
// Numbers are u64 values of 8 bytes. An id that is not known is skipped: a newer minor version
// wrote it. A range tombstone without an end (0 bytes) reaches past the last key.
// Threads: free functions.
#pragma once

#include <string>
#include <vector>

#include "key/internal_key.h"
#include "table/table_types.h"
#include "util/slice.h"
#include "util/status.h"

namespace kist {

// On disk; values never change.
enum class PropertyId : uint16_t {
  kFormatVersion = 1,
  kDatabaseId = 2,
  kTableId = 3,
  kKeyspace = 4,
  kSmallestKey = 5,
  kLargestKey = 6,
  kTombstoneEnd = 7,
  kTombstoneUnbounded = 8,
  kSmallestSequence = 9,
  kLargestSequence = 10,
  kEntries = 11,
  kDeletes = 12,
  kRangeTombstones = 13,
  kTtlEntries = 14,
  kEarliestExpiryMs = 15,
  kLatestExpiryMs = 16,
  kRawKeyBytes = 17,
  kRawValueBytes = 18,
  kDataBlocks = 19,
  kStretches = 20,  // see stretches.h; a table may have none
};

// Who a table is; stands in properties and footer, and seeds the checksums.
struct TableIdentity {
  uint64_t database_id = 0;
  uint64_t table_id = 0;
  uint32_t keyspace = 0;
};

std::string EncodeProperties(const TableIdentity& identity, const TableProperties& properties,
                             Slice stretches = Slice());
// Returns what is wrong, or nullptr. file_bytes is the footer's to fill in; *stretches, where asked
// for, points into the payload.
const char* DecodeProperties(Slice payload, TableIdentity* identity, TableProperties* properties,
                             Slice* stretches = nullptr);

void AppendTombstone(const RangeTombstone& tombstone,
                     std::string* out);  // one of them, without the count
// The slices point into the payload.
const char* DecodeTombstones(Slice payload, std::vector<RangeTombstone>* tombstones);

}  // namespace kist
