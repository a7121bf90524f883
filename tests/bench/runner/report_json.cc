// Everything that was measured, each round of it, as JSON; and the facts about the machine.
#include <sys/utsname.h>

#include <cmath>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <thread>

#include "report.h"

namespace kist::bench {

namespace {

std::string Quoted(const std::string& s) {
  std::string out = "\"";
  for (const char c : s) {
    char escape[8];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string Number(double v) {
  char text[40];
  if (!std::isfinite(v)) return "null";
  std::snprintf(text, sizeof text, "%.9g", v);
  return text;
}

std::string Object(const Metrics& metrics) {
  std::string out = "{";
  for (const auto& [name, value] : metrics)
    out += (out.size() > 1 ? ", " : "") + Quoted(name) + ": " + Number(value);
  return out + "}";
}

std::string Strings(const std::map<std::string, std::string>& map) {
  std::string out = "{";
  for (const auto& [name, value] : map)
    out += (out.size() > 1 ? ", " : "") + Quoted(name) + ": " + Quoted(value);
  return out + "}";
}

std::string RowObject(const Results& results, const std::string& profile, const std::string& id,
                      const Results::ByEngine& engines) {
  std::string out = "    {\"profile\": " + Quoted(profile) + ", \"row\": " + Quoted(id);
  if (const Row* row = FindRow(id)) {
    std::string peer;
    if (const std::optional<double> ratio = results.Ratio(profile, *row, &peer)) {
      out += ", \"ratio\": " + Number(*ratio) + ", \"best_peer\": " + Quoted(peer);
    }
    out += ", \"aims\": [";
    bool first = true;
    for (const Verdict& v : results.Judge(profile, *row)) {
      out += std::string(first ? "" : ", ") + "{\"aim\": " + Quoted(v.text) +
             ", \"figure\": " + Number(*v.figure) +
             ", \"reached\": " + (v.reached ? "true" : "false") + "}";
      first = false;
    }
    out += "]";
  }
  out += ", \"engines\": {";
  bool first_engine = true;
  for (const auto& [engine, rounds] : engines) {
    out += std::string(first_engine ? "" : ", ") + Quoted(engine) + ": [";
    for (size_t i = 0; i < rounds.size(); ++i) out += (i > 0 ? ", " : "") + Object(rounds[i]);
    out += "]";
    first_engine = false;
  }
  return out + "}}";
}

std::string FirstValue(const char* file, const std::string& name) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, name.size(), name) != 0) continue;
    const size_t colon = line.find_first_of(":=");
    const size_t from = line.find_first_not_of(" \t\"", colon + 1);
    const size_t to = line.find_last_not_of(" \t\"");
    if (from != std::string::npos) return line.substr(from, to - from + 1);
  }
  return "?";
}

}  // namespace

std::string JsonReport(const Results& results) {
  std::string out = "{\n  \"facts\": " + Strings(results.facts) +
                    ",\n  \"versions\": " + Strings(results.versions) + ",\n  \"rows\": [\n";
  bool first = true;
  for (const auto& [profile, rows] : results.all()) {
    for (const auto& [id, engines] : rows) {
      out += (first ? "" : ",\n") + RowObject(results, profile, id, engines);
      first = false;
    }
  }
  out += "\n  ],\n  \"series\": [\n";
  for (size_t i = 0; i < results.series.size(); ++i) {
    const SeriesPoint& p = results.series[i];
    out += std::string(i > 0 ? ",\n" : "") + "    {\"engine\": " + Quoted(p.engine) +
           ", \"row\": " + Quoted(p.row) + ", \"at\": " + Object(p.metrics) + "}";
  }
  out += "\n  ],\n  \"failures\": [";
  for (size_t i = 0; i < results.failures.size(); ++i) {
    const Failure& f = results.failures[i];
    out += std::string(i > 0 ? ", " : "") + "{\"where\": " + Quoted(f.where) +
           ", \"why\": " + Quoted(f.why) + "}";
  }
  return out + "]\n}\n";
}

std::map<std::string, std::string> MachineFacts(const std::string& dir) {
  std::map<std::string, std::string> facts;
  facts["cpu"] = std::to_string(std::thread::hardware_concurrency()) + " x " +
                 FirstValue("/proc/cpuinfo", "model name");
  facts["memory"] = FirstValue("/proc/meminfo", "MemTotal");
  utsname u{};
  uname(&u);
  facts["system"] = FirstValue("/etc/os-release", "PRETTY_NAME") + ", Linux " + u.release;
#ifdef __clang__
  facts["compiler"] = __VERSION__;  // which names itself
#else
  facts["compiler"] = "GCC " __VERSION__;
#endif
  const time_t now = time(nullptr);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  facts["date"] = text;
  // The file system that the databases were on: the longest mount point that begins the path.
  std::ifstream mounts("/proc/mounts");
  std::string device, point, type, best;
  for (std::string line; std::getline(mounts, line);) {
    const size_t a = line.find(' ');
    const size_t b = line.find(' ', a + 1);
    const size_t c = line.find(' ', b + 1);
    point = line.substr(a + 1, b - a - 1);
    if (dir.compare(0, point.size(), point) != 0 || point.size() < best.size()) continue;
    best = point;
    facts["file system"] = line.substr(b + 1, c - b - 1);
  }
  return facts;
}

}  // namespace kist::bench
