// kist keyspaces: the independent maps inside one database.
//
// The one command with actions: list, create and drop are too small, and too close to each other,
// for commands of their own. A drop wants --yes.
#include "cli/commands.h"
#include "cli/database.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kOptions[] = {
    {"yes", 0, nullptr, "Confirms a drop; without this option nothing is dropped."},
    {"set", 0, "TEXT", "create: options of the new keyspace: \"name=value; ...\"."},
};

int List(Context& context) {
  Database database;
  const int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  std::vector<std::string> names;
  if (!database.KeyspaceNames(context, &names)) return kExitDatabase;
  Output output(context.console);
  for (const std::string& name : names) {
    AppendEscaped(name, &output.buffer());
    output.Append("\n");
  }
  return output.Finish();
}

int Create(Context& context, const std::string& name) {
  OwnedOptions options;
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = kist_options_new(options.out());
  const auto text = context.args.Get("set");
  if (rc == KIST_OK && text.has_value()) {
    rc = kist_options_parse(options.get(), std::string(*text).c_str(), &err);
    if (rc != KIST_OK) {
      context.Fail("--set " + Quoted(*text), rc, err);
      return kExitUsage;
    }
  }
  Database database;
  const int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  kist_keyspace* keyspace = nullptr;
  if (rc == KIST_OK) {
    rc = kist_keyspace_open(database.db(), name.c_str(), KIST_KEYSPACE_CREATE_NEW,
                            text.has_value() ? options.get() : nullptr, &keyspace, &err);
  }
  if (rc != KIST_OK) return context.Fail("keyspace " + Quoted(name), rc, err);
  kist_keyspace_free(keyspace);
  return database.Close(context);
}

int Drop(Context& context, const std::string& name) {
  if (!context.args.Has("yes")) {
    return context.Fail(kExitUsage, "this removes keyspace " + Quoted(name) +
                                        " with every key in it; say --yes to do it");
  }
  Database database;
  const int code = database.Open(context, Database::Mode::kWrite);
  if (code != kExitOk) return code;
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_keyspace_drop(database.db(), name.c_str(), &err);
  if (rc != KIST_OK) return context.Fail("keyspace " + Quoted(name), rc, err);
  return database.Close(context);
}

int Keyspaces(Context& context) {
  const std::vector<std::string>& operands = context.args.operands();
  const std::string action = operands.size() > 1 ? operands[1] : "list";
  if (action != "list" && action != "create" && action != "drop") {
    std::string text = "unknown action " + Quoted(action) + ": list, create NAME, drop NAME";
    const std::string_view nearest = Nearest(action, {"list", "create", "drop"});
    if (!nearest.empty()) text += "; did you mean " + std::string(nearest) + "?";
    return context.Usage(text);
  }
  if (action == "list") {
    return operands.size() > 2 ? context.Usage("list takes no name") : List(context);
  }
  if (operands.size() != 3) return context.Usage(action + " takes one NAME");
  return action == "create" ? Create(context, operands[2]) : Drop(context, operands[2]);
}

}  // namespace

const Command kKeyspacesCommand = {
    "keyspaces",
    "DB [list | create NAME | drop NAME]",
    "list, create or drop keyspaces",
    "A keyspace is an ordered map of its own; all keyspaces of a database share one log, so\n"
    "that one commit can cover several. The keyspace \"default\" is always there. Other\n"
    "commands choose one with --keyspace NAME.",
    "  kist keyspaces /tmp/db\n"
    "  kist keyspaces /tmp/db create cache --set 'default_ttl=1h'\n"
    "  kist put --keyspace cache /tmp/db page/1 '<html>'\n"
    "  kist keyspaces --yes /tmp/db drop cache",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    kShareDatabase | kShareCreate,
    1,
    3,
    Keyspaces,
    true,
};

}  // namespace kist::cli
