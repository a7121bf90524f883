// kist bench: options and the list of workloads; bench_runner.cc runs them.
//
// It is a quick look at this machine, not the comparison with other stores: that one stands in
// tests/bench, where each store runs the same loop.
#include "cli/bench_runner.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/suggest.h"
#include "cli/text.h"

namespace kist::cli {
namespace {

constexpr char kStandardWorkloads[] =
    "fillseq,fillrandom,overwrite,readrandom,readmissing,readseq,readreverse,mixed,fillsync";

constexpr OptionSpec kOptions[] = {
    {"workloads", 'w', "LIST",
     "Which, in this order, with commas between them: fillseq fillrandom fillbatch overwrite "
     "readrandom readmissing readseq readreverse seekrandom mixed deleterandom fillsync. Standard: "
     "all but fillbatch, seekrandom and deleterandom."},
    {"keys", 'n', "N", "How many keys (1M)."},
    {"reads", 0, "N", "How many reads (as many as keys)."},
    {"key-size", 0, "BYTES", "Length of a key (16)."},
    {"value-size", 0, "BYTES", "Length of a value (100)."},
    {"batch", 0, "N", "Puts a commit (1)."},
    {"threads", 't', "N", "Threads (1)."},
    {"seed", 0, "N", "Of the random numbers (1)."},
    {"reuse", 0, nullptr, "With DB: go on in its keyspace 'bench'."},
    {"option", 'o', "TEXT", "Open the database with these options: \"name=value; ...\"."},
    {"json", 'j', nullptr, "One JSON object a workload."},
};

bool ReadConfig(Context& context, BenchConfig* config) {
  struct Count {
    const char* name;
    uint64_t* value;
    uint64_t min;
    uint64_t max;
  };
  const Count counts[] = {
      {"keys", &config->keys, 1, uint64_t{1} << 40},
      {"reads", &config->reads, 1, uint64_t{1} << 40},
      {"key-size", &config->key_size, 1, 65535},
      {"value-size", &config->value_size, 0, uint64_t{1} << 30},
      {"batch", &config->batch, 1, 1 << 20},
      {"threads", &config->threads, 1, 256},
      {"seed", &config->seed, 0, UINT64_MAX},
  };
  for (const Count& count : counts) {
    if (!context.CountOption(count.name, count.value)) return false;
    if (context.args.Has(count.name) && (*count.value < count.min || *count.value > count.max)) {
      context.Usage(std::string("--") + count.name + " must be " + std::to_string(count.min) +
                    ".." + std::to_string(count.max));
      return false;
    }
  }
  if (context.args.Has("sync")) config->durability = KIST_DURABILITY_DEFAULT;
  return true;
}

bool ReadWorkloads(Context& context, std::vector<const Workload*>* workloads) {
  std::string_view list = context.args.Get("workloads").value_or(kStandardWorkloads);
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view name = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    const Workload* const workload = FindWorkload(name);
    if (workload != nullptr) {
      workloads->push_back(workload);
      continue;
    }
    std::vector<std::string_view> names;
    for (size_t i = 0; WorkloadAt(i) != nullptr; ++i) names.push_back(WorkloadAt(i)->name);
    std::string text = "unknown workload " + Quoted(name);
    const std::string_view nearest = Nearest(name, names);
    if (!nearest.empty()) text += "; did you mean " + std::string(nearest) + "?";
    context.Usage(text);
    return false;
  }
  return true;
}

int Bench(Context& context) {
  BenchConfig config;
  std::vector<const Workload*> workloads;
  if (!ReadConfig(context, &config) || !ReadWorkloads(context, &workloads)) return kExitUsage;
  Output output(context.console);
  BenchRunner runner(&context, config, &output);
  const std::vector<std::string>& operands = context.args.operands();
  int code = runner.Open(operands.empty() ? "" : operands[0], context.args.Has("reuse"));
  if (code != kExitOk) return code;
  runner.PrintHeader();
  for (const Workload* workload : workloads) {
    if (code == kExitOk && output.ok()) code = runner.Run(*workload);
  }
  const int close = runner.Close();
  return code != kExitOk ? code : close;
}

}  // namespace

const Command kBenchCommand = {
    "bench",
    "[DB]",
    "measure writes, reads and scans",
    "Runs workloads one after the other and prints for each the rate and the latencies of\n"
    "single operations. Without DB it works in a temporary database (in $TMPDIR or /tmp) and\n"
    "removes it at the end; with DB it works in the keyspace \"bench\" of that database and\n"
    "touches no other. Puts go to the operating system (they survive the process); --sync\n"
    "chooses a policy instead, and the workload fillsync waits for the storage each time.\n"
    "Before a workload that reads, background compactions are let come to rest.",
    "  kist bench\n"
    "  kist bench --keys 10M --value-size 1KiB --threads 4\n"
    "  kist bench --workloads fillrandom,readrandom -o 'cache_size=64MiB'\n"
    "  kist bench --json --workloads fillsync --threads 8 | jq .ops_per_s",
    kOptions,
    sizeof(kOptions) / sizeof(kOptions[0]),
    kShareSync | kShareProgress,
    0,
    1,
    Bench,
    false,
};

}  // namespace kist::cli
