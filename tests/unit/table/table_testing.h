// What the table room's tests share: random versions in internal order, building and opening
// tables.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "support/unit_test.h"
#include "table/table.h"
#include "util/coding.h"
#include "util/epoch.h"
#include "vfs/vfs.h"

namespace kist::test {

struct Version {
  std::string key;
  uint64_t tag = 0;
  std::string value;
};

inline bool Before(const Version& a, const Version& b) {
  return CompareEntry(a.key, a.tag, b.key, b.tag) < 0;
}

inline void SortVersions(std::vector<Version>* versions) {
  std::sort(versions->begin(), versions->end(), Before);
  versions->erase(std::unique(versions->begin(), versions->end(),
                              [](const Version& a, const Version& b) {
                                return a.key == b.key && a.tag == b.tag;
                              }),
                  versions->end());
}

// A value of a tag's kind.
inline std::string ValueFor(Rng* rng, uint64_t tag, size_t bytes) {
  switch (TagKind(tag)) {
    case EntryKind::kDelete:
      return "";
    case EntryKind::kPutTtl: {
      std::string v;
      Append64(&v, 1 + rng->Below(1000000));
      return v + rng->Bytes(bytes, 'a', 4);
    }
    default:
      return rng->Bytes(bytes, 'a', rng->OneIn(2) ? 4 : 200);
  }
}

inline EntryKind RandomKind(Rng* rng) {
  const uint64_t n = rng->Below(10);
  return n == 0 ? EntryKind::kDelete : n == 1 ? EntryKind::kPutTtl : EntryKind::kPut;
}

struct Shape {
  size_t keys = 300;
  size_t key_bytes_max = 24;
  unsigned alphabet = 4;
  size_t value_bytes_max = 200;
  size_t versions_max = 3;
  Sequence sequences = 1000;  // 1: all versions have sequence 0
};

inline std::vector<Version> RandomVersions(Rng* rng, const Shape& shape) {
  std::vector<Version> all;
  const std::string common = rng->OneIn(2) ? "" : rng->Bytes(rng->Below(12), 'k', 3);
  for (size_t i = 0; i < shape.keys; ++i) {
    const std::string key =
        common + rng->Bytes(rng->Below(shape.key_bytes_max + 1), rng->OneIn(2) ? 'a' : 250,
                            rng->OneIn(2) ? shape.alphabet : 6);
    const size_t versions = 1 + rng->Below(shape.versions_max);
    for (size_t v = 0; v < versions; ++v) {
      const uint64_t tag = MakeTag(rng->Below(shape.sequences), RandomKind(rng));
      all.push_back({key, tag, ValueFor(rng, tag, rng->Below(shape.value_bytes_max + 1))});
    }
  }
  SortVersions(&all);
  return all;
}

// The newest version of key with a sequence <= seq, or nullptr.
inline const Version* ModelGet(const std::vector<Version>& all, Slice key, Sequence seq) {
  const Version probe = {std::string(key), SeekTag(seq), ""};
  const auto it = std::lower_bound(all.begin(), all.end(), probe, Before);
  return it != all.end() && it->key == key ? &*it : nullptr;
}

inline TableOptions OptionsOf(uint32_t block_bytes = 512,
                              Compression compression = Compression::kAdaptive,
                              uint32_t filter_bits = 10) {
  TableOptions options;
  options.table_id = 12;
  options.database_id = 0x1122334455667788;
  options.keyspace = 3;
  options.compression = compression;
  options.block_bytes = block_bytes;
  options.filter_bits = filter_bits;
  return options;
}

inline TableProperties Build(Vfs* vfs, const std::string& path, const TableOptions& options,
                             const std::vector<Version>& versions,
                             const std::vector<RangeTombstone>& tombstones = {}) {
  auto file = vfs->Open(path, OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  TableBuilder builder(options, file->get(), path);
  for (const RangeTombstone& t : tombstones) ASSERT_OK(builder.AddRangeTombstone(t));
  for (const Version& v : versions) ASSERT_OK(builder.Add(v.key, v.tag, v.value));
  TableProperties properties;
  ASSERT_OK(builder.Finish(&properties));
  return properties;
}

inline Result<RefPtr<Table>> TryOpen(Vfs* vfs, const std::string& path, BlockCache* cache = nullptr,
                                     uint64_t file_bytes = 0, bool map = false) {
  auto file = vfs->Open(path, OpenMode::kRead);
  if (!file.ok()) return std::move(file).status();
  Table::OpenOptions options;
  options.table_id = 12;
  options.database_id = 0x1122334455667788;
  options.file_bytes = file_bytes;
  options.cache = cache;
  options.map = map;
  return Table::Open(file.Take(), path, options);
}

inline RefPtr<Table> OpenTable(Vfs* vfs, const std::string& path, BlockCache* cache = nullptr,
                               bool map = false) {
  auto table = TryOpen(vfs, path, cache, 0, map);
  ASSERT_OK(table);
  return table.Take();
}

inline Status VerifyTable(Table* table) {
  return table->Verify([](uint64_t) { return Status(); });
}

inline std::string ReadAll(Vfs* vfs, const std::string& path) {
  auto bytes = ReadFile(vfs, path, uint64_t{1} << 32);
  ASSERT_OK(bytes);
  return bytes.Take();
}

inline void WriteAll(Vfs* vfs, const std::string& path, Slice bytes) {
  auto file = vfs->Open(path, OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(0, bytes));
}

}  // namespace kist::test
