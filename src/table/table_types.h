// What a table is made with and what it says of itself: options, properties. Plain data, apart
// from table.h so that the room's own files need not know readers and builders.
// Threads: plain values.
#pragma once

#include <cstdint>
#include <string>

#include "key/internal_key.h"

namespace kist {

enum class Compression : uint8_t {
  kNone = 0,
  kSnappy = 1,
  kAdaptive = 2
};  // adaptive: raw where a block does not shrink by an eighth

struct TableOptions {
  uint64_t table_id = 0;     // file number
  uint64_t database_id = 0;  // both go into the properties and checksum seeds
  uint32_t keyspace = 0;
  Compression compression = Compression::kAdaptive;
  uint32_t block_bytes = 4096;
  uint32_t filter_bits = 10;  // per key; 0: no filter
};

// What the builder learned and the manifest and the properties block store.
struct TableProperties {
  uint64_t file_bytes = 0;
  std::string smallest_key;  // user keys, range tombstones' begins included
  std::string largest_key;   // of entries; a tombstone's end is exclusive and kept in largest_end
  std::string
      tombstone_end;  // greatest end of a range tombstone; meaningless without range tombstones
  bool tombstone_unbounded = false;  // a range tombstone reaches past the last key
  Sequence smallest_seq = 0;
  Sequence largest_seq = 0;
  uint64_t entries = 0;
  uint64_t deletes = 0;  // point tombstones
  uint64_t range_tombstones = 0;
  uint64_t ttl_entries = 0;
  int64_t earliest_expiry_ms = 0;  // 0: none
  int64_t latest_expiry_ms = 0;
  uint64_t raw_key_bytes = 0;
  uint64_t raw_value_bytes = 0;
  uint64_t data_blocks = 0;
};

}  // namespace kist
