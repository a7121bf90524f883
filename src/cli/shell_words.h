// SplitWords: a line of the shell into words, by the rules people know from sh: blanks part words,
// '...' takes everything as it is, "..." everything but \" and \\, a backslash outside of quotes
// the next character, and # at the beginning of a word starts a comment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kist::cli {

// False with the reason in *error where a quote does not end.
[[nodiscard]] bool SplitWords(std::string_view line, std::vector<std::string>* words,
                              std::string* error);

}  // namespace kist::cli
