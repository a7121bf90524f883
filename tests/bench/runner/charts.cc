// Two charts as inline SVG: ratios as bars on a logarithmic axis, and lines over time or size.
//
// Colours come from CSS variables (--e0 .. --e5, --ink, --grid) so that the page decides them for
// light and dark.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "report.h"

namespace kist::bench {

namespace {

std::string Tag(const char* format, double a, double b, double c, double d,
                const std::string& rest) {
  char text[200];
  std::snprintf(text, sizeof text, format, a, b, c, d);
  return text + rest;
}

std::string Text(double x, double y, const char* anchor, const std::string& s) {
  char text[120];
  std::snprintf(text, sizeof text, "<text x='%.1f' y='%.1f' text-anchor='%s'>", x, y, anchor);
  return text + s + "</text>";
}

std::string Rule(double x1, double y1, double x2, double y2, const char* style) {
  return Tag("<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' ", x1, y1, x2, y2,
             std::string(style) + "/>");
}

constexpr const char* kGrid = "stroke='var(--grid)'";
constexpr const char* kAimLine = "stroke='var(--ink)' stroke-width='2'";

struct Axis {
  double low, high, from, to;
  bool log;
  double At(double v) const {
    const double a = log ? std::log(std::max(v, low)) - std::log(low) : v - low;
    const double b = log ? std::log(high) - std::log(low) : high - low;
    return from + (to - from) * (b == 0 ? 0 : a / b);
  }
  // Round values to write beside the axis.
  std::vector<double> Marks() const {
    std::vector<double> marks;
    if (log) {
      for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high;
           decade *= 10) {
        for (double step : {1.0, 2.0, 5.0}) {
          if (decade * step >= low && decade * step <= high) marks.push_back(decade * step);
        }
      }
      return marks;
    }
    double step = std::pow(10, std::floor(std::log10((high - low) / 3)));
    if ((high - low) / step > 8) step *= 2.5;
    for (double v = std::ceil(low / step) * step; v <= high; v += step) marks.push_back(v);
    return marks;
  }
};

std::string Count(double v) {
  if (v >= 1e6) return Short(v / 1e6) + " M";
  if (v >= 1e4) return Short(v / 1e3) + " k";
  return Short(v);
}

}  // namespace

std::string RatioChart(const std::vector<Bar>& bars) {
  double low = 0.5;
  double high = 4;
  for (const Bar& bar : bars) {
    low = std::min(low, bar.ratio * 0.9);
    high = std::max({high, bar.ratio * 1.15, bar.aim * 1.15});
  }
  const Axis axis{std::max(low, 0.01), high, 330, 860, true};
  const double bottom = 24 + 20 * static_cast<double>(bars.size());
  std::string out = Tag("<svg viewBox='0 0 %.0f %.0f' role='img'>", 920, bottom + 24, 0, 0, "");
  for (const double mark : axis.Marks()) {
    out += Rule(axis.At(mark), 16, axis.At(mark), bottom, kGrid) +
           Text(axis.At(mark), bottom + 16, "middle", Short(mark) + "x");
  }
  const double one = axis.At(1);
  double y = 22;
  for (const Bar& bar : bars) {
    const double x = axis.At(bar.ratio);
    const bool good = bar.aim == 0 || bar.ratio >= bar.aim;
    out += Text(322, y + 11, "end", bar.label);
    out += Tag("<rect x='%.1f' y='%.1f' width='%.1f' height='%.0f' ", std::min(x, one), y,
               std::max(1.0, std::fabs(x - one)), 13,
               good ? "fill='var(--good)'/>" : "fill='var(--bad)'/>");
    if (bar.aim > 0) out += Rule(axis.At(bar.aim), y - 2, axis.At(bar.aim), y + 15, kAimLine);
    out += Text(std::max(x, one) + 5, y + 11, "start", Short(bar.ratio) + "x");
    y += 20;
  }
  return out + Rule(one, 16, one, bottom, "stroke='var(--ink)'") + "</svg>";
}

std::string LineChart(const std::string& title, const std::string& x_unit,
                      const std::string& y_unit, bool log_x, bool log_y,
                      const std::vector<Line>& lines) {
  Axis x{1e300, -1e300, 70, 780, log_x};
  Axis y{log_y ? 1e300 : 0, -1e300, 270, 30, log_y};
  for (const Line& line : lines) {
    for (const auto& [px, py] : line.points) {
      x.low = std::min(x.low, px);
      x.high = std::max(x.high, px);
      if (log_y && py > 0) y.low = std::min(y.low, py);
      y.high = std::max(y.high, py);
    }
  }
  if (x.high < x.low || y.high <= 0) return "";
  y.high *= 1.1;
  if (y.low >= y.high) y.low = y.high / 2;
  std::string out =
      "<figure><figcaption>" + title + "</figcaption><svg viewBox='0 0 920 310' role='img'>";
  for (const double mark : y.Marks()) {
    out +=
        Rule(70, y.At(mark), 780, y.At(mark), kGrid) + Text(64, y.At(mark) + 4, "end", Count(mark));
  }
  for (const double mark : x.Marks()) out += Text(x.At(mark), 288, "middle", Count(mark));
  out += Text(70, 18, "start", y_unit) + Text(780, 304, "end", x_unit);
  double key = 40;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string colour = "var(--e" + std::to_string(i % 6) + ")";
    out += "<polyline fill='none' stroke-width='1.8' stroke='" + colour + "' points='";
    for (const auto& [px, py] : lines[i].points)
      out += Tag("%.1f,%.1f ", x.At(px), y.At(py), 0, 0, "");
    out += "'/>" + Rule(792, key, 812, key, ("stroke-width='3' stroke='" + colour + "'").c_str()) +
           Text(818, key + 4, "start", lines[i].label);
    key += 20;
  }
  return out + "</svg></figure>";
}

}  // namespace kist::bench
