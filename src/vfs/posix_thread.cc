// Threads and fork detection of the posix Vfs.
//
// Engine threads run with every signal blocked, so that a host's handlers run on the host's
// threads; the mask is set before the thread exists and inherited by it. A fork child is told by a
// page that the kernel wipes in children (MADV_WIPEONFORK, Linux 4.14); where that is missing, by
// the process id.
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "vfs/posix_file.h"

namespace kist {

namespace {

struct Start {
  std::function<void()> fn;
  char name[16];  // what Linux keeps, its NUL included
};

void* Run(void* p) {
  std::unique_ptr<Start> start(static_cast<Start*>(p));
#if defined(__linux__)
  pthread_setname_np(pthread_self(), start->name);
#elif defined(__APPLE__)
  pthread_setname_np(start->name);
#endif
  start->fn();
  return nullptr;
}

class PosixThread : public Thread {
 public:
  ~PosixThread() override { PosixThread::Join(); }
  void Join() override {
    if (joined_) return;
    joined_ = true;
    pthread_join(thread_, nullptr);
  }

 private:
  friend Result<std::unique_ptr<Thread>> kist::PosixStart(const char*, std::function<void()>);
  pthread_t thread_ = {};
  bool joined_ = true;
};

class PidForkGuard : public ForkGuard {
 public:
  PidForkGuard() : ForkGuard(nullptr) {}

 private:
  bool AskInChild() const override { return getpid() != pid_; }
  const pid_t pid_ = getpid();
};

#if defined(MADV_WIPEONFORK)
class WipedForkGuard : public ForkGuard {
 public:
  WipedForkGuard(void* page, size_t bytes)
      : ForkGuard(new (page) std::atomic<uint32_t>(1)), bytes_(bytes) {}
  ~WipedForkGuard() override { munmap(const_cast<std::atomic<uint32_t>*>(mark_), bytes_); }

 private:
  bool AskInChild() const override { return false; }  // the mark says it
  const size_t bytes_;
};
#endif

}  // namespace

Result<std::unique_ptr<Thread>> PosixStart(const char* name, std::function<void()> fn) {
  auto thread = std::make_unique<PosixThread>();
  auto start = std::make_unique<Start>();
  start->fn = std::move(fn);
  std::strncpy(start->name, name, sizeof start->name - 1);
  start->name[sizeof start->name - 1] = '\0';
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int err = pthread_create(&thread->thread_, nullptr, Run, start.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (err != 0) return Status::FromErrno(err, "start thread", name).WithCode(Code::kIo);
  start.release();  // Run owns it
  thread->joined_ = false;
  return std::unique_ptr<Thread>(std::move(thread));
}

Result<std::unique_ptr<ForkGuard>> PosixMakeForkGuard() {
#if defined(MADV_WIPEONFORK)
  const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) {
    if (madvise(page, bytes, MADV_WIPEONFORK) == 0) {
      return std::unique_ptr<ForkGuard>(std::make_unique<WipedForkGuard>(page, bytes));
    }
    munmap(page, bytes);
  }
#endif
  return std::unique_ptr<ForkGuard>(std::make_unique<PidForkGuard>());
}

}  // namespace kist
