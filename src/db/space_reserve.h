// SpaceReserve: blocks that the file RESERVE holds while all is well, so that on a full disk there
// is room for what frees space: deletes, flushes, compactions, and opening the database at all.
//
// Release gives the blocks back by removing the file; Hold takes them again, or as many as there
// are. Beside other threads a Loan stands for the two: nobody takes the blocks back while one that
// works in them is not done. While it holds less than all of them the database takes nothing but
// deletes, so that other writes cannot use them up; nor can other programs, but for the moment
// between the two calls. The file has no content; where it is missing, or the file system cannot
// reserve, nothing but this help is missing. Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "util/mutex.h"
#include "vfs/vfs.h"

namespace kist {

constexpr uint64_t kReserveFileBytes = uint64_t{256} << 10;
constexpr uint64_t kReserveFileStep = uint64_t{4} << 10;
constexpr uint64_t kReserveOpenBytes = uint64_t{64} << 10;

class SpaceReserve {
 public:
  // Before the other calls; without it they do nothing.
  void Start(Vfs* vfs, std::string path);
  // False where there is no space for all of it, or it is lent.
  bool Hold();
  // True where it made space.
  bool Release();
  // The same, but keeps what the files take that opening the database makes last.
  bool ReleaseMost();
  // Takes that much where less is held, before the log's tables can take it.
  void KeepForOpen();
  // As Release and Hold, for any number of threads at once.
  class Loan {
   public:
    explicit Loan(SpaceReserve* reserve) : reserve_(reserve), made_space_(reserve->Borrow()) {}
    ~Loan() { reserve_->Return(made_space_); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    bool made_space() const { return made_space_; }

   private:
    SpaceReserve* const reserve_;
    const bool made_space_;
  };
  bool low() const { return low_.load(std::memory_order_relaxed); }  // the last Hold was false
  bool whole() const { return held_.load(std::memory_order_relaxed) == kReserveFileBytes; }

 private:
  Status Take(uint64_t bytes) KIST_REQUIRES(mutex_);
  bool HoldHere() KIST_REQUIRES(mutex_);
  bool Drop() KIST_REQUIRES(mutex_);
  bool Borrow();
  void Return(bool borrowed);

  Vfs* vfs_ = nullptr;
  std::string path_;
  Mutex mutex_;
  // Changed under mutex_.
  std::atomic<uint64_t> held_{0};
  std::atomic<bool> low_{false};
  bool cannot_ KIST_GUARDED_BY(mutex_) = false;
  int borrowers_ KIST_GUARDED_BY(mutex_) = 0;
};

}  // namespace kist
