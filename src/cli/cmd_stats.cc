// kist stats and kist size: what a database says about itself.
//
// The numbers are the library's; the tool only prints them. --watch opens the database anew each
// time, because a read-only handle shows the state at its opening.
#include <chrono>
#include <thread>

#include "cli/commands.h"
#include "cli/database.h"
#include "cli/interrupt.h"
#include "cli/key_range.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kStatsOptions[] = {
    {"json", 'j', nullptr, "One JSON object."},
    {"prometheus", 0, nullptr, "The text format that Prometheus scrapes."},
    {"watch", 'w', "SECONDS", "Print again every so many seconds, until Ctrl-C."},
};

constexpr OptionSpec kSizeOptions[] = {
    {"human", 0, nullptr, "Print 48.1 MB instead of bytes."},
};

int PrintAll(Context& context, const Database& database, int32_t format, Output* output) {
  std::string text(16 * 1024, '\0');
  kist_err err = KIST_ERR_INIT;
  size_t len = 0;
  kist_rc rc = kist_stats(database.db(), format, text.data(), text.size(), &len, &err);
  while (rc == KIST_TRUNCATED) {
    text.resize(len + 1024);
    rc = kist_stats(database.db(), format, text.data(), text.size(), &len, &err);
  }
  if (rc != KIST_OK) return context.Fail(database.path(), rc, err);
  text.resize(len);
  if (text.empty() || text.back() != '\n') text += '\n';
  output->Append(text);
  return kExitOk;
}

int PrintNamed(Context& context, const Database& database, Output* output) {
  const std::vector<std::string>& operands = context.args.operands();
  for (size_t i = 1; i < operands.size(); ++i) {
    uint64_t value = 0;
    kist_err err = KIST_ERR_INIT;
    const kist_rc rc = kist_stat(database.db(), operands[i].c_str(), &value, &err);
    if (rc != KIST_OK) {
      context.Fail(operands[i], rc, err);
      return rc == KIST_E_INVALID ? kExitUsage : ExitCodeOf(rc);
    }
    if (operands.size() > 2) output->Append(operands[i] + "\t");
    output->Append(std::to_string(value) + "\n");
  }
  return kExitOk;
}

int PrintOnce(Context& context, int32_t format, Output* output) {
  Database database;
  const int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  return context.args.operands().size() > 1 ? PrintNamed(context, database, output)
                                            : PrintAll(context, database, format, output);
}

int Stats(Context& context) {
  const bool json = context.args.Has("json");
  const bool prometheus = context.args.Has("prometheus");
  if (int(json) + int(prometheus) + int(context.args.operands().size() > 1) > 1) {
    return context.Usage("--json, --prometheus and a NAME exclude one another");
  }
  uint64_t seconds = 0;
  if (!context.CountOption("watch", &seconds)) return kExitUsage;
  if (context.args.Has("watch") && seconds == 0) return context.Usage("--watch 0 would never rest");
  const int32_t format = json         ? KIST_STATS_JSON
                         : prometheus ? KIST_STATS_PROMETHEUS
                                      : KIST_STATS_TEXT;
  Output output(context.console);
  for (;;) {
    // Opened anew each time: a read-only handle shows the state at its opening.
    const int code = PrintOnce(context, format, &output);
    const int written = output.Finish();
    if (code != kExitOk || written != kExitOk) return code != kExitOk ? code : written;
    if (seconds == 0 || output.closed()) return kExitOk;
    for (uint64_t tick = 0; tick < seconds * 20; ++tick) {
      if (InterruptPending() != 0) return kExitSignal + InterruptPending();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    if (!json && context.args.operands().size() == 1) output.Append("\n");
  }
}

int Size(Context& context) {
  KeyRange range;
  if (!range.Read(context)) return kExitUsage;
  Database database;
  const int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  uint64_t bytes = 0;
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc =
      kist_approximate_size(database.keyspace(), range.begin.data(), range.begin.size(),
                            range.end.data(), range.end.size(), &bytes, &err);
  if (rc != KIST_OK) return context.Fail(database.path(), rc, err);
  Output output(context.console);
  output.Append(context.args.Has("human") ? FormatBytes(static_cast<double>(bytes))
                                          : std::to_string(bytes));
  output.Append("\n");
  return output.Finish();
}

}  // namespace

const Command kStatsCommand = {
    "stats",
    "DB [NAME...]",
    "show statistics",
    "Prints the statistics of the database: sizes, counts, cache and log. With NAMEs it\n"
    "prints those alone, one number a line. The database is opened read-only, so counters\n"
    "of work done (hits, flushes, delays) begin at zero; in `kist shell` they are those of\n"
    "the shell's own handle.",
    "  kist stats /tmp/db\n"
    "  kist stats --json /tmp/db | jq .\n"
    "  kist stats /tmp/db last_seq\n"
    "  kist stats --watch 5 /tmp/db",
    kStatsOptions,
    sizeof(kStatsOptions) / sizeof(kStatsOptions[0]),
    kShareDatabase,
    1,
    kManyOperands,
    Stats,
    true,
};

const Command kSizeCommand = {
    "size",
    "DB",
    "estimate the bytes a range of keys takes",
    "Prints about how many bytes the keyspace, or a range of its keys, takes in the files of\n"
    "the database. It reads no data and may be off by a few blocks.",
    "  kist size /tmp/db\n"
    "  kist size --human --prefix lib /tmp/packages",
    kSizeOptions,
    sizeof(kSizeOptions) / sizeof(kSizeOptions[0]),
    kShareDatabase | kShareBytes | kShareRange,
    1,
    1,
    Size,
    true,
};

}  // namespace kist::cli
