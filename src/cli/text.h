// Text forms of arbitrary bytes. Escaped text is valid UTF-8 without control characters, so a
// terminal, a line-based tool and a reader of tab-separated columns each take it as it is; Unescape
// gives the bytes back exactly.
//
//   \t \n \r \0 \\    tab, line feed, carriage return, NUL, backslash
//   \xNN              one byte, two hexadecimal digits: other control characters, bytes that are
//   not UTF-8 \e                nothing: stands for an empty column where the line would be empty
//   otherwise
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kist::cli {

// Each appends to *out.
void AppendEscaped(std::string_view bytes, std::string* out);
void AppendBase64(std::string_view bytes, std::string* out);
// A JSON string with its quotes. `bytes` must be valid UTF-8.
void AppendJsonString(std::string_view bytes, std::string* out);

// Each replaces *out; false with the reason in *error where `text` is not of the form.
[[nodiscard]] bool Unescape(std::string_view text, std::string* out, std::string* error);
[[nodiscard]] bool DecodeHex(std::string_view text, std::string* out, std::string* error);
[[nodiscard]] bool DecodeBase64(std::string_view text, std::string* out, std::string* error);

bool IsUtf8(std::string_view bytes);
// The length of the valid UTF-8 character that `bytes` starts with, 0 where it starts with none.
size_t Utf8CharLength(std::string_view bytes);
// For messages: 'escaped text', cut where it is long.
std::string Quoted(std::string_view bytes);

}  // namespace kist::cli
