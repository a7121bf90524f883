// The forms in which a run's results are given: a text table, markdown for README.md, JSON, and one
// HTML page with charts.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "results.h"

namespace kist::bench {

std::string TextReport(const Results& results, const std::vector<std::string>& engines);
std::string MarkdownReport(const Results& results, const std::vector<std::string>& engines);
std::string JsonReport(const Results& results);
std::string HtmlReport(const Results& results, const std::vector<std::string>& engines);

// "Kist 2.31" ..: what the table shows of one row, an entry an engine; empty where the row has no
// figures.
std::vector<std::string> ShownFigures(const Results& results, const std::string& profile,
                                      const Row& row, const std::vector<std::string>& engines);
std::string DisplayName(const std::string& engine);
std::string ProfileTitle(const Results& results, const std::string& profile);

// Charts, as inline SVG.
struct Bar {
  std::string label;
  double ratio;
  double aim;  // 0: none
};
std::string RatioChart(const std::vector<Bar>& bars);
struct Line {
  std::string label;
  std::vector<std::pair<double, double>> points;
};
std::string LineChart(const std::string& title, const std::string& x_unit,
                      const std::string& y_unit, bool log_x, bool log_y,
                      const std::vector<Line>& lines);

// Facts about machine and build for a report's head.
std::map<std::string, std::string> MachineFacts(const std::string& dir);

}  // namespace kist::bench
