// Printing statistics; see stats_format.h. Numbers are whole, except seconds, which keep their
// nanoseconds.
// Threads: functions of their arguments.
#include "db/stats_format.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>

namespace kist {
namespace {

// Upper bounds of the histogram's buckets are powers of two, from 256 ns to 17 s.
constexpr int kFirstBit = 8;
constexpr int kLastBit = 34;

std::string Seconds(uint64_t ns) {
  char text[40];
  std::snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
  return text;
}

void Sample(std::string* out, const char* suffix, const char* family, const std::string& labels,
            const std::string& value) {
  out->append(family).append(suffix).append("{").append(labels).append("} ").append(value).append(
      "\n");
}

void Describe(std::string* out, const std::string& name, const char* text, const char* type) {
  out->append("# HELP ").append(name).append(" ").append(text).append("\n");
  out->append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

std::string Operation(const char* name) { return std::string("operation=\"") + name + "\""; }

void AppendSummaries(std::string* out, const std::vector<StatList::Times>& times,
                     LatencyHistogram::Summary* s) {
  const char* const family = "kist_latency_seconds";
  Describe(out, family, "Times of calls and of background work.", "summary");
  constexpr struct {
    const char* label;
    uint64_t permille;
  } kQuantiles[] = {{"0.5", 500}, {"0.99", 990}, {"0.999", 999}};
  for (const auto& t : times) {
    t.histogram->Read(s);
    const std::string operation = Operation(t.operation);
    for (const auto& q : kQuantiles) {
      Sample(out, "", family, operation + ",quantile=\"" + q.label + "\"",
             s->count == 0 ? "NaN" : Seconds(s->Quantile(q.permille)));
    }
    Sample(out, "_sum", family, operation, Seconds(s->sum_ns));
    Sample(out, "_count", family, operation, std::to_string(s->count));
  }
}

void AppendHistograms(std::string* out, const std::vector<StatList::Times>& times,
                      LatencyHistogram::Summary* s) {
  const char* const family = "kist_latency_histogram_seconds";
  Describe(out, family, "The same times by how many took how long.", "histogram");
  for (const auto& t : times) {
    t.histogram->Read(s);
    const std::string operation = Operation(t.operation);
    for (int bit = kFirstBit; bit <= kLastBit; ++bit) {
      Sample(out, "_bucket", family,
             operation + ",le=\"" + Seconds((uint64_t{1} << bit) - 1) + "\"",
             std::to_string(s->Below(bit)));
    }
    Sample(out, "_bucket", family, operation + ",le=\"+Inf\"", std::to_string(s->count));
    Sample(out, "_sum", family, operation, Seconds(s->sum_ns));
    Sample(out, "_count", family, operation, std::to_string(s->count));
  }
}

}  // namespace

std::string StatsText(const StatList& list) {
  std::string out;
  size_t width = 0;
  for (const auto& v : list.values) width = std::max(width, std::strlen(v.name));
  for (const auto& v : list.values) {
    const std::string number = std::to_string(v.value);
    const size_t used = std::strlen(v.name) + number.size();
    out.append(v.name).append(width + 16 > used ? width + 16 - used : 1, ' ').append(number);
    out.append("  ").append(v.text).append("\n");
  }
  return out;
}

std::string StatsJson(const StatList& list) {
  std::string out = "{";
  const char* separator = "";
  for (const auto& v : list.values) {
    out.append(separator).append("\"").append(v.name).append("\":").append(std::to_string(v.value));
    separator = ",";
  }
  out.append("}\n");
  return out;
}

std::string StatsPrometheus(const StatList& list) {
  std::string out;
  for (const auto& v : list.values) {
    if (v.kind == StatKind::kTime) continue;
    const bool counter = v.kind == StatKind::kCounter;
    const std::string name = std::string("kist_") + v.name + (counter ? "_total" : "");
    Describe(&out, name, v.text, counter ? "counter" : "gauge");
    out.append(name).append(" ").append(std::to_string(v.value)).append("\n");
  }
  auto summary = std::make_unique<LatencyHistogram::Summary>();
  AppendSummaries(&out, list.times, summary.get());
  AppendHistograms(&out, list.times, summary.get());
  return out;
}

}  // namespace kist
