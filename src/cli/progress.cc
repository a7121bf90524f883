// The time left is what is left divided by the recent rate, not by the average since the beginning:
// a load that a compaction has slowed down says so.
//
// Update is called after each batch or chunk; between two drawings it reads the clock and returns.
#include "cli/progress.h"

#include <cmath>
#include <utility>

#include "cli/number.h"

namespace kist::cli {
namespace {

constexpr double kSmoothingSeconds = 3;

}  // namespace

Progress::Progress(Console* console, std::string what, Unit unit, bool enabled)
    : console_(console),
      what_(std::move(what)),
      unit_(unit),
      enabled_(enabled),
      start_(Clock::now()) {}

double Progress::Seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Progress::Update(uint64_t done, uint64_t total, uint64_t entries) {
  if (!enabled_) return;
  const double now = Seconds();
  if (now < next_draw_) return;
  next_draw_ = now + (console_->is_terminal() ? 0.1 : 2.0);
  const double elapsed = now - last_time_;
  const double rate = elapsed > 0 ? static_cast<double>(done - last_done_) / elapsed : 0;
  const double weight = last_time_ == 0 ? 1 : 1 - std::exp(-elapsed / kSmoothingSeconds);
  rate_ += (rate - rate_) * weight;
  last_time_ = now;
  last_done_ = done;
  Draw(now, done, total, entries);
}

void Progress::Draw(double now, uint64_t done, uint64_t total, uint64_t entries) {
  const bool bytes = unit_ == Unit::kBytes;
  const auto amount = [&](uint64_t value) {
    return bytes ? FormatBytes(static_cast<double>(value)) : FormatCount(value);
  };
  std::string line = what_ + "  " + amount(done);
  if (total > 0) {
    line += " of " + amount(total);
    line += Printf("  %d%%", static_cast<int>(done >= total ? 100 : done * 100.0 / total));
  }
  if (entries > 0) line += "  " + FormatCount(entries) + " entries";
  line += "  " + (bytes ? FormatBytes(rate_) : FormatCount(static_cast<uint64_t>(rate_))) + "/s";
  if (total > done && rate_ > 0) {
    const double seconds = static_cast<double>(total - done) / rate_;
    line += "  " + (seconds < 60 ? Printf("%.0f s", std::ceil(seconds)) : FormatSeconds(seconds));
    line += " left";
  } else if (total > 0 && done >= total) {
    line += "  finishing";
  } else {
    line += "  " + FormatSeconds(now);
  }
  console_->Status(line);
}

}  // namespace kist::cli
