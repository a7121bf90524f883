// One pass, one word at a time. Adjacent pieces join: a'b c'd is one word.
//
// There are no variables, no substitution and no wildcards: a key with a dollar sign is typed as it
// is.
#include "cli/shell_words.h"

namespace kist::cli {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// `*at` stands on the opening quote; moves it behind the closing one.
bool TakeQuoted(std::string_view line, size_t* at, std::string* word) {
  const char quote = line[(*at)++];
  for (; *at < line.size(); ++*at) {
    const char c = line[*at];
    if (c == quote) {
      ++*at;
      return true;
    }
    const char next = *at + 1 < line.size() ? line[*at + 1] : '\0';
    if (quote == '"' && c == '\\' && (next == '"' || next == '\\')) ++*at;
    *word += line[*at];
  }
  return false;
}

}  // namespace

bool SplitWords(std::string_view line, std::vector<std::string>* words, std::string* error) {
  words->clear();
  size_t at = 0;
  for (;;) {
    while (at < line.size() && IsBlank(line[at])) ++at;
    if (at == line.size() || line[at] == '#') return true;
    std::string word;
    while (at < line.size() && !IsBlank(line[at])) {
      if (line[at] == '\'' || line[at] == '"') {
        const char quote = line[at];
        if (TakeQuoted(line, &at, &word)) continue;
        *error = std::string("a quote is not closed: ") + quote;
        return false;
      }
      if (line[at] == '\\' && at + 1 < line.size()) ++at;
      word += line[at++];
    }
    words->push_back(std::move(word));
  }
}

}  // namespace kist::cli
