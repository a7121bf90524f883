// The workers of a crew take the tasks in order from one counter, under a lock: a task is a table,
// a range or a segment, so that the lock costs nothing.
// Threads: see crew.h.
#include "vfs/crew.h"

#include <algorithm>
#include <new>

#include "util/mutex.h"

namespace kist {
namespace {

class Crew {
 public:
  explicit Crew(const std::vector<Task>& tasks) : tasks_(tasks) {}

  void Work() {
    for (;;) {
      const Task* task = nullptr;
      {
        MutexLock lock(&mutex_);
        if (!status_.ok() || next_ == tasks_.size()) return;
        task = &tasks_[next_++];
      }
      Status s;
      try {
        s = (*task)();
      } catch (const std::bad_alloc&) {
        s = Status::Bare(Code::kNoMem);
      }
      MutexLock lock(&mutex_);
      if (!s.ok() && status_.ok()) status_ = std::move(s);
    }
  }
  Status status() {
    MutexLock lock(&mutex_);
    return status_;
  }

 private:
  const std::vector<Task>& tasks_;
  Mutex mutex_;
  Status status_ KIST_GUARDED_BY(mutex_);
  size_t next_ KIST_GUARDED_BY(mutex_) = 0;
};

}  // namespace

Status RunTasks(Vfs* vfs, const char* name, size_t workers, const std::vector<Task>& tasks) {
  Crew crew(tasks);
  std::vector<std::unique_ptr<Thread>> threads;
  for (size_t i = 1; i < std::min(workers, tasks.size()); ++i) {
    auto thread = vfs->Start(name, [&crew] { crew.Work(); });
    if (!thread.ok()) break;
    threads.push_back(thread.Take());
  }
  crew.Work();
  threads.clear();  // joins
  return crew.status();
}

}  // namespace kist
