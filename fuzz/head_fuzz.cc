// The fixed pieces that everything hangs on: segment prefix, header slots, chain record, CURRENT.
// Any bytes are refused, or mean what encodes to them again; the first byte says which piece and,
// from 128 on, that its checksum is made to fit.
#include "fuzz_input.h"
#include "repair.h"

using namespace kist;

namespace {

void Prefix(std::string bytes, bool repair) {
  if (repair) fuzz::RepairPrefix(&bytes, 0);
  SegmentInfo info;
  const auto verdict = codec::DecodePrefix(bytes, &info);
  MUST(codec::PrefixText(verdict)[0] != 0);
  if (verdict != codec::PrefixVerdict::kOk) return;
  MUST(info.nonce != 0 && info.version >= 1 && info.version <= 2);
  char again[kSegmentPrefixBytes];
  codec::EncodePrefix(info, again);
  SegmentInfo same;
  MUST(codec::DecodePrefix(Slice(again, sizeof again), &same) == codec::PrefixVerdict::kOk);
  MUST(same.id == info.id && same.database_id == info.database_id && same.type == info.type &&
       same.max_key_bytes == info.max_key_bytes && same.max_value_bytes == info.max_value_bytes);
}

void Slot(std::string bytes, bool repair) {
  bytes.resize(kSegmentSlotBytes);
  if (repair) fuzz::RepairSlot(&bytes, 0);
  codec::Slot slot;
  if (!codec::DecodeSlot(bytes, &slot)) return;
  MUST(slot.generation != 0 && slot.info.version == 2);
  std::string again(kSegmentSlotBytes, 0);
  codec::EncodeSlot(slot, again.data());
  codec::Slot same;
  MUST(codec::DecodeSlot(again, &same));
  MUST(same.valid_data_end == slot.valid_data_end && same.lsn == slot.lsn &&
       same.seal == slot.seal && same.generation == slot.generation);
}

void Link(Slice bytes) {
  SegmentLink link;
  if (bytes.size() < 8) return;
  const Sequence lsn = Load64(bytes.data());
  bytes.remove_prefix(8);
  if (!codec::DecodeLink(bytes, lsn, &link)) return;
  MUST(link.start_lsn == lsn && link.previous_lsn <= link.start_lsn);
  std::string again(codec::kLinkBytes, 0);
  codec::EncodeLink(link, again.data());
  MUST(again == bytes.substr(0, codec::kLinkBytes));
}

void Current(std::string bytes, bool repair) {
  if (repair) fuzz::RepairCurrent(&bytes);
  const auto current = DecodeCurrent(bytes, "CURRENT");
  if (!current.ok()) return;
  const auto again = DecodeCurrent(EncodeCurrent(*current), "CURRENT");
  MUST(again.ok() && again->database_id == current->database_id &&
       again->manifest_number == current->manifest_number);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const uint8_t mode = input.Byte();
  const std::string bytes(input.rest());
  if (mode % 4 == 0) Prefix(bytes, mode >= 128);
  if (mode % 4 == 1) Slot(bytes, mode >= 128);
  if (mode % 4 == 2) Link(bytes);
  if (mode % 4 == 3) Current(bytes, mode >= 128);
  return 0;
}
