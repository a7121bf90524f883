// Running workers in the order that run.h describes, and filing what they print.
#include "run.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include "measure.h"
#include "process.h"

namespace kist::bench {

namespace {

struct Job {
  const RunOptions* options;
  Results* results;
  std::string profile;
  std::string engine;
  uint64_t entries;
  uint32_t value_bytes;
  unsigned cache_mib;
  bool compression = true;
  bool mapped = false;
  bool sync = false;
  bool fresh = false;
  bool counted = false;
  bool filed = true;  // results are kept (not those of a loading step)
  double seconds = 3;
  std::string suffix;
  std::string dir;
  std::vector<std::string> rows;
};

Metrics ParseMetrics(std::istringstream* in) {
  Metrics metrics;
  for (std::string word; *in >> word;) {
    const size_t equal = word.find('=');
    if (equal != std::string::npos)
      metrics[word.substr(0, equal)] = std::strtod(word.c_str() + equal + 1, nullptr);
  }
  return metrics;
}

// "lmdb_map" is run by the worker of "lmdb".
std::string WorkerOf(const std::string& engine) { return engine.substr(0, engine.find('_')); }

std::string TuningOf(const RunOptions& options, const std::string& engine) {
  for (const Variant& v : Variants()) {
    if (engine == v.name) return v.tuning;
  }
  for (const std::string& t : options.tuning) {
    if (t.compare(0, engine.size() + 1, engine + ":") == 0) return t.substr(engine.size() + 1);
  }
  return "";
}

// One line to standard error for the person who waits.
void Tell(const Job& job, const std::string& row, const Metrics& m) {
  const auto of = [&m](const char* name) {
    const auto it = m.find(name);
    return it == m.end() ? 0.0 : it->second;
  };
  std::fprintf(stderr, "  %-8s %-22s %10s us/op  cpu %8s  p99 %9s us  max %9s us  rss %6s MB\n",
               job.engine.c_str(), row.c_str(), Short(of("us_op")).c_str(),
               Short(of("cpu_us_op")).c_str(), Short(of("p99_us")).c_str(),
               Short(of("max_us")).c_str(), Short(of("rss_mb")).c_str());
}

class Filer {
 public:
  explicit Filer(const Job& job) : job_(job) {}
  void Line(const std::string& line) {
    std::istringstream in(line);
    char kind = 0;
    std::string row;
    in >> kind;
    if (kind == 'V') {
      if (line.size() > 2) job_.results->versions[job_.engine] = line.substr(2);
      return;
    }
    in >> row;
    if (kind == 'F') return File(row, line.substr(std::min(line.size(), row.size() + 3)));
    Metrics metrics = ParseMetrics(&in);
    if (kind == 'S') {
      job_.results->series.push_back({job_.engine, row, metrics});
      return;
    }
    if (kind != 'R') return;
    Peak(metrics);
    if (!job_.filed) return;
    if (row == "open") return;
    Tell(job_, row + job_.suffix, metrics);
    job_.results->Add(job_.profile, row + job_.suffix, job_.engine, std::move(metrics));
  }
  void File(const std::string& row, const std::string& why) {
    ok_ = false;
    job_.results->failures.push_back(
        {job_.profile + "/" + row + job_.suffix + "/" + job_.engine, why});
    std::fprintf(stderr, "  %-8s %-22s FAILED: %s\n", job_.engine.c_str(),
                 (row + job_.suffix).c_str(), why.c_str());
  }
  // The highest share of its budget that any process of this engine used.
  void FilePeak() {
    if (!job_.filed || peak_.empty()) return;
    job_.results->Add(job_.profile, "peak_memory", job_.engine, peak_);
  }
  bool ok() const { return ok_; }
  double open_ms() const { return open_ms_; }

 private:
  void Peak(const Metrics& m) {
    const auto budget = m.find("budget_mb");
    if (budget != m.end()) budget_mb_ = budget->second;
    const auto open = m.find("open_ms");
    if (open != m.end()) open_ms_ = open->second;
    const auto rss = m.find("rss_mb");
    if (rss == m.end() || rss->second < peak_["rss_mb"]) return;
    peak_["rss_mb"] = rss->second;
    if (budget_mb_ > 0) peak_["budget_share"] = rss->second / budget_mb_;
  }
  const Job& job_;
  Metrics peak_;
  double budget_mb_ = 0;
  double open_ms_ = 0;
  bool ok_ = true;
};

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& w : words) text += (text.empty() ? "" : ",") + w;
  return text;
}

bool RunJob(const Job& job, bool may_be_killed = false) {
  const RunOptions& o = *job.options;
  std::vector<std::string> args = {
      "--dir=" + job.dir,
      "--entries=" + std::to_string(job.entries),
      "--value-bytes=" + std::to_string(job.value_bytes),
      "--keys=" + o.keys,
      "--cache-mib=" + std::to_string(job.cache_mib),
      "--write-buffer-mib=" + std::to_string(o.write_buffer_mib),
      "--compression=" + std::to_string(job.compression ? 1 : 0),
      "--sync=" + std::to_string(job.sync ? 1 : 0),
      "--seconds=" + std::to_string(job.seconds),
      "--threads=" + std::to_string(o.threads),
      "--seed=" + std::to_string(o.seed),
      "--rows=" + Joined(job.rows),
  };
  if (job.fresh) args.push_back("--fresh");
  if (job.mapped) args.push_back("--mapped=1");
  const std::string tuning = TuningOf(o, job.engine);
  if (!tuning.empty()) args.push_back("--tuning=" + tuning);
  Filer filer(job);
  const std::string preload = job.counted ? o.workers + "/count_allocations.so" : "";
  const int code =
      RunProcess(o.workers + "/kist_bench_" + WorkerOf(job.engine), args, preload,
                 1800 + job.seconds, [&filer](const std::string& line) { filer.Line(line); });
  if (code != 0 && filer.ok() && !(may_be_killed && code == 128 + 9)) {
    filer.File(job.rows.empty() ? "?" : job.rows[0],
               "the worker ended with code " + std::to_string(code));
  }
  filer.FilePeak();
  if (job.filed && !job.fresh && filer.open_ms() > 0 && job.suffix.empty() &&
      job.rows[0] != "reopen") {
    job.results->Add(job.profile, "open", job.engine, {{"open_ms", filer.open_ms()}});
  }
  return filer.ok();
}

bool Wanted(const RunOptions& options, const Sequence& sequence) {
  if (options.rows.empty()) return true;
  for (const char* row : sequence.rows) {
    if (std::count(options.rows.begin(), options.rows.end(), std::string(row) + sequence.suffix) !=
        0)
      return true;
  }
  return std::count(options.rows.begin(), options.rows.end(), sequence.name) != 0;
}

// The rows of a sequence up to the last one wanted; a reading sequence's rows do not depend on one
// another.
std::vector<std::string> RowsOf(const RunOptions& options, const Sequence& sequence) {
  std::vector<std::string> rows(sequence.rows.begin(), sequence.rows.end());
  if (options.rows.empty() ||
      std::count(options.rows.begin(), options.rows.end(), sequence.name) != 0)
    return rows;
  const auto wanted = [&](const std::string& row) {
    return std::count(options.rows.begin(), options.rows.end(), row + sequence.suffix) != 0;
  };
  if (sequence.kind == Sequence::Kind::kRead) {
    rows.erase(
        std::remove_if(rows.begin(), rows.end(), [&](const std::string& r) { return !wanted(r); }),
        rows.end());
  } else {
    while (!rows.empty() && !wanted(rows.back())) rows.pop_back();
  }
  return rows;
}

Job MakeJob(const RunOptions& options, Results* results, const Profile& profile,
            const std::string& engine, const Sequence& s) {
  Job job;
  job.options = &options;
  job.results = results;
  job.profile = profile.name;
  job.engine = engine;
  job.entries = (options.entries != 0 ? options.entries : profile.entries) * s.entries_factor;
  job.value_bytes = profile.value_bytes;
  job.cache_mib = s.cache_mib != 0 ? s.cache_mib : options.cache_mib;
  job.compression = s.compression;
  job.mapped = s.mapped;
  job.sync = s.sync;
  job.seconds = options.seconds;
  job.suffix = s.suffix;
  job.counted = s.counted_allocations;
  job.rows = RowsOf(options, s);
  return job;
}

std::string DataSetDir(const Job& job) {
  return job.options->dir + "/" + job.engine + "/" + std::to_string(job.entries) + "x" +
         std::to_string(job.value_bytes) + (job.compression ? "" : "_raw");
}

// Loads the data set that a reading sequence shares, once a run.
bool LoadDataSet(Job job, std::set<std::string>* loaded) {
  job.dir = DataSetDir(job);
  if (!loaded->insert(job.dir).second) return true;
  std::fprintf(stderr, "loading %s\n", job.dir.c_str());
  job.fresh = true;
  job.filed = false;
  job.counted = false;
  job.cache_mib = 512;
  job.rows = {"load"};
  return RunJob(job);
}

bool RunOne(Job job, const Sequence& s, std::set<std::string>* loaded) {
  const std::string data = DataSetDir(job);
  job.dir = job.options->dir + "/" + job.engine + "/" + s.name;
  std::error_code error;
  bool ok = true;
  switch (s.kind) {
    case Sequence::Kind::kFresh:
      job.fresh = true;
      ok = RunJob(job);
      break;
    case Sequence::Kind::kRead:
      job.dir = data;
      return loaded->count(data) != 0 && RunJob(job);
    case Sequence::Kind::kCopy:
      std::filesystem::remove_all(job.dir, error);
      std::filesystem::copy(data, job.dir, std::filesystem::copy_options::recursive, error);
      if (error) return false;
      sync();  // the copy's write-back would fall into the row
      ok = RunJob(job);
      break;
    case Sequence::Kind::kKill: {
      Job filling = job;
      filling.fresh = true;
      filling.filed = false;
      filling.rows = {"fillkill"};
      ok = RunJob(filling, true) && RunJob(job);
      break;
    }
  }
  std::filesystem::remove_all(job.dir, error);
  return ok;
}

// Stripped size of each engine's library, as its worker has it loaded.
void MeasureLibraries(const RunOptions& options, Results* results) {
  for (const std::string& engine : options.engines) {
    const std::string library = "lib" + engine + (engine == "sqlite" ? "3" : "") + ".so";
    const std::string stripped = options.dir + "/" + library + ".stripped";
    const std::string command =
        "f=$(ldd " + options.workers + "/kist_bench_" + engine + " | sed -n 's/.*" + library +
        "[^ ]* => \\([^ ]*\\).*/\\1/p'); test -n \"$f\" && strip -s -o " + stripped + " \"$f\"";
    struct stat st;
    if (std::system(command.c_str()) == 0 && stat(stripped.c_str(), &st) == 0) {
      results->Add(options.profiles[0], "library", engine,
                   {{"library_mb", static_cast<double>(st.st_size) * 1e-6}});
    }
    std::remove(stripped.c_str());
  }
}

std::string TitleOf(const RunOptions& options, const Profile& profile) {
  if (options.entries == 0) return profile.title;
  return std::to_string(options.entries) + " entries of 16 + " +
         std::to_string(profile.value_bytes) + " bytes";
}

bool RunProfile(const RunOptions& options, const Profile& profile, Results* results) {
  results->titles[profile.name] = TitleOf(options, profile);
  std::set<std::string> loaded;
  bool ok = true;
  for (const Sequence& s : Sequences()) {
    if (!Wanted(options, s)) continue;
    if (s.kind == Sequence::Kind::kRead || s.kind == Sequence::Kind::kCopy) {
      for (const std::string& engine : options.engines)
        ok = LoadDataSet(MakeJob(options, results, profile, engine, s), &loaded) && ok;
    }
    for (unsigned round = 0; round < options.rounds; ++round) {
      std::fprintf(stderr, "%s / %s, round %u of %u\n", profile.name, s.name, round + 1,
                   options.rounds);
      std::vector<std::string> engines = options.engines;
      std::rotate(engines.begin(), engines.begin() + round % engines.size(), engines.end());
      if (s.with_disk) engines.push_back("disk");
      for (const Variant& v : Variants()) {
        const std::string base = WorkerOf(v.name);
        const bool there = std::count(engines.begin(), engines.end(), base) != 0;
        if (s.with_variants && there) engines.push_back(v.name);
      }
      for (const std::string& engine : engines) {
        Job job = MakeJob(options, results, profile, engine, s);
        if (engine == "disk") job.rows = {"fillsync", "fillsync_zeroed", "diskwrite"};
        ok = RunOne(job, s, &loaded) && ok;
      }
    }
  }
  std::error_code error;
  for (const std::string& dir : loaded) {
    if (!options.keep) std::filesystem::remove_all(dir, error);
  }
  return ok;
}

}  // namespace

bool HasWorker(const RunOptions& options, const std::string& engine) {
  return access((options.workers + "/kist_bench_" + WorkerOf(engine)).c_str(), X_OK) == 0;
}

bool RunTable(const RunOptions& options, Results* results) {
  bool ok = true;
  if (!MakeDirs(options.dir)) return false;
  for (const Profile& profile : Profiles()) {
    if (std::count(options.profiles.begin(), options.profiles.end(), profile.name) == 0) continue;
    ok = RunProfile(options, profile, results) && ok;
  }
  if (options.rows.empty() ||
      std::count(options.rows.begin(), options.rows.end(), "library") != 0) {
    MeasureLibraries(options, results);
  }
  return ok;
}

bool RunScale(const RunOptions& options, Results* results) {
  if (!MakeDirs(options.dir)) return false;
  bool ok = true;
  Sequence fresh;
  fresh.name = "scale";
  fresh.rows = {"fillrandom", "settle", "readrandom", "seek10"};
  for (const uint64_t count : options.scale_counts) {
    const Profile profile = {"scale", "", count, 100};
    const std::string name = "scale-" + std::to_string(count);
    results->scale.emplace_back(count, name);
    for (unsigned round = 0; round < options.rounds; ++round) {
      std::fprintf(stderr, "%llu entries, round %u\n", static_cast<unsigned long long>(count),
                   round + 1);
      for (const std::string& engine : options.engines) {
        Job job = MakeJob(options, results, profile, engine, fresh);
        job.profile = name;
        job.entries = count;
        job.rows.assign(fresh.rows.begin(), fresh.rows.end());
        std::set<std::string> none;
        ok = RunOne(job, fresh, &none) && ok;
      }
    }
  }
  return ok;
}

bool RunLong(const RunOptions& options, const std::string& row, Results* results) {
  if (!MakeDirs(options.dir)) return false;
  bool ok = true;
  const Profile& profile = Profiles()[0];
  Sequence s;
  s.name = row.c_str();
  for (const std::string& engine : options.engines) {
    std::fprintf(stderr, "%s: %s for %.1f minutes\n", engine.c_str(), row.c_str(), options.minutes);
    Job job = MakeJob(options, results, profile, engine, s);
    if (options.entries == 0) job.entries = 5000000;
    job.seconds = options.minutes * 60;
    job.rows = {"load", row};
    std::set<std::string> none;
    ok = RunOne(job, s, &none) && ok;
  }
  return ok;
}

}  // namespace kist::bench
