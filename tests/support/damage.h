// What the tests of damage share: a small database as the bytes of its files, those bytes put on a
// memory file system again, and the judge of what a damaged one gives. It must refuse to open, or
// show a state that was, or name the damage when it is read; a refusal changes nothing.
// Threads: one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "key/file_name.h"
#include "support/crash_harness.h"
#include "vfs/memory_vfs.h"

namespace kist::test {

constexpr char kDamageDir[] = "/db";

using Files = std::map<std::string, std::string>;

OptionSet DamageOptions(const char* more = "");
Files FilesOf(Vfs* vfs);
std::unique_ptr<MemoryVfs> VfsOf(const Files& files);

inline FileType TypeOf(const std::string& name) { return ParseFileName(name)->type; }

// LOCK and RESERVE hold nothing.
inline bool HasContent(const std::string& name) {
  const FileType type = TypeOf(name);
  return type != FileType::kLock && type != FileType::kReserve;
}

struct Sample {
  Files files;
  std::vector<Files> older;         // the same files at earlier times, oldest first
  std::vector<std::string> states;  // after each commit of the log, oldest first
  uint64_t log_number = 0;          // of the first segment that is needed
  size_t floor = 0;                 // states[floor..] may be found where the end of the log is lost

  // A log made ahead of its time, which no commit has reached.
  bool IsSpare(const std::string& name) const {
    return TypeOf(name) == FileType::kLog && ParseFileName(name)->number > log_number;
  }
  // One that is kept although all of it is in tables.
  bool IsRetained(const std::string& name) const {
    return TypeOf(name) == FileType::kLog && ParseFileName(name)->number < log_number;
  }
};

// Two tables, two keyspaces, a range tombstone, and a log with synced commits that is closed in
// order or not.
Sample MakeSample(bool closed, const char* options = "wal_preallocate=false");

// Opens what is left and judges it. floor: the oldest state that may be found.
void JudgeDamage(const Sample& sample, const Files& files, size_t floor, bool read_only,
                 const std::string& what);

}  // namespace kist::test
