// Edit distance over three rows; words here are a few letters long.
//
// The threshold grows with the word: one change in four letters, two in seven, three beyond. A
// wrong guess is worse than none.
#include "cli/suggest.h"

#include <algorithm>
#include <cstddef>

namespace kist::cli {
namespace {

size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  size_t best_distance = SIZE_MAX;
  for (const std::string_view candidate : candidates) {
    size_t distance = Distance(word, candidate);
    if (word.size() >= 3 && candidate.substr(0, word.size()) == word) distance = 1;
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  const size_t allowed = word.size() <= 4 ? 1 : (word.size() <= 7 ? 2 : 3);
  return best_distance <= allowed ? best : std::string_view();
}

}  // namespace kist::cli
