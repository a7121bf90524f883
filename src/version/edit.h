// Edit: one change of the live state, one record of the manifest. See src/FORMAT.md.
//   edit := field*      field := u8 tag | u32 bytes | payload       (unknown tags below 128 are
//   refused, 128 and up skipped) 1 log_number u64 | 2 next_file u64 | 3 flushed_lsn u64 | 4
//   last_lsn u64 | 5 time_floor_ms i64 | 6 next_keyspace u32 7 add table: u32 keyspace, u8 level,
//   u64 number, properties | 8 remove table: u32 keyspace, u8 level, u64 number 9 add keyspace: u32
//   id, u64 lsn, name, options | 10 drop keyspace: u32 id | 11 keyspace options: u32 id, options
//   | 128 newest_log u64
// Applied wholly or not at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "key/internal_key.h"
#include "table/table.h"
#include "util/status.h"

namespace kist {

struct NewTable {
  uint32_t keyspace = 0;
  int level = 0;
  uint64_t number = 0;
  TableProperties properties;
};
struct RemovedTable {
  uint32_t keyspace = 0;
  int level = 0;
  uint64_t number = 0;
};
struct NewKeyspace {
  uint32_t id = 0;
  Sequence lsn = 0;
  std::string name;
  std::string options;
};

struct Edit {
  std::optional<uint64_t> log_number;     // segments below it are not needed
  std::optional<uint64_t> newest_log;     // this segment was begun and is there
  std::optional<uint64_t> next_file;      // no file has this number or a higher one
  std::optional<Sequence> flushed_lsn;    // every commit up to it is in tables
  std::optional<Sequence> last_lsn;       // no commit up to it will be made again
  std::optional<int64_t> time_floor_ms;   // database time was at least this
  std::optional<uint32_t> next_keyspace;  // ids below were used
  std::vector<NewTable> added;
  std::vector<RemovedTable> removed;
  std::vector<NewKeyspace> keyspaces;
  std::vector<uint32_t> dropped;
  std::vector<std::pair<uint32_t, std::string>> keyspace_options;
};

std::string EncodeEdit(const Edit& edit);
// kCorrupt (without file and offset: the caller adds them) or kTooNew.
Result<Edit> DecodeEdit(Slice bytes);

}  // namespace kist
