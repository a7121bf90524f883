// Without --key and --value a line is key, value: no other number of columns is guessed at.
//
// Names are looked up in the header once; for a line only the number of its columns is compared.
// Rejected: taking a missing column as empty, which hides a broken line in the middle of a file.
#include "cli/columns.h"

#include <algorithm>

#include "cli/number.h"
#include "cli/suggest.h"
#include "cli/text.h"

namespace kist::cli {

bool Columns::ResolveOne(std::string_view option, std::string_view field,
                         const std::vector<std::string>& header, size_t* column,
                         std::string* error) const {
  if (field == "@record") {
    *column = kWholeRecord;
    return true;
  }
  if (field == "@empty") {
    *column = kEmptyColumn;
    return true;
  }
  uint64_t number = 0;
  if (!field.empty() && field.find_first_not_of("0123456789") == std::string_view::npos &&
      ParseCount(field, &number) && number > 0) {
    *column = static_cast<size_t>(number - 1);
    return true;
  }
  const auto found = std::find(header.begin(), header.end(), field);
  if (found != header.end()) {
    *column = static_cast<size_t>(found - header.begin());
    return true;
  }
  *error = std::string(option) + " " + Quoted(field);
  if (!options_.header) {
    *error += ": columns have names only with --header; give a number from 1";
    return false;
  }
  *error += ": the header has no such column";
  const std::string_view nearest =
      Nearest(field, std::vector<std::string_view>(header.begin(), header.end()));
  if (!nearest.empty()) *error += "; did you mean " + Quoted(nearest) + "?";
  return false;
}

bool Columns::Resolve(const std::vector<std::string>& header, std::string* error) {
  if (options_.key.has_value() && !ResolveOne("--key", *options_.key, header, &key_, error)) {
    return false;
  }
  if (options_.value.has_value()) {
    if (!ResolveOne("--value", *options_.value, header, &value_, error)) return false;
  } else if (options_.keys_only) {
    value_ = kEmptyColumn;
  } else if (options_.key.has_value()) {
    value_ = kWholeRecord;
  }
  return !options_.ttl.has_value() ||
         ResolveOne("--ttl-field", *options_.ttl, header, &ttl_, error);
}

bool Columns::Pick(size_t count, std::string* error) {
  picked_value_ = value_;
  picked_ttl_ = ttl_;
  if (value_ == kNoColumn) {
    const size_t expected = ttl_ == kNoColumn ? 2 : std::max<size_t>(2, ttl_ + 1);
    if (count != expected) {
      *error = count == 1
                   ? "one column, where key and value were expected"
                   : Printf("%zu columns, where %zu were expected; choose with --key and --value",
                            count, expected);
      return false;
    }
    picked_value_ = 1;
  }
  for (const size_t column : {key_, picked_value_, picked_ttl_}) {
    if (column < kNoColumn && column >= count) {
      *error = Printf("no column %zu: the line has %zu", column + 1, count);
      return false;
    }
  }
  return true;
}

}  // namespace kist::cli
