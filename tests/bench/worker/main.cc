// kist_bench_<engine>: one engine's worker process. The runner starts it; a person may too:
//   kist_bench_leveldb --dir=/tmp/x --fresh --entries=100000 --rows=fillrandom,settle,readrandom
#include <cstdlib>
#include <cstring>

#include "context.h"

namespace kist::bench {

const std::map<std::string, RowFunction>& Rows() {
  static const std::map<std::string, RowFunction> rows = {
      {"fillseq", RowFill},
      {"fillrandom", RowFill},
      {"fillrandom_4t", RowFill},
      {"fillbatch", RowFill},
      {"fillbatch_seq", RowFill},
      {"overwrite", RowFill},
      {"deleterandom", RowFill},
      {"fillsync", RowFill},
      {"fillsync_8t", RowFill},
      {"load", RowLoad},
      {"settle", RowSettle},
      {"compact", RowSettle},
      {"fillkill", RowFillKill},
      {"reopen", RowReopen},
      {"readrandom", RowRead},
      {"readrandom_2t", RowRead},
      {"readmissing", RowRead},
      {"readhot", RowRead},
      {"readseq", RowScan},
      {"readseq_many", RowScan},
      {"readreverse", RowScan},
      {"seek10", RowScan},
      {"readwhilewriting", RowReadWhileWriting},
      {"ycsb_a", RowYcsb},
      {"ycsb_b", RowYcsb},
      {"ycsb_c", RowYcsb},
      {"ycsb_d", RowYcsb},
      {"ycsb_e", RowYcsb},
      {"ycsb_f", RowYcsb},
      {"allocations", RowAllocations},
      {"stall", RowLong},
      {"mixed", RowLong},
  };
  return rows;
}

namespace {

bool ParseOption(const std::string& name, const std::string& value, WorkerOptions* o) {
  const uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
  if (name == "dir")
    o->config.dir = value;
  else if (name == "fresh")
    o->fresh = true;
  else if (name == "entries")
    o->set.entries = number;
  else if (name == "value-bytes")
    o->set.value_bytes = static_cast<uint32_t>(number);
  else if (name == "keys")
    o->set.style = value == "spread" ? KeyStyle::kSpread : KeyStyle::kDecimal;
  else if (name == "cache-mib")
    o->config.cache_bytes = number << 20;
  else if (name == "write-buffer-mib")
    o->config.write_buffer_bytes = number << 20;
  else if (name == "compression")
    o->config.compression = number != 0;
  else if (name == "mapped")
    o->config.mapped_reads = number != 0;
  else if (name == "sync")
    o->config.durability = number != 0 ? Durability::kSync : Durability::kOs;
  else if (name == "seconds")
    o->seconds = std::strtod(value.c_str(), nullptr);
  else if (name == "threads")
    o->threads = static_cast<unsigned>(number);
  else if (name == "seed")
    o->seed = number;
  else if (name == "tuning")
    o->config.tuning = value;
  else if (name == "rows") {
    for (size_t at = 0; at < value.size();) {
      const size_t end = std::min(value.find(',', at), value.size());
      o->rows.push_back(value.substr(at, end - at));
      at = end + 1;
    }
  } else {
    return false;
  }
  return true;
}

int Run(int argc, char** argv) {
  WorkerOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const size_t equal = arg.find('=');
    const std::string name = arg.substr(0, equal);
    if (name.compare(0, 2, "--") != 0 ||
        !ParseOption(name.substr(2), equal == std::string::npos ? "" : arg.substr(equal + 1),
                     &options)) {
      std::fprintf(stderr, "%s: unknown argument %s\n", argv[0], argv[i]);
      return 2;
    }
  }
  if (options.config.dir.empty() || options.set.value_bytes < 32 || options.set.entries < 1000) {
    std::fprintf(stderr, "%s: --dir is needed, --value-bytes >= 32 and --entries >= 1000\n",
                 argv[0]);
    return 2;
  }
  Context context(options);
  std::printf("V %s\n", context.driver()->Version().c_str());
  bool ok = context.Open();
  for (const std::string& row : options.rows) {
    if (!ok) break;
    const auto it = Rows().find(row);
    ok = it != Rows().end() ? it->second(&context, row) : context.Fail(row, "no such row");
  }
  context.driver()->Close();
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace kist::bench

int main(int argc, char** argv) { return kist::bench::Run(argc, argv); }
