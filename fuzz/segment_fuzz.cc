// Log segments. Mode 0: any bytes as a segment are read to an end without harm. Mode 1: a segment
// is written, damaged and read; what is read is then a prefix of what was written, byte for byte.
#include <vector>

#include "fuzz_input.h"
#include "record/segment.h"
#include "util/crc32c.h"

using namespace kist;

namespace {

constexpr char kPath[] = "/1.log";

// Reads to the end and demands that the records are the first of `wanted`, where those are known.
void ReadAll(SegmentReader* reader, const std::vector<std::string>* wanted) {
  size_t count = 0;
  for (SegmentReader::Record record;; ++count) {
    auto outcome = reader->Next(&record);
    if (!outcome.ok() || *outcome != SegmentReader::Outcome::kRecord) break;
    if (wanted == nullptr) continue;
    MUST(count < wanted->size());
    MUST(record.data == (*wanted)[count]);
  }
  (void)reader->ScanResidue();
}

void AnyBytes(Vfs* vfs, Slice bytes) {
  fuzz::PutFile(vfs, kPath, bytes);
  for (SegmentType type : {SegmentType::kLog, SegmentType::kManifest}) {
    auto opened = SegmentReader::Open(vfs, kPath, type);
    if (opened.ok()) ReadAll(opened->get(), nullptr);
    auto probed = SegmentReader::Probe(vfs, kPath, type);
    if (probed.ok()) ReadAll(probed->get(), nullptr);
  }
}

void Damaged(Vfs* vfs, fuzz::FuzzInput* input) {
  SegmentWriter::Options options;
  options.info.id = 1;
  options.info.nonce = 77;  // fixed, so that an input means the same file in every run
  options.info.database_id = 5;
  options.info.max_key_bytes = 100;
  options.info.max_value_bytes = 1000;
  options.preallocate_bytes = input->Byte() % 2 == 1 ? 16384 : 0;
  auto created = SegmentWriter::Create(vfs, kPath, options);
  MUST(created.ok());
  SegmentWriter& writer = **created;
  std::vector<std::string> wanted;
  for (int n = input->Byte() % 16; n > 0; --n) {
    wanted.emplace_back(1 + input->Below(2000), static_cast<char>(input->Byte()));
    std::string buffer(kRecordHeaderMax, 0);
    buffer += wanted.back() + std::string(kRecordTailroom, 0);
    PreparedRecord record;
    record.data = buffer.data() + kRecordHeaderMax;
    record.data_bytes = static_cast<uint32_t>(wanted.back().size());
    record.data_crc = crc32c::Value(wanted.back());
    record.lsn = writer.last_lsn() + 1;
    MUST(writer.Append(&record, 1, writer.synced_lsn(), false).ok());
    if (input->Byte() % 4 == 0) MUST(writer.Sync().ok() && writer.WriteMark().ok());
  }
  if (input->Byte() % 2 == 1) MUST(writer.Seal().ok());
  created->reset();
  fuzz::Damage(vfs, kPath, input);
  auto opened = SegmentReader::Open(vfs, kPath, SegmentType::kLog);
  if (opened.ok()) ReadAll(opened->get(), &wanted);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  if (input.Byte() % 2 == 0) {
    AnyBytes(vfs.get(), input.rest());
  } else {
    Damaged(vfs.get(), &input);
  }
  return 0;
}
