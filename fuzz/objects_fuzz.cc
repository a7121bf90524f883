// Objects of a backup target, and their names: any bytes are refused or decode to what encodes
// again, and a name that is taken is the one that is made. The second byte of the input says
// whether the checksum is made to fit, so that mutations reach what stands behind it.
#include "backup/objects.h"
#include "fuzz_input.h"
#include "repair.h"

using namespace kist;

namespace {

void RepairLast(std::string* bytes, size_t end) {
  if (bytes->size() < end || end < 4) return;
  Store32(bytes->data() + end - 4, crc32c::Value(bytes->data(), end - 4));
}

void CheckMark(const std::string& bytes) {
  for (const ObjectKind kind : {ObjectKind::kRoot, ObjectKind::kStart}) {
    const auto mark = DecodeMark(bytes, kind, "mark");
    if (!mark.ok()) continue;
    const auto again = DecodeMark(EncodeMark(*mark), kind, "mark");
    MUST(again.ok());
    MUST(again->writer == mark->writer && again->generation == mark->generation);
    MUST(again->database_id == mark->database_id && again->time_ms == mark->time_ms);
  }
}

void CheckRange(const std::string& bytes) {
  auto header = DecodeRangeHeader(bytes, "range");
  if (!header.ok()) return;
  const std::string encoded = EncodeRangeHeader(&*header);
  auto again = DecodeRangeHeader(encoded, "range");
  MUST(again.ok());
  MUST(EncodeRangeHeader(&*again) == encoded);
}

void CheckBase(const std::string& bytes) {
  const auto base = DecodeBase(bytes, "base");
  if (!base.ok()) return;
  const std::string encoded = EncodeBase(*base);
  const auto again = DecodeBase(encoded, "base");
  MUST(again.ok());
  MUST(EncodeBase(*again) == encoded);
}

void CheckClaim(const std::string& bytes) {
  const auto claim = DecodeClaim(bytes, "claim");
  if (!claim.ok()) return;
  const std::string encoded = EncodeClaim(*claim);
  const auto again = DecodeClaim(encoded, "claim");
  MUST(again.ok());
  MUST(EncodeClaim(*again) == encoded);
}

void CheckPrune(const std::string& bytes) {
  const auto prune = DecodePrune(bytes, "prune");
  if (!prune.ok()) return;
  const std::string encoded = EncodePrune(*prune);
  const auto again = DecodePrune(encoded, "prune");
  MUST(again.ok());
  MUST(EncodePrune(*again) == encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  const bool repair = data[1] % 2 != 0;
  switch (data[0] % 6) {
    case 0:
      if (repair) RepairLast(&bytes, kMarkBytes);
      CheckMark(bytes);
      break;
    case 1:
      if (repair) fuzz::RepairPrefix(&bytes, 40);
      if (repair) RepairLast(&bytes, kRangeHeaderBytes);
      CheckRange(bytes);
      break;
    case 2:
      if (repair) RepairLast(&bytes, bytes.size());
      CheckBase(bytes);
      break;
    case 4:
      if (repair) RepairLast(&bytes, bytes.size());
      CheckClaim(bytes);
      break;
    case 5:
      if (repair) RepairLast(&bytes, bytes.size());
      CheckPrune(bytes);
      break;
    default:
      if (const auto name = ParseObjectName(bytes)) MUST(FormatObjectName(*name) == bytes);
  }
  return 0;
}
