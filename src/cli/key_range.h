// KeyRange: what --prefix, --from and --to mean together.
//
// Invariant after Read: a key is meant exactly where begin <= key and (end is empty or key < end).
#pragma once

#include <string>

#include "cli/context.h"

namespace kist::cli {

struct KeyRange {
  std::string begin;  // included
  std::string end;    // excluded; empty: to the last key
  std::string prefix;
  bool whole = true;  // none of the options was given

  // False after having said what is wrong. Afterwards begin and end take the prefix into account.
  [[nodiscard]] bool Read(Context& context);
};

}  // namespace kist::cli
