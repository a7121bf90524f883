// Formats: records of key and value as text, in and out. What a writer writes, the reader of the
// same format reads back byte for byte (stanza, which has no writer for `dump`, excepted).
//
//   tsv     key TAB value LF, with the escapes of text.h
//   csv     RFC 4180: fields with comma, quote, CR or LF stand in quotes; other bytes as they are
//   jsonl   one object a line: {"key":"k","value":"v"}; bytes that are not UTF-8 as "key_b64",
//           "value_b64"
//   stanza  deb822: "Field: text" lines, records parted by blank lines
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/input.h"
#include "cli/output.h"

namespace kist::cli {

enum class Format { kTsv, kCsv, kJsonLines, kStanza };

// By name (tsv, csv, jsonl, stanza and their other names), or by a file name's ending.
[[nodiscard]] bool ParseFormat(std::string_view name, Format* format);
std::optional<Format> FormatOfFile(std::string_view path);

// Where key, value and TTL of a record are. A field is a column number from 1, a column's or
// field's name, a JSON pointer (/user/id), @record (the record as it stands) or @empty.
struct FormatOptions {
  Format format = Format::kTsv;
  bool header = false;   // tsv, csv: the first line names the columns
  bool raw = false;      // tsv: no escapes
  char delimiter = ',';  // csv
  bool keys_only = false;
  bool values_only = false;
  bool with_ttl = false;  // out: a third column
  std::optional<std::string> key, value, ttl;
};

// What is wrong with options that do not go together; empty where nothing is.
std::string CheckReadOptions(const FormatOptions& options);

struct Record {
  std::string key;
  std::string value;
  std::optional<int64_t> ttl_ms;
  uint64_t line = 0;  // where it begins
};

class RecordReader {
 public:
  enum class Result {
    kRecord,
    kEnd,
    kBad,    // this record is wrong: error() says why, record->line where; reading may go on
    kFatal,  // the whole input is wrong
    kInterrupted,
    kFailed,  // the input could not be read: input.error()
  };
  virtual ~RecordReader() = default;
  virtual Result Next(Record* record) = 0;
  const std::string& error() const { return error_; }

 protected:
  Result Bad(std::string reason) {
    error_ = std::move(reason);
    return Result::kBad;
  }
  std::string error_;
};

class RecordWriter {
 public:
  virtual ~RecordWriter() = default;
  virtual void Begin(std::string* out) {}  // the header, where there is one
  // Appends one record. ttl_ms < 0: never expires.
  virtual void Append(std::string_view key, std::string_view value, int64_t ttl_ms,
                      std::string* out) = 0;
};

std::unique_ptr<RecordReader> NewRecordReader(const FormatOptions& options, Input* input);
std::unique_ptr<RecordWriter> NewRecordWriter(const FormatOptions& options);

// One constructor a file.
std::unique_ptr<RecordReader> NewTsvReader(const FormatOptions& options, Input* input);
std::unique_ptr<RecordReader> NewCsvReader(const FormatOptions& options, Input* input);
std::unique_ptr<RecordReader> NewJsonReader(const FormatOptions& options, Input* input);
std::unique_ptr<RecordReader> NewStanzaReader(const FormatOptions& options, Input* input);
std::unique_ptr<RecordWriter> NewTsvWriter(const FormatOptions& options);
std::unique_ptr<RecordWriter> NewCsvWriter(const FormatOptions& options);
std::unique_ptr<RecordWriter> NewJsonWriter(const FormatOptions& options);
std::unique_ptr<RecordWriter> NewStanzaWriter(const FormatOptions& options);

// kLine has no counterpart: only for results that are not a line.
RecordReader::Result FromInput(Input::Result result);
// "1500" -> 1500; empty: no TTL. False with the reason in *error where it is no count of
// milliseconds.
[[nodiscard]] bool ParseTtlField(std::string_view text, std::optional<int64_t>* ttl_ms,
                                 std::string* error);

}  // namespace kist::cli
