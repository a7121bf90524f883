// kist repair: what a damaged database still holds, made into one that opens.
//
// The report of losses goes to standard output, so that it can be kept.
#include <vector>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"

namespace kist::cli {
namespace {

constexpr size_t kReportBytes = size_t{4} << 20;

constexpr OptionSpec kRepairOptions[] = {
    {"yes", 0, nullptr, "Confirms it; without this option nothing is done."},
};

int32_t OnProgress(void* ctx, uint64_t done, uint64_t total) {
  static_cast<Progress*>(ctx)->Update(done, total, 0);
  return InterruptPending();
}

int Repair(Context& context) {
  const std::string& path = context.Path();
  if (!context.args.Has("yes")) {
    return context.Fail(kExitUsage, "this drops what is damaged in " + path +
                                        ", and its files with it; copy the directory first, then "
                                        "say --yes (nothing was done)");
  }
  Progress progress(context.console, "repair", Progress::Unit::kBytes, context.ShowProgress());
  kist_job job = KIST_JOB_INIT;
  job.progress = OnProgress;
  job.ctx = &progress;
  kist_err err = KIST_ERR_INIT;
  std::vector<char> report(kReportBytes);
  size_t len = 0;
  const kist_rc rc = kist_repair(path.c_str(), &job, report.data(), report.size(), &len, &err);
  context.console->ClearStatus();
  if (rc == KIST_E_CANCELLED && InterruptPending() != 0) {
    context.console->Error("interrupted: the database is as it was");
    return kExitSignal + InterruptPending();
  }
  if (rc < 0) return context.Fail(path, rc, err);
  Output output(context.console);
  output.Append(report.data());
  if (rc == KIST_TRUNCATED) context.console->Note("the report is longer; this is its beginning");
  return output.Finish();
}

}  // namespace

const Command kRepairCommand = {
    "repair",
    "DB",
    "save what a damaged database still holds",
    "For a database that does not open, or that `kist verify` calls damaged: reads all of its\n"
    "files, keeps every entry that stands in an undamaged block or log record, the newest\n"
    "version of each key, and makes a database of them in the same directory. Each loss is a\n"
    "line of the report; the last line counts. Keys may come back that were deleted where it\n"
    "is the delete that was lost. The old files stay as they are until the new ones are\n"
    "complete, then they go: copy the directory first where you may want to try otherwise.",
    "  cp -a /tmp/db /tmp/db.damaged\n"
    "  kist repair --yes /tmp/db\n"
    "  kist verify /tmp/db",
    kRepairOptions,
    sizeof(kRepairOptions) / sizeof(kRepairOptions[0]),
    kShareProgress,
    1,
    1,
    Repair,
    false,
};

}  // namespace kist::cli
