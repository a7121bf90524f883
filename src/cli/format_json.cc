// JSON lines. Without --key and --value a line is what the writer writes:
//
//   {"key": STRING | "key_b64": BASE64, "value": ANY | "value_b64": BASE64 [, "ttl_ms": NUMBER]}
//
// A value that is a JSON string stands for its characters, any other for its own text ({"a": 1}).
// With
// --key NAME the key is that member, and the value the member of --value or else the whole line.
#include <algorithm>

#include "cli/format.h"
#include "cli/json.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

class JsonReader final : public RecordReader {
 public:
  JsonReader(const FormatOptions& options, Input* input) : options_(options), input_(input) {}

  Result Next(Record* record) override;

 private:
  const JsonObject::Member* Find(std::string_view field);
  bool Text(const JsonObject::Member& member, std::string* out);
  bool Native(std::string_view name, bool required, std::string* out);
  bool Field(std::string_view option, std::string_view field, std::string_view line,
             std::string* out);
  bool Fields(std::string_view line, Record* record);

  const FormatOptions options_;
  Input* const input_;
  JsonObject object_;
  JsonObject inner_;
};

// A member by its name, or by a pointer through objects: /user/id.
const JsonObject::Member* JsonReader::Find(std::string_view field) {
  const JsonObject::Member* member = object_.Find(field);
  if (member != nullptr || field.substr(0, 1) != "/") return member;
  const JsonObject* object = &object_;
  while (!field.empty()) {
    const size_t end = std::min(field.find('/', 1), field.size());
    std::string name(field.substr(1, end - 1));
    for (size_t at = 0; (at = name.find('~', at)) != std::string::npos; ++at) {
      if (at + 1 < name.size()) name.replace(at, 2, name[at + 1] == '1' ? "/" : "~");
    }
    member = object->Find(name);
    field.remove_prefix(end);
    if (member == nullptr || field.empty()) return member;
    if (member->type != JsonObject::Type::kObject) return nullptr;
    const std::string_view text = member->text;
    if (!inner_.Parse(text, &error_)) return nullptr;
    object = &inner_;
  }
  return nullptr;
}

bool JsonReader::Text(const JsonObject::Member& member, std::string* out) {
  if (member.type == JsonObject::Type::kString) return DecodeJsonString(member.text, out, &error_);
  out->assign(member.text);
  return true;
}

bool JsonReader::Native(std::string_view name, bool required, std::string* out) {
  const JsonObject::Member* const plain = object_.Find(name);
  const JsonObject::Member* const coded = object_.Find(std::string(name) + "_b64");
  if (plain != nullptr && coded != nullptr) {
    error_ = "both \"" + std::string(name) + "\" and \"" + std::string(name) + "_b64\"";
    return false;
  }
  if (plain != nullptr && name == "key" && plain->type != JsonObject::Type::kString &&
      plain->type != JsonObject::Type::kNumber) {
    error_ = "\"key\" is neither a string nor a number";
    return false;
  }
  if (plain != nullptr) return Text(*plain, out);
  if (coded == nullptr) {
    out->clear();
    if (required) error_ = "no member \"" + std::string(name) + "\"";
    return !required;
  }
  std::string text;
  if (coded->type != JsonObject::Type::kString) {
    error_ = "\"" + std::string(name) + "_b64\" is not a string";
    return false;
  }
  return Text(*coded, &text) && DecodeBase64(text, out, &error_);
}

bool JsonReader::Field(std::string_view option, std::string_view field, std::string_view line,
                       std::string* out) {
  if (field == "@empty") {
    out->clear();
    return true;
  }
  if (field == "@record") {
    out->assign(line);
    return true;
  }
  error_.clear();
  const JsonObject::Member* const member = Find(field);
  if (member == nullptr) {
    error_ = "no member " + Quoted(field);
    return false;
  }
  const bool is_null = member->text == "null";
  const bool scalar =
      member->type == JsonObject::Type::kString || member->type == JsonObject::Type::kNumber;
  if (is_null || (option == "--key" && !scalar)) {
    error_ = "member " + Quoted(field) +
             (is_null ? " is null" : " is neither a string nor a number, as a key must be");
    return false;
  }
  return Text(*member, out);
}

bool JsonReader::Fields(std::string_view line, Record* record) {
  const bool key_good = options_.key.has_value() ? Field("--key", *options_.key, line, &record->key)
                                                 : Native("key", true, &record->key);
  if (!key_good) return false;
  bool value_good = true;
  if (options_.value.has_value()) {
    value_good = Field("--value", *options_.value, line, &record->value);
  } else if (options_.keys_only) {
    record->value.clear();
  } else if (options_.key.has_value()) {
    record->value.assign(line);
  } else {
    value_good = Native("value", true, &record->value);
  }
  if (!value_good) return false;
  const bool native = !options_.key.has_value() && !options_.value.has_value();
  const JsonObject::Member* const ttl = options_.ttl.has_value() ? Find(*options_.ttl)
                                        : native                 ? object_.Find("ttl_ms")
                                                                 : nullptr;
  record->ttl_ms.reset();
  if (ttl == nullptr || ttl->text == "null") return true;
  std::string text;
  return Text(*ttl, &text) && ParseTtlField(text, &record->ttl_ms, &error_);
}

RecordReader::Result JsonReader::Next(Record* record) {
  std::string_view line;
  do {
    const Input::Result result = input_->ReadLine(&line);
    record->line = input_->line();
    if (result != Input::Result::kLine) return FromInput(result);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (input_->line() == 1 && line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
  } while (line.find_first_not_of(" \t") == std::string_view::npos);
  if (!object_.Parse(line, &error_) || !Fields(line, record)) return Result::kBad;
  return Result::kRecord;
}

class JsonWriter final : public RecordWriter {
 public:
  explicit JsonWriter(const FormatOptions& options) : options_(options) {}

  void Append(std::string_view key, std::string_view value, int64_t ttl_ms,
              std::string* out) override {
    *out += '{';
    if (!options_.values_only) Member("key", key, out);
    if (!options_.values_only && !options_.keys_only) *out += ',';
    if (!options_.keys_only) Member("value", value, out);
    if (options_.with_ttl && ttl_ms >= 0) {
      *out += ",\"ttl_ms\":" + std::to_string(std::max<int64_t>(ttl_ms, 1));
    }
    *out += "}\n";
  }

 private:
  static void Member(std::string_view name, std::string_view bytes, std::string* out) {
    const bool text = IsUtf8(bytes);
    ((*out += '"') += name) += text ? "\":" : "_b64\":\"";
    if (text) {
      AppendJsonString(bytes, out);
    } else {
      AppendBase64(bytes, out);
      *out += '"';
    }
  }

  const FormatOptions options_;
};

}  // namespace

std::unique_ptr<RecordReader> NewJsonReader(const FormatOptions& options, Input* input) {
  return std::make_unique<JsonReader>(options, input);
}

std::unique_ptr<RecordWriter> NewJsonWriter(const FormatOptions& options) {
  return std::make_unique<JsonWriter>(options);
}

}  // namespace kist::cli
