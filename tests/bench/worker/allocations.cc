// The allocations row: heap allocations of the calling thread per get, put, delete and next in the
// steady state.
//
// The counts come from count_allocations.so, which the runner preloads for this row alone. Without
// it the row is left out.
#include <dlfcn.h>

#include "context.h"

namespace kist::bench {

namespace {

using CountFunction = uint64_t (*)();

enum class Step { kGet, kPut, kDelete };

bool Repeat(Context* context, Session* session, Step step, uint64_t from, uint64_t count) {
  const Workload& workload = context->workload();
  std::string value(workload.set().value_bytes, '\0');
  char key[kKeyBytes];
  std::string_view got;
  for (uint64_t i = from; i < from + count; ++i) {
    const uint64_t number = 2 * (i * 7919 % workload.set().entries);
    const std::string_view k = workload.KeyView(number, key);
    if (step == Step::kGet && session->Get(k, &got) == Found::kError) return false;
    if (step == Step::kPut) {
      workload.Value(number, 2, value.data());
      if (!session->Put(k, value)) return false;
    }
    if (step == Step::kDelete && !session->Delete(k)) return false;
  }
  return true;
}

}  // namespace

bool RowAllocations(Context* context, const std::string& row) {
  auto count = reinterpret_cast<CountFunction>(dlsym(RTLD_DEFAULT, "kist_bench_allocations"));
  if (count == nullptr) return true;
  constexpr uint64_t kCount = 20000;
  std::unique_ptr<Session> session = context->driver()->NewSession();
  Result result(row);
  const std::pair<Step, const char*> steps[] = {
      {Step::kGet, "get"}, {Step::kPut, "put"}, {Step::kDelete, "delete"}};
  double worst = 0;
  for (const auto& [step, name] : steps) {
    if (!Repeat(context, session.get(), step, 0, kCount))
      return context->Fail(row, session->error());
    const uint64_t before = count();
    if (!Repeat(context, session.get(), step, kCount, kCount))
      return context->Fail(row, session->error());
    const double each = static_cast<double>(count() - before) / kCount;
    result.Set(name, each);
    worst = std::max(worst, each);
  }
  // Iteration: a whole pass, less what making and freeing an iterator costs (a range of one entry).
  EntryCheck check(&context->workload());
  check.BeginSum();
  session->Scan(true, &check);
  check.BeginSum();
  const uint64_t before = count();
  if (!session->Scan(true, &check)) return context->Fail(row, session->error());
  const double next = static_cast<double>(count() - before) / static_cast<double>(check.count());
  result.Set("next", next);
  result.Set("allocations", std::max(worst, next));
  context->Emit(result);
  return true;
}

}  // namespace kist::bench
