// Options as text: any text is refused or leaves values that come out, and go in again, unchanged.
#include "db/options.h"
#include "fuzz_input.h"

using namespace kist;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  OptionSet options;
  if (!options.Parse(text).ok()) return 0;
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
  return 0;
}
