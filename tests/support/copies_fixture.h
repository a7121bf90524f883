// What the tests of copies share: small databases that flush often, the target "/target", restores
// that are compared with a history, and targets that interfere.
// Threads: any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "backup/restore.h"
#include "backup/target.h"
#include "support/commit_history.h"
#include "vfs/memory_vfs.h"

namespace kist::test {

constexpr char kTarget[] = "/target";
constexpr int64_t kPatienceMs = 300000;  // a starved machine is no failure

inline std::unique_ptr<Db> OpenDb(Vfs* vfs, const std::string& path, const std::string& more = "") {
  OptionSet options;
  ASSERT_OK(options.Parse("memory_budget=4MiB; sync=never; write_buffer_size=64KiB;" + more));
  auto db = Db::Open(path, options, LogSink(), vfs);
  ASSERT_OK(db.status());
  return db.Take();
}

inline std::unique_ptr<Target> Open(Vfs* vfs, bool create = true) {
  auto target = OpenTarget(vfs, kTarget, create);
  ASSERT_OK(target.status());
  return target.Take();
}

// The target gives this point, which is the commit `want`, as the history has it.
inline void Expect(Vfs* vfs, const CommitHistory& history, RestorePoint point, Sequence want) {
  auto memory = NewMemoryVfs();
  Sequence seq = 0, opened = 0;
  ASSERT_OK(RestoreBackup(Open(vfs, false).get(), memory.get(), "/restored", point, {}, &seq));
  assert_int_equal(seq, want);
  ASSERT_SLICE(DumpAt(memory.get(), "/restored", &opened), history.At(want));
  assert_int_equal(opened, want);
}

// Passes calls on, each after `before`, whose failure is the call's.
class HookTarget final : public Target {
 public:
  enum class Call { kPut, kGet, kList, kDelete };
  using Hook = std::function<Status(Call call, const std::string& name)>;
  HookTarget(std::unique_ptr<Target> base, Hook before)
      : Target(base->url()), base_(std::move(base)), before_(std::move(before)) {}
  Status Put(const std::string& name, ObjectSource* source) override {
    KIST_TRY(before_(Call::kPut, name));
    return base_->Put(name, source);
  }
  Result<size_t> Get(const std::string& name, uint64_t offset, char* buf, size_t n) override {
    KIST_TRY(before_(Call::kGet, name));
    return base_->Get(name, offset, buf, n);
  }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override {
    KIST_TRY(before_(Call::kList, prefix));
    return base_->List(prefix);
  }
  Result<std::vector<ObjectInfo>> ListDurable(const std::string& prefix) override {
    KIST_TRY(before_(Call::kList, prefix));
    return base_->ListDurable(prefix);
  }
  Status Delete(const std::string& name) override {
    KIST_TRY(before_(Call::kDelete, name));
    return base_->Delete(name);
  }

 private:
  const std::unique_ptr<Target> base_;
  const Hook before_;
};

// A target that runs something else before the nth call to it. A restore calls from threads.
inline std::unique_ptr<Target> Interrupted(std::unique_ptr<Target> base, uint64_t nth,
                                           std::function<void()> other) {
  auto calls = std::make_shared<std::atomic<uint64_t>>(0);
  return std::make_unique<HookTarget>(std::move(base), [calls, nth, other = std::move(other)](
                                                           HookTarget::Call, const std::string&) {
    if (++*calls == nth) other();
    return Status();
  });
}

}  // namespace kist::test
