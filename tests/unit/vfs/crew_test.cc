// Crews: every task runs once, the first failure ends the rest, and a system without threads is
// none.
#include "vfs/crew.h"

#include <atomic>
#include <new>

#include "support/fault_vfs.h"
#include "support/unit_test.h"
#include "vfs/memory_vfs.h"

namespace kist::test {
namespace {

void crew__runs_every_task_once(void**) {
  auto vfs = NewMemoryVfs();
  FaultVfs without_threads(vfs.get());
  without_threads.Fail({kFaultThread, 1, EAGAIN, true});
  for (Vfs* v : {vfs.get(), static_cast<Vfs*>(&without_threads)}) {
    for (const size_t workers : {1, 2, 4, 50}) {
      std::vector<std::atomic<int>> ran(37);
      std::vector<Task> tasks;
      for (auto& r : ran)
        tasks.push_back([&r] {
          ++r;
          return Status();
        });
      ASSERT_OK(RunTasks(v, "test", workers, tasks));
      for (auto& r : ran) assert_int_equal(r.load(), 1);
    }
  }
  assert_true(without_threads.failures() > 0);
  ASSERT_OK(RunTasks(vfs.get(), "test", 4, {}));
}

void crew__the_first_failure_ends_the_rest(void**) {
  auto vfs = NewMemoryVfs();
  for (const size_t workers : {1, 4}) {
    std::atomic<size_t> ran{0};
    std::vector<Task> tasks(100, [&ran]() -> Status {
      const size_t n = ++ran;
      return n <= 10 ? Status() : Status::Error(Code::kIo, "the task's own");
    });
    Status s = RunTasks(vfs.get(), "test", workers, tasks);
    ASSERT_CODE(s, Code::kIo);
    assert_true(ran.load() <= 10 + workers);
  }
}

void crew__no_memory_is_a_failure(void**) {
  auto vfs = NewMemoryVfs();
  const std::vector<Task> tasks(3, []() -> Status { throw std::bad_alloc(); });
  ASSERT_CODE(RunTasks(vfs.get(), "test", 2, tasks), Code::kNoMem);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(crew__runs_every_task_once),
      cmocka_unit_test(crew__the_first_failure_ends_the_rest),
      cmocka_unit_test(crew__no_memory_is_a_failure),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
