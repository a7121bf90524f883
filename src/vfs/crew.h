// Crew: independent tasks on a few threads, the caller's among them. The first failure is the
// result, and no task is begun after it. Where the system has no more threads fewer do as well.
// Threads: tasks run side by side; the caller waits for all.
#pragma once

#include <functional>
#include <vector>

#include "vfs/vfs.h"

namespace kist {

using Task = std::function<Status()>;

// name: of the threads. workers: with the caller's; 1 starts none.
Status RunTasks(Vfs* vfs, const char* name, size_t workers, const std::vector<Task>& tasks);

}  // namespace kist
