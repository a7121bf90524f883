// Parsing and printing moments. Every byte of the text must belong to the form, and every field be
// in its bounds: the 31st of February is refused rather than taken for a day in March.
// Threads: any; none of it depends on the locale.
#include "cli/moment.h"

#include <chrono>
#include <ctime>

#include "cli/number.h"

namespace kist::cli {
namespace {

// Takes `digits` digits (1 to 18) off the front; false where there are others or none.
bool TakeDigits(std::string_view* text, size_t least, size_t most, int64_t* value) {
  size_t n = 0;
  *value = 0;
  while (n < text->size() && n < most && (*text)[n] >= '0' && (*text)[n] <= '9')
    *value = *value * 10 + ((*text)[n++] - '0');
  if (n < least) return false;
  text->remove_prefix(n);
  return true;
}

bool Take(std::string_view* text, char c) {
  if (text->empty() || text->front() != c) return false;
  text->remove_prefix(1);
  return true;
}

// ".5" is 500 ms; more than three digits are cut.
bool TakeFraction(std::string_view* text, int64_t* ms) {
  *ms = 0;
  if (!Take(text, '.')) return true;
  int64_t scale = 100, digit = 0;
  if (text->empty()) return false;
  while (!text->empty() && text->front() >= '0' && text->front() <= '9') {
    digit = text->front() - '0';
    *ms += digit * scale;
    scale /= 10;
    text->remove_prefix(1);
  }
  return true;
}

}  // namespace

bool ParseMoment(std::string_view text, int64_t* unix_ms) {
  int64_t ms = 0;
  if (Take(&text, '@')) {
    int64_t seconds = 0;
    if (!TakeDigits(&text, 1, 12, &seconds) || !TakeFraction(&text, &ms) || !text.empty())
      return false;
    *unix_ms = seconds * 1000 + ms;
    return true;
  }
  int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!TakeDigits(&text, 4, 4, &year) || !Take(&text, '-') || !TakeDigits(&text, 2, 2, &month) ||
      !Take(&text, '-') || !TakeDigits(&text, 2, 2, &day))
    return false;
  if (!Take(&text, 'T') && !Take(&text, ' ')) return false;
  if (!TakeDigits(&text, 2, 2, &hour) || !Take(&text, ':') || !TakeDigits(&text, 2, 2, &minute))
    return false;
  if (Take(&text, ':') && (!TakeDigits(&text, 2, 2, &second) || !TakeFraction(&text, &ms)))
    return false;
  const bool utc = Take(&text, 'Z');
  if (!text.empty() || hour > 23 || minute > 59 || second > 59 || year < 1970) return false;
  std::tm tm{};
  tm.tm_year = static_cast<int>(year - 1900);
  tm.tm_mon = static_cast<int>(month - 1);
  tm.tm_mday = static_cast<int>(day);
  tm.tm_hour = static_cast<int>(hour);
  tm.tm_min = static_cast<int>(minute);
  tm.tm_sec = static_cast<int>(second);
  tm.tm_isdst = -1;
  const std::time_t t = utc ? timegm(&tm) : std::mktime(&tm);
  if (t == static_cast<std::time_t>(-1) || tm.tm_mon != month - 1 || tm.tm_mday != day)
    return false;
  *unix_ms = static_cast<int64_t>(t) * 1000 + ms;
  return true;
}

std::string FormatMoment(int64_t unix_ms) {
  const std::time_t seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  return Printf("%04d-%02d-%02d %02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                tm.tm_hour, tm.tm_min, tm.tm_sec, static_cast<int>(unix_ms % 1000));
}

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace kist::cli
