// The worker's frame: opening with warm-up, books around a phase, the lines that the runner reads.
#include "context.h"

#include <algorithm>
#include <cstdio>

namespace kist::bench {

std::string Tuning(const Config& config, std::string_view name, std::string_view standard) {
  const std::string& all = config.tuning;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find(',', at), all.size());
    const std::string pair = all.substr(at, end - at);
    const size_t equal = pair.find('=');
    if (pair.substr(0, equal) == name)
      return equal == std::string::npos ? "1" : pair.substr(equal + 1);
    at = end + 1;
  }
  return std::string(standard);
}

Context::Context(const WorkerOptions& options)
    : options_(options), workload_(options.set), driver_(NewDriver()) {
  options_.config.record_bytes = options.set.record_bytes();
  options_.config.data_bytes = options.set.bytes();
}

bool Context::Fail(const std::string& row, const std::string& why) {
  std::printf("F %s %s\n", row.c_str(), why.c_str());
  std::fflush(stdout);
  return false;
}

// Code, allocator and clock frequency are warm before a fresh database is measured.
bool Context::WarmUp() {
  Config config = options_.config;
  config.dir += ".warm";
  config.durability = Durability::kOs;
  if (!RemoveTree(config.dir) || !MakeDirs(config.dir))
    return Fail("open", "cannot make " + config.dir);
  std::unique_ptr<Driver> driver = NewDriver();
  if (!driver->Open(config)) return Fail("open", driver->error());
  std::unique_ptr<Session> session = driver->NewSession();
  const uint64_t n = std::min<uint64_t>(20000, options_.set.entries);
  char key[kKeyBytes];
  std::string value(options_.set.value_bytes, '\0');
  for (uint64_t i = 0; i < n; ++i) {
    const uint64_t number = 2 * (i * 7919 % n);
    workload_.Value(number, 1, value.data());
    if (!session->Put(workload_.KeyView(number, key), value)) return Fail("open", session->error());
  }
  std::string_view got;
  for (uint64_t i = 0; i < n; ++i) {
    if (session->Get(workload_.KeyView(2 * i, key), &got) != Found::kYes ||
        !workload_.ValueIs(got, 2 * i, 1, true)) {
      return Fail("open", "the warm-up read a wrong answer: " + session->error());
    }
  }
  session.reset();
  driver->Close();
  return RemoveTree(config.dir);
}

bool Context::Open() {
  if (options_.fresh) {
    if (!WarmUp()) return false;
    if (!RemoveTree(options_.config.dir) || !MakeDirs(options_.config.dir))
      return Fail("open", "cannot make the directory");
  } else {
    loaded = options_.set.entries;
    generation = 1;
  }
  fresh_books = Books::Now();
  if (!driver_->Open(options_.config)) return Fail("open", driver_->error());
  open_seconds = static_cast<double>(NowNs() - fresh_books.ns) * 1e-9;
  Result result("open");
  result.Set("open_ms", open_seconds * 1e3);
  result.Set("rss_mb", static_cast<double>(PeakRssBytes()) * 1e-6);
  result.Set("budget_mb", static_cast<double>(driver_->MemoryBudget()) * 1e-6);
  Emit(result);
  return true;
}

bool CheckSample(Context* context, uint64_t begin, uint64_t count, bool in_order, uint64_t samples,
                 uint8_t generation, std::string* why) {
  const Workload& workload = context->workload();
  const Permutation order(workload.set().entries, context->options().seed);
  std::unique_ptr<Session> session = context->driver()->NewSession();
  Random random(context->options().seed + 99);
  char key[kKeyBytes];
  std::string_view value;
  for (uint64_t i = 0; i < samples; ++i) {
    const uint64_t at = begin + random.Below(count);
    const uint64_t number = 2 * (in_order ? at : order.At(at));
    const Found found = session->Get(workload.KeyView(number, key), &value);
    if (found == Found::kError) {
      *why = session->error();
      return false;
    }
    const bool right =
        generation == 0 ? found == Found::kNo
                        : found == Found::kYes && workload.ValueIs(value, number, generation, true);
    if (right) continue;
    *why = std::string(found == Found::kYes ? "a wrong value" : "no value") + " for key number " +
           std::to_string(number);
    return false;
  }
  return true;
}

}  // namespace kist::bench
