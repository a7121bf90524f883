// kist options: the table of options, straight from the library.
//
// Nothing about options is written down in the tool: a library with one option more explains it
// here without a new tool.
#include <kist/kist.h>

#include <algorithm>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kOptions[] = {
    {"json", 'j', nullptr, "One JSON object a line."},
};

std::string Scope(uint32_t flags) {
  std::string scope;
  if (flags & KIST_OPTION_DATABASE) scope += "database";
  if (flags & KIST_OPTION_KEYSPACE) scope += scope.empty() ? "keyspace" : ", keyspace";
  if (flags & KIST_OPTION_LIVE) scope += ", live";
  return scope;
}

void AppendText(const kist_option_info& info, std::string* out) {
  *out += std::string(info.name) + " = " + info.standard + "\n";
  *out += "    ";
  AppendWrapped(info.text, 4, out);
  std::string facts = info.type;
  if (info.bounds != nullptr && info.bounds[0] != '\0') facts += std::string(", ") + info.bounds;
  *out += "    ";
  AppendWrapped(facts + "; " + Scope(info.flags), 4, out);
}

void AppendJson(const kist_option_info& info, std::string* out) {
  const auto member = [out](const char* name, std::string_view text) {
    *out += std::string("\"") + name + "\":";
    AppendJsonString(text, out);
  };
  *out += '{';
  member("name", info.name);
  *out += ',';
  member("standard", info.standard);
  *out += ',';
  member("type", info.type);
  *out += ',';
  member("bounds", info.bounds != nullptr ? info.bounds : "");
  *out += ',';
  member("scope", Scope(info.flags));
  *out += ',';
  member("text", info.text);
  *out += "}\n";
}

std::vector<kist_option_info> Describe() {
  std::vector<kist_option_info> all;
  for (;;) {
    kist_option_info info = {};
    info.size = sizeof(info);
    if (kist_option_describe(all.size(), &info) != KIST_OK) return all;
    all.push_back(info);
  }
}

// A line each, under headings; the sentence that gives the reason stands below its option.
void AppendTable(const std::vector<kist_option_info>& all, std::string* out) {
  std::vector<std::vector<std::string>> rows = {{"OPTION", "STANDARD", "SCOPE", "BOUNDS"}};
  for (const kist_option_info& info : all) {
    rows.push_back({info.name, info.standard, Scope(info.flags), info.bounds});
  }
  size_t widths[3] = {};
  for (const auto& row : rows) {
    for (size_t i = 0; i < 3; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t i = 0; i < 3; ++i) {
      *out += rows[r][i] + std::string(widths[i] + 2 - rows[r][i].size(), ' ');
    }
    *out += rows[r][3] + "\n";
    if (r == 0) continue;
    *out += "    ";
    AppendWrapped(all[r - 1].text, 4, out);
  }
}

int Options(Context& context) {
  const std::vector<std::string>& wanted = context.args.operands();
  const bool json = context.args.Has("json");
  Output output(context.console);
  const std::vector<kist_option_info> all = Describe();
  if (wanted.empty() && !json) {
    AppendTable(all, &output.buffer());
    return output.Finish();
  }
  std::vector<std::string_view> names;
  size_t found = 0;
  for (const kist_option_info& info : all) {
    names.push_back(info.name);
    if (!wanted.empty() && wanted[0] != info.name) continue;
    ++found;
    json ? AppendJson(info, &output.buffer()) : AppendText(info, &output.buffer());
  }
  if (found == 0 && !wanted.empty()) {
    std::string text = "no option is called " + Quoted(wanted[0]);
    const std::string_view nearest = Nearest(wanted[0], names);
    if (!nearest.empty()) text += "; did you mean " + std::string(nearest) + "?";
    return context.Fail(kExitUsage, text);
  }
  return output.Finish();
}

}  // namespace

const Command kOptionsCommand = {
    "options",
    "[NAME]",
    "explain the options of -o",
    "Prints a table of every option a database or keyspace can be opened with, or all about the\n"
    "one called NAME: its standard value, what it does and why, its type and bounds, and whether\n"
    "it may change while the database is open (live). The library itself supplies the table.",
    "  kist options\n"
    "  kist options sync\n"
    "  kist load -o 'compression=snappy; memory_budget=1GiB' /tmp/db words.tsv",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    0,
    0,
    1,
    Options,
    true,
};

}  // namespace kist::cli
