// Decompression. Mode 0: any bytes as the compressed data of a record whose checksums fit; mode 1:
// as a compressed block of a table. Both give what Snappy says or an error. Mode 2: what is
// compressed comes back. A third of the first byte says how (see How).
#include <snappy.h>

#include "failing_memory.h"
#include "fuzz_input.h"
#include "odd_vfs.h"
#include "record/compressor.h"
#include "repair.h"
#include "table/table.h"

using namespace kist;

namespace {

enum How : uint8_t {
  kMemoryFails = 1,
  kMap = 2,       // the table is mapped
  kKind = 12,     // what the block's header says: 0 as it was written, else 1, 2 or 3 less one
  kSaidRaw = 16,  // by the index
  kCached = 32,
  // Of what is compressed:
  kPlain = 2,  // stays as it is
  kLong = 4,   // more than is kept for the next
};

constexpr char kPath[] = "/1";

// A record with these stored bytes, through the log and back; wanted empty: refused.
void Record(Vfs* vfs, Slice stored, uint8_t flags, const std::string* wanted, uint8_t memory) {
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
  fuzz::WithFailingMemory(memory, [&] {
    auto reader = SegmentReader::Open(vfs, kPath, SegmentType::kLog);
    MUST(reader.ok() || memory != 0);
    if (!reader.ok()) return;
    SegmentReader::Record read;
    const auto outcome = (*reader)->Next(&read);
    if (!outcome.ok() && outcome.status().Is(Code::kNoMem) && memory != 0) return;
    if (wanted == nullptr) {
      MUST(!outcome.ok() && outcome.status().Is(Code::kCorrupt));
    } else {
      MUST(outcome.ok() && *outcome == SegmentReader::Outcome::kRecord && read.data == *wanted);
    }
  });
  MUST(vfs->Remove(kPath).ok());
}

void AnyRecord(Vfs* vfs, const std::string& bytes, uint8_t memory) {
  if (bytes.empty()) return;
  std::string plain;
  size_t length = 0;
  const bool sane = snappy::GetUncompressedLength(bytes.data(), bytes.size(), &length) &&
                    length / 32 <= bytes.size() &&
                    snappy::Uncompress(bytes.data(), bytes.size(), &plain);
  Record(vfs, bytes, kRecordSnappy, sane ? &plain : nullptr, memory);
}

// A table of one data block, in whose place these bytes stand.
std::string TableWith(Vfs* vfs, const std::string& bytes, uint8_t how) {
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
  if ((how & kKind) != 0) table[9] = static_cast<char>((how & kKind) / 4 - 1);
  char* footer = table.data() + table.size() - kFooterBytes;
  for (int part = 0; part < 4; ++part) {
    char* offset = footer + 24 + part * 12;
    Store64(offset, Load64(offset) + static_cast<uint64_t>(moved));
  }
  // The index says how long the block is: the first length behind its header.
  char* index = table.data() + Load64(footer + 24 + 24) + kBlockHeaderBytes;
  const uint32_t compressed = (how & kSaidRaw) != 0 ? 0 : 1;
  Store32(index + 8, static_cast<uint32_t>(bytes.size() + kBlockHeaderBytes) | compressed << 31);
  fuzz::RepairTable(&table);
  return table;
}

void ReadTable(Table* table, Epoch* epoch, bool memory_fails) {
  bool all_read = false;
  for (int pass = 0; pass < 2; ++pass) {  // what was seen to be good, and what is cached, too
    auto iter = table->NewIterator(ReadContext());
    size_t entries = 0;
    for (iter->SeekToFirst(); iter->valid(); iter->Next()) ++entries;
    MUST(entries > 0 || !iter->status().ok());
    all_read = iter->status().ok();
    Epoch::Guard guard(*epoch);
    TableFound found;
    static_cast<void>(table->Get("c", HashKey("c"), kMaxSequence, ReadContext(), &found).ok());
  }
  const bool good = table->Verify([](uint64_t) { return Status(); }).ok();
  MUST(!good || all_read || memory_fails);
}

void AnyBlock(Vfs* base, const std::string& bytes, uint8_t how, uint8_t memory) {
  if (bytes.empty() || bytes.size() > 60000) return;
  fuzz::PutFile(base, kPath, TableWith(base, bytes, how));
  fuzz::OddVfs vfs(base, fuzz::Oddity());
  auto file = vfs.Open(kPath, OpenMode::kRead);
  MUST(file.ok());
  Epoch epoch;
  BlockCache cache(size_t{1} << 20, &epoch);
  Table::OpenOptions options;
  options.map = (how & kMap) != 0;
  options.cache = (how & kCached) != 0 ? &cache : nullptr;
  fuzz::WithFailingMemory(memory, [&] {
    auto opened = Table::Open(file.Take(), kPath, options);
    MUST(opened.ok() || memory != 0);
    if (opened.ok()) ReadTable(opened->get(), &epoch, memory != 0);
  });
}

void RoundTrip(Vfs* vfs, const std::string& bytes, uint8_t how, uint8_t memory) {
  RecordCompressor compressor;
  for (int n = (how & kLong) != 0 ? 2 : 1; n > 0; --n) {
    std::string buffer(kRecordHeaderMax, 0);
    buffer += bytes + std::string(kRecordTailroom, 0);
    PreparedRecord record;
    record.data = buffer.data() + kRecordHeaderMax;
    record.data_bytes = static_cast<uint32_t>(bytes.size());
    fuzz::WithFailingMemory(memory, [&] { compressor.Prepare(&record, (how & kPlain) == 0); });
    if (record.data_bytes == 0) return;
    Record(vfs, Slice(record.data, record.data_bytes), record.flags, &bytes, 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  const uint8_t first = input.Byte();
  const uint8_t how = first / 3;
  const uint8_t memory = (how & kMemoryFails) != 0 ? input.Last() : 0;
  std::string bytes(input.rest());
  if (first % 3 == 0) AnyRecord(vfs.get(), bytes, memory);
  if (first % 3 == 1) AnyBlock(vfs.get(), bytes, how, memory);
  if (first % 3 == 2) {
    const size_t least = (how & kLong) != 0 ? 1000000 : 8000;
    for (size_t n = bytes.size(); n > 0 && bytes.size() < least;) bytes += bytes.substr(0, n);
    RoundTrip(vfs.get(), bytes, how, memory);
  }
  return 0;
}
