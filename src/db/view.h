// View: what readers of one moment use: the memtables and the version. Immutable; the database
// publishes the newest through one atomic pointer and retires the one before through its Epoch.
// Iterators and jobs hold references. Threads: any.
#pragma once

#include <atomic>
#include <vector>

#include "memtable/memtable.h"
#include "util/ref.h"
#include "version/version.h"

namespace kist {

class View {
 public:
  void Ref() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  std::vector<RefPtr<Memtable>> memtables;  // the one being written first, then newest to oldest
  RefPtr<Version> version;

 private:
  std::atomic<uint32_t> refs_{1};
};

}  // namespace kist
