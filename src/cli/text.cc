// UTF-8 by the table of the Unicode standard: no overlong forms, no surrogates, nothing past
// U+10FFFF.
//
// Printable ASCII is copied in runs. Decoders are strict: what they accept has one meaning.
#include "cli/text.h"

#include <cstdint>

namespace kist::cli {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr char kBase64Digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr size_t kQuotedMax = 80;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return -1;
}

bool IsPlain(char c) {
  const unsigned char byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x7f && c != '\\';
}

// Multi-byte characters stand as they are, the control characters U+0080..U+009F excepted.
bool IsPrintableMultibyte(std::string_view character) {
  return character.size() > 1 &&
         !(character[0] == '\xc2' && static_cast<unsigned char>(character[1]) < 0xa0);
}

void AppendByteEscape(char c, std::string* out) {
  const unsigned char byte = static_cast<unsigned char>(c);
  switch (c) {
    case '\t':
      *out += "\\t";
      return;
    case '\n':
      *out += "\\n";
      return;
    case '\r':
      *out += "\\r";
      return;
    case '\0':
      *out += "\\0";
      return;
    case '\\':
      *out += "\\\\";
      return;
    default:
      break;
  }
  *out += "\\x";
  *out += kHexDigits[byte >> 4];
  *out += kHexDigits[byte & 15];
}

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

}  // namespace

size_t Utf8CharLength(std::string_view bytes) {
  if (bytes.empty()) return 0;
  const unsigned char first = static_cast<unsigned char>(bytes[0]);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size_t length = first < 0xe0 ? 2 : (first < 0xf0 ? 3 : 4);
  if (bytes.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (!IsContinuation(bytes[i])) return 0;
  }
  const unsigned char second = static_cast<unsigned char>(bytes[1]);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return length;
}

bool IsUtf8(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (static_cast<unsigned char>(bytes[at]) < 0x80) {
      ++at;
      continue;
    }
    const size_t length = Utf8CharLength(bytes.substr(at));
    if (length == 0) return false;
    at += length;
  }
  return true;
}

void AppendEscaped(std::string_view bytes, std::string* out) {
  size_t at = 0;
  while (at < bytes.size()) {
    size_t plain = at;
    while (plain < bytes.size() && IsPlain(bytes[plain])) ++plain;
    out->append(bytes, at, plain - at);
    at = plain;
    if (at == bytes.size()) return;
    const size_t length = Utf8CharLength(bytes.substr(at));
    if (length > 1 && IsPrintableMultibyte(bytes.substr(at, length))) {
      out->append(bytes, at, length);
      at += length;
    } else {
      AppendByteEscape(bytes[at++], out);
    }
  }
}

bool Unescape(std::string_view text, std::string* out, std::string* error) {
  out->clear();
  size_t at = 0;
  while (at < text.size()) {
    const size_t slash = text.find('\\', at);
    out->append(text, at, slash == std::string_view::npos ? slash : slash - at);
    if (slash == std::string_view::npos) return true;
    const char kind = slash + 1 < text.size() ? text[slash + 1] : '\0';
    at = slash + 2;
    switch (kind) {
      case 't':
        *out += '\t';
        continue;
      case 'n':
        *out += '\n';
        continue;
      case 'r':
        *out += '\r';
        continue;
      case '0':
        *out += '\0';
        continue;
      case '\\':
        *out += '\\';
        continue;
      case 'e':
        continue;
      default:
        break;
    }
    const int high = kind == 'x' && slash + 3 < text.size() ? HexValue(text[slash + 2]) : -1;
    const int low = high >= 0 ? HexValue(text[slash + 3]) : -1;
    if (low < 0) {
      *error = slash + 1 >= text.size() ? "a lone backslash at the end"
               : kind == 'x'            ? "\\x needs two hexadecimal digits"
                                        : "unknown escape " + Quoted(text.substr(slash, 2));
      return false;
    }
    *out += static_cast<char>(high * 16 + low);
    at = slash + 4;
  }
  return true;
}

bool DecodeHex(std::string_view text, std::string* out, std::string* error) {
  out->clear();
  if (text.size() % 2 != 0) {
    *error = "hexadecimal needs two digits for each byte: " + Quoted(text);
    return false;
  }
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexValue(text[i]);
    const int low = HexValue(text[i + 1]);
    if (high < 0 || low < 0) {
      *error = "not hexadecimal: " + Quoted(text);
      return false;
    }
    *out += static_cast<char>(high * 16 + low);
  }
  return true;
}

void AppendBase64(std::string_view bytes, std::string* out) {
  uint32_t bits = 0;
  unsigned count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      *out += kBase64Digits[bits >> count & 63];
    }
  }
  if (count > 0) *out += kBase64Digits[bits << (6 - count) & 63];
  for (size_t pad = (3 - bytes.size() % 3) % 3; pad > 0; --pad) *out += '=';
}

bool DecodeBase64(std::string_view text, std::string* out, std::string* error) {
  out->clear();
  const size_t length = text.size();
  const size_t pad = length >= 2 && text[length - 1] == '=' ? (text[length - 2] == '=' ? 2 : 1) : 0;
  uint32_t bits = 0;
  unsigned count = 0;
  bool good = length % 4 == 0;
  for (size_t i = 0; good && i < length - pad; ++i) {
    const int value = Base64Value(text[i]);
    good = value >= 0;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      *out += static_cast<char>(bits >> count);
    }
  }
  if (!good) *error = "not base64: " + Quoted(text);
  return good;
}

void AppendJsonString(std::string_view bytes, std::string* out) {
  *out += '"';
  size_t run = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const unsigned char byte = static_cast<unsigned char>(bytes[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) continue;
    out->append(bytes, run, i - run);
    run = i + 1;
    switch (bytes[i]) {
      case '"':
        *out += "\\\"";
        continue;
      case '\\':
        *out += "\\\\";
        continue;
      case '\b':
        *out += "\\b";
        continue;
      case '\f':
        *out += "\\f";
        continue;
      case '\n':
        *out += "\\n";
        continue;
      case '\r':
        *out += "\\r";
        continue;
      case '\t':
        *out += "\\t";
        continue;
      default:
        break;
    }
    *out += "\\u00";
    *out += kHexDigits[byte >> 4];
    *out += kHexDigits[byte & 15];
  }
  out->append(bytes, run, bytes.size() - run);
  *out += '"';
}

std::string Quoted(std::string_view bytes) {
  std::string text = "'";
  AppendEscaped(bytes.substr(0, kQuotedMax), &text);
  text += bytes.size() > kQuotedMax ? "...'" : "'";
  return text;
}

}  // namespace kist::cli
