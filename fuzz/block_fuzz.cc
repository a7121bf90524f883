// The parts of a table. Modes 0 to 4: any bytes as a data block, index, tombstones, properties,
// footer are refused or read without harm, in order and consistently. Mode 5: a block is built and
// gives back what went in.
#include <vector>

#include "fuzz_input.h"
#include "repair.h"
#include "table/block.h"
#include "table/block_builder.h"
#include "table/index.h"
#include "table/properties.h"
#include "table/table.h"

using namespace kist;

namespace {

RefPtr<Block> BlockOf(Slice bytes) {
  RefPtr<Block> block = RefPtr<Block>::Adopt(Block::New(bytes.size()));
  MUST(block.get() != nullptr);
  std::memcpy(block->mutable_payload(), bytes.data(), bytes.size());
  return block;
}

void AnyBlock(Slice bytes) {
  const RefPtr<Block> block = BlockOf(bytes);
  if (block->Init() != nullptr) return;
  MUST(block->entries() > 0);
  size_t sum = 0;
  for (uint32_t i = 0; i < block->entries(); ++i) {
    for (const char c : block->key(i)) sum += static_cast<unsigned char>(c);
    for (const char c : block->value(i)) sum += static_cast<unsigned char>(c);
    MUST(block->LowerBound(block->key(i), block->tag(i)) <= block->entries());
    const uint32_t found = block->Find(block->key(i), HashKey(block->key(i)), kMaxTag);
    MUST(found == block->entries() || block->key(found) == block->key(i));
  }
  MUST(block->LowerBound(Slice(), kMaxTag) <= block->entries());
  const RefPtr<Block> again = BlockOf(bytes);
  MUST(again->Init(true) == nullptr && again->entries() == block->entries());
  if (sum == 1) std::puts("");  // the bytes were read
}

void AnyIndex(fuzz::FuzzInput* input) {
  const uint64_t data_bytes = input->Below(65536);
  const std::string bytes(input->rest());
  TableIndex index;
  bool no_memory = false;
  if (index.Load(bytes, data_bytes, &no_memory) != nullptr || index.blocks() == 0) return;
  MUST(index.data_bytes() == data_bytes);
  for (uint32_t b = 0; b < index.blocks(); ++b) {
    MUST(index.bytes(b) > 0 && index.offset(b) + index.bytes(b) <= data_bytes);
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

void AnyProperties(Slice bytes) {
  TableIdentity identity;
  TableProperties properties;
  if (DecodeProperties(bytes, &identity, &properties) != nullptr) return;
  const std::string encoded = EncodeProperties(identity, properties);
  MUST(DecodeProperties(encoded, &identity, &properties) == nullptr);
  MUST(EncodeProperties(identity, properties) == encoded);
}

void AnyFooter(std::string bytes, bool repair) {
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
  if (!DecodeFooter("t", file_bytes, bytes.data(), &footer).ok()) return;
  MUST(footer.properties.offset + footer.properties.bytes == file_bytes - kFooterBytes);
  char again[kFooterBytes];
  EncodeFooter(footer, again);
  MUST(DecodeFooter("t", file_bytes, again, &footer).ok());
}

void BuiltBlock(fuzz::FuzzInput* input) {
  struct Entry {
    std::string key, value;
    uint64_t tag;
  };
  std::vector<Entry> entries;
  BlockBuilder builder;
  std::string key;
  uint64_t tag = MakeTag(1 + input->Below(60000), EntryKind::kPut);
  for (int n = 1 + input->Byte(); n > 0; --n) {
    const uint8_t how = input->Byte();
    if (how % 4 == 0 && tag > 512) {
      tag -= 256;  // an older version of the key
    } else {
      key.resize(std::min<size_t>(key.size(), how % 8));
      key += '\x01';
      key += input->Bytes(how % 5);
      tag = MakeTag(1 + input->Below(60000), EntryKind::kPut);
    }
    const std::string value(input->Below(200), static_cast<char>(how));
    if (!entries.empty() && CompareEntry(entries.back().key, entries.back().tag, key, tag) >= 0)
      continue;
    MUST(builder.SizeWith(key, tag, value) >= builder.size());
    MUST(builder.Add(key, HashKey(key), tag, value));
    entries.push_back({key, value, tag});
  }
  const uint64_t size = builder.size();
  const Slice payload = builder.Finish();
  MUST(payload.size() == size);
  const RefPtr<Block> block = BlockOf(payload);
  MUST(block->Init() == nullptr && block->entries() == entries.size());
  for (uint32_t i = 0; i < block->entries(); ++i) {
    const Entry& e = entries[i];
    MUST(block->key(i) == e.key && block->tag(i) == e.tag && block->value(i) == e.value);
    MUST(block->LowerBound(e.key, e.tag) == i && block->Find(e.key, HashKey(e.key), e.tag) == i);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const uint8_t mode = input.Byte();
  const std::string bytes(input.rest());  // on the heap, so that a read past the end is seen
  switch (mode % 6) {
    case 0:
      AnyBlock(bytes);
      break;
    case 1:
      AnyIndex(&input);
      break;
    case 2:
      AnyTombstones(bytes);
      break;
    case 3:
      AnyProperties(bytes);
      break;
    case 4:
      AnyFooter(bytes, mode >= 128);
      break;
    default:
      BuiltBlock(&input);
  }
  return 0;
}
