// Tables. Mode 0: any bytes as a table are refused or read without harm, by salvage too; from 128
// on the first byte makes their checksums fit; with 2 in it a call fails (with 16 the file changes
// its length instead), with 4 another table is expected, with 32 the bytes are repeated. Mode 1: a
// table is written, damaged and read; a get or a scan then gives what was written or an error, and
// Verify sees the damage. With 2 it holds versions of every kind and range tombstones, in large
// values with 4 too; with 16 the damage's checksums are made to fit; with 64 a call fails or the
// file changes its length. In both, with 8 memory runs out.
#include <map>

#include "failing_memory.h"
#include "fuzz_input.h"
#include "odd_vfs.h"
#include "repair.h"
#include "table/table.h"

using namespace kist;

namespace {

constexpr char kPath[] = "/1.kst";

struct Internal {  // orders entries as tables do
  bool operator()(const std::pair<std::string, uint64_t>& a,
                  const std::pair<std::string, uint64_t>& b) const {
    return CompareEntry(a.first, a.second, b.first, b.second) < 0;
  }
};
using Entries = std::map<std::pair<std::string, uint64_t>, std::string, Internal>;

// Says no at its nth call; 0: never.
class Refusal {
 public:
  explicit Refusal(uint8_t nth) : nth_(nth) {}
  Status Ask() { return ++calls_ == nth_ ? Status::Bare(Code::kCancelled) : Status(); }

 private:
  const uint64_t nth_;
  uint64_t calls_ = 0;
};

RefPtr<Table> OpenTable(Vfs* vfs, const Table::OpenOptions& options) {
  auto file = vfs->Open(kPath, OpenMode::kRead);
  if (!file.ok()) return RefPtr<Table>();
  auto table = Table::Open(file.Take(), kPath, options);
  return table.ok() ? table.Take() : RefPtr<Table>();
}

// Reads in each way; where `wanted` is known, nothing else may come out.
void ReadAll(Table* table, Epoch* epoch, const Entries* wanted) {
  auto iter = table->NewIterator(ReadContext());
  size_t count = 0;
  for (iter->SeekToFirst(); iter->valid(); iter->Next(), ++count) {
    if (wanted == nullptr) continue;
    const auto entry = wanted->find({std::string(iter->key()), iter->tag()});
    MUST(entry != wanted->end() && entry->second == iter->value());
  }
  if (wanted != nullptr && iter->status().ok()) MUST(count == wanted->size());
  size_t back = 0;
  for (iter->SeekToLast(); iter->valid(); iter->Prev()) ++back;
  if (wanted != nullptr && iter->status().ok()) MUST(back == wanted->size());
  if (wanted == nullptr) return;
  const std::string* before = nullptr;
  for (const auto& [at, value] : *wanted) {
    const auto& [key, tag] = at;
    const bool newest = before == nullptr || *before != key;
    before = &key;
    Epoch::Guard guard(*epoch);
    TableFound found;
    const Sequence seq = newest ? kMaxSequence : TagSequence(tag);
    if (!table->Get(key, HashKey(key), seq, ReadContext(), &found).ok()) continue;
    MUST(found.found && found.tag >= tag && (!newest || found.tag == tag));
    if (found.tag == tag) MUST(found.value == value);
  }
}

// Everything that reads a table. `refuses`: the callbacks' call that ends it.
void UseTable(Table* table, Epoch* epoch, const Entries* wanted, uint8_t refuses) {
  ReadAll(table, epoch, wanted);
  Refusal on_progress(refuses), on_entry(refuses);
  static_cast<void>(table->Verify([&](uint64_t) { return on_progress.Ask(); }).ok());
  static_cast<void>(table
                        ->Salvage([&](Slice, uint64_t, Slice) { return on_entry.Ask(); },
                                  [](uint64_t, const std::string&) {})
                        .ok());
  static_cast<void>(table->ApproximateBytes("a", "m"));
  Epoch::Guard guard(*epoch);
  TableFound found;
  static_cast<void>(table->Get("a", HashKey("a"), kMaxSequence, ReadContext(), &found).ok());
}

void SalvageFile(Vfs* vfs, const Table::OpenOptions& options, uint8_t refuses) {
  auto file = vfs->Open(kPath, OpenMode::kRead);
  if (!file.ok()) return;
  Refusal on_entry(refuses), on_tombstone(refuses);
  uint32_t keyspace = 0;
  Table::Salvaging to;
  to.entry = [&](Slice, uint64_t, Slice) { return on_entry.Ask(); };
  to.tombstone = [&](const RangeTombstone&) { return on_tombstone.Ask(); };
  to.damage = [](uint64_t, const std::string&) {};
  if (refuses % 2 == 0) to.keyspace = &keyspace;
  static_cast<void>(
      Table::SalvageFile(file->get(), kPath, options.table_id, options.database_id, to).ok());
}

// The versions of a key, the newest first, and a range tombstone that begins at it, as a byte says.
void AddVersions(fuzz::FuzzInput* input, const std::string& key, const std::string& value,
                 Entries* entries, TableBuilder* builder) {
  const uint8_t how = input->Byte();
  Sequence seq = 1 + input->Below(60000);
  for (int n = 1 + how % 4 / 2; n > 0; --n) {
    const uint8_t kind = n == 1 ? how >> 2 & 3 : 0;
    std::string v = value;
    if (kind == 1) v.clear();
    if (kind == 2) {
      v.insert(0, 8, '\0');
      Store64(v.data(), seq * 1000);
    }
    const EntryKind kinds[] = {EntryKind::kPut, EntryKind::kDelete, EntryKind::kPutTtl,
                               EntryKind::kPut};
    (*entries)[{key, MakeTag(seq, kinds[kind])}] = v;
    if (seq > 1) --seq;
  }
  if (how >= 128) {
    const std::string end = how >= 192 ? std::string() : key + "~";
    MUST(builder->AddRangeTombstone({key, end, seq}).ok());
  }
}

Entries WriteTable(Vfs* vfs, fuzz::FuzzInput* input, uint8_t mode) {
  auto file = vfs->Open(kPath, OpenMode::kCreateOrTruncate);
  MUST(file.ok());
  const bool rich = (mode & 2) != 0;
  TableOptions options;
  options.table_id = 1;
  options.database_id = 9;
  options.block_bytes = rich ? 256u << input->Byte() % 4 : 1024;
  options.filter_bits = input->Byte() % 2 == 0 ? 10 : 0;
  options.compression = static_cast<Compression>(input->Byte() % 3);
  TableBuilder builder(options, file->get(), kPath);
  Entries entries;
  Sequence seq = 1;
  std::map<std::string, std::string> puts;
  for (int n = 1 + input->Byte(); n > 0; --n) {
    const std::string key(input->Bytes(1 + input->Byte() % 12));
    const size_t bytes = input->Below(300) * (rich && (mode & 4) != 0 ? 128 : 1);
    const std::string value(bytes, static_cast<char>(input->Byte()));
    if (rich) {
      AddVersions(input, key, value, &entries, &builder);
    } else {
      puts[key] = value;
    }
  }
  for (const auto& [key, value] : puts) entries[{key, MakeTag(++seq, EntryKind::kPut)}] = value;
  for (const auto& [at, value] : entries) MUST(builder.Add(at.first, at.second, value).ok());
  TableProperties properties;
  MUST(builder.Finish(&properties).ok());
  return entries;
}

void AnyBytes(Vfs* base, fuzz::FuzzInput* input, uint8_t mode, uint8_t memory, BlockCache* cache,
              Epoch* epoch) {
  fuzz::Oddity odd;
  odd.nth = (mode & 2) != 0 ? 1 + input->Byte() : 0;
  Table::OpenOptions options;
  options.cache = cache;
  if ((mode & 4) != 0) {
    const uint8_t other = input->Byte();
    options.table_id = other & 3;
    options.database_id = other >> 2 & 3;
    options.file_bytes = (other & 16) != 0 ? input->Below(65536) : 0;
    options.map = (other & 32) != 0;
    if ((other & 64) != 0) options.cache = nullptr;
  }
  const uint8_t refuses = (mode & 2) != 0 && (mode & 16) != 0 ? input->Last() : 0;
  if ((mode & 16) != 0) odd = fuzz::TakeOddity(odd.nth, input);
  const size_t least = (mode & 32) != 0 ? size_t{input->Last()} * 2048 : 0;
  std::string bytes(input->rest());
  for (size_t n = bytes.size(); n > 0 && bytes.size() < least;) bytes += bytes.substr(0, n);
  if (mode >= 128) fuzz::RepairTable(&bytes);
  fuzz::PutFile(base, kPath, bytes);
  fuzz::OddVfs vfs(base, odd);
  fuzz::WithFailingMemory(memory, [&] {
    const RefPtr<Table> table = OpenTable(&vfs, options);
    if (table.get() != nullptr) UseTable(table.get(), epoch, nullptr, refuses);
    SalvageFile(&vfs, options, refuses);
  });
}

void Written(Vfs* vfs, fuzz::FuzzInput* input, uint8_t mode, uint8_t memory, BlockCache* cache,
             Epoch* epoch) {
  const Entries entries = WriteTable(vfs, input, mode);
  const uint8_t refuses = (mode & 64) != 0 ? input->Last() : 0;
  fuzz::Oddity odd;
  if ((mode & 64) != 0) odd = fuzz::TakeOddity(input->Last(), input);
  Table::OpenOptions options;
  options.cache = cache;
  const bool repaired = (mode & 16) != 0;
  const bool damaged = fuzz::Damage(vfs, kPath, input);
  if (repaired) {
    std::string bytes = ReadFile(vfs, kPath).Take();
    fuzz::RepairTable(&bytes);
    fuzz::PutFile(vfs, kPath, bytes);
  }
  const Entries* wanted = repaired && damaged ? nullptr : &entries;
  fuzz::WithFailingMemory(memory, [&] {
    fuzz::OddVfs odd_vfs(vfs, odd);
    options.map = (mode & 64) != 0 && refuses % 4 == 1;
    const RefPtr<Table> table = OpenTable(&odd_vfs, options);
    if (table.get() != nullptr) UseTable(table.get(), epoch, wanted, refuses);
    SalvageFile(&odd_vfs, options, refuses);
  });
  options.map = false;
  const RefPtr<Table> table = OpenTable(vfs, options);
  MUST(damaged || table.get() != nullptr);
  if (table.get() == nullptr) return;
  ReadAll(table.get(), epoch, wanted);
  const Status verified = table->Verify([](uint64_t) { return Status(); });
  MUST((repaired && damaged) || verified.ok() == !damaged);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const auto vfs = NewMemoryVfs();
  Epoch epoch;
  BlockCache cache(size_t{4} << 20, &epoch);
  const uint8_t mode = input.Byte();
  const uint8_t memory = (mode & 8) != 0 ? input.Last() : 0;
  if (mode % 2 == 0) {
    AnyBytes(vfs.get(), &input, mode, memory, &cache, &epoch);
  } else {
    Written(vfs.get(), &input, mode, memory, &cache, &epoch);
  }
  return 0;
}
