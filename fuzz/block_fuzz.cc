// The parts of a table. Modes 0 to 4: any bytes as a data block, index, tombstones and stretches,
// properties, footer are refused or read without harm, in order and consistently. Mode 5: a block
// is built, wide where the input says so, and gives back what went in; then it is damaged. A sixth
// of the first byte says how (see How); of a footer, from 128 on, that its checksum is made to fit.
#include <memory>
#include <vector>

#include "failing_memory.h"
#include "fuzz_input.h"
#include "repair.h"
#include "table/block.h"
#include "table/block_builder.h"
#include "table/block_pool.h"
#include "table/index.h"
#include "table/properties.h"
#include "table/stretches.h"
#include "table/table.h"

using namespace kist;

namespace {

// Where a block lies, and what befalls it.
enum How : uint8_t {
  kMemoryFails = 1,
  kPool = 2,     // else plain memory
  kView = 4,     // of bytes that something else keeps
  kLengths = 8,  // with the lengths that a compressed block has
  kWide = 16,    // built: more than 65535 bytes; any bytes: not for the cache
};

class Bytes final : public BlockBytes {
 public:
  explicit Bytes(Slice bytes) : bytes_(bytes) { bytes_.append(kBlockPadding, 0); }
  const char* data() const { return bytes_.data(); }

 private:
  std::string bytes_;
};

class Blocks {
 public:
  explicit Blocks(uint8_t how) : how_(how), pool_(new BlockPool) {
    pool_->SetLimit(size_t{4} << 20, (how & kWide) == 0);
  }
  ~Blocks() { pool_->Close(); }

  // nullptr: no memory.
  RefPtr<Block> Make(Slice bytes) {
    if ((how_ & kView) != 0) {
      const auto owner = RefPtr<Bytes>::Adopt(new Bytes(bytes));
      return RefPtr<Block>::Adopt(Block::NewView(owner->data(), bytes.size(), owner.get()));
    }
    BlockPool* const pool = (how_ & kPool) != 0 ? pool_ : nullptr;
    RefPtr<Block> block = RefPtr<Block>::Adopt(
        Block::New(bytes.size(), pool, (how_ & kWide) == 0 ? BlockUse::kCache : BlockUse::kJob));
    if (block.get() == nullptr) return block;
    std::memcpy(block->mutable_payload(), bytes.data(), bytes.size());
    MUST(block->pool() == pool && block->memory_bytes() >= bytes.size());
    return block;
  }

 private:
  const uint8_t how_;
  BlockPool* const pool_;
};

void Walk(const Block& block) {
  MUST(block.entries() > 0);
  size_t sum = 0;
  for (uint32_t i = 0; i < block.entries(); ++i) {
    for (const char c : block.key(i)) sum += static_cast<unsigned char>(c);
    for (const char c : block.value(i)) sum += static_cast<unsigned char>(c);
    MUST(block.LowerBound(block.key(i), block.tag(i)) <= block.entries());
    const uint32_t found = block.Find(block.key(i), HashKey(block.key(i)), kMaxTag);
    MUST(found == block.entries() || block.key(found) == block.key(i));
    const std::string before(block.key(i).substr(0, block.key(i).size() / 2));
    MUST(block.LowerBound(before, 0) <= block.entries());
    MUST(block.Find(block.key(i), block.hash(i), block.tag(i) - 1) <= block.entries());
  }
  InternalEntry run[64];
  for (uint32_t i = 0; i < block.entries();) {
    const uint32_t n = std::min<uint32_t>(64 - i % 3, block.entries() - i);
    for (const int step : {1, -1}) {
      const uint32_t first = step > 0 ? i : i + n - 1;
      static_cast<void>(block.Entries(first, step, n, run));
      for (uint32_t k = 0; k < n; ++k) {
        const uint32_t at = step > 0 ? first + k : first - k;
        MUST(run[k].key == block.key(at) && run[k].tag == block.tag(at));
        MUST(run[k].value == block.value(at));
      }
    }
    i += n;
  }
  MUST(block.LowerBound(Slice(), kMaxTag) <= block.entries());
  MUST(block.LowerBound("\xff", 0) <= block.entries());
  if (sum == 1) std::puts("");  // the bytes were read
}

void AnyBlock(Slice bytes, uint8_t how) {
  Blocks blocks(how);
  std::string copy(bytes);
  if ((how & kLengths) != 0 && !Block::LengthsToStarts(copy.data(), copy.size())) return;
  const RefPtr<Block> block = blocks.Make(copy);
  MUST(block.get() != nullptr || (how & kMemoryFails) != 0);
  if (block.get() == nullptr || block->Init() != nullptr) return;
  Walk(*block);
  const RefPtr<Block> again = blocks.Make(copy);
  MUST(again.get() != nullptr || (how & kMemoryFails) != 0);
  if (again.get() == nullptr) return;
  MUST(again->Init(true) == nullptr && again->entries() == block->entries());
}

void AnyIndex(fuzz::FuzzInput* input, uint8_t how) {
  const uint64_t data_bytes = input->Below(65536);
  const std::string bytes(input->rest());
  TableIndex index;
  bool no_memory = false;
  const char* reason = index.Load(bytes, data_bytes, &no_memory);
  MUST(!no_memory || (how & kMemoryFails) != 0);
  if (reason != nullptr || index.blocks() == 0) return;
  MUST(index.data_bytes() == data_bytes);
  for (uint32_t b = 0; b < index.blocks(); ++b) {
    MUST(index.bytes(b) > kBlockHeaderBytes && index.offset(b) + index.bytes(b) <= data_bytes);
    if (b > 0) MUST(index.Find(index.start_key(b), index.start_tag(b)) == b);
  }
  MUST(index.Find(Slice(), kMaxTag) < index.blocks());
}

void AnyTombstones(Slice bytes) {
  std::vector<RangeTombstone> tombstones;
  if (DecodeTombstones(bytes, &tombstones) != nullptr) return;
  std::string again(4, 0);
  Store32(again.data(), static_cast<uint32_t>(tombstones.size()));
  for (const RangeTombstone& t : tombstones) AppendTombstone(t, &again);
  MUST(again == bytes);
}

void AnyStretches(Slice bytes) {
  Stretches stretches;
  if (stretches.Load(bytes) != nullptr) return;
  MUST(stretches.known() == !bytes.empty());
  for (size_t i = 0; i < stretches.count(); ++i)
    MUST(stretches.Find(stretches[i].begin) == i && stretches[i].newest <= kMaxSequence);
}

void AnyProperties(Slice bytes) {
  TableIdentity identity;
  TableProperties properties;
  Slice stretches;
  if (DecodeProperties(bytes, &identity, &properties, &stretches) != nullptr) return;
  AnyStretches(stretches);
  const std::string encoded = EncodeProperties(identity, properties, stretches);
  MUST(DecodeProperties(encoded, &identity, &properties) == nullptr);
  MUST(EncodeProperties(identity, properties, stretches) == encoded);
}

void AnyFooter(std::string bytes, bool repair) {
  // What the file has more than the footer says.
  const uint64_t more = bytes.size() > kFooterBytes ? static_cast<uint8_t>(bytes.back()) : 0;
  bytes.resize(kFooterBytes);
  const uint64_t file_bytes = Load64(bytes.data() + 16);
  if (file_bytes < kFooterBytes) return;
  if (repair) {
    const uint64_t said = file_bytes;
    fuzz::RepairTable(&bytes);
    Store64(bytes.data() + 16, said);
    char* crc = bytes.data() + kFooterBytes - kFooterTailBytes + 4;
    const uint32_t front = crc32c::Extend(0, bytes.data(), static_cast<size_t>(crc - bytes.data()));
    Store32(crc, crc32c::Extend(front, crc + 4, kFooterTailBytes - 8));
  }
  Footer footer;
  if (!DecodeFooter("t", file_bytes + more, bytes.data(), &footer).ok()) return;
  MUST(more == 0);
  MUST(footer.properties.offset + footer.properties.bytes == file_bytes - kFooterBytes);
  char again[kFooterBytes];
  EncodeFooter(footer, again);
  MUST(DecodeFooter("t", file_bytes, again, &footer).ok());
}

struct Entry {
  std::string key, value;
  uint64_t tag;
};

// False: no memory.
bool Build(fuzz::FuzzInput* input, uint8_t how, BlockBuilder* builder,
           std::vector<Entry>* entries) {
  std::string key;
  const bool wide = (how & kWide) != 0;
  uint64_t tag = MakeTag(1 + input->Below(60000), EntryKind::kPut);
  for (int n = (1 + input->Byte()) * (wide ? 8 : 1); n > 0; --n) {
    const uint8_t how_entry = input->Byte();
    if (how_entry % 4 == 0 && tag > 512) {
      tag -= 256;  // an older version of the key
    } else {
      key.resize(std::min<size_t>(key.size(), how_entry % 8));
      key += '\x01';
      key += input->Bytes(how_entry % 5);
      tag = MakeTag(1 + input->Below(60000), EntryKind::kPut);
    }
    const size_t unit = wide && builder->size() < 200000 && how_entry >= 128 ? 100 : 1;
    const std::string value(input->Below(200) * unit, static_cast<char>(how_entry));
    if (!entries->empty() && CompareEntry(entries->back().key, entries->back().tag, key, tag) >= 0)
      continue;
    MUST(builder->SizeWith(key, tag, value) >= builder->size());
    if (!builder->Add(key, HashKey(key), tag, value)) return false;
    entries->push_back({key, value, tag});
  }
  return true;
}

void BuiltBlock(fuzz::FuzzInput* input, uint8_t how) {
  const bool lengths = (how & kLengths) != 0;
  std::vector<Entry> entries;
  BlockBuilder builder;
  const bool built = Build(input, how, &builder, &entries);
  MUST(built || (how & kMemoryFails) != 0);
  if (!built) return;
  const uint64_t size = builder.size();
  const Slice finished = builder.Finish(lengths);
  if (finished.data() == nullptr && (how & kMemoryFails) != 0) return;
  MUST(finished.size() == size);
  std::string payload(finished);
  const std::string stored = payload;
  if (lengths) MUST(Block::LengthsToStarts(payload.data(), payload.size()));
  Blocks blocks(how);
  const RefPtr<Block> block = blocks.Make(payload);
  MUST(block.get() != nullptr || (how & kMemoryFails) != 0);
  if (block.get() == nullptr) return;
  MUST(block->Init() == nullptr && block->entries() == entries.size());
  for (uint32_t i = 0; i < block->entries(); ++i) {
    const Entry& e = entries[i];
    MUST(block->key(i) == e.key && block->tag(i) == e.tag && block->value(i) == e.value);
    MUST(block->LowerBound(e.key, e.tag) == i && block->Find(e.key, HashKey(e.key), e.tag) == i);
  }
  std::string damaged = stored;
  fuzz::DamageBytes(&damaged, input);
  AnyBlock(damaged, how);
}

void Run(uint8_t mode, const std::string& bytes, fuzz::FuzzInput* input) {
  const uint8_t how = mode / 6;
  switch (mode % 6) {
    case 0:
      return AnyBlock(bytes, how);
    case 1:
      return AnyIndex(input, how);
    case 2:
      AnyTombstones(bytes);
      return AnyStretches(bytes);
    case 3:
      return AnyProperties(bytes);
    case 4:
      return AnyFooter(bytes, mode >= 128);
    default:
      BuiltBlock(input, how);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const uint8_t mode = input.Byte();
  const bool memory_fails = mode % 6 != 4 && (mode / 6 & kMemoryFails) != 0;
  const uint8_t memory = memory_fails ? input.Last() : 0;
  const std::string bytes(input.rest());  // on the heap, so that a read past the end is seen
  fuzz::WithFailingMemory(memory, [&] { Run(mode, bytes, &input); });
  return 0;
}
