// kist_bench: the benchmark's front. `kist_bench --help` says what it can do.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "measure.h"
#include "report.h"
#include "run.h"

namespace kist::bench {

namespace {

constexpr const char* kHelp =
    R"(kist_bench [table|scale|stall|mixed] [options]

Kist beside RocksDB, LevelDB, LMDB and SQLite, each in a process of its own.

  table     every row of the table (standard)
  scale     cost per operation by number of entries
  stall     an overload of writes: the longest pause
  mixed     a steady mix: drift of memory and latency

  --quick               half a second a row, one round, 200 k entries, Kist, LevelDB, LMDB
  --full                all three profiles (hours)
  --engines=a,b         of kist,rocksdb,leveldb,lmdb,sqlite; what was not built is left out
  --profile=a,b         small (1 M x 100 B, standard), values (100 k x 4 KiB),
                        large (4 M x 100 B)
  --rows=a,b            only these rows or sequences (fillrandom, readrandom_64m, ycsb, ..)
  --rounds=N            standard 3; medians are reported
  --seconds=S           of each row that is bounded by time; standard 3
  --entries=N           instead of the profile's; with k or M; for scale a list
  --cache-mib=N         main cache, standard 512      --write-buffer-mib=N  standard 64
  --keys=decimal|spread db_bench's decimal keys, or binary ones with no common prefix
  --minutes=M           of stall and mixed, standard 10     --threads=N  of them, standard 2
  --tune=ENGINE:a=b,..  engine-specific settings for an experiment
  --dir=PATH            where the databases are made (the disk that is measured)
  --out=PATH            where report.txt, report.md, report.json and report.html go
  --seed=N              --keep (leave the databases)
)";

std::vector<std::string> Split(const std::string& s) {
  std::vector<std::string> out;
  for (size_t at = 0; at < s.size();) {
    const size_t end = std::min(s.find(',', at), s.size());
    if (end > at) out.push_back(s.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

uint64_t Entries(const std::string& s) {
  char* end = nullptr;
  const double v = std::strtod(s.c_str(), &end);
  const double unit = *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : 1;
  return static_cast<uint64_t>(v * unit);
}

void Quick(RunOptions* o) {
  o->engines = {"kist", "leveldb", "lmdb"};
  o->rounds = 1;
  o->seconds = 0.5;
  o->entries = 200000;
  o->minutes = 0.25;
  o->scale_counts = {100000, 300000, 1000000};
}

bool ParseOption(const std::string& name, const std::string& value, RunOptions* o) {
  const auto number = static_cast<unsigned>(std::strtoul(value.c_str(), nullptr, 10));
  if (name == "quick")
    Quick(o);
  else if (name == "full")
    o->profiles = {"small", "values", "large"};
  else if (name == "engines")
    o->engines = Split(value);
  else if (name == "profile")
    o->profiles = Split(value);
  else if (name == "rows")
    o->rows = Split(value);
  else if (name == "rounds")
    o->rounds = std::max(1u, number);
  else if (name == "seconds")
    o->seconds = std::strtod(value.c_str(), nullptr);
  else if (name == "cache-mib")
    o->cache_mib = number;
  else if (name == "write-buffer-mib")
    o->write_buffer_mib = number;
  else if (name == "keys")
    o->keys = value;
  else if (name == "minutes")
    o->minutes = std::strtod(value.c_str(), nullptr);
  else if (name == "threads")
    o->threads = number;
  else if (name == "tune")
    o->tuning.push_back(value);
  else if (name == "dir")
    o->dir = value;
  else if (name == "out")
    o->out = value;
  else if (name == "seed")
    o->seed = number;
  else if (name == "keep")
    o->keep = true;
  else if (name == "entries") {
    o->scale_counts.clear();
    for (const std::string& s : Split(value)) o->scale_counts.push_back(Entries(s));
    o->entries = o->scale_counts.empty() ? 0 : o->scale_counts[0];
  } else {
    return false;
  }
  return true;
}

std::string OwnDirectory() {
  char path[4096];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  const std::string self(path, n > 0 ? static_cast<size_t>(n) : 0);
  return self.substr(0, self.find_last_of('/'));
}

bool Write(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  return static_cast<bool>(out.flush());
}

bool Report(const RunOptions& options, const Results& results) {
  const std::string text = TextReport(results, options.engines);
  std::fputs(text.c_str(), stdout);
  const bool ok = MakeDirs(options.out) && Write(options.out + "/report.txt", text) &&
                  Write(options.out + "/report.md", MarkdownReport(results, options.engines)) &&
                  Write(options.out + "/report.json", JsonReport(results)) &&
                  Write(options.out + "/report.html", HtmlReport(results, options.engines));
  if (ok) std::printf("\nreports: %s/report.html, .json, .md, .txt\n", options.out.c_str());
  if (!ok)
    std::fprintf(stderr, "kist_bench: cannot write the reports to %s\n", options.out.c_str());
  return ok;
}

int Run(int argc, char** argv) {
  RunOptions options;
  options.workers = OwnDirectory();
  options.dir = options.workers + "/data";
  options.out = options.workers + "/report";
  std::string command = "table";
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--help" || arg == "-h") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    const size_t equal = arg.find('=');
    if (i == 1 && arg[0] != '-') {
      command = arg;
    } else if (arg.compare(0, 2, "--") != 0 ||
               !ParseOption(arg.substr(2, equal - 2),
                            equal == std::string::npos ? "" : arg.substr(equal + 1), &options)) {
      std::fprintf(stderr, "kist_bench: unknown argument %s\n%s", argv[i], kHelp);
      return 2;
    }
  }
  options.engines.erase(std::remove_if(options.engines.begin(), options.engines.end(),
                                       [&](const std::string& engine) {
                                         if (HasWorker(options, engine)) return false;
                                         std::fprintf(stderr, "%s was not built and is left out\n",
                                                      engine.c_str());
                                         return true;
                                       }),
                        options.engines.end());
  Results results;
  results.facts = MachineFacts(options.dir);
  results.facts["rounds"] = std::to_string(options.rounds) + ", " + Short(options.seconds) +
                            " s a row, " + options.keys + " keys";
  bool ok;
  if (command == "table") {
    ok = RunTable(options, &results);
  } else if (command == "scale") {
    ok = RunScale(options, &results);
  } else if (command == "stall" || command == "mixed") {
    ok = RunLong(options, command, &results);
  } else {
    std::fprintf(stderr, "kist_bench: unknown command %s\n%s", command.c_str(), kHelp);
    return 2;
  }
  return Report(options, results) && ok ? 0 : 1;
}

}  // namespace
}  // namespace kist::bench

int main(int argc, char** argv) { return kist::bench::Run(argc, argv); }
