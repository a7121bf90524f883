// Names of the formats, and what does not go together.
//
// A file name's ending chooses the format only for loading and only where --format does not; .txt
// and everything else is tsv.
#include "cli/format.h"

#include "cli/number.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

struct FormatName {
  const char* name;
  Format format;
};
constexpr FormatName kNames[] = {
    {"tsv", Format::kTsv},          {"csv", Format::kCsv},
    {"jsonl", Format::kJsonLines},  {"json-lines", Format::kJsonLines},
    {"ndjson", Format::kJsonLines}, {"json", Format::kJsonLines},
    {"stanza", Format::kStanza},    {"deb822", Format::kStanza},
};
constexpr FormatName kEndings[] = {
    {".tsv", Format::kTsv},         {".tab", Format::kTsv},          {".csv", Format::kCsv},
    {".jsonl", Format::kJsonLines}, {".ndjson", Format::kJsonLines},
};

}  // namespace

bool ParseFormat(std::string_view name, Format* format) {
  for (const FormatName& entry : kNames) {
    if (name == entry.name) {
      *format = entry.format;
      return true;
    }
  }
  return false;
}

std::optional<Format> FormatOfFile(std::string_view path) {
  for (const FormatName& entry : kEndings) {
    const std::string_view ending = entry.name;
    if (path.size() > ending.size() && path.substr(path.size() - ending.size()) == ending) {
      return entry.format;
    }
  }
  return std::nullopt;
}

std::string CheckReadOptions(const FormatOptions& options) {
  const bool columns = options.format == Format::kTsv || options.format == Format::kCsv;
  if (options.header && !columns) return "--header is for tsv and csv";
  if (options.raw && options.format != Format::kTsv) return "--raw is for tsv";
  if (options.format == Format::kStanza && !options.key.has_value()) {
    return "stanza input needs --key FIELD, for example --key Package";
  }
  if (options.key.has_value() && *options.key == "@empty") return "--key cannot be @empty";
  if (options.ttl.has_value() && options.ttl->substr(0, 1) == "@") {
    return "--ttl-field names a column or field";
  }
  return std::string();
}

std::unique_ptr<RecordReader> NewRecordReader(const FormatOptions& options, Input* input) {
  switch (options.format) {
    case Format::kTsv:
      return NewTsvReader(options, input);
    case Format::kCsv:
      return NewCsvReader(options, input);
    case Format::kJsonLines:
      return NewJsonReader(options, input);
    case Format::kStanza:
      return NewStanzaReader(options, input);
  }
  return nullptr;
}

std::unique_ptr<RecordWriter> NewRecordWriter(const FormatOptions& options) {
  switch (options.format) {
    case Format::kTsv:
      return NewTsvWriter(options);
    case Format::kCsv:
      return NewCsvWriter(options);
    case Format::kJsonLines:
      return NewJsonWriter(options);
    case Format::kStanza:
      return NewStanzaWriter(options);
  }
  return nullptr;
}

RecordReader::Result FromInput(Input::Result result) {
  switch (result) {
    case Input::Result::kEnd:
      return RecordReader::Result::kEnd;
    case Input::Result::kInterrupted:
      return RecordReader::Result::kInterrupted;
    default:
      return RecordReader::Result::kFailed;
  }
}

bool ParseTtlField(std::string_view text, std::optional<int64_t>* ttl_ms, std::string* error) {
  ttl_ms->reset();
  if (text.empty()) return true;
  uint64_t value = 0;
  if (text.find_first_not_of("0123456789") != std::string_view::npos || !ParseCount(text, &value) ||
      value == 0 || value >= INT64_MAX) {
    *error = "TTL " + Quoted(text) + " is not a positive number of milliseconds";
    return false;
  }
  *ttl_ms = static_cast<int64_t>(value);
  return true;
}

}  // namespace kist::cli
