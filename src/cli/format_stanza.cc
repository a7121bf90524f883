// Stanzas, the format of Debian's control files (deb822) and of mail headers:
//
//   Package: bash
//   Description: GNU Bourne Again SHell
//    Bash is an sh-compatible command language interpreter
//
// A record ends at a blank line or at the end of the input. Lines that begin with space or tab
// continue a field. Field names are compared without regard to case. The value is the whole record
// without its last line end, or one field, its continuation lines included.
#include <algorithm>
#include <cctype>

#include "cli/format.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr size_t kRecordBytesMax = (size_t{1} << 30) + (size_t{1} << 20);

bool EqualFold(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::tolower(static_cast<unsigned char>(a[i])) !=
        std::tolower(static_cast<unsigned char>(b[i]))) {
      return false;
    }
  }
  return true;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

class StanzaReader final : public RecordReader {
 public:
  StanzaReader(const FormatOptions& options, Input* input) : options_(options), input_(input) {}

  Result Next(Record* record) override;

 private:
  bool Field(std::string_view name, std::string* out) const;
  bool Choose(std::string_view field, std::string* out);
  bool Finish(Record* record);

  const FormatOptions options_;
  Input* const input_;
  std::string record_;
};

// The field's text: what follows its colon, and its continuation lines as they stand.
bool StanzaReader::Field(std::string_view name, std::string* out) const {
  const std::string_view all = record_;
  bool found = false;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    const std::string_view line = all.substr(begin, end - begin);
    begin = end + 1;
    if (!line.empty() && (line[0] == ' ' || line[0] == '\t')) {
      if (found) (*out += '\n') += line;
      continue;
    }
    if (found) return true;
    const size_t colon = line.find(':');
    found = colon != std::string_view::npos && EqualFold(line.substr(0, colon), name);
    if (found) out->assign(Trim(line.substr(colon + 1)));
  }
  return found;
}

bool StanzaReader::Choose(std::string_view field, std::string* out) {
  out->clear();
  if (field == "@empty") return true;
  if (field == "@record") {
    *out = record_;
    return true;
  }
  if (Field(field, out)) return true;
  error_ = "no field " + Quoted(field) + " in this record";
  return false;
}

bool StanzaReader::Finish(Record* record) {
  if (!Choose(*options_.key, &record->key)) return false;
  if (record->key.empty()) {
    error_ = "field " + Quoted(*options_.key) + " is empty";
    return false;
  }
  const std::string_view value = options_.value.has_value() ? std::string_view(*options_.value)
                                 : options_.keys_only       ? "@empty"
                                                            : "@record";
  if (!Choose(value, &record->value)) return false;
  record->ttl_ms.reset();
  std::string ttl;
  return !options_.ttl.has_value() || !Field(*options_.ttl, &ttl) ||
         ParseTtlField(ttl, &record->ttl_ms, &error_);
}

RecordReader::Result StanzaReader::Next(Record* record) {
  record_.clear();
  for (;;) {
    std::string_view line;
    const Input::Result result = input_->ReadLine(&line);
    if (result == Input::Result::kEnd && !record_.empty()) break;
    if (result != Input::Result::kLine) return FromInput(result);
    if (Trim(line).empty()) {
      if (record_.empty()) continue;
      break;
    }
    if (record_.empty()) {
      record->line = input_->line();
    } else {
      record_ += '\n';
    }
    record_ += line;
    if (record_.size() > kRecordBytesMax) {
      error_ = "a record of more than 1 GiB: are there no blank lines?";
      return Result::kFatal;
    }
  }
  return Finish(record) ? Result::kRecord : Result::kBad;
}

// For people and for tools that read stanzas: each value, then a blank line.
class StanzaWriter final : public RecordWriter {
 public:
  void Append(std::string_view key, std::string_view value, int64_t ttl_ms,
              std::string* out) override {
    *out += value;
    *out += !value.empty() && value.back() == '\n' ? "\n" : "\n\n";
  }
};

}  // namespace

std::unique_ptr<RecordReader> NewStanzaReader(const FormatOptions& options, Input* input) {
  return std::make_unique<StanzaReader>(options, input);
}

std::unique_ptr<RecordWriter> NewStanzaWriter(const FormatOptions& options) {
  return std::make_unique<StanzaWriter>();
}

}  // namespace kist::cli
