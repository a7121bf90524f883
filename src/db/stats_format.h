// The three ways to print statistics.
//
// Prometheus: text exposition format 0.0.4. Counters end in _total. Times are the summary
// kist_latency_seconds (quantiles 0.5, 0.99, 0.999) and the histogram
// kist_latency_histogram_seconds, which can be added up over processes, both by operation.
// Threads: functions of their arguments.
#pragma once

#include <string>
#include <vector>

#include "util/latency_histogram.h"

namespace kist {

enum class StatKind { kGauge, kCounter, kTime };

struct StatList {
  struct Value {
    const char* name;
    const char* text;
    uint64_t value;
    StatKind kind;
  };
  struct Times {
    const char* operation;
    const LatencyHistogram* histogram;
  };
  std::vector<Value> values;
  std::vector<Times> times;
};

std::string StatsText(const StatList& list);
std::string StatsJson(const StatList& list);
std::string StatsPrometheus(const StatList& list);

}  // namespace kist
