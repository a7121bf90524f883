// Decompression. Mode 0: any bytes as the compressed data of a record whose checksums fit; mode 1:
// as a compressed block of a table. Both give what Snappy says or an error. Mode 2: what is
// compressed comes back.
#include <snappy.h>

#include "fuzz_input.h"
#include "record/compressor.h"
#include "repair.h"
#include "table/table.h"

using namespace kist;

namespace {

constexpr char kPath[] = "/1";

// A record with these stored bytes, through the log and back; empty: refused.
void Record(Vfs* vfs, Slice stored, uint8_t flags, const std::string* wanted) {
  SegmentWriter::Options options;
  options.info.id = 1;
  options.info.nonce = 7;
  options.info.database_id = 5;
  auto created = SegmentWriter::Create(vfs, kPath, options);
  MUST(created.ok());
  std::string buffer(kRecordHeaderMax, 0);
  buffer.append(stored);
  buffer.append(kRecordTailroom, 0);
  PreparedRecord record;
  record.data = buffer.data() + kRecordHeaderMax;
  record.data_bytes = static_cast<uint32_t>(stored.size());
  record.data_crc = crc32c::Value(stored);
  record.flags = flags;
  record.lsn = 1;
  MUST((*created)->Append(&record, 1, 0, false).ok());
  auto reader = SegmentReader::Open(vfs, kPath, SegmentType::kLog);
  MUST(reader.ok());
  SegmentReader::Record read;
  const auto outcome = (*reader)->Next(&read);
  if (wanted == nullptr) {
    MUST(!outcome.ok() && outcome.status().Is(Code::kCorrupt));
  } else {
    MUST(outcome.ok() && *outcome == SegmentReader::Outcome::kRecord && read.data == *wanted);
  }
}

void AnyRecord(Vfs* vfs, const std::string& bytes) {
  if (bytes.empty()) return;
  std::string plain;
  size_t length = 0;
  const bool sane = snappy::GetUncompressedLength(bytes.data(), bytes.size(), &length) &&
                    length / 32 <= bytes.size() &&
                    snappy::Uncompress(bytes.data(), bytes.size(), &plain);
  Record(vfs, bytes, kRecordSnappy, sane ? &plain : nullptr);
}

// Puts the bytes in the place of the one data block of a table.
void AnyBlock(Vfs* vfs, const std::string& bytes) {
  if (bytes.empty() || bytes.size() > 60000) return;
  auto file = vfs->Open(kPath, OpenMode::kCreateOrTruncate);
  TableOptions options;
  options.table_id = 1;
  options.database_id = 9;
  options.filter_bits = 0;
  options.compression = Compression::kSnappy;
  TableBuilder builder(options, file->get(), kPath);
  for (char c = 'a'; c < 'k'; ++c)
    MUST(builder.Add(std::string(1, c), MakeTag(5, EntryKind::kPut), std::string(200, c)).ok());
  TableProperties properties;
  MUST(builder.Finish(&properties).ok() && properties.data_blocks == 1);
  std::string table = ReadFile(vfs, kPath).Take();
  const size_t old_end = DecodeBlockHeader(table.data()).payload_bytes + kBlockHeaderBytes;
  const auto moved =
      static_cast<int64_t>(bytes.size() + kBlockHeaderBytes) - static_cast<int64_t>(old_end);
  table.replace(kBlockHeaderBytes, old_end - kBlockHeaderBytes, bytes);
  Store32(table.data() + 4, static_cast<uint32_t>(bytes.size()));
  char* footer = table.data() + table.size() - kFooterBytes;
  for (int part = 0; part < 4; ++part) {
    char* offset = footer + 24 + part * 12;
    Store64(offset, Load64(offset) + static_cast<uint64_t>(moved));
  }
  // The index says how long the block is: the first length behind its header.
  char* index = table.data() + Load64(footer + 24 + 24) + kBlockHeaderBytes;
  Store32(index + 8, static_cast<uint32_t>(bytes.size() + kBlockHeaderBytes) | 1u << 31);
  fuzz::RepairTable(&table);
  fuzz::PutFile(vfs, kPath, table);
  auto reopened = vfs->Open(kPath, OpenMode::kRead);
  MUST(reopened.ok());
  auto opened = Table::Open(reopened.Take(), kPath, Table::OpenOptions());
  MUST(opened.ok());
  auto iter = (*opened)->NewIterator(ReadContext());
  size_t entries = 0;
  for (iter->SeekToFirst(); iter->valid(); iter->Next()) ++entries;
  MUST(entries > 0 || !iter->status().ok());
}

void RoundTrip(Vfs* vfs, const std::string& bytes) {
  std::string buffer(kRecordHeaderMax, 0);
  buffer += bytes + std::string(kRecordTailroom, 0);
  PreparedRecord record;
  record.data = buffer.data() + kRecordHeaderMax;
  record.data_bytes = static_cast<uint32_t>(bytes.size());
  RecordCompressor compressor;
  compressor.Prepare(&record, true);
  if (record.data_bytes == 0) return;
  Record(vfs, Slice(record.data, record.data_bytes), record.flags, &bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  const uint8_t mode = input.Byte() % 3;
  std::string bytes(input.rest());
  if (mode == 0) AnyRecord(vfs.get(), bytes);
  if (mode == 1) AnyBlock(vfs.get(), bytes);
  if (mode == 2) {
    for (size_t n = bytes.size(); n > 0 && bytes.size() < 8000;) bytes += bytes.substr(0, n);
    RoundTrip(vfs.get(), bytes);
  }
  return 0;
}
