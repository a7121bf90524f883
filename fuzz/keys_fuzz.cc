// Key codecs: the order of entries is one order; fixed-width numbers come back; a name that parses
// is the one name of its file; any text as keyspace options is refused or comes back equal.
#include "db/options.h"
#include "fuzz_input.h"
#include "key/file_name.h"
#include "key/internal_key.h"
#include "util/coding.h"

using namespace kist;

namespace {

int Sign(int n) { return (n > 0) - (n < 0); }

void Order(fuzz::FuzzInput* input) {
  struct Entry {
    std::string key;
    uint64_t tag;
  } e[3];
  for (Entry& entry : e) {
    entry.key = std::string(input->Bytes(input->Byte() % 12));
    entry.tag = MakeTag(input->Below(4), static_cast<EntryKind>(1 + input->Byte() % 2));
    MUST(MakeTag(TagSequence(entry.tag), TagKind(entry.tag)) == entry.tag);
    MUST(SeekTag(TagSequence(entry.tag)) >= entry.tag);
  }
  const auto compare = [&](int a, int b) {
    return Sign(CompareEntry(e[a].key, e[a].tag, e[b].key, e[b].tag));
  };
  for (int a = 0; a < 3; ++a) {
    MUST(compare(a, a) == 0);
    for (int b = 0; b < 3; ++b) {
      MUST(compare(a, b) == -compare(b, a));
      if (compare(a, b) == 0) MUST(e[a].key == e[b].key && e[a].tag == e[b].tag);
      for (int c = 0; c < 3; ++c) {
        if (compare(a, b) < 0 && compare(b, c) < 0) MUST(compare(a, c) < 0);
      }
    }
  }
  const RangeTombstone t = {e[0].key, e[1].key, 1};
  if (t.Covers(e[2].key)) MUST(e[0].key <= e[2].key && (e[1].key.empty() || e[2].key < e[1].key));
}

void Numbers(Slice bytes) {
  Decoder decoder(bytes);
  std::string again;
  while (!decoder.rest().empty()) {
    const Slice before = decoder.rest();
    std::string part;
    if (before[0] % 3 == 0) {
      Append8(&part, decoder.Take8());
      Append64(&part, decoder.Take64());
    } else if (before[0] % 3 == 1) {
      Append16(&part, decoder.Take16());
      Append32(&part, decoder.Take32());
    } else {
      Append8(&part, decoder.Take8());
      AppendBytes(&part, decoder.TakeBytes());
    }
    if (!decoder.ok()) {
      MUST(decoder.Take64() == 0 && decoder.TakeBytes().empty() && !decoder.done());
      return;
    }
    again += part;
  }
  MUST(decoder.done() && again == bytes);
}

void Name(Slice bytes) {
  const auto parsed = ParseFileName(bytes);
  if (!parsed) return;
  if (parsed->type == FileType::kLog) MUST(LogFileName(parsed->number) == bytes);
  if (parsed->type == FileType::kTable) MUST(TableFileName(parsed->number) == bytes);
  if (parsed->type == FileType::kManifest) MUST(ManifestFileName(parsed->number) == bytes);
  if (parsed->type == FileType::kCurrent) MUST(bytes == kCurrentFileName);
  if (parsed->type == FileType::kLock) MUST(bytes == kLockFileName);
}

void Options(Slice bytes) {
  const auto decoded = DecodeKeyspaceOptions(bytes);
  if (!decoded.ok()) return;
  const std::string encoded = EncodeKeyspaceOptions(*decoded);
  const auto again = DecodeKeyspaceOptions(encoded);
  MUST(again.ok() && EncodeKeyspaceOptions(*again) == encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::FuzzInput input(data, size);
  const uint8_t mode = input.Byte() % 4;
  const std::string bytes(input.rest());
  if (mode == 0) Order(&input);
  if (mode == 1) Numbers(bytes);
  if (mode == 2) Name(bytes);
  if (mode == 3) Options(bytes);
  return 0;
}
