// Options as text: any text is refused or leaves values that come out, and go in again, unchanged.
// The same text is what a keyspace's options were stored as, and, cut at its first "=", a name and
// the eight bytes of a number.
#include "db/options.h"
#include "fuzz_input.h"
#include "util/coding.h"

using namespace kist;

namespace {

void Text(const std::string& text) {
  OptionSet options;
  Slice failed;
  if (!options.Parse(text, &failed).ok()) {
    MUST(failed.empty() || text.find(failed) != std::string::npos);
    return;
  }
  MUST(options.Parse(text).ok());  // an option may be given again
  OptionSet copy;
  for (size_t i = 0; const OptionInfo* info = DescribeOption(i); ++i) {
    auto value = options.Get(info->name);
    MUST(value.ok());
    MUST(copy.Set(info->name, *value).ok());
    auto again = copy.Get(info->name);
    MUST(again.ok() && *again == *value);
  }
  auto decoded = DecodeKeyspaceOptions(EncodeKeyspaceOptions(options.values().keyspace));
  MUST(decoded.ok());
}

void Stored(const std::string& text) {
  const auto decoded = DecodeKeyspaceOptions(text);
  if (!decoded.ok()) return;
  const std::string encoded = EncodeKeyspaceOptions(*decoded);
  const auto again = DecodeKeyspaceOptions(encoded);
  MUST(again.ok() && EncodeKeyspaceOptions(*again) == encoded);
}

void Number(const std::string& text) {
  const size_t equals = std::min(text.find('='), text.size());
  const std::string name = text.substr(0, equals);
  std::string bytes = text.substr(std::min(equals + 1, text.size()), 8);
  bytes.resize(8);
  OptionSet options;
  if (!options.SetU64(name, Load64(bytes.data())).ok()) return;
  const auto value = options.Get(name);
  MUST(value.ok() || name[0] == '?');
  OptionSet copy;
  if (value.ok()) MUST(copy.Set(name, *value).ok() && *copy.Get(name) == *value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  Text(text);
  Stored(text);
  Number(text);
  return 0;
}
