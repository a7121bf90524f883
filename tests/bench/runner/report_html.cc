// One self-contained HTML page: the table with its verdicts, the ratios as a chart, latencies,
// scale and long runs.
#include <algorithm>

#include "report.h"

namespace kist::bench {

namespace {

constexpr const char* kHead = R"(<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Kist beside its peers</title><style>
:root{--ink:#1b1f24;--soft:#5b6570;--paper:#fff;--grid:#d8dee4;--good:#2a7f4f;--bad:#b3432b;
--e0:#0b62c4;--e1:#b3432b;--e2:#2a7f4f;--e3:#8a5cc2;--e4:#b57f00;--e5:#5b6570}
@media(prefers-color-scheme:dark){
:root{--ink:#e6e9ec;--soft:#9aa4ae;--paper:#14181c;--grid:#323a42;--good:#57b583;--bad:#e07a5f;
--e0:#6aa9f4;--e1:#e07a5f;--e2:#57b583;--e3:#b795e4;--e4:#d9a93f;--e5:#9aa4ae}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);
max-width:74rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .4rem}
p,figcaption{color:var(--soft)}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.22rem .5rem;border-bottom:1px solid var(--grid);text-align:right;white-space:nowrap}
th:first-child,td:first-child,td.t{text-align:left;white-space:normal}th{font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}
svg{width:100%;height:auto;max-width:60rem}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}figure{margin:1rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}
dt{color:var(--soft)}dd{margin:0}summary{cursor:pointer;margin-top:1rem}
</style>)";

std::string Escaped(const std::string& s) {
  std::string out;
  for (const char c : s) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

std::string Cell(const std::string& s, const char* style = "") {
  return std::string("<td") + (style[0] != 0 ? std::string(" class='") + style + "'" : "") + ">" +
         s + "</td>";
}

std::string MainTable(const Results& results, const std::string& profile,
                      const std::vector<std::string>& engines) {
  std::string out = "<div class='wide'><table><tr><th>workload</th>";
  for (const std::string& engine : engines) out += "<th>" + DisplayName(engine) + "</th>";
  out += "<th>disk</th><th>Kist / best peer</th><th>aims</th></tr>";
  for (const Row& row : Table()) {
    const std::vector<std::string> figures = ShownFigures(results, profile, row, engines);
    if (figures.empty()) continue;
    out +=
        "<tr>" + Cell(Escaped(row.title) + (row.unit[0] != 0 ? std::string(", ") + row.unit : ""));
    for (const std::string& figure : figures) out += Cell(figure);
    std::string peer;
    const std::optional<double> ratio = results.Ratio(profile, row, &peer);
    out += Cell(ratio ? Short(*ratio) + "x " + DisplayName(peer) : "");
    std::string aims;
    for (const Verdict& v : results.Judge(profile, row)) {
      aims += std::string(aims.empty() ? "" : "<br>") + "<span class='" +
              (v.reached ? "good" : "bad") + "'>" + (v.reached ? "reached: " : "missed: ") +
              Escaped(v.text) + " (" + Short(*v.figure) + ")</span>";
    }
    out += Cell(aims, "t") + "</tr>";
  }
  return out + "</table></div>";
}

std::string Ratios(const Results& results, const std::string& profile) {
  std::vector<Bar> bars;
  for (const Row& row : Table()) {
    std::string peer;
    const std::optional<double> ratio = results.Ratio(profile, row, &peer);
    if (!ratio) continue;
    double aim = 0;
    for (const Aim& a : row.aims) {
      if (a.against == Against::kBestPeer) aim = a.least;
    }
    bars.push_back({Escaped(row.title), *ratio, aim});
  }
  if (bars.empty()) return "";
  return "<figure><figcaption>Kist against the best peer of each row: right of the line Kist is "
         "better; the tick is the aim."
         "</figcaption>" +
         RatioChart(bars) + "</figure>";
}

std::string DetailTable(const Results& results, const std::string& profile) {
  static const char* const kShown[] = {"rate",    "us_op",  "cpu_us_op", "p50_us",  "p99_us",
                                       "p999_us", "max_us", "rss_mb",    "disk_mb", "written_mb"};
  std::string out =
      "<details><summary>Latencies, processor time, memory and bytes of every engine</summary><div "
      "class='wide'><table>"
      "<tr><th>row</th><th>engine</th>";
  for (const char* metric : kShown) out += std::string("<th>") + metric + "</th>";
  out += "</tr>";
  for (const Row& row : Table()) {
    const auto it = results.all().at(profile).find(row.id);
    if (it == results.all().at(profile).end()) continue;
    for (const auto& [engine, rounds] : it->second) {
      out += "<tr>" + Cell(row.id) + Cell(DisplayName(engine));
      for (const char* metric : kShown) {
        const std::optional<double> v = results.Median(profile, row.id, engine, metric);
        out += Cell(v ? Short(*v) : "");
      }
      out += "</tr>";
    }
  }
  return out + "</table></div></details>";
}

std::string ScaleCharts(const Results& results, const std::vector<std::string>& engines) {
  std::string out = "<h2>Cost per operation by size</h2>";
  for (const char* row : {"fillrandom", "readrandom", "seek10"}) {
    std::vector<Line> lines;
    for (const std::string& engine : engines) {
      Line line{DisplayName(engine), {}};
      for (const auto& [count, profile] : results.scale) {
        const std::optional<double> v = results.Median(profile, row, engine, "us_op");
        if (v) line.points.emplace_back(static_cast<double>(count), *v);
      }
      lines.push_back(line);
    }
    out += LineChart(row, "entries", "us/op", true, true, lines);
  }
  return out;
}

std::string SeriesCharts(const Results& results, const std::vector<std::string>& engines) {
  std::string out = "<h2>Minute by minute</h2>";
  for (const char* row : {"stall", "mixed"}) {
    for (const auto& [metric, unit] : {std::pair<const char*, const char*>{"rate", "operations/s"},
                                       {"max_us", "longest, us"},
                                       {"p999_us", "p99.9, us"},
                                       {"live_mb", "memory, MB"}}) {
      std::vector<Line> lines;
      for (const std::string& engine : engines) {
        Line line{DisplayName(engine), {}};
        for (const SeriesPoint& p : results.series) {
          const auto t = p.metrics.find("t");
          const auto v = p.metrics.find(metric);
          if (p.engine != engine || p.row != row || t == p.metrics.end() || v == p.metrics.end())
            continue;
          line.points.emplace_back(t->second, v->second);
        }
        if (!line.points.empty()) lines.push_back(line);
      }
      if (!lines.empty()) {
        const bool latency = std::string(metric).find("_us") != std::string::npos;
        out += LineChart(std::string(row) + ": " + unit, "seconds", unit, false, latency, lines);
      }
    }
  }
  return out;
}

}  // namespace

std::string HtmlReport(const Results& results, const std::vector<std::string>& engines) {
  std::string out = kHead;
  out +=
      "<h1>Kist beside its peers</h1><p>Medians over the rounds of one run. Every answer was "
      "checked while it was measured. "
      "Times are of this machine on this day; the ratios are what counts.</p><dl>";
  for (const auto& [name, value] : results.facts)
    out += "<dt>" + Escaped(name) + "</dt><dd>" + Escaped(value) + "</dd>";
  for (const auto& [engine, version] : results.versions)
    out += "<dt>" + Escaped(engine) + "</dt><dd>" + Escaped(version) + "</dd>";
  out += "</dl>";
  for (const Failure& f : results.failures)
    out += "<p class='bad'>FAILED " + Escaped(f.where + ": " + f.why) + "</p>";
  for (const auto& [profile, rows] : results.all()) {
    if (!results.scale.empty() && profile.compare(0, 6, "scale-") == 0) continue;
    out += "<h2>" + Escaped(ProfileTitle(results, profile)) + "</h2>" +
           MainTable(results, profile, engines) + Ratios(results, profile) +
           DetailTable(results, profile);
  }
  if (!results.scale.empty()) out += ScaleCharts(results, engines);
  if (!results.series.empty()) out += SeriesCharts(results, engines);
  return out + "</html>\n";
}

}  // namespace kist::bench
