// Numbers as people write them: counts ("10k", "1M", "64KiB"), durations ("90s", "12h") and the way
// back ("63,440", "48.1 MB", "1 min 20 s").
//
// None of it depends on the locale: scripts read these.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kist::cli {

// Digits, then nothing or one of k M G (thousands) or KiB MiB GiB (1024s), letters in either case.
[[nodiscard]] bool ParseCount(std::string_view text, uint64_t* value);
// Digits and a unit: ms, s, m or min, h, d, w. A bare number is refused: of what?
[[nodiscard]] bool ParseDurationMs(std::string_view text, int64_t* ms);

std::string FormatCount(uint64_t value);    // 1,234,567
std::string FormatEntries(uint64_t count);  // 1 entry, 1,234 entries
std::string FormatBytes(double bytes);      // 48.1 MB, decimal units
std::string FormatSeconds(double seconds);  // 0.31 s, 1 min 20 s, 3 h 5 min
std::string FormatMicros(
    double microseconds);  // 0.42 us, 3.1 ms: always four characters of figures
std::string Printf(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace kist::cli
