// Moments in time as people write them, and back: "2026-11-20 14:05:00" is local time, with a Z at
// its end UTC; a T may stand between day and time; seconds and their fraction may be left out;
// "@1700000000.5" is Unix time. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kist::cli {

[[nodiscard]] bool ParseMoment(std::string_view text, int64_t* unix_ms);
std::string FormatMoment(int64_t unix_ms);  // "2026-11-20 14:05:00.123Z"
int64_t NowMs();

}  // namespace kist::cli
