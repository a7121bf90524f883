// Progress: how far long work is, how fast, and how long it will still take, on the console's
// status line. Shown on a terminal (or with --progress), not before half a second has passed, and
// about ten times a second (every two seconds where standard error is no terminal).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/console.h"

namespace kist::cli {

class Progress {
 public:
  enum class Unit { kBytes, kSteps };

  Progress(Console* console, std::string what, Unit unit, bool enabled);
  ~Progress() { console_->ClearStatus(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `total` 0: not known. `entries` 0: not counted.
  void Update(uint64_t done, uint64_t total, uint64_t entries);
  double Seconds() const;  // since construction

 private:
  using Clock = std::chrono::steady_clock;

  void Draw(double now, uint64_t done, uint64_t total, uint64_t entries);

  Console* const console_;
  const std::string what_;
  const Unit unit_;
  const bool enabled_;
  const Clock::time_point start_;
  double next_draw_ = 0.5;
  double last_time_ = 0;
  uint64_t last_done_ = 0;
  double rate_ = 0;  // units a second, smoothed over about three seconds
};

}  // namespace kist::cli
