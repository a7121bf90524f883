// kist checkpoint: copies of a database.
//
// The work is the library's; the tool says what came of it.
#include "cli/commands.h"
#include "cli/database.h"
#include "cli/number.h"
#include "cli/progress.h"

namespace kist::cli {
namespace {

int Checkpoint(Context& context) {
  Database database;
  const int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  const std::string& path = context.args.operands()[1];
  Progress progress(context.console, "checkpoint", Progress::Unit::kBytes, false);
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_checkpoint(database.db(), path.c_str(), &err);
  if (rc != KIST_OK) return context.Fail(path, rc, err);
  context.console->Note("copied to " + path + " in " + FormatSeconds(progress.Seconds()));
  return database.Close(context);
}

}  // namespace

const Command kCheckpointCommand = {
    "checkpoint",
    "DB DIR",
    "make an openable copy, by hard links where possible",
    "Makes a copy of the database as it is now in DIR, which must be missing or empty. On the\n"
    "same file system the tables become hard links, so it takes milliseconds and hardly any\n"
    "space; elsewhere they are copied. The copy is a database of its own: it can be opened,\n"
    "written and removed without touching the original.",
    "  kist checkpoint /var/lib/app/db /var/lib/app/before-the-upgrade\n"
    "  kist stats /var/lib/app/before-the-upgrade last_seq",
    nullptr,
    0,
    kShareDatabase,
    2,
    2,
    Checkpoint,
    true,
};

}  // namespace kist::cli
