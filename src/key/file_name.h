// The names of a database's files. All numbers come from one counter, so that a number names one
// file for ever.
//   000123.log       log segment        000123.kst  table
//   MANIFEST-000123  manifest segment   CURRENT     names the manifest
//   LOCK             directory lock     *.tmp       unfinished, removed at open
//   RESERVE          space for deletes on a full disk
// Numbers have at least six digits. Only the canonical form parses, so that a file that Kist did
// not name is never taken for its own, and each file has one name. Threads: pure functions.
// Names have at most 18 digits, which no counter that began at 1 ever needs: what claims a number
// above kFileNumberMax is damaged, and a file from kFileNumberStray on is one that somebody put
// there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "util/slice.h"

namespace kist {

enum class FileType : uint8_t { kLog, kTable, kManifest, kCurrent, kLock, kReserve, kTemporary };

struct FileName {
  FileType type = FileType::kTemporary;
  uint64_t number = 0;  // of logs, tables and manifests
};

constexpr uint64_t kFileNumberMax = 100'000'000'000'000'000;
constexpr uint64_t kFileNumberStray = 1'000'000'000'000'000;

constexpr char kCurrentFileName[] = "CURRENT";
constexpr char kLockFileName[] = "LOCK";
constexpr char kReserveFileName[] = "RESERVE";

std::string LogFileName(uint64_t number);
std::string TableFileName(uint64_t number);
std::string ManifestFileName(uint64_t number);

// What the last component of a path names; nothing where it is not Kist's.
std::optional<FileName> ParseFileName(Slice name);

}  // namespace kist
