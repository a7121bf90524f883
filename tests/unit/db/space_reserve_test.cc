// SpaceReserve on a disk of as many bytes as a test gives it: what it takes, lends and gives back.
#include "db/space_reserve.h"

#include <atomic>
#include <thread>
#include <vector>

#include "support/unit_test.h"
#include "support/wrap_vfs.h"

using namespace kist;
using namespace kist::test;

namespace {

constexpr char kPath[] = "/RESERVE";

// All its blocks are those that files reserve. Files never overlap in what they reserve, as here is
// but one.
class SmallDisk : public WrapVfs {
 public:
  explicit SmallDisk(uint64_t bytes) : WrapVfs(nullptr), bytes_(bytes), memory_(NewMemoryVfs()) {}

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    KIST_TRY_ASSIGN(auto file, memory_->Open(path, mode));
    return std::unique_ptr<File>(new Reserving(this, std::move(file)));
  }
  Status Remove(const std::string& path) override { return memory_->Remove(path); }
  // -1: there is no such file
  int64_t Held() {
    const auto info = memory_->Stat(kPath);
    return info.ok() ? static_cast<int64_t>(info->bytes) : -1;
  }
  void set_bytes(uint64_t bytes) { bytes_.store(bytes); }
  void set_cannot() { cannot_.store(true); }

 private:
  class Reserving : public WrapFile {
   public:
    Reserving(SmallDisk* disk, std::unique_ptr<File> base)
        : WrapFile(std::move(base)), disk_(disk) {}
    Status Preallocate(uint64_t size) override {
      if (disk_->cannot_.load()) return Status::Bare(Code::kUnsupported);
      if (size > disk_->bytes_.load()) return Status::Bare(Code::kNoSpace);
      return base_->Preallocate(size);
    }

   private:
    SmallDisk* const disk_;
  };

  std::atomic<uint64_t> bytes_;
  std::atomic<bool> cannot_{false};
  const std::unique_ptr<Vfs> memory_;
};

constexpr uint64_t kMuch = uint64_t{1} << 30;

void space_reserve__is_nothing_before_it_starts(void**) {
  SpaceReserve reserve;
  assert_true(reserve.Hold());
  assert_false(reserve.Release());
  assert_false(reserve.ReleaseMost());
  reserve.KeepForOpen();
  {
    const SpaceReserve::Loan loan(&reserve);
    assert_false(loan.made_space());
  }
  assert_false(reserve.low());
}

void space_reserve__holds_all_and_gives_it_back(void**) {
  SmallDisk disk(kMuch);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  assert_false(reserve.whole());
  assert_true(reserve.Hold());
  assert_true(reserve.whole());
  assert_false(reserve.low());
  assert_int_equal(disk.Held(), kReserveFileBytes);
  assert_true(reserve.Release());
  assert_int_equal(disk.Held(), -1);
  assert_true(reserve.low());
  assert_false(reserve.whole());
  assert_false(reserve.Release());  // there is nothing to give any more
}

void space_reserve__takes_as_much_as_there_is(void**) {
  for (const uint64_t bytes :
       {kReserveFileBytes - 1, kReserveFileBytes / 2, uint64_t{100} << 10, kReserveFileStep}) {
    SmallDisk disk(bytes);
    SpaceReserve reserve;
    reserve.Start(&disk, kPath);
    assert_false(reserve.Hold());
    assert_true(reserve.low());
    assert_false(reserve.whole());
    assert_int_equal(disk.Held(), bytes / kReserveFileStep * kReserveFileStep);
    disk.set_bytes(kMuch);
    assert_true(reserve.Hold());
    assert_false(reserve.low());
    assert_true(reserve.whole());
    assert_int_equal(disk.Held(), kReserveFileBytes);
  }
  SmallDisk disk(kReserveFileStep - 1);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  assert_false(reserve.Hold());
  assert_int_equal(disk.Held(), -1);  // an empty file would hold nothing
}

void space_reserve__is_given_up_where_the_disk_cannot(void**) {
  SmallDisk disk(kMuch);
  disk.set_cannot();
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  for (int i = 0; i < 2; ++i) {
    assert_true(reserve.Hold());
    assert_false(reserve.low());
    assert_int_equal(disk.Held(), -1);
  }
}

void space_reserve__the_last_loan_takes_it_back(void**) {
  SmallDisk disk(kMuch);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  assert_true(reserve.Hold());
  {
    const SpaceReserve::Loan first(&reserve);
    assert_true(first.made_space());
    assert_int_equal(disk.Held(), -1);
    assert_true(reserve.low());
    {
      const SpaceReserve::Loan second(&reserve);
      assert_true(second.made_space());  // by the first
      assert_false(reserve.Hold());
    }
    assert_int_equal(disk.Held(), -1);
    assert_true(reserve.low());
    assert_false(reserve.Hold());
  }
  assert_true(reserve.whole());
  assert_false(reserve.low());
  assert_int_equal(disk.Held(), kReserveFileBytes);
}

void space_reserve__a_loan_of_nothing_takes_what_it_can(void**) {
  SmallDisk disk(0);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  assert_false(reserve.Hold());
  {
    const SpaceReserve::Loan loan(&reserve);
    assert_false(loan.made_space());
    disk.set_bytes(kMuch);  // what it did freed some
  }
  assert_true(reserve.whole());
}

void space_reserve__what_a_loan_used_is_missed(void**) {
  SmallDisk disk(kMuch);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  assert_true(reserve.Hold());
  {
    const SpaceReserve::Loan loan(&reserve);
    disk.set_bytes(kReserveFileBytes - 3 * kReserveFileStep);
  }
  assert_true(reserve.low());
  assert_false(reserve.whole());
  assert_int_equal(disk.Held(), kReserveFileBytes - 3 * kReserveFileStep);
}

void space_reserve__release_most_keeps_what_opening_takes(void**) {
  SmallDisk disk(kMuch);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  assert_false(reserve.ReleaseMost());  // no file
  assert_true(reserve.Hold());
  assert_true(reserve.ReleaseMost());
  assert_int_equal(disk.Held(), kReserveOpenBytes);
  assert_true(reserve.low());
  assert_false(reserve.whole());
  assert_false(reserve.ReleaseMost());  // nothing more to give
  assert_int_equal(disk.Held(), kReserveOpenBytes);
  assert_true(reserve.Release());  // the rest, for the opening's own files
  assert_true(reserve.Hold());
  assert_true(reserve.whole());
}

void space_reserve__of_an_earlier_process_can_be_released(void**) {
  SmallDisk disk(kMuch);
  {
    SpaceReserve before;
    before.Start(&disk, kPath);
    assert_true(before.Hold());
  }
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  disk.set_bytes(0);
  reserve.KeepForOpen();  // it is there
  assert_int_equal(disk.Held(), kReserveFileBytes);
  assert_true(reserve.ReleaseMost());
  assert_int_equal(disk.Held(), kReserveOpenBytes);
}

void space_reserve__keep_for_open_takes_what_is_missing(void**) {
  SmallDisk disk(kMuch);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  reserve.KeepForOpen();
  assert_int_equal(disk.Held(), kReserveOpenBytes);
  assert_false(reserve.low());

  assert_true(reserve.Release());
  disk.set_bytes(kReserveFileStep);
  assert_false(reserve.Hold());
  assert_int_equal(disk.Held(), kReserveFileStep);
  reserve.KeepForOpen();  // there is no more
  assert_int_equal(disk.Held(), kReserveFileStep);
  disk.set_bytes(kMuch);
  reserve.KeepForOpen();
  assert_int_equal(disk.Held(), kReserveOpenBytes);
}

// While any loan is out the blocks are free; when none is they are held.
void space_reserve__loans_of_many_threads(void**) {
  constexpr int kThreads = 4;
  SmallDisk disk(kMuch);
  SpaceReserve reserve;
  reserve.Start(&disk, kPath);
  assert_true(reserve.Hold());
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 300; ++i) {
        const SpaceReserve::Loan loan(&reserve);
        if (!loan.made_space() || disk.Held() != -1) ++wrong;
        static_cast<void>(reserve.Hold());
        if (disk.Held() != -1) ++wrong;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  assert_int_equal(wrong.load(), 0);
  assert_true(reserve.whole());
  assert_false(reserve.low());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(space_reserve__is_nothing_before_it_starts),
      cmocka_unit_test(space_reserve__holds_all_and_gives_it_back),
      cmocka_unit_test(space_reserve__takes_as_much_as_there_is),
      cmocka_unit_test(space_reserve__is_given_up_where_the_disk_cannot),
      cmocka_unit_test(space_reserve__the_last_loan_takes_it_back),
      cmocka_unit_test(space_reserve__a_loan_of_nothing_takes_what_it_can),
      cmocka_unit_test(space_reserve__what_a_loan_used_is_missed),
      cmocka_unit_test(space_reserve__release_most_keeps_what_opening_takes),
      cmocka_unit_test(space_reserve__of_an_earlier_process_can_be_released),
      cmocka_unit_test(space_reserve__keep_for_open_takes_what_is_missing),
      cmocka_unit_test(space_reserve__loans_of_many_threads),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
