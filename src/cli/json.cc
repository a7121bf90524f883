// RFC 8259, by recursive descent with a bound on the depth.
//
// Bytes inside strings must be UTF-8: JSON has no other, and a format that let them pass would not
// be exact in other tools. Numbers keep their text, so none loses a digit.
#include "cli/json.h"

#include <cstdint>

#include "cli/number.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr int kDepthMax = 200;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool HexQuad(std::string_view text, size_t at, uint32_t* value) {
  if (at + 4 > text.size()) return false;
  *value = 0;
  for (size_t i = at; i < at + 4; ++i) {
    const char c = text[i];
    const int digit = IsDigit(c)               ? c - '0'
                      : (c >= 'a' && c <= 'f') ? c - 'a' + 10
                      : (c >= 'A' && c <= 'F') ? c - 'A' + 10
                                               : -1;
    if (digit < 0) return false;
    *value = *value * 16 + static_cast<uint32_t>(digit);
  }
  return true;
}

void AppendUtf8(uint32_t code, std::string* out) {
  const auto put = [out](uint32_t byte) { *out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 63));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 63));
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  }
}

// `*at` stands behind "\u"; moves it behind the character's last digit.
bool DecodeUnicodeEscape(std::string_view text, size_t* at, std::string* out, std::string* error) {
  uint32_t code = 0;
  uint32_t low = 0;
  bool good = HexQuad(text, *at, &code);
  *at += 4;
  if (good && code >= 0xd800 && code < 0xdc00) {
    good = text.substr(*at, 2) == "\\u" && HexQuad(text, *at + 2, &low) && low >= 0xdc00 &&
           low < 0xe000;
    *at += 6;
    code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
  } else if (good && code >= 0xdc00 && code < 0xe000) {
    good = false;
  }
  if (!good) {
    *error =
        "a \\u escape is half a surrogate pair; bytes that are not UTF-8 go into key_b64, "
        "value_b64";
    return false;
  }
  AppendUtf8(code, out);
  return true;
}

}  // namespace

bool DecodeJsonString(std::string_view text, std::string* out, std::string* error) {
  out->clear();
  text = text.substr(1, text.size() - 2);
  size_t at = 0;
  while (at < text.size()) {
    const size_t slash = text.find('\\', at);
    out->append(text, at, slash == std::string_view::npos ? slash : slash - at);
    if (slash == std::string_view::npos) return true;
    const char kind = text[slash + 1];
    at = slash + 2;
    switch (kind) {
      case 'b':
        *out += '\b';
        break;
      case 'f':
        *out += '\f';
        break;
      case 'n':
        *out += '\n';
        break;
      case 'r':
        *out += '\r';
        break;
      case 't':
        *out += '\t';
        break;
      case 'u':
        if (!DecodeUnicodeEscape(text, &at, out, error)) return false;
        break;
      default:
        *out += kind;
    }
  }
  return true;
}

const JsonObject::Member* JsonObject::Find(std::string_view name) const {
  for (size_t i = members_.size(); i > 0; --i) {
    if (members_[i - 1].name == name) return &members_[i - 1];
  }
  return nullptr;
}

bool JsonObject::Fail(const char* reason) {
  if (error_->empty()) *error_ = Printf("byte %zu: %s", at_ + 1, reason);
  return false;
}

void JsonObject::SkipSpace() {
  while (Peek(' ') || Peek('\t') || Peek('\r') || Peek('\n')) ++at_;
}

bool JsonObject::ParseString() {
  if (!Peek('"')) return Fail("a string was expected");
  ++at_;
  while (at_ < text_.size()) {
    const unsigned char c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      ++at_;
      return true;
    }
    if (c < 0x20) return Fail("a control character inside a string; write it as \\u00NN");
    if (c >= 0x80) {
      const size_t length = Utf8CharLength(text_.substr(at_));
      if (length == 0) return Fail("not UTF-8; such bytes go into key_b64, value_b64");
      at_ += length;
      continue;
    }
    ++at_;
    if (c != '\\') continue;
    const char kind = at_ < text_.size() ? text_[at_] : '\0';
    uint32_t code = 0;
    if (kind == 'u' && !HexQuad(text_, at_ + 1, &code)) return Fail("\\u needs four digits");
    if (std::string_view("\"\\/bfnrtu").find(kind) == std::string_view::npos || kind == '\0') {
      return Fail("unknown escape in a string");
    }
    at_ += kind == 'u' ? 5 : 1;
  }
  return Fail("the string does not end");
}

bool JsonObject::ParseNumber() {
  if (Peek('-')) ++at_;
  const size_t first = at_;
  while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
  if (at_ == first) return Fail("a value was expected");
  if (text_[first] == '0' && at_ - first > 1) return Fail("a number with a leading zero");
  if (Peek('.')) {
    const size_t point = ++at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
    if (at_ == point) return Fail("digits were expected after the point");
  }
  if (Peek('e') || Peek('E')) {
    ++at_;
    if (Peek('+') || Peek('-')) ++at_;
    const size_t exponent = at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
    if (at_ == exponent) return Fail("digits were expected in the exponent");
  }
  return true;
}

bool JsonObject::ParseLiteral(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) return Fail("a value was expected");
  at_ += word.size();
  return true;
}

bool JsonObject::ParseValue(Type* type, int depth) {
  if (depth > kDepthMax) return Fail("nested too deeply");
  const char c = at_ < text_.size() ? text_[at_] : '\0';
  switch (c) {
    case '"':
      *type = Type::kString;
      return ParseString();
    case '{':
      *type = Type::kObject;
      return ParseMembers(depth);
    case '[':
      *type = Type::kArray;
      return ParseElements(depth);
    case 't':
      *type = Type::kLiteral;
      return ParseLiteral("true");
    case 'f':
      *type = Type::kLiteral;
      return ParseLiteral("false");
    case 'n':
      *type = Type::kLiteral;
      return ParseLiteral("null");
    default:
      *type = Type::kNumber;
      return ParseNumber();
  }
}

bool JsonObject::ParseMembers(int depth) {
  ++at_;  // {
  SkipSpace();
  if (Peek('}')) {
    ++at_;
    return true;
  }
  for (;;) {
    const size_t name_at = at_;
    if (!ParseString()) return false;
    const std::string_view name = text_.substr(name_at, at_ - name_at);
    SkipSpace();
    if (!Peek(':')) return Fail("a colon was expected");
    ++at_;
    SkipSpace();
    const size_t value_at = at_;
    Type type = Type::kLiteral;
    if (!ParseValue(&type, depth + 1)) return false;
    if (depth == 0) {
      members_.push_back({std::string(), type, text_.substr(value_at, at_ - value_at)});
      if (!DecodeJsonString(name, &members_.back().name, error_)) return false;
    }
    SkipSpace();
    if (Peek('}')) {
      ++at_;
      return true;
    }
    if (!Peek(',')) return Fail("a comma or the object's end was expected");
    ++at_;
    SkipSpace();
  }
}

bool JsonObject::ParseElements(int depth) {
  ++at_;  // [
  SkipSpace();
  if (Peek(']')) {
    ++at_;
    return true;
  }
  for (;;) {
    Type type = Type::kLiteral;
    if (!ParseValue(&type, depth + 1)) return false;
    SkipSpace();
    if (Peek(']')) {
      ++at_;
      return true;
    }
    if (!Peek(',')) return Fail("a comma or the array's end was expected");
    ++at_;
    SkipSpace();
  }
}

bool JsonObject::Parse(std::string_view text, std::string* error) {
  text_ = text;
  at_ = 0;
  error_ = error;
  error->clear();
  members_.clear();
  SkipSpace();
  if (!Peek('{')) return Fail("each line must hold one JSON object");
  if (!ParseMembers(0)) return false;
  SkipSpace();
  if (at_ != text_.size()) return Fail("text after the object's end");
  return true;
}

}  // namespace kist::cli
