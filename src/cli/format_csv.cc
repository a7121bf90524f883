// Comma-separated values, RFC 4180.
//
//   record := field { delimiter field } [CR] LF
//   field  := '"' { any byte but '"' | '""' } '"'  |  bytes without delimiter, quote, CR, LF
//
// A quoted field may hold line ends, so a record may have several lines. Lines end with LF when
// written, LF or CRLF when read. There are no escapes: binary bytes stand as they are, in quotes.
// Empty lines are skipped; a record of one empty field is written "".
#include <algorithm>
#include <vector>

#include "cli/columns.h"
#include "cli/format.h"
#include "cli/number.h"

namespace kist::cli {
namespace {

constexpr size_t kRecordBytesMax = (size_t{2} << 30) + (size_t{1} << 20);

class CsvReader final : public RecordReader {
 public:
  CsvReader(const FormatOptions& options, Input* input)
      : options_(options), input_(input), columns_(options) {}

  Result Next(Record* record) override;

 private:
  Result NextRecord(uint64_t* first_line);
  Result ReadHeader(uint64_t* first_line);
  bool OpenAfter(std::string_view line, bool open) const;
  bool Split();
  bool SplitQuoted(size_t* at);
  void Column(size_t column, std::string* out) const;

  const FormatOptions options_;
  Input* const input_;
  Columns columns_;
  bool started_ = false;
  std::string record_;  // as it stands, without its line end
  std::string fields_;  // the fields' bytes, one after the other
  std::vector<size_t> ends_;
};

// Whether a quoted field is still open at the end of `line`, given whether one was at its
// beginning. A quote in the middle of an unquoted field opens nothing; Split refuses it.
bool CsvReader::OpenAfter(std::string_view line, bool open) const {
  if (line.find('"') == std::string_view::npos) return open;
  bool field_begins = !open;
  for (size_t i = 0; i < line.size(); ++i) {
    if (open) {
      if (line[i] != '"') continue;
      if (i + 1 < line.size() && line[i + 1] == '"') {
        ++i;
      } else {
        open = false;
      }
    } else if (line[i] == '"' && field_begins) {
      open = true;
    } else {
      field_begins = line[i] == options_.delimiter;
      continue;
    }
    field_begins = false;
  }
  return open;
}

RecordReader::Result CsvReader::NextRecord(uint64_t* first_line) {
  record_.clear();
  bool open = false;
  for (;;) {
    std::string_view line;
    const Input::Result result = input_->ReadLine(&line);
    if (result != Input::Result::kLine) {
      if (!open || result != Input::Result::kEnd) return FromInput(result);
      error_ = "a quote that is opened here is never closed";
      return Result::kFatal;
    }
    if (input_->line() == 1 && line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
    if (open) {
      record_ += '\n';
    } else {
      *first_line = input_->line();
    }
    record_ += line;
    open = OpenAfter(line, open);
    if (!open && !record_.empty() && record_.back() == '\r') record_.pop_back();
    if (!open && !record_.empty()) return Result::kRecord;
    if (record_.size() > kRecordBytesMax) {
      error_ = "a quote that is opened here is not closed within 2 GiB";
      return Result::kFatal;
    }
  }
}

bool CsvReader::SplitQuoted(size_t* at) {
  for (++*at;; *at += 2) {
    const size_t quote = record_.find('"', *at);
    if (quote == std::string::npos) break;
    fields_.append(record_, *at, quote - *at);
    *at = quote;
    if (quote + 1 < record_.size() && record_[quote + 1] == '"') {
      fields_ += '"';
      continue;
    }
    ++*at;
    if (*at == record_.size() || record_[*at] == options_.delimiter) return true;
    error_ = Printf("byte %zu: text after the closing quote of a field", *at + 1);
    return false;
  }
  error_ = "a quoted field does not end";
  return false;
}

bool CsvReader::Split() {
  fields_.clear();
  ends_.clear();
  size_t at = 0;
  for (;;) {
    if (at < record_.size() && record_[at] == '"') {
      if (!SplitQuoted(&at)) return false;
    } else {
      const size_t end = std::min(record_.find(options_.delimiter, at), record_.size());
      const size_t quote = record_.find('"', at);
      if (quote < end) {
        error_ = Printf("byte %zu: a quote inside a field that has none around it", quote + 1);
        return false;
      }
      fields_.append(record_, at, end - at);
      at = end;
    }
    ends_.push_back(fields_.size());
    if (at >= record_.size()) return true;
    ++at;  // the delimiter; after the last one stands an empty field
  }
}

RecordReader::Result CsvReader::ReadHeader(uint64_t* first_line) {
  std::vector<std::string> names;
  if (options_.header) {
    const Result result = NextRecord(first_line);
    if (result != Result::kRecord) return result;
    if (!Split()) return Result::kFatal;
    names.resize(ends_.size());
    for (size_t i = 0; i < names.size(); ++i) Column(i, &names[i]);
  }
  started_ = true;
  return columns_.Resolve(names, &error_) ? Result::kRecord : Result::kFatal;
}

void CsvReader::Column(size_t column, std::string* out) const {
  if (column == kEmptyColumn) {
    out->clear();
  } else if (column == kWholeRecord) {
    *out = record_;
  } else {
    const size_t begin = column == 0 ? 0 : ends_[column - 1];
    out->assign(fields_, begin, ends_[column] - begin);
  }
}

RecordReader::Result CsvReader::Next(Record* record) {
  record->line = 1;
  if (!started_) {
    const Result result = ReadHeader(&record->line);
    if (result != Result::kRecord) return result;
  }
  record->line = input_->line() + 1;
  const Result result = NextRecord(&record->line);
  if (result != Result::kRecord) return result;
  if (!Split() || !columns_.Pick(ends_.size(), &error_)) return Result::kBad;
  Column(columns_.key(), &record->key);
  Column(columns_.value(), &record->value);
  record->ttl_ms.reset();
  if (columns_.ttl() == kNoColumn) return Result::kRecord;
  std::string ttl;
  Column(columns_.ttl(), &ttl);
  return ParseTtlField(ttl, &record->ttl_ms, &error_) ? Result::kRecord : Result::kBad;
}

class CsvWriter final : public RecordWriter {
 public:
  explicit CsvWriter(const FormatOptions& options)
      : options_(options), special_(std::string("\"\r\n") + options.delimiter) {}

  void Begin(std::string* out) override {
    if (!options_.header) return;
    if (!options_.values_only) *out += "key";
    if (!options_.values_only && !options_.keys_only) *out += options_.delimiter;
    if (!options_.keys_only) *out += "value";
    if (options_.with_ttl) (*out += options_.delimiter) += "ttl_ms";
    *out += '\n';
  }

  void Append(std::string_view key, std::string_view value, int64_t ttl_ms,
              std::string* out) override {
    const size_t begin = out->size();
    if (!options_.values_only) Field(key, out);
    if (!options_.values_only && !options_.keys_only) *out += options_.delimiter;
    if (!options_.keys_only) Field(value, out);
    if (options_.with_ttl) *out += options_.delimiter;
    if (options_.with_ttl && ttl_ms >= 0) *out += std::to_string(std::max<int64_t>(ttl_ms, 1));
    if (out->size() == begin) *out += "\"\"";
    *out += '\n';
  }

 private:
  void Field(std::string_view bytes, std::string* out) const {
    const bool plain = bytes.find_first_of(special_) == std::string_view::npos;
    const bool spaced = !bytes.empty() && (bytes.front() == ' ' || bytes.back() == ' ');
    // A byte order mark at the very beginning would be taken for one; quotes prevent that.
    if (plain && !spaced && bytes.substr(0, 3) != "\xef\xbb\xbf") {
      *out += bytes;
      return;
    }
    *out += '"';
    for (const char c : bytes) {
      if (c == '"') *out += '"';
      *out += c;
    }
    *out += '"';
  }

  const FormatOptions options_;
  const std::string special_;
};

}  // namespace

std::unique_ptr<RecordReader> NewCsvReader(const FormatOptions& options, Input* input) {
  return std::make_unique<CsvReader>(options, input);
}

std::unique_ptr<RecordWriter> NewCsvWriter(const FormatOptions& options) {
  return std::make_unique<CsvWriter>(options);
}

}  // namespace kist::cli
