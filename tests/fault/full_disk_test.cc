// A real full disk: a tmpfs of 8 MiB, filled by a database until it is refused and by another file
// to its last block; the process killed; opened again with no block free; then given space, or
// freed by deletes alone (promise G6). Nothing acknowledged may be missing at any step.
// Each run has a mount namespace of its own, so that nothing stays mounted. Where that is not
// allowed the tests are skipped.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "db/space_reserve.h"
#include "support/crash_harness.h"

namespace kist::test {
namespace {

constexpr char kDisk[] = "/tmp";  // of the namespace
constexpr char kDir[] = "/tmp/db";
constexpr char kJunk[] = "/tmp/junk";
constexpr char kReserve[] = "/tmp/db/RESERVE";
constexpr uint64_t kDiskBytes = 8 << 20;

struct Shared {  // of all processes of a run
  std::atomic<uint64_t> taken{0};
  std::atomic<uint64_t> full{0};
};

std::string K(uint64_t i) { return "key" + std::to_string(1000000 + i); }
std::string V(uint64_t i) {
  std::string v(50 + i % 1000, 'v');
  for (size_t j = 0; j < v.size(); ++j) v[j] = static_cast<char>((i * 31 + j * j) >> (j % 5));
  return v;
}

[[noreturn]] void Wrong(const std::string& what) {
  struct statvfs disk;
  if (statvfs(kDisk, &disk) == 0) {
    std::fprintf(stderr, "%s; free blocks of %lu: %lu\n", what.c_str(), disk.f_bsize,
                 static_cast<unsigned long>(disk.f_bfree));
  }
  std::error_code error;
  for (const char* dir : {kDisk, kDir}) {
    for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
      struct stat st;
      if (stat(entry.path().c_str(), &st) == 0)
        std::fprintf(stderr, "  %s: %ld bytes in %ld KiB\n", entry.path().c_str(),
                     static_cast<long>(st.st_size), static_cast<long>(st.st_blocks) / 2);
    }
  }
  std::abort();
}

void Must(const Status& s, const char* doing) {
  if (!s.ok()) Wrong(std::string(doing) + ": " + s.ToString());
}

std::unique_ptr<Db> Open(const char* options) {
  OptionSet set;
  Must(set.Parse(options), "options");
  auto db = Db::Open(kDir, set, LogSink(), nullptr);
  Must(db.status(), "open");
  return db.Take();
}

Status Put(Db* db, uint64_t i) {
  const Durability d = i % 16 == 0 ? Durability::kSync : Durability::kOs;
  return db->Put(db->DefaultKeyspace().get(), d, K(i), V(i), 0, nullptr);
}

// Exactly the entries [from, taken), and `extra` more.
void CheckHeld(Db* db, uint64_t from, uint64_t taken, size_t extra) {
  std::string error;
  const Contents held = ReadAll(db, &error);
  if (!error.empty()) Wrong(error);
  const auto& map = held.at("default");
  if (map.size() != taken - from + extra) Wrong("holds " + std::to_string(map.size()) + " entries");
  for (uint64_t i = from; i < taken; ++i) {
    const auto found = map.find(K(i));
    if (found == map.end() || found->second != V(i)) Wrong("lost " + K(i));
  }
}

off_t JunkBytes() {
  struct stat st;
  return stat(kJunk, &st) == 0 ? st.st_size : 0;
}

uint64_t ReserveBytes() {
  struct stat st;
  return stat(kReserve, &st) == 0 ? uint64_t(st.st_blocks) * 512 : 0;
}

bool ReserveIsWhole() { return ReserveBytes() >= kReserveFileBytes; }

void TakeAll() {
  const int fd = open(kJunk, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  static char block[4096];
  while (write(fd, block, sizeof block) > 0) {
  }
  close(fd);
}

// Takes every block that is left but the reserve's. A database at work may have its reserve in use
// just then, and from that moment nothing protects it: what was taken is given back, more each time
// since what it works at may need it first, until the reserve is whole again or the disk holds
// nothing but the database. The writer's flushes take it when they try again; `db`, of this
// process, when it deletes.
void FillUp(Db* db) {
  for (int tries = 1;; ++tries) {
    TakeAll();
    const off_t taken = JunkBytes();
    if (ReserveIsWhole() || taken == 0) return;
    const off_t back = off_t(kReserveFileBytes) * tries;
    if (truncate(kJunk, std::max(taken - back, off_t{0})) != 0) Wrong("cannot give back");
    for (int i = 0; i < 50 && !ReserveIsWhole(); ++i) {
      usleep(10000);
      if (db != nullptr) {
        const Status s =
            db->Delete(db->DefaultKeyspace().get(), Durability::kOs, "absent", nullptr);
        if (!s.ok() && !s.Is(Code::kNoSpace)) Wrong("a delete: " + s.ToString());
      }
    }
  }
}

// Writes until it is refused, and stays alive.
[[noreturn]] void Writer(const char* options, Shared* shared) {
  auto db = Open(options);
  for (uint64_t i = 0;; ++i) {
    const Status s = Put(db.get(), i);
    if (!s.ok()) {
      if (!s.Is(Code::kNoSpace)) Wrong("a put on a full disk: " + s.ToString());
      break;
    }
    shared->taken.store(i + 1);
  }
  CheckHeld(db.get(), 0, shared->taken.load(), 0);
  shared->full.store(1);
  for (;;) pause();
}

uint64_t FillAndKill(const char* options, Shared* shared) {
  const pid_t writer = fork();
  if (writer == 0) Writer(options, shared);
  int status = 0;
  while (shared->full.load() == 0) {
    if (waitpid(writer, &status, WNOHANG) == writer) Wrong("the writer ended");
    usleep(1000);
  }
  FillUp(nullptr);
  // Not in the moment in which the reserve is in use. Where the database has filled the disk by
  // itself, it may hold a part of it for good.
  for (int looks = 0;; ++looks) {
    kill(writer, SIGSTOP);
    waitpid(writer, &status, WUNTRACED);
    const bool part = JunkBytes() == 0 && ReserveBytes() >= kReserveFileBytes / 2;
    if (ReserveIsWhole() || (part && looks > 100)) break;
    kill(writer, SIGCONT);
    usleep(10000);
    FillUp(nullptr);
  }
  kill(writer, SIGKILL);
  waitpid(writer, &status, 0);
  TakeAll();
  return shared->taken.load();
}

// Opened on a disk without a free block: everything is there, puts are refused, deletes are not.
std::unique_ptr<Db> OpenFull(const char* options, uint64_t* taken_out) {
  uint64_t& taken = *taken_out;
  auto db = Open(options);
  CheckHeld(db.get(), 0, taken, 0);
  Must(db->Verify(JobControl()), "verify");
  // What the opening gave back, and the log's reserved blocks, are used up first.
  for (int refused = 0; refused < 3; FillUp(db.get())) {
    const Status s = Put(db.get(), taken);
    if (!s.ok() && !s.Is(Code::kNoSpace)) Wrong("a put without space: " + s.ToString());
    s.ok() ? ++taken : static_cast<uint64_t>(++refused);
  }
  auto ks = db->DefaultKeyspace();
  for (uint64_t i = 0; i < 50; ++i)
    Must(db->Delete(ks.get(), Durability::kSync, K(i), nullptr), "a delete without space");
  CheckHeld(db.get(), 50, taken, 0);
  return db;
}

void Heals(Db* db, const std::string& key) {
  Status s;
  for (int i = 0; i < 12000; ++i) {
    s = db->Put(db->DefaultKeyspace().get(), Durability::kSync, key, "yes", 0, nullptr);
    if (!s.Is(Code::kNoSpace)) break;
    usleep(10000);
  }
  Must(s, "a put with space again");
}

void Given(const char* options, Shared* shared) {
  uint64_t taken = FillAndKill(options, shared);
  {
    // Once more: an open that found no space leaves what the next one can do as much with.
    auto db = OpenFull(options, &taken);
    static_cast<void>(db->Close());
  }
  auto db = Open(options);
  CheckHeld(db.get(), 50, taken, 0);
  unlink(kJunk);
  if (mount("", kDisk, "tmpfs", MS_REMOUNT, "size=64m") != 0) Wrong("remount");
  Heals(db.get(), "healed");
  Must(db->WaitIdle(120000), "background work with space again");
  Must(db->Flush(), "flush");
  CheckHeld(db.get(), 50, taken, 1);
  Must(db->Close(), "close");
  db = Open(options);
  CheckHeld(db.get(), 50, taken, 1);
  Must(db->Verify(JobControl()), "verify");
  Must(db->Close(), "close");
}

// No one helps: deletes alone give space back, in the same process.
void Freed(const char* options, Shared* shared) {
  uint64_t taken = FillAndKill(options, shared);
  auto db = OpenFull(options, &taken);
  auto ks = db->DefaultKeyspace();
  Must(db->DeleteRange(ks.get(), Durability::kSync, K(0), K(taken - 20), nullptr), "range delete");
  CheckHeld(db.get(), taken - 20, taken, 0);
  Must(db->Flush(), "flush after deletes");
  Must(db->Compact(ks.get(), Slice(), Slice(), JobControl()), "compaction after deletes");
  Heals(db.get(), "healed");
  const uint64_t before = taken;
  for (; taken < before + 1000; ++taken) Must(Put(db.get(), taken), "a put in space freed");
  CheckHeld(db.get(), before - 20, taken, 1);
  ks = RefPtr<Keyspace>();
  Must(db->Close(), "close");
  db = Open(options);
  CheckHeld(db.get(), before - 20, taken, 1);
  Must(db->Close(), "close");
}

// Killed over and over on the full disk, deleting a little each time.
void Killed(const char* options, Shared* shared) {
  const uint64_t taken = FillAndKill(options, shared);
  for (uint64_t round = 0; round < 8; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      auto db = Open(options);
      CheckHeld(db.get(), round * 10, taken, 0);
      auto ks = db->DefaultKeyspace();
      for (uint64_t i = round * 10; i < round * 10 + 10; ++i)
        Must(db->Delete(ks.get(), Durability::kOs, K(i), nullptr), "a delete without space");
      raise(SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) Wrong("the writer failed");
    // Where the kill met the moment in which the reserve is in use, nobody takes it away.
    if (ReserveIsWhole()) TakeAll();
  }
  auto db = Open(options);
  CheckHeld(db.get(), 80, taken, 0);
  Must(db->Close(), "close");
}

// Whatever the table of the log takes of the reserve, the opening's own files have room.
void Opened(const char* options, Shared*) {
  for (uint64_t step = 0; step < 28; ++step) {
    const uint64_t bytes = (216 << 10) + step / 2 * (4 << 10);
    uint64_t taken = 0;
    {
      auto db = Open(options);
      for (uint64_t written = 0; written < bytes; written += V(taken++).size())
        Must(Put(db.get(), taken), "a put");
      Must(db->Close(), "close");
    }
    TakeAll();
    if (step % 2 != 0) unlink(kReserve);  // as a kill leaves it that met its use
    for (int times = 0; times < 2; ++times) {
      auto db = Open(options);
      CheckHeld(db.get(), 0, taken, 0);
      Must(db->Delete(db->DefaultKeyspace().get(), Durability::kSync, "absent", nullptr), "delete");
      static_cast<void>(db->Close());
    }
    unlink(kJunk);
    std::filesystem::remove_all(kDir);
  }
}

// In a child with a mount namespace of its own. False where that is not allowed.
bool OnSmallDisk(const std::function<void(Shared*)>& body) {
  void* memory =
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(memory, MAP_FAILED);
  auto* shared = new (memory) Shared;
  const pid_t child = fork();
  if (child == 0) {
    alarm(1500);  // for what hangs
    const int own = CLONE_NEWNS | (geteuid() == 0 ? 0 : CLONE_NEWUSER);
    const std::string size = "size=" + std::to_string(kDiskBytes);
    if (unshare(own) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", kDisk, "tmpfs", 0, size.c_str()) != 0) {
      std::printf("no mount here: %s\n", std::strerror(errno));
      std::fflush(stdout);
      _exit(77);
    }
    body(shared);
    _exit(0);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  munmap(memory, sizeof(Shared));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) return false;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail_msg("the run failed (status %d)", status);
  return true;
}

constexpr const char* kOptions[] = {
    "memory_budget=4MiB; write_buffer_size=256KiB; retry_interval=20ms",
    "memory_budget=128MiB; write_buffer_size=32MiB; retry_interval=20ms",
    "memory_budget=16MiB; write_buffer_size=1MiB; wal_preallocate=false; retry_interval=20ms",
};

void RunWith(const char* options, void (*body)(const char*, Shared*)) {
  std::printf("%s\n", options);
  std::fflush(stdout);
  if (!OnSmallDisk([&](Shared* shared) { body(options, shared); })) skip();
}

void Run(void (*body)(const char*, Shared*)) {
  for (const char* options : kOptions) RunWith(options, body);
}

void full_disk__given_space_again(void**) { Run(Given); }
void full_disk__freed_by_deletes(void**) { Run(Freed); }
void full_disk__killed_again_and_again(void**) { Run(Killed); }
void full_disk__opens_whatever_the_log_holds(void**) {
  RunWith("memory_budget=128MiB; write_buffer_size=32MiB; compression=none", Opened);
}

}  // namespace
}  // namespace kist::test

int main() {
  using namespace kist::test;
  const CMUnitTest tests[] = {
      cmocka_unit_test(full_disk__given_space_again),
      cmocka_unit_test(full_disk__freed_by_deletes),
      cmocka_unit_test(full_disk__killed_again_and_again),
      cmocka_unit_test(full_disk__opens_whatever_the_log_holds),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
