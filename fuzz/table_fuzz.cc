// Tables. Mode 0: any bytes as a table are refused or read without harm, by salvage too; from 128
// on the first byte makes their checksums fit; with 2 in it a call fails, with 4 another table is
// expected. Mode 1: a table is written, damaged and read; a get or a scan then gives what was
// written or an error, and Verify sees the damage.
#include <map>

#include "fuzz_input.h"
#include "repair.h"
#include "table/table.h"
#include "tests/unit/record/failing_vfs.h"

using namespace kist;

namespace {

constexpr char kPath[] = "/1.kst";
using Entries = std::map<std::string, std::string>;

RefPtr<Table> OpenTable(Vfs* vfs, BlockCache* cache,
                        Table::OpenOptions options = Table::OpenOptions()) {
  auto file = vfs->Open(kPath, OpenMode::kRead);
  if (!file.ok()) return RefPtr<Table>();
  options.cache = cache;
  auto table = Table::Open(file.Take(), kPath, options);
  return table.ok() ? table.Take() : RefPtr<Table>();
}

// Reads in each way; where `wanted` is known, nothing else may come out.
void ReadAll(Table* table, Epoch* epoch, const Entries* wanted) {
  auto iter = table->NewIterator(ReadContext());
  size_t count = 0;
  for (iter->SeekToFirst(); iter->valid(); iter->Next(), ++count) {
    if (wanted == nullptr) continue;
    const auto entry = wanted->find(std::string(iter->key()));
    MUST(entry != wanted->end() && entry->second == iter->value());
  }
  if (wanted != nullptr && iter->status().ok()) MUST(count == wanted->size());
  for (iter->SeekToLast(); iter->valid(); iter->Prev()) {
  }
  if (wanted == nullptr) return;
  for (const auto& [key, value] : *wanted) {
    Epoch::Guard guard(*epoch);
    TableFound found;
    if (!table->Get(key, HashKey(key), kMaxSequence, ReadContext(), &found).ok()) continue;
    MUST(found.found && found.value == value);
  }
}

Entries WriteTable(Vfs* vfs, fuzz::FuzzInput* input) {
  auto file = vfs->Open(kPath, OpenMode::kCreateOrTruncate);
  MUST(file.ok());
  TableOptions options;
  options.table_id = 1;
  options.database_id = 9;
  options.block_bytes = 1024;
  options.filter_bits = input->Byte() % 2 == 0 ? 10 : 0;
  options.compression = static_cast<Compression>(input->Byte() % 3);
  Entries entries;
  for (int n = 1 + input->Byte(); n > 0; --n) {
    const std::string key(input->Bytes(1 + input->Byte() % 12));
    entries[key] = std::string(input->Below(300), static_cast<char>(input->Byte()));
  }
  TableBuilder builder(options, file->get(), kPath);
  Sequence seq = 1;
  for (const auto& [key, value] : entries) {
    MUST(builder.Add(key, MakeTag(++seq, EntryKind::kPut), value).ok());
  }
  TableProperties properties;
  MUST(builder.Finish(&properties).ok());
  return entries;
}

void AnyBytes(Vfs* base, fuzz::FuzzInput* input, uint8_t mode, BlockCache* cache, Epoch* epoch) {
  test::FailingVfs failing(base, (mode & 2) != 0 ? 1 + input->Byte() : 0);
  Vfs* const vfs = &failing;
  Table::OpenOptions options;
  if ((mode & 4) != 0) {
    const uint8_t other = input->Byte();
    options.table_id = other & 3;
    options.database_id = other >> 2 & 3;
    options.file_bytes = (other & 16) != 0 ? input->Below(65536) : 0;
    options.map = (other & 32) != 0;
  }
  std::string bytes(input->rest());
  if (mode >= 128) fuzz::RepairTable(&bytes);
  fuzz::PutFile(base, kPath, bytes);
  const auto entry = [](Slice, uint64_t, Slice) { return Status(); };
  const auto tombstone = [](const RangeTombstone&) { return Status(); };
  const auto damage = [](uint64_t, const std::string&) {};
  const RefPtr<Table> table = OpenTable(vfs, cache, options);
  if (table.get() != nullptr) {
    ReadAll(table.get(), epoch, nullptr);
    static_cast<void>(table->Verify([](uint64_t) { return Status(); }).ok());
    static_cast<void>(table->Salvage(entry, damage).ok());
    static_cast<void>(table->ApproximateBytes("a", "m"));
    Epoch::Guard guard(*epoch);
    TableFound found;
    static_cast<void>(table->Get("a", HashKey("a"), kMaxSequence, ReadContext(), &found).ok());
  }
  auto file = vfs->Open(kPath, OpenMode::kRead);
  if (!file.ok()) return;
  uint32_t keyspace = 0;
  static_cast<void>(Table::SalvageFile(file->get(), kPath, options.table_id, options.database_id,
                                       entry, tombstone, damage, &keyspace)
                        .ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  Epoch epoch;
  BlockCache cache(size_t{1} << 20, &epoch);
  const uint8_t mode = input.Byte();
  if (mode % 2 == 0) {
    AnyBytes(vfs.get(), &input, mode, &cache, &epoch);
    return 0;
  }
  const Entries entries = WriteTable(vfs.get(), &input);
  const bool damaged = fuzz::Damage(vfs.get(), kPath, &input);
  const RefPtr<Table> table = OpenTable(vfs.get(), &cache);
  MUST(damaged || table.get() != nullptr);
  if (table.get() == nullptr) return 0;
  ReadAll(table.get(), &epoch, &entries);
  const Status verified = table->Verify([](uint64_t) { return Status(); });
  MUST(verified.ok() == !damaged);
  return 0;
}
