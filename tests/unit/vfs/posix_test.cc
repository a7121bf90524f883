// What only the operating system's Vfs has: other processes, descriptors, errors of a real kernel.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cerrno>

#include "support/unit_test.h"
#include "vfs/posix_file.h"
#include "vfs/vfs.h"

using kist::Code;
using kist::Fd;
using kist::OpenMode;
using kist::PosixFile;
using kist::PosixVfs;
using kist::test::TempDir;

namespace {

// Runs fn in a fork child; its return value is the exit code.
template <typename Fn>
int InChild(const Fn& fn) {
  const pid_t pid = fork();
  if (pid == 0) _exit(fn());
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

static void posix__lock_holds_over_processes_and_dies_with_its_owner(void**) {
  const TempDir dir;
  const std::string path = dir.File("LOCK");
  int ready[2];
  int die[2];
  assert_int_equal(pipe(ready), 0);
  assert_int_equal(pipe(die), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    auto lock = PosixVfs()->Lock(path);
    char c = lock.ok() ? '1' : '0';
    static_cast<void>(!write(ready[1], &c, 1));
    static_cast<void>(!read(die[0], &c, 1));  // until killed
    _exit(0);
  }
  char c = 0;
  assert_int_equal(read(ready[0], &c, 1), 1);
  assert_int_equal(c, '1');
  ASSERT_CODE(PosixVfs()->Lock(path), Code::kLocked);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  ASSERT_OK(PosixVfs()->Lock(path));
  for (int fd : {ready[0], ready[1], die[0], die[1]}) close(fd);
}

static void posix__fork_child_cannot_free_nor_take_the_lock(void**) {
  const TempDir dir;
  const std::string path = dir.File("LOCK");
  auto lock = PosixVfs()->Lock(path);
  ASSERT_OK(lock);
  assert_int_equal(InChild([&] {
                     if (!PosixVfs()->Lock(path).status().Is(Code::kLocked)) return 1;
                     lock.Take().reset();  // what kist_close does in a child
                     return PosixVfs()->Lock(path).status().Is(Code::kLocked) ? 0 : 2;
                   }),
                   0);
  ASSERT_CODE(PosixVfs()->Lock(path), Code::kLocked);
  // A living child that inherited the descriptor does not keep it once the owner lets go.
  int die[2];
  assert_int_equal(pipe(die), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    char c;
    close(die[1]);
    static_cast<void>(!read(die[0], &c, 1));
    _exit(0);
  }
  lock.Take().reset();
  ASSERT_OK(PosixVfs()->Lock(path));
  close(die[1]);
  waitpid(pid, nullptr, 0);
  close(die[0]);
}

static void posix__lock_on_a_link_or_a_removed_file(void**) {
  const TempDir dir;
  auto lock = PosixVfs()->Lock(dir.File("LOCK"));
  ASSERT_OK(lock);
  ASSERT_OK(PosixVfs()->Link(dir.File("LOCK"), dir.File("ALIAS")));
  ASSERT_CODE(PosixVfs()->Lock(dir.File("ALIAS")), Code::kLocked);
  ASSERT_OK(PosixVfs()->Remove(dir.File("LOCK")));
  ASSERT_OK(PosixVfs()->Lock(dir.File("LOCK")));  // a new file
}

static void posix__fork_guard_tells_the_child(void**) {
  auto guard = PosixVfs()->MakeForkGuard();
  ASSERT_OK(guard);
  assert_int_equal(InChild([&] {
                     if (!(*guard)->InChild()) return 1;
                     // A guard made in the child calls the child its home.
                     return (*PosixVfs()->MakeForkGuard())->InChild() ? 2 : 0;
                   }),
                   0);
  assert_false((*guard)->InChild());
}

static void posix__standard_descriptors_are_never_used(void**) {
  const TempDir dir;
  assert_int_equal(InChild([&] {
                     close(0);
                     close(1);
                     close(2);
                     auto file = PosixVfs()->Open(dir.File("a"), OpenMode::kCreateNew);
                     auto lock = PosixVfs()->Lock(dir.File("LOCK"));
                     if (!file.ok() || !lock.ok()) return 1;
                     for (int fd = 0; fd <= 2; ++fd) {
                       if (fcntl(fd, F_GETFD) != -1) return 2;
                     }
                     return (*file)->Write(0, "x").ok() ? 0 : 3;
                   }),
                   0);
}

static void posix__descriptors_close_on_exec_and_do_not_leak(void**) {
  const TempDir dir;
  const int probe = dup(0);
  close(probe);
  for (int i = 0; i < 50; ++i) {
    auto file = PosixVfs()->Open(dir.File("a"), OpenMode::kCreateOrTruncate);
    ASSERT_OK(file);
    assert_int_equal(fcntl(probe, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    ASSERT_OK(PosixVfs()->SyncDir(dir.path()));
    ASSERT_OK(PosixVfs()->List(dir.path()));
    ASSERT_OK(PosixVfs()->Lock(dir.File("LOCK")));
    assert_false(PosixVfs()->Open(dir.File("a"), OpenMode::kCreateNew).ok());
  }
  const int after = dup(0);
  close(after);
  assert_int_equal(after, probe);
}

static void posix__full_disk_is_no_space(void**) {
  Fd device(open("/dev/full", O_RDWR | O_CLOEXEC));
  if (device.get() < 0) {
    print_message("/dev/full cannot be opened here\n");
    skip();
  }
  PosixFile full(std::move(device), "/dev/full");
  const auto s = full.Write(0, "x");
  ASSERT_CODE(s, Code::kNoSpace);
  assert_int_equal(s.sys_errno(), ENOSPC);
}

static void posix__file_size_limit_is_no_space_and_fails_preallocation_whole(void**) {
  const TempDir dir;
  assert_int_equal(InChild([&] {
                     signal(SIGXFSZ, SIG_IGN);
                     const rlimit limit = {100000, 100000};
                     setrlimit(RLIMIT_FSIZE, &limit);
                     auto file = PosixVfs()->Open(dir.File("a"), OpenMode::kCreateNew);
                     if (!file.ok()) return 1;
                     if (!(*file)->Write(0, std::string(200000, 'x')).Is(Code::kNoSpace)) return 2;
                     if (!(*file)->Truncate(50).ok()) return 3;
                     const auto s = (*file)->Preallocate(200000);
                     if (!s.Is(Code::kNoSpace) && !s.Is(Code::kUnsupported)) return 4;
                     return *(*file)->Size() == 50 ? 0 : 5;
                   }),
                   0);
}

static void posix__failed_sync_is_io_with_its_errno(void**) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  PosixFile file(Fd(ends[1]), "pipe");
  const auto s = file.Sync();  // a pipe cannot be synced
  ASSERT_CODE(s, Code::kIo);
  assert_int_equal(s.sys_errno(), EINVAL);
  close(ends[0]);
}

static void posix__threads_block_signals_and_failures_are_reported(void**) {
  sigset_t in_thread;
  sigemptyset(&in_thread);
  auto thread =
      PosixVfs()->Start("mask", [&] { pthread_sigmask(SIG_SETMASK, nullptr, &in_thread); });
  ASSERT_OK(thread);
  (*thread)->Join();
  assert_true(sigismember(&in_thread, SIGTERM) == 1);
  assert_true(sigismember(&in_thread, SIGUSR1) == 1);
  sigset_t here;
  pthread_sigmask(SIG_SETMASK, nullptr, &here);
  assert_true(sigismember(&here, SIGUSR1) == 0);
}

static void posix__interrupts_are_invisible(void**) {
  // A timer signal every millisecond without SA_RESTART while data moves through many calls.
  const TempDir dir;
  assert_int_equal(InChild([&] {
                     struct sigaction action = {};
                     action.sa_handler = [](int) {};
                     sigaction(SIGALRM, &action, nullptr);
                     const itimerval every = {{0, 1000}, {0, 1000}};
                     setitimer(ITIMER_REAL, &every, nullptr);
                     auto file = PosixVfs()->Open(dir.File("a"), OpenMode::kCreateNew);
                     if (!file.ok()) return 1;
                     const std::string block(1 << 20, 'e');
                     std::string back(block.size(), 0);
                     for (uint64_t i = 0; i < 30; ++i) {
                       if (!(*file)->Write(i << 20, block).ok() || !(*file)->Sync().ok()) return 2;
                       auto n = (*file)->Read(i << 20, back.data(), back.size());
                       if (!n.ok() || *n != block.size() || back != block) return 3;
                     }
                     const uint64_t before = PosixVfs()->MonotonicUs();
                     PosixVfs()->SleepUs(20000);
                     return PosixVfs()->MonotonicUs() - before >= 20000 ? 0 : 4;
                   }),
                   0);
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(posix__lock_holds_over_processes_and_dies_with_its_owner),
      cmocka_unit_test(posix__fork_child_cannot_free_nor_take_the_lock),
      cmocka_unit_test(posix__lock_on_a_link_or_a_removed_file),
      cmocka_unit_test(posix__fork_guard_tells_the_child),
      cmocka_unit_test(posix__standard_descriptors_are_never_used),
      cmocka_unit_test(posix__descriptors_close_on_exec_and_do_not_leak),
      cmocka_unit_test(posix__full_disk_is_no_space),
      cmocka_unit_test(posix__file_size_limit_is_no_space_and_fails_preallocation_whole),
      cmocka_unit_test(posix__failed_sync_is_io_with_its_errno),
      cmocka_unit_test(posix__threads_block_signals_and_failures_are_reported),
      cmocka_unit_test(posix__interrupts_are_invisible),
  };
  return cmocka_run_group_tests_name("posix", tests, nullptr, nullptr);
}
