// kist load: the options of a load, read and checked; loader.cc does the work.
//
// Everything that can be wrong about the command line is found before the database is opened, so
// that a typing error leaves no empty database behind.
#include "cli/commands.h"
#include "cli/database.h"
#include "cli/loader.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr OptionSpec kOptions[] = {
    {"format", 'f', "FORMAT",
     "tsv, csv, jsonl or stanza (default: by the file name's ending, else tsv); `kist help "
     "formats`."},
    {"key", 0, "FIELD",
     "Where the key is: a column number from 1, a column or field name, /json/pointer, @record."},
    {"value", 0, "FIELD",
     "Where the value is: the same, or @empty. Default: the second column, or @record with --key."},
    {"ttl-field", 0, "FIELD", "Where each value's time to live in milliseconds is; empty is none."},
    {"ttl", 0, "TIME", "Every value expires so long after it is loaded: 30s, 15m, 12h, 7d, never."},
    {"header", 0, nullptr, "tsv, csv: the first line of each file names the columns."},
    {"delimiter", 0, "CHAR", "csv: this character instead of the comma."},
    {"raw", 0, nullptr, "tsv: a backslash is a backslash; no escapes are read."},
    {"on-error", 0, "ACTION",
     "At a record that is wrong: stop (the default) or skip it and go on."},
    {"delete", 0, nullptr, "Delete the keys of the input instead of storing values."},
    {"atomic", 0, nullptr, "One commit for everything: all is loaded or nothing (up to 2 GiB)."},
    {"dry-run", 0, nullptr, "Read and check the input; the database stays as it is."},
    {"batch-size", 0, "SIZE",
     "Commit after so many bytes of keys and values (32KiB; with --sync 1MiB)."},
};

bool ReadOptions(Context& context, LoadOptions* options) {
  const Args& args = context.args;
  FormatOptions& format = options->format;
  const auto name = args.Get("format");
  options->format_given = name.has_value();
  if (name.has_value() && !ParseFormat(*name, &format.format)) {
    context.Usage("unknown format " + Quoted(*name) + ": tsv, csv, jsonl, stanza");
    return false;
  }
  const auto delimiter = args.Get("delimiter").value_or(",");
  const std::string_view chosen = delimiter == "\\t" ? "\t" : delimiter;
  if (chosen.size() != 1 || chosen.find_first_of("\"\r\n") != std::string_view::npos) {
    context.Usage("--delimiter is one character, no quote or line end");
    return false;
  }
  format.delimiter = chosen[0];
  format.header = args.Has("header");
  format.raw = args.Has("raw");
  if (const auto field = args.Get("key")) format.key = *field;
  if (const auto field = args.Get("value")) format.value = *field;
  if (const auto field = args.Get("ttl-field")) format.ttl = *field;
  const auto on_error = args.Get("on-error").value_or("stop");
  if (on_error != "stop" && on_error != "skip") {
    context.Usage("--on-error is stop or skip, not " + Quoted(on_error));
    return false;
  }
  options->skip_bad = on_error == "skip";
  options->remove = args.Has("delete");
  options->atomic = args.Has("atomic");
  options->dry_run = args.Has("dry-run");
  options->policy_given = args.Has("sync");
  format.keys_only = options->remove;
  if (!context.TtlOption(&options->ttl_ms)) return false;
  return context.CountOption("batch-size", &options->batch_bytes);
}

int Load(Context& context) {
  LoadOptions options;
  if (!ReadOptions(context, &options)) return kExitUsage;
  std::vector<std::string> paths(context.args.operands().begin() + 1,
                                 context.args.operands().end());
  if (paths.empty() && (StdinIsTerminal() || context.session != nullptr)) {
    return context.Usage("no FILE to load");
  }
  if (paths.empty()) paths.emplace_back("-");
  for (const std::string& path : paths) {
    if (path == "-" && context.session != nullptr) {
      return context.Usage("the shell reads commands from standard input: name a file");
    }
    FormatOptions format = options.format;
    if (!options.format_given) format.format = FormatOfFile(path).value_or(Format::kTsv);
    const std::string wrong = CheckReadOptions(format);
    if (!wrong.empty()) return context.Usage(wrong);
  }
  Database database;
  int code = options.dry_run ? database.OpenPath(context, ":memory:", Database::Mode::kCreate)
                             : database.Open(context, Database::Mode::kCreate);
  if (code != kExitOk) return code;
  Loader loader(&context, &database, options);
  code = loader.Run(paths);
  const int close = database.Close(context);
  return code != kExitOk ? code : close;
}

}  // namespace

const Command kLoadCommand = {
    "load",
    "DB [FILE...]",
    "store the records of files or standard input",
    "Reads records from the FILES (- is standard input) and stores them, in their order, in\n"
    "batches. The database, and the keyspace of --keyspace, is created where absent. When\n"
    "the command has returned 0, everything is on stable storage.\n"
    "\n"
    "At a record that is wrong the load stops, or skips it (--on-error skip); the message\n"
    "names file, line and reason, and says which lines are in the database. After Ctrl-C the\n"
    "records read so far are stored, the tool says how many, and exits with 130. With\n"
    "--atomic nothing is stored unless everything is.",
    "  kist load /tmp/db words.tsv                       # key TAB value\n"
    "  kist load --header --key id --value @record /tmp/users users.csv\n"
    "  kist load --key /user/id --value /user /tmp/users events.jsonl\n"
    "  apt-cache dumpavail | kist load --format stanza --key Package /tmp/packages -\n"
    "  zcat old.jsonl.gz | kist load --format jsonl --on-error skip /tmp/db -\n"
    "  kist scan --keys-only --prefix tmp/ /tmp/db > keys; kist load --delete /tmp/db keys",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    kShareDatabase | kShareProgress | kShareSync | kShareNoCreate,
    1,
    kManyOperands,
    Load,
    true,
};

}  // namespace kist::cli
