// Nearest: what a mistyped word was probably meant to be.
//
// Used for commands, options, columns, workloads: wherever the tool knows the words that would have
// been right.
#pragma once

#include <string_view>
#include <vector>

namespace kist::cli {

// The candidate with the smallest edit distance (a swap of neighbours counts once), or the only one
// that `word` begins; empty where none is near enough to be worth naming.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace kist::cli
