// File names, written and parsed. See file_name.h for the forms.
//
// A temporary file is Kist's only where what stands before ".tmp" is a name of Kist's too: nobody
// else's "notes.tmp" is ever removed.
#include "key/file_name.h"

#include <cstdio>

namespace kist {

namespace {

constexpr size_t kDigitsMin = 6;
constexpr size_t kDigitsMax = 18;
constexpr Slice kManifestPrefix = "MANIFEST-";

std::string Numbered(const char* prefix, uint64_t number, const char* suffix) {
  char buf[48];
  const int n = std::snprintf(buf, sizeof buf, "%s%06llu%s", prefix,
                              static_cast<unsigned long long>(number), suffix);
  return std::string(buf, static_cast<size_t>(n));
}

bool EndsWith(Slice s, Slice end) {
  return s.size() >= end.size() && s.substr(s.size() - end.size()) == end;
}

// Digits only, no superfluous zero.
std::optional<uint64_t> ParseNumber(Slice digits) {
  if (digits.size() < kDigitsMin || digits.size() > kDigitsMax) return std::nullopt;
  if (digits.size() > kDigitsMin && digits[0] == '0') return std::nullopt;
  uint64_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

std::optional<FileName> ParseFinalName(Slice name) {
  if (name == kCurrentFileName) return FileName{FileType::kCurrent, 0};
  if (name == kLockFileName) return FileName{FileType::kLock, 0};
  if (name == kReserveFileName) return FileName{FileType::kReserve, 0};
  FileType type;
  Slice digits = name;
  if (name.substr(0, kManifestPrefix.size()) == kManifestPrefix) {
    type = FileType::kManifest;
    digits.remove_prefix(kManifestPrefix.size());
  } else if (EndsWith(name, ".log")) {
    type = FileType::kLog;
    digits.remove_suffix(4);
  } else if (EndsWith(name, ".kst")) {
    type = FileType::kTable;
    digits.remove_suffix(4);
  } else {
    return std::nullopt;
  }
  const std::optional<uint64_t> number = ParseNumber(digits);
  if (!number) return std::nullopt;
  return FileName{type, *number};
}

}  // namespace

std::string LogFileName(uint64_t number) { return Numbered("", number, ".log"); }
std::string TableFileName(uint64_t number) { return Numbered("", number, ".kst"); }
std::string ManifestFileName(uint64_t number) { return Numbered("MANIFEST-", number, ""); }

std::optional<FileName> ParseFileName(Slice name) {
  if (!EndsWith(name, ".tmp")) return ParseFinalName(name);
  const std::optional<FileName> unfinished = ParseFinalName(name.substr(0, name.size() - 4));
  if (!unfinished) return std::nullopt;
  return FileName{FileType::kTemporary, unfinished->number};
}

}  // namespace kist
