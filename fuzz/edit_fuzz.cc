// Manifest edits and CURRENT: any bytes are refused or decode to what encodes to an equal edit; an
// edit that decodes can be applied, or is refused, without harm.
#include "fuzz_input.h"
#include "version/manifest.h"

using namespace kist;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  (void)DecodeCurrent(bytes, "CURRENT");
  auto edit = DecodeEdit(bytes);
  if (!edit.ok()) return 0;
  const std::string encoded = EncodeEdit(*edit);
  auto again = DecodeEdit(encoded);
  MUST(again.ok());
  MUST(EncodeEdit(*again) == encoded);
  ManifestState state;
  if (!state.Apply(*edit).ok()) return 0;
  const std::string whole = EncodeEdit(state.Snapshot());
  auto snapshot = DecodeEdit(whole);
  MUST(snapshot.ok());
  return 0;
}
