// What the tests of record/ share: records in buffers as a writer wants them, segments written and
// read back in one call, and bytes of files changed behind the engine's back.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "record/chain.h"
#include "record/compressor.h"
#include "record/segment.h"
#include "tests/support/unit_test.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "vfs/vfs.h"

namespace kist::test {

// Owns the bytes of one PreparedRecord.
class TestRecord {
 public:
  TestRecord(Sequence lsn, const std::string& data, int64_t time_ms = 0, bool compress = false,
             RecordKind kind = RecordKind::kCommit)
      : bytes_(std::string(kRecordHeaderMax, '#') + data + std::string(kRecordTailroom, '#')) {
    record_.data = bytes_.data() + kRecordHeaderMax;
    record_.data_bytes = static_cast<uint32_t>(data.size());
    record_.kind = kind;
    record_.lsn = lsn;
    record_.time_ms = time_ms;
    record_.flags = time_ms != 0 ? kRecordTime : 0;
    compressor_.Prepare(&record_, compress);
  }
  TestRecord(const TestRecord&) = delete;
  TestRecord& operator=(const TestRecord&) = delete;
  PreparedRecord* get() { return &record_; }

 private:
  std::string bytes_;
  PreparedRecord record_;
  RecordCompressor compressor_;
};

inline Status Append(SegmentWriter* w, const std::string& data, Sequence durable = 0,
                     bool buffered = false) {
  TestRecord r(w->last_lsn() + 1, data);
  return w->Append(r.get(), 1, durable, buffered);
}

inline Status AppendGroup(SegmentWriter* w, const std::vector<std::string>& datas,
                          Sequence durable = 0, bool buffered = false) {
  std::vector<std::unique_ptr<TestRecord>> owned;
  std::vector<PreparedRecord> records;
  for (const std::string& d : datas) {
    owned.push_back(std::make_unique<TestRecord>(w->last_lsn() + 1 + owned.size(), d));
    records.push_back(*owned.back()->get());
  }
  return w->Append(records.data(), records.size(), durable, buffered);
}

inline std::string SegmentPath(uint64_t id) { return "/db/" + std::to_string(id) + ".log"; }

inline SegmentWriter::Options OptionsFor(uint64_t id, const SegmentLink& link = SegmentLink(),
                                         Sequence durable = 0, uint64_t preallocate = 0) {
  SegmentWriter::Options o;
  o.info.id = id;
  o.info.nonce = id * 7919;
  o.info.database_id = 42;
  o.info.max_key_bytes = 65535;
  o.info.max_value_bytes = uint64_t{1} << 30;
  o.link = link;
  o.durable_lsn = durable;
  o.preallocate_bytes = preallocate;
  return o;
}

inline std::unique_ptr<SegmentWriter> MakeSegment(Vfs* vfs, const SegmentWriter::Options& o) {
  auto w = SegmentWriter::Create(vfs, SegmentPath(o.info.id), o);
  ASSERT_OK(w);
  return w.Take();
}

inline std::unique_ptr<SegmentReader> OpenSegment(Vfs* vfs, uint64_t id) {
  auto r = SegmentReader::Open(vfs, SegmentPath(id), SegmentType::kLog);
  ASSERT_OK(r);
  return r.Take();
}

// All records up to the first outcome that is none; that outcome, or the error's text, in *end.
inline std::vector<std::string> ReadAll(SegmentReader* r, std::string* end) {
  std::vector<std::string> out;
  for (;;) {
    SegmentReader::Record record;
    auto outcome = r->Next(&record);
    if (!outcome.ok()) {
      *end = outcome.status().ToString();
      return out;
    }
    if (*outcome != SegmentReader::Outcome::kRecord) {
      *end = *outcome == SegmentReader::Outcome::kEnd ? "end" : "broken";
      return out;
    }
    out.emplace_back(record.data);
  }
}

inline std::string FileBytes(Vfs* vfs, const std::string& path) {
  auto bytes = ReadFile(vfs, path);
  ASSERT_OK(bytes);
  return bytes.Take();
}

inline void SetFileBytes(Vfs* vfs, const std::string& path, const std::string& bytes) {
  auto file = vfs->Open(path, OpenMode::kCreateOrTruncate);
  ASSERT_OK(file);
  ASSERT_OK((*file)->Write(0, bytes));
}

inline std::vector<ChainSegment> Chain(const std::vector<uint64_t>& ids) {
  std::vector<ChainSegment> out;
  for (uint64_t id : ids) out.push_back({id, SegmentPath(id)});
  return out;
}

}  // namespace kist::test
