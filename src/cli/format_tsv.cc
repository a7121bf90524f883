// Tab-separated lines.
//
//   line   := column { TAB column } [CR] LF
//   column := bytes without TAB, LF; backslash begins an escape (text.h) unless --raw
//
// Empty lines are skipped. The writer never writes one: where a line would be empty (a lone empty
// key) it writes \e. A CR before the LF belongs to the line's end; the writer escapes CRs.
#include <algorithm>
#include <vector>

#include "cli/columns.h"
#include "cli/format.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

class TsvReader final : public RecordReader {
 public:
  TsvReader(const FormatOptions& options, Input* input)
      : options_(options), input_(input), columns_(options) {}

  Result Next(Record* record) override;

 private:
  Result NextLine(std::string_view* line);
  Result ReadHeader();
  void Split(std::string_view line);
  bool Column(std::string_view line, size_t column, std::string* out);

  const FormatOptions options_;
  Input* const input_;
  Columns columns_;
  bool started_ = false;
  std::vector<std::string_view> fields_;
};

RecordReader::Result TsvReader::NextLine(std::string_view* line) {
  for (;;) {
    const Input::Result result = input_->ReadLine(line);
    if (result != Input::Result::kLine) return FromInput(result);
    if (!line->empty() && line->back() == '\r') line->remove_suffix(1);
    if (!line->empty()) return Result::kRecord;
  }
}

void TsvReader::Split(std::string_view line) {
  fields_.clear();
  size_t begin = 0;
  for (;;) {
    const size_t tab = line.find('\t', begin);
    fields_.push_back(line.substr(begin, tab == std::string_view::npos ? tab : tab - begin));
    if (tab == std::string_view::npos) return;
    begin = tab + 1;
  }
}

RecordReader::Result TsvReader::ReadHeader() {
  std::vector<std::string> names;
  if (options_.header) {
    std::string_view line;
    const Result result = NextLine(&line);
    if (result != Result::kRecord) return result;
    Split(line);
    names.assign(fields_.begin(), fields_.end());
  }
  started_ = true;
  return columns_.Resolve(names, &error_) ? Result::kRecord : Result::kFatal;
}

bool TsvReader::Column(std::string_view line, size_t column, std::string* out) {
  if (column == kEmptyColumn) {
    out->clear();
    return true;
  }
  const std::string_view text = column == kWholeRecord ? line : fields_[column];
  if (options_.raw || column == kWholeRecord || text.find('\\') == std::string_view::npos) {
    out->assign(text);
    return true;
  }
  return Unescape(text, out, &error_);
}

RecordReader::Result TsvReader::Next(Record* record) {
  if (!started_) {
    const Result result = ReadHeader();
    record->line = input_->line();
    if (result != Result::kRecord) return result;
  }
  std::string_view line;
  const Result result = NextLine(&line);
  record->line = input_->line();
  if (result != Result::kRecord) return result;
  Split(line);
  if (!columns_.Pick(fields_.size(), &error_)) return Result::kBad;
  if (!Column(line, columns_.key(), &record->key)) return Result::kBad;
  if (!Column(line, columns_.value(), &record->value)) return Result::kBad;
  record->ttl_ms.reset();
  if (columns_.ttl() == kNoColumn) return Result::kRecord;
  const bool good = ParseTtlField(fields_[columns_.ttl()], &record->ttl_ms, &error_);
  return good ? Result::kRecord : Result::kBad;
}

class TsvWriter final : public RecordWriter {
 public:
  explicit TsvWriter(const FormatOptions& options) : options_(options) {}

  void Begin(std::string* out) override {
    if (!options_.header) return;
    if (!options_.values_only) *out += "key";
    if (!options_.values_only && !options_.keys_only) *out += '\t';
    if (!options_.keys_only) *out += "value";
    if (options_.with_ttl) *out += "\tttl_ms";
    *out += '\n';
  }

  void Append(std::string_view key, std::string_view value, int64_t ttl_ms,
              std::string* out) override {
    const size_t begin = out->size();
    if (!options_.values_only) Text(key, out);
    if (!options_.values_only && !options_.keys_only) *out += '\t';
    if (!options_.keys_only) Text(value, out);
    if (options_.with_ttl) *out += '\t';
    if (options_.with_ttl && ttl_ms >= 0) *out += std::to_string(std::max<int64_t>(ttl_ms, 1));
    if (out->size() == begin && !options_.raw) *out += "\\e";
    *out += '\n';
  }

 private:
  void Text(std::string_view bytes, std::string* out) const {
    if (options_.raw) {
      *out += bytes;
    } else {
      AppendEscaped(bytes, out);
    }
  }

  const FormatOptions options_;
};

}  // namespace

std::unique_ptr<RecordReader> NewTsvReader(const FormatOptions& options, Input* input) {
  return std::make_unique<TsvReader>(options, input);
}

std::unique_ptr<RecordWriter> NewTsvWriter(const FormatOptions& options) {
  return std::make_unique<TsvWriter>(options);
}

}  // namespace kist::cli
