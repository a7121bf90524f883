// Tables. Mode 0: any bytes as a table are refused or read without harm. Mode 1: a table is
// written, damaged and read; a get or a scan then gives what was written or an error, and Verify
// sees the damage.
#include <map>

#include "fuzz_input.h"
#include "table/table.h"

using namespace kist;

namespace {

constexpr char kPath[] = "/1.kst";
using Entries = std::map<std::string, std::string>;

RefPtr<Table> OpenTable(Vfs* vfs, BlockCache* cache) {
  auto file = vfs->Open(kPath, OpenMode::kRead);
  MUST(file.ok());
  Table::OpenOptions options;
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  Epoch epoch;
  BlockCache cache(size_t{1} << 20, &epoch);
  if (input.Byte() % 2 == 0) {
    fuzz::PutFile(vfs.get(), kPath, input.rest());
    const RefPtr<Table> table = OpenTable(vfs.get(), &cache);
    if (table.get() != nullptr) ReadAll(table.get(), &epoch, nullptr);
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
