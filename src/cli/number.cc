// Parsing refuses what does not fit instead of clamping it.
//
// Units: decimal letters are powers of 1000 and the i makes them powers of 1024, as in the
// library's options; figures are printed in decimal units.
#include "cli/number.h"

#include <cctype>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace kist::cli {
namespace {

struct Unit {
  const char* name;
  uint64_t factor;
};

constexpr Unit kCountUnits[] = {{"", 1},
                                {"k", 1000},
                                {"m", 1000 * 1000},
                                {"g", 1000 * 1000 * 1000},
                                {"b", 1},
                                {"kb", 1000},
                                {"mb", 1000 * 1000},
                                {"gb", 1000 * 1000 * 1000},
                                {"kib", uint64_t{1} << 10},
                                {"mib", uint64_t{1} << 20},
                                {"gib", uint64_t{1} << 30}};

constexpr Unit kDurationUnits[] = {{"ms", 1},
                                   {"s", 1000},
                                   {"m", 60 * 1000},
                                   {"min", 60 * 1000},
                                   {"h", 3600 * 1000},
                                   {"d", uint64_t{24} * 3600 * 1000},
                                   {"w", uint64_t{7} * 24 * 3600 * 1000}};

template <size_t N>
bool ParseWithUnit(std::string_view text, const Unit (&units)[N], uint64_t* value) {
  size_t at = 0;
  uint64_t number = 0;
  while (at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0) {
    if (__builtin_mul_overflow(number, uint64_t{10}, &number)) return false;
    if (__builtin_add_overflow(number, static_cast<uint64_t>(text[at] - '0'), &number))
      return false;
    ++at;
  }
  if (at == 0) return false;
  std::string unit;
  for (; at < text.size(); ++at) {
    if (text[at] == ' ') continue;
    unit += static_cast<char>(std::tolower(static_cast<unsigned char>(text[at])));
  }
  for (const Unit& candidate : units) {
    if (unit == candidate.name) return !__builtin_mul_overflow(number, candidate.factor, value);
  }
  return false;
}

}  // namespace

bool ParseCount(std::string_view text, uint64_t* value) {
  return ParseWithUnit(text, kCountUnits, value);
}

bool ParseDurationMs(std::string_view text, int64_t* ms) {
  uint64_t value = 0;
  if (!ParseWithUnit(text, kDurationUnits, &value) || value > INT64_MAX) return false;
  *ms = static_cast<int64_t>(value);
  return true;
}

std::string Printf(const char* format, ...) {
  va_list list;
  va_start(list, format);
  va_list again;
  va_copy(again, list);
  const int need = std::vsnprintf(nullptr, 0, format, list);
  va_end(list);
  std::string text(need > 0 ? static_cast<size_t>(need) : 0, '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  return text;
}

std::string FormatCount(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string FormatEntries(uint64_t count) {
  return FormatCount(count) + (count == 1 ? " entry" : " entries");
}

std::string FormatBytes(double bytes) {
  if (bytes < 1000) return Printf("%.0f B", bytes);
  const char* const units[] = {"kB", "MB", "GB", "TB"};
  size_t unit = 0;
  bytes /= 1000;
  while (bytes >= 999.5 && unit < 3) {
    bytes /= 1000;
    ++unit;
  }
  return Printf(bytes < 99.95 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

std::string FormatSeconds(double seconds) {
  if (seconds < 10) return Printf("%.2f s", seconds);
  if (seconds < 60) return Printf("%.1f s", seconds);
  const uint64_t whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 3600) return Printf("%d min %d s", int(whole / 60), int(whole % 60));
  return Printf("%d h %d min", int(whole / 3600), int(whole % 3600 / 60));
}

std::string FormatMicros(double microseconds) {
  if (microseconds < 10) return Printf("%.2f us", microseconds);
  if (microseconds < 100) return Printf("%.1f us", microseconds);
  if (microseconds < 1000) return Printf("%.0f us", microseconds);
  if (microseconds < 10000) return Printf("%.2f ms", microseconds / 1000);
  if (microseconds < 100000) return Printf("%.1f ms", microseconds / 1000);
  if (microseconds < 1000000) return Printf("%.0f ms", microseconds / 1000);
  return Printf("%.2f s", microseconds / 1000000);
}

}  // namespace kist::cli
