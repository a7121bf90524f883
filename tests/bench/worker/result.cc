// Printing results and closing the books of a phase; the lines are described in result.h.
#include "result.h"

#include <cstdio>

namespace kist::bench {

void Result::SetLatencies(const Histogram& histogram) {
  const double us = NsPerTick() * 1e-3;
  Set("p50_us", histogram.Quantile(0.50) * us);
  Set("p99_us", histogram.Quantile(0.99) * us);
  Set("p999_us", histogram.Quantile(0.999) * us);
  Set("max_us", static_cast<double>(histogram.MaxTicks()) * us);
}

void Result::Print(char kind) const {
  std::string line(1, kind);
  line += " " + row_;
  char text[64];
  for (const auto& [name, value] : values_) {
    std::snprintf(text, sizeof text, "%.9g", value);
    line += " " + name + "=" + text;
  }
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

void Phase::Finish(uint64_t ops, Result* result) const {
  const Books end = Books::Now();
  const double seconds = static_cast<double>(end.ns - begin_.ns) * 1e-9;
  const double n = static_cast<double>(ops == 0 ? 1 : ops);
  result->Set("ops", static_cast<double>(ops));
  result->Set("seconds", seconds);
  result->Set("rate", n / seconds);
  result->Set("us_op", seconds * 1e6 / n);
  result->Set("cpu_us_op", (end.cpu_seconds - begin_.cpu_seconds) * 1e6 / n);
  result->Set("rss_mb", static_cast<double>(PeakRssBytes()) * 1e-6);
  result->Set("written_mb", static_cast<double>(end.written_calls - begin_.written_calls) * 1e-6);
  result->Set("pages_mb", static_cast<double>(end.written_pages - begin_.written_pages) * 1e-6);
}

}  // namespace kist::bench
