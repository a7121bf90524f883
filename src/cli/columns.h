// Columns: which columns of a tsv or csv line are key, value and TTL.
//
// Resolve comes first, once; then Pick for each line, and key(), value() and ttl() are valid until
// the next Pick.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/format.h"

namespace kist::cli {

constexpr size_t kWholeRecord = SIZE_MAX;
constexpr size_t kEmptyColumn = SIZE_MAX - 1;
constexpr size_t kNoColumn = SIZE_MAX - 2;

class Columns {
 public:
  explicit Columns(const FormatOptions& options) : options_(options) {}

  // Called once, before Pick, with the columns of the header (empty where there is none).
  [[nodiscard]] bool Resolve(const std::vector<std::string>& header, std::string* error);
  // For a line of `count` columns; false with the reason in *error.
  [[nodiscard]] bool Pick(size_t count, std::string* error);

  // Indexes from 0, or one of the constants above.
  size_t key() const { return key_; }
  size_t value() const { return picked_value_; }
  size_t ttl() const { return picked_ttl_; }

 private:
  bool ResolveOne(std::string_view option, std::string_view field,
                  const std::vector<std::string>& header, size_t* column, std::string* error) const;

  const FormatOptions options_;
  size_t key_ = 0;
  size_t value_ = kNoColumn;  // not chosen: by the number of columns
  size_t ttl_ = kNoColumn;
  size_t picked_value_ = 0;
  size_t picked_ttl_ = kNoColumn;
};

}  // namespace kist::cli
