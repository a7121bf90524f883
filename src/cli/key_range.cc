// A prefix is the range from itself to the first string that is greater than all that start with
// it.
//
// That string is the prefix without its trailing 0xff bytes, the last byte plus one; a prefix of
// 0xff alone has no end.
#include "cli/key_range.h"

#include <algorithm>

namespace kist::cli {
namespace {

// Empty where there is none: the prefix is empty or all 0xff.
std::string AfterPrefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

}  // namespace

bool KeyRange::Read(Context& context) {
  bool has_prefix = false;
  bool has_from = false;
  bool has_to = false;
  if (!context.BytesOption("prefix", &prefix, &has_prefix)) return false;
  if (!context.BytesOption("from", &begin, &has_from)) return false;
  if (!context.BytesOption("to", &end, &has_to)) return false;
  whole = !has_prefix && !has_from && !has_to;
  if (has_to && end.empty()) {
    context.Usage("--to is empty: no key is before the empty one");
    return false;
  }
  if (has_to && has_from && begin > end) {
    context.Usage("--from is greater than --to");
    return false;
  }
  begin = std::max(begin, prefix);
  const std::string after = AfterPrefix(prefix);
  if (!after.empty() && (end.empty() || after < end)) end = after;
  if (!end.empty() && begin > end) begin = end;
  return true;
}

}  // namespace kist::cli
