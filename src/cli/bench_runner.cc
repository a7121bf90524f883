// A temporary database is made anew for each workload that wants an empty one; in a database of the
// user's only the keyspace "bench" is ever touched, and a foreign one of that name is refused.
//
// Latencies are those of the caller: a wait for the clock of another thread is part of them.
#include "cli/bench_runner.h"

#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "cli/interrupt.h"
#include "cli/number.h"
#include "cli/progress.h"

namespace kist::cli {
namespace {

constexpr char kKeyspace[] = "bench";

std::string DurabilityName(uint32_t durability) {
  switch (durability) {
    case KIST_DURABILITY_BUFFERED:
      return "buffered";
    case KIST_DURABILITY_OS:
      return "os";
    case KIST_DURABILITY_SYNC:
      return "sync";
    default:
      return "by policy";
  }
}

}  // namespace

BenchRunner::~BenchRunner() {
  if (!temporary_ || path_.empty()) return;
  database_.reset();
  kist_destroy(path_.c_str(), nullptr);
}

int BenchRunner::Open(const std::string& path, bool reuse) {
  noise_ = MakeNoise(config_.seed, config_.value_size);
  temporary_ = path.empty();
  path_ = path;
  if (temporary_) {
    const char* const directory = getenv("TMPDIR");
    path_ = std::string(directory != nullptr && directory[0] != '\0' ? directory : "/tmp") +
            "/kist-bench-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) {
      const std::string wanted = path_;
      path_.clear();
      return context_.Fail(kExitIo, wanted + ": no temporary directory could be made");
    }
  }
  return OpenDatabase(reuse);
}

int BenchRunner::OpenDatabase(bool reuse) {
  database_ = std::make_unique<Database>();
  int code = database_->OpenPath(context_, path_, Database::Mode::kCreate);
  if (code != kExitOk || temporary_) return code;
  std::vector<std::string> names;
  if (!database_->KeyspaceNames(context_, &names)) return kExitDatabase;
  const bool present = std::find(names.begin(), names.end(), kKeyspace) != names.end();
  if (present && !reuse) {
    return context_.Fail(kExitUsage,
                         path_ + " has a keyspace 'bench' already; --reuse goes on in it");
  }
  code = database_->Use(context_, kKeyspace, true);
  dirty_ = present;
  filled_ = present;
  return code;
}

int BenchRunner::MakeFresh() {
  if (!dirty_) return kExitOk;
  dirty_ = false;
  filled_ = false;
  if (!temporary_) {
    int code = database_->Use(context_, "default", false);
    if (code != kExitOk) return code;
    kist_err err = KIST_ERR_INIT;
    const kist_rc rc = kist_keyspace_drop(database_->db(), kKeyspace, &err);
    if (rc != KIST_OK) return context_.Fail("keyspace 'bench'", rc, err);
    return database_->Use(context_, kKeyspace, true);
  }
  const int code = database_->Close(context_);
  if (code != kExitOk) return code;
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_destroy(path_.c_str(), &err);
  if (rc != KIST_OK) return context_.Fail(path_, rc, err);
  return OpenDatabase(false);
}

int BenchRunner::Prepare(const Workload& workload) {
  if (workload.fresh) return MakeFresh();
  if (!workload.needs_data) return kExitOk;
  if (!filled_) {
    context_.console->Note(std::string("filling first: ") + workload.name + " needs data");
    Result ignored;
    const int code = Measure(*FindWorkload("fillrandom"), &ignored);
    if (code != kExitOk) return code;
    dirty_ = true;
    filled_ = true;
  }
  kist_err err = KIST_ERR_INIT;
  const kist_rc rc = kist_wait_idle(database_->db(), -1, &err);
  return rc < 0 ? context_.Fail("waiting for compactions", rc, err) : kExitOk;
}

int BenchRunner::Measure(const Workload& workload, Result* result) {
  const uint64_t total = workload.operations(config_);
  const uint64_t share = std::max<uint64_t>(total / config_.threads, 1);
  std::atomic<uint64_t> done{0};
  std::vector<std::unique_ptr<BenchWorker>> workers;
  for (uint64_t i = 0; i < config_.threads; ++i) {
    workers.push_back(std::unique_ptr<BenchWorker>(
        new BenchWorker{config_, database_->db(), database_->keyspace(), noise_, done, i, share,
                        std::mt19937_64(config_.seed * 1000 + i), Histogram()}));
  }
  Progress progress(context_.console, workload.name, Progress::Unit::kSteps,
                    context_.ShowProgress());
  const auto start = std::chrono::steady_clock::now();
  std::atomic<uint64_t> running{config_.threads};
  std::vector<std::thread> threads;
  for (const auto& worker : workers) {
    threads.emplace_back([&workload, &running, raw = worker.get()] {
      workload.run(raw);
      running.fetch_sub(1, std::memory_order_release);
    });
  }
  while (context_.ShowProgress() && running.load(std::memory_order_acquire) > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    progress.Update(done.load(std::memory_order_relaxed), total, 0);
  }
  for (std::thread& thread : threads) thread.join();
  const auto end = std::chrono::steady_clock::now();
  result->seconds = std::chrono::duration<double>(end - start).count();
  for (const auto& worker : workers) {
    if (worker->rc < 0) return context_.Fail(workload.name, worker->rc, worker->err);
    result->latency.Merge(worker->latency);
    result->bytes += worker->bytes;
    result->found += worker->found;
  }
  result->operations = done.load();
  return InterruptPending() != 0 ? kExitSignal + InterruptPending() : kExitOk;
}

int BenchRunner::Run(const Workload& workload) {
  int code = Prepare(workload);
  Result result;
  if (code == kExitOk) code = Measure(workload, &result);
  if (code != kExitOk) return code;
  dirty_ = true;
  if (workload.fresh) filled_ = true;
  if (context_.args.Has("json")) {
    PrintJson(workload, result);
  } else {
    PrintRow(workload, result);
  }
  output_.Flush();
  return output_.ok() ? kExitOk : output_.Finish();
}

int BenchRunner::Close() {
  if (database_ == nullptr) return kExitOk;
  const int code = database_->Close(context_);
  if (code == kExitOk && !temporary_) {
    context_.console->Note("the keyspace 'bench' stays; kist keyspaces --yes " + path_ +
                           " drop bench removes it");
  }
  return code;
}

void BenchRunner::PrintHeader() const {
  if (context_.args.Has("json")) return;
  output_.Append(FormatCount(config_.keys) + " keys of " + FormatCount(config_.key_size) +
                 " bytes, values of " + FormatCount(config_.value_size) + " bytes, " +
                 FormatCount(config_.threads) + (config_.threads == 1 ? " thread" : " threads") +
                 ", durability " + DurabilityName(config_.durability) + ", in " + path_ +
                 (temporary_ ? " (temporary)\n" : "\n"));
  output_.Append(Printf("%-14s %12s %10s %10s %9s %9s %9s %9s\n", "workload", "ops/s", "MB/s",
                        "us/op", "p50", "p99", "p99.9", "max"));
  output_.Flush();
}

void BenchRunner::PrintRow(const Workload& workload, const Result& result) const {
  const double operations = static_cast<double>(std::max<uint64_t>(result.operations, 1));
  const double seconds = std::max(result.seconds, 1e-9);
  std::string row = Printf("%-14s %12s %10.1f %10.3f", workload.name,
                           FormatCount(static_cast<uint64_t>(operations / seconds)).c_str(),
                           static_cast<double>(result.bytes) / seconds / 1e6,
                           seconds * 1e6 * static_cast<double>(config_.threads) / operations);
  if (workload.per_entry && (config_.batch == 1 || !workload.fresh)) {
    for (const double part : {0.5, 0.99, 0.999}) {
      row += Printf(" %9s",
                    FormatMicros(static_cast<double>(result.latency.Quantile(part)) / 1e3).c_str());
    }
    row += Printf(" %9s", FormatMicros(static_cast<double>(result.latency.max()) / 1e3).c_str());
  }
  const bool reads = std::string_view(workload.name).substr(0, 4) == "read";
  if (reads && result.found > 0 && result.found < result.operations) {
    row += Printf("  (%s found)", FormatCount(result.found).c_str());
  }
  output_.Append(row + "\n");
}

void BenchRunner::PrintJson(const Workload& workload, const Result& result) const {
  const double seconds = std::max(result.seconds, 1e-9);
  output_.Append(Printf(
      "{\"workload\":\"%s\",\"ops\":%llu,\"seconds\":%.6f,\"ops_per_s\":%.0f,\"bytes\":%llu,"
      "\"found\":%llu,\"calls\":%llu,\"p50_ns\":%llu,\"p99_ns\":%llu,\"p999_ns\":%llu,"
      "\"max_ns\":%llu,\"threads\":%llu,\"batch\":%llu,\"durability\":\"%s\"}\n",
      workload.name, static_cast<unsigned long long>(result.operations), result.seconds,
      static_cast<double>(result.operations) / seconds,
      static_cast<unsigned long long>(result.bytes), static_cast<unsigned long long>(result.found),
      static_cast<unsigned long long>(result.latency.count()),
      static_cast<unsigned long long>(result.latency.Quantile(0.5)),
      static_cast<unsigned long long>(result.latency.Quantile(0.99)),
      static_cast<unsigned long long>(result.latency.Quantile(0.999)),
      static_cast<unsigned long long>(result.latency.max()),
      static_cast<unsigned long long>(config_.threads),
      static_cast<unsigned long long>(config_.batch), DurabilityName(config_.durability).c_str()));
}

}  // namespace kist::cli
