// kist options: the table of options, straight from the library.
//
// Nothing about options is written down in the tool: a library with one option more explains it
// here without a new tool.
#include <kist/kist.h>

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

int Options(Context& context) {
  const std::vector<std::string>& wanted = context.args.operands();
  Output output(context.console);
  std::vector<std::string_view> names;
  size_t found = 0;
  for (size_t index = 0;; ++index) {
    kist_option_info info = {};
    info.size = sizeof(info);
    const kist_rc rc = kist_option_describe(index, &info);
    if (rc == KIST_DONE) break;
    if (rc != KIST_OK) return context.Fail("", rc, KIST_ERR_INIT);
    names.push_back(info.name);
    if (!wanted.empty() && wanted[0] != info.name) continue;
    ++found;
    if (context.args.Has("json")) {
      AppendJson(info, &output.buffer());
    } else {
      AppendText(info, &output.buffer());
    }
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
    "Prints every option a database or keyspace can be opened with (or the one called NAME):\n"
    "its standard value, what it does, its type and bounds, and whether it may change while\n"
    "the database is open (live). The library itself supplies the table.",
    "  kist options\n"
    "  kist options sync\n"
    "  kist load -o 'compression=snappy; cache_size=512MiB' /tmp/db words.tsv",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    0,
    0,
    1,
    Options,
    true,
};

}  // namespace kist::cli
