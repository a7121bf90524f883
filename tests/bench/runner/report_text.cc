// The text table on the terminal and the markdown table for README.md.
#include <algorithm>
#include <cstdio>

#include "report.h"

namespace kist::bench {

std::string DisplayName(const std::string& engine) {
  if (engine == "kist") return "Kist";
  if (engine == "rocksdb") return "RocksDB";
  if (engine == "leveldb") return "LevelDB";
  if (engine == "lmdb") return "LMDB";
  if (engine == "sqlite") return "SQLite";
  for (const Variant& v : Variants()) {
    if (engine == v.name) return v.title;
  }
  return engine;
}

std::string ProfileTitle(const Results& results, const std::string& profile) {
  const auto it = results.titles.find(profile);
  return it == results.titles.end() ? profile : it->second;
}

std::vector<std::string> ShownFigures(const Results& results, const std::string& profile,
                                      const Row& row, const std::vector<std::string>& engines) {
  std::vector<std::string> figures;
  bool any = false;
  for (const std::string& engine : engines) {
    const std::optional<double> v = results.Median(profile, row.id, engine, row.shown);
    any = any || v.has_value();
    figures.push_back(v ? Short(*v) : "");
  }
  const std::optional<double> disk = results.Median(profile, row.id, "disk", row.shown);
  if (!any && !disk) return {};
  figures.push_back(disk ? Short(*disk) : "");
  return figures;
}

namespace {

struct Mark {
  std::string ratio, by_cpu, aims, reached;
};

// "2.41x leveldb", "rate >= 2.2x; p999_us <= 25", "yes; NO 31.2"
Mark MarksOf(const Results& results, const std::string& profile, const Row& row) {
  Mark mark;
  std::string peer;
  if (const std::optional<double> ratio = results.Ratio(profile, row, &peer)) {
    mark.ratio = Short(*ratio) + "x " + DisplayName(peer);
  }
  if (std::string(row.shown).find("us") != std::string::npos) {
    const std::optional<double> ratio = results.RatioOf(profile, row, "cpu_us_op", &peer);
    if (ratio) mark.by_cpu = Short(*ratio) + "x";
  }
  for (const Verdict& v : results.Judge(profile, row)) {
    mark.aims += (mark.aims.empty() ? "" : "; ") + v.text;
    mark.reached += (mark.reached.empty() ? "" : "; ") + std::string(v.reached ? "yes" : "NO");
    const bool in_ratio =
        v.aim->against == Against::kBestPeer && std::string(v.aim->metric) == "rate";
    if (!in_ratio) mark.reached += " (" + Short(*v.figure) + ")";
  }
  return mark;
}

// What the variants did on the rows they ran.
std::string AlsoSeen(const Results& results, const std::string& profile,
                     const std::string& before) {
  std::string out;
  for (const Variant& v : Variants()) {
    std::string line;
    for (const Row& row : Table()) {
      const std::optional<double> figure = results.Median(profile, row.id, v.name, row.shown);
      if (figure && std::string(row.shown) == "us_op") {
        line += (line.empty() ? " " : ", ") + std::string(row.id) + " " + Short(*figure) + " us";
      }
    }
    if (!line.empty()) out += before + "not judged, " + v.title + ":" + line + "\n";
  }
  return out;
}

std::string Padded(const std::string& s, size_t width, bool left) {
  const std::string pad(s.size() < width ? width - s.size() : 0, ' ');
  return left ? s + pad : pad + s;
}

void Details(const Results& results, const std::string& profile, std::string* out) {
  *out += "\n  " + Padded("row", 20, true) + Padded("engine", 9, true);
  static const char* const kShown[] = {"rate",    "us_op",  "cpu_us_op", "p50_us",  "p99_us",
                                       "p999_us", "max_us", "rss_mb",    "disk_mb", "written_mb"};
  for (const char* metric : kShown) *out += Padded(metric, 11, false);
  *out += "\n";
  const auto& rows = results.all().at(profile);
  for (const Row& row : Table()) {
    const auto it = rows.find(row.id);
    if (it == rows.end()) continue;
    for (const auto& [engine, rounds] : it->second) {
      *out += "  " + Padded(row.id, 20, true) + Padded(engine, 9, true);
      for (const char* metric : kShown) {
        const std::optional<double> v = results.Median(profile, row.id, engine, metric);
        *out += Padded(v ? Short(*v) : "", 11, false);
      }
      *out += "\n";
    }
  }
}

}  // namespace

std::string TextReport(const Results& results, const std::vector<std::string>& engines) {
  std::string out;
  for (const auto& [name, value] : results.facts) out += Padded(name, 14, true) + value + "\n";
  for (const auto& [engine, version] : results.versions)
    out += Padded(engine, 14, true) + version + "\n";
  for (const auto& [profile, rows] : results.all()) {
    out += "\n" + ProfileTitle(results, profile) + "\n  " + Padded("", 56, true);
    for (const std::string& engine : engines) out += Padded(DisplayName(engine), 10, false);
    out += Padded("disk", 8, false) + "   " + Padded("Kist / best peer", 17, true) +
           Padded("by CPU", 8, true) + "aim: reached\n";
    for (const Row& row : Table()) {
      const std::vector<std::string> figures = ShownFigures(results, profile, row, engines);
      if (figures.empty()) continue;
      const std::string unit = std::string(row.unit).empty() ? "" : std::string(", ") + row.unit;
      out += "  " + Padded(row.title + unit, 56, true);
      for (size_t i = 0; i < figures.size(); ++i)
        out += Padded(figures[i], i + 1 < figures.size() ? 10 : 8, false);
      const Mark mark = MarksOf(results, profile, row);
      out += "   " + Padded(mark.ratio, 17, true) + Padded(mark.by_cpu, 8, true) + mark.aims +
             (mark.aims.empty() ? "" : ": ") + mark.reached + "\n";
    }
    out += "\n" + AlsoSeen(results, profile, "  ");
    Details(results, profile, &out);
  }
  for (const Failure& f : results.failures) out += "\nFAILED " + f.where + ": " + f.why + "\n";
  return out;
}

std::string MarkdownReport(const Results& results, const std::vector<std::string>& engines) {
  std::string out;
  for (const auto& [profile, rows] : results.all()) {
    out += "**" + ProfileTitle(results, profile) + "**\n\n| workload |";
    for (const std::string& engine : engines) out += " " + DisplayName(engine) + " |";
    out += " Kist / best peer | aim | reached |\n|---|";
    for (size_t i = 0; i < engines.size(); ++i) out += "---:|";
    out += "---|---|---|\n";
    for (const Row& row : Table()) {
      const std::vector<std::string> figures = ShownFigures(results, profile, row, engines);
      if (figures.empty()) continue;
      out += std::string("| ") + row.title +
             (row.unit[0] != 0 ? std::string(", ") + row.unit : "") + " |";
      for (size_t i = 0; i < engines.size(); ++i) out += " " + figures[i] + " |";
      const Mark mark = MarksOf(results, profile, row);
      out += " " + mark.ratio + " | " + mark.aims + " | " + mark.reached + " |\n";
    }
    out += "\n" + AlsoSeen(results, profile, "- ") + "\n";
  }
  for (const auto& [name, value] : results.facts) out += "- " + name + ": " + value + "\n";
  return out;
}

}  // namespace kist::bench
