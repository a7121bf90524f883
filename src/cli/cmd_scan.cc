// kist scan and kist dump: many entries in key order. Both stream: one chunk of entries is held at
// a time, and the iterator sees one state for its whole life.
//
// dump is the scan whose output `kist load` reads back; it says what it leaves out, and a dump that
// was cut short is an error even where the reader of a pipe went away.
#include <algorithm>

#include "cli/commands.h"
#include "cli/database.h"
#include "cli/format.h"
#include "cli/interrupt.h"
#include "cli/key_range.h"
#include "cli/number.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr size_t kChunkEntries = 256;

constexpr OptionSpec kScanOptions[] = {
    {"format", 'f', "FORMAT", "tsv (the default), csv, jsonl or stanza; `kist help formats`."},
    {"header", 0, nullptr, "tsv, csv: begin with a line that names the columns."},
    {"delimiter", 0, "CHAR", "csv: this character instead of the comma."},
    {"raw", 0, nullptr, "tsv: bytes as they are, without escapes."},
    {"keys-only", 0, nullptr, "Keys without their values."},
    {"values-only", 0, nullptr, "Values without their keys."},
    {"with-ttl", 0, nullptr,
     "A third column (member ttl_ms): milliseconds until the value expires."},
    {"reverse", 'r', nullptr, "From the last key to the first."},
    {"limit", 'n', "N", "At most N entries."},
    {"count", 'c', nullptr, "Print only how many entries there are."},
};

constexpr OptionSpec kDumpOptions[] = {
    {"format", 'f', "FORMAT", "tsv (the default), csv or jsonl; `kist help formats`."},
    {"header", 0, nullptr, "tsv, csv: begin with a line that names the columns."},
    {"delimiter", 0, "CHAR", "csv: this character instead of the comma."},
    {"with-ttl", 0, nullptr,
     "A third column (member ttl_ms): milliseconds until the value expires; load it with "
     "--ttl-field 3."},
};

struct Scan {
  FormatOptions format;
  KeyRange range;
  bool reverse = false;
  bool count = false;
  uint64_t limit = UINT64_MAX;
  uint64_t entries = 0;  // written so far
  uint64_t bytes = 0;
};

bool ReadFormat(Context& context, FormatOptions* format) {
  const auto name = context.args.Get("format");
  if (name.has_value() && !ParseFormat(*name, &format->format)) {
    context.Usage("unknown format " + Quoted(*name) + ": tsv, csv, jsonl, stanza");
    return false;
  }
  const auto delimiter = context.args.Get("delimiter").value_or(",");
  const std::string_view chosen = delimiter == "\\t" ? "\t" : delimiter;
  if (chosen.size() != 1 || chosen.find_first_of("\"\r\n") != std::string_view::npos) {
    context.Usage("--delimiter is one character, no quote or line end");
    return false;
  }
  format->delimiter = chosen[0];
  format->header = context.args.Has("header");
  format->raw = context.args.Has("raw");
  format->keys_only = context.args.Has("keys-only");
  format->values_only = context.args.Has("values-only");
  format->with_ttl = context.args.Has("with-ttl");
  if (format->keys_only && format->values_only) {
    context.Usage("--keys-only and --values-only exclude each other");
    return false;
  }
  return true;
}

int64_t TtlOf(const Database& database, const kist_read_options& read, const kist_slice& key) {
  int64_t left_ms = -1;
  const kist_rc rc = kist_ttl(database.keyspace(), &read, key.data, key.len, &left_ms, nullptr);
  return rc == KIST_OK ? left_ms : -1;
}

std::string_view View(const kist_slice& slice) {
  return {static_cast<const char*>(slice.data), slice.len};
}

// The loop over chunks. 0 or the exit code, after having said why.
int ScanEntries(Context& context, const Database& database, kist_iter* iter,
                const kist_read_options& read, Scan* scan, Output* output) {
  const auto writer = NewRecordWriter(scan->format);
  if (!scan->count) writer->Begin(&output->buffer());
  Progress progress(context.console, context.command->name, Progress::Unit::kBytes,
                    context.ShowProgress() && (scan->count || !StdoutIsTerminal()));
  kist_entry entries[kChunkEntries];
  kist_err err = KIST_ERR_INIT;
  kist_rc rc = KIST_OK;
  while (rc == KIST_OK && scan->entries < scan->limit && output->ok()) {
    if (InterruptPending() != 0) return kExitSignal + InterruptPending();
    const uint64_t left = scan->limit - scan->entries;
    size_t count = 0;
    rc = kist_iter_entries(iter, scan->reverse ? -1 : 1, entries,
                           static_cast<size_t>(std::min<uint64_t>(kChunkEntries, left)), &count,
                           &err);
    if (rc < 0) return context.Fail(database.path(), rc, err);
    scan->entries += count;
    for (size_t i = 0; i < count; ++i) {
      scan->bytes += entries[i].key.len + entries[i].val.len;
      if (scan->count) continue;
      const int64_t ttl_ms = scan->format.with_ttl ? TtlOf(database, read, entries[i].key) : -1;
      writer->Append(View(entries[i].key), View(entries[i].val), ttl_ms, &output->buffer());
      output->Spill();
    }
    progress.Update(scan->bytes, 0, scan->entries);
  }
  return kExitOk;
}

int RunScan(Context& context, const Database& database, Scan* scan, Output* output) {
  kist_err err = KIST_ERR_INIT;
  OwnedSnapshot snapshot;  // so that TTLs are those of the state that is scanned
  if (scan->format.with_ttl) {
    const kist_rc rc = kist_snapshot_new(database.db(), snapshot.out(), &err);
    if (rc != KIST_OK) return context.Fail(database.path(), rc, err);
  }
  kist_read_options read = KIST_READ_OPTIONS_INIT;
  read.snapshot = snapshot.get();
  kist_iter_options options = KIST_ITER_OPTIONS_INIT;
  options.flags = KIST_READ_NO_CACHE_FILL;
  if (scan->format.keys_only || scan->count) options.flags |= KIST_ITER_KEYS_ONLY;
  options.snapshot = snapshot.get();
  options.lower = {scan->range.begin.data(), scan->range.begin.size()};
  options.upper = {scan->range.end.data(), scan->range.end.size()};
  options.prefix = {scan->range.prefix.data(), scan->range.prefix.size()};
  OwnedIter iter;
  const kist_rc rc = kist_iter_new(database.keyspace(), &options, iter.out(), &err);
  if (rc != KIST_OK) return context.Fail(database.path(), rc, err);
  return ScanEntries(context, database, iter.get(), read, scan, output);
}

int ScanMain(Context& context) {
  Scan scan;
  if (!ReadFormat(context, &scan.format) || !scan.range.Read(context)) return kExitUsage;
  if (!context.CountOption("limit", &scan.limit)) return kExitUsage;
  scan.reverse = context.args.Has("reverse");
  scan.count = context.args.Has("count");
  if (scan.format.format == Format::kStanza && scan.format.keys_only) {
    return context.Usage("stanza output has no keys; use --format tsv");
  }
  Database database;
  int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  Output output(context.console);
  code = RunScan(context, database, &scan, &output);
  if (code == kExitOk && scan.count) output.Append(std::to_string(scan.entries) + "\n");
  return std::max(code, output.Finish());
}

// What a dump of one keyspace leaves out is said, not left to be found out after the restore.
void NoteOtherKeyspaces(Context& context, Database* database) {
  std::vector<std::string> names;
  if (!database->KeyspaceNames(context, &names)) return;
  std::string others;
  for (const std::string& name : names) {
    if (name != database->keyspace_name()) others += (others.empty() ? "" : ", ") + Quoted(name);
  }
  if (others.empty()) return;
  context.console->Note("this is keyspace " + Quoted(database->keyspace_name()) +
                        " alone; the database has also " + others + " (--keyspace NAME)");
}

int Dump(Context& context) {
  Scan scan;
  if (!ReadFormat(context, &scan.format) || !scan.range.Read(context)) return kExitUsage;
  if (scan.format.format == Format::kStanza) {
    return context.Usage("stanzas cannot hold every value: dump writes tsv, csv or jsonl");
  }
  Database database;
  int code = database.Open(context, Database::Mode::kRead);
  if (code != kExitOk) return code;
  Output output(context.console);
  code = RunScan(context, database, &scan, &output);
  code = std::max(code, output.Finish());
  if (output.closed()) {
    return context.Fail(kExitIo,
                        "the reader of standard output went away: the dump is not complete");
  }
  if (code != kExitOk) {
    context.console->Error("the dump is not complete: " + FormatEntries(scan.entries));
    return code;
  }
  context.console->Note(FormatEntries(scan.entries));
  if (scan.range.whole && context.session == nullptr) NoteOtherKeyspaces(context, &database);
  return code;
}

}  // namespace

const Command kScanCommand = {
    "scan",
    "DB",
    "print entries in key order",
    "Prints the entries of the keyspace, or those of a range, in the order of their keys\n"
    "(byte by byte). It sees one state, the newest when it began, and holds only a few\n"
    "entries in memory. When the reader of its output goes away (head, less), it ends\n"
    "quietly.",
    "  kist scan --prefix user/ /tmp/db\n"
    "  kist scan --reverse --limit 10 /tmp/db               # the last ten keys\n"
    "  kist scan --from 2024-01 --to 2024-02 --values-only /tmp/db\n"
    "  kist scan --count --prefix lib /tmp/packages\n"
    "  kist scan --format jsonl /tmp/db | jq -r .key\n"
    "  kist scan --format stanza --prefix python3- /tmp/packages | grep-dctrl -s Package ''",
    kScanOptions,
    sizeof(kScanOptions) / sizeof(kScanOptions[0]),
    kShareDatabase | kShareBytes | kShareRange | kShareProgress,
    1,
    1,
    ScanMain,
    true,
};

const Command kDumpCommand = {
    "dump",
    "DB",
    "write all entries so that load reads them back",
    "Writes every entry of the keyspace (or of a range) to standard output, such that\n"
    "`kist load` of the same format makes the same entries, byte for byte, whatever the\n"
    "bytes are. The output is one state, even while a writer goes on. Values that expire\n"
    "lose their time to live unless --with-ttl is given. One keyspace is written; others\n"
    "are named on standard error.",
    "  kist dump /tmp/db > db.tsv\n"
    "  kist dump /tmp/db | kist load /tmp/copy -\n"
    "  kist dump --format jsonl --with-ttl /tmp/db | gzip > db.jsonl.gz\n"
    "  zcat db.jsonl.gz | kist load --format jsonl /tmp/copy -",
    kDumpOptions,
    sizeof(kDumpOptions) / sizeof(kDumpOptions[0]),
    kShareDatabase | kShareBytes | kShareRange | kShareProgress,
    1,
    1,
    Dump,
    true,
};

}  // namespace kist::cli
