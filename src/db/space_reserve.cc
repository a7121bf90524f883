// Taking and releasing the blocks of RESERVE. See space_reserve.h. Nothing is synced: a file that a
// power cut takes away is made again by the next open.
// Threads: any.
#include "db/space_reserve.h"

#include <new>

namespace kist {

void SpaceReserve::Start(Vfs* vfs, std::string path) {
  vfs_ = vfs;
  path_ = std::move(path);
}

// An existing file may be a copy with holes in it, so its blocks are asked for again.
Status SpaceReserve::Take(uint64_t bytes) {
  auto file = vfs_->Open(path_, OpenMode::kReadWrite);
  if (!file.ok() && file.status().Is(Code::kMissing))
    file = vfs_->Open(path_, OpenMode::kCreateNew);
  if (!file.ok()) return std::move(file).status();
  Status s = (*file)->Preallocate(bytes);
  if (s.ok()) held_.store(bytes, std::memory_order_relaxed);
  return s;
}

bool SpaceReserve::Hold() {
  MutexLock lock(&mutex_);
  return HoldHere();
}

bool SpaceReserve::HoldHere() {
  if (vfs_ == nullptr || cannot_ || whole()) return true;
  if (borrowers_ != 0) return false;
  Status s = Take(kReserveFileBytes);
  const bool full = s.Is(Code::kNoSpace);
  cannot_ = s.Is(Code::kUnsupported);
  if (full) {  // as much as there is
    for (uint64_t more = kReserveFileBytes / 2; more >= kReserveFileStep; more /= 2) {
      const uint64_t held = held_.load(std::memory_order_relaxed);
      if (held + more < kReserveFileBytes) static_cast<void>(Take(held + more).ok());
    }
  }
  if (held_.load(std::memory_order_relaxed) == 0) static_cast<void>(vfs_->Remove(path_).ok());
  low_.store(full, std::memory_order_relaxed);
  return !full;
}

bool SpaceReserve::Drop() {
  if (vfs_ == nullptr || !vfs_->Remove(path_).ok()) return false;
  held_.store(0, std::memory_order_relaxed);
  low_.store(true, std::memory_order_relaxed);
  return true;
}

bool SpaceReserve::Release() {
  MutexLock lock(&mutex_);
  return Drop();
}

bool SpaceReserve::ReleaseMost() {
  MutexLock lock(&mutex_);
  if (vfs_ == nullptr) return false;
  auto file = vfs_->Open(path_, OpenMode::kReadWrite);
  if (!file.ok()) return false;
  const auto size = (*file)->Size();
  if (!size.ok() || *size <= kReserveOpenBytes) return false;
  if (!(*file)->Truncate(kReserveOpenBytes).ok()) return false;
  held_.store(kReserveOpenBytes, std::memory_order_relaxed);
  low_.store(true, std::memory_order_relaxed);
  return true;
}

void SpaceReserve::KeepForOpen() {
  MutexLock lock(&mutex_);
  if (vfs_ == nullptr) return;
  auto file = vfs_->Open(path_, OpenMode::kRead);
  if (file.ok()) {
    const auto size = (*file)->Size();
    if (size.ok() && *size >= kReserveOpenBytes) return;
  }
  static_cast<void>(Take(kReserveOpenBytes).ok());  // what is missing shows where it is needed
}

bool SpaceReserve::Borrow() {
  MutexLock lock(&mutex_);
  if (borrowers_ == 0 && !Drop()) return false;
  ++borrowers_;
  return true;
}

void SpaceReserve::Return(bool borrowed) {
  MutexLock lock(&mutex_);
  if (borrowed) --borrowers_;
  try {
    static_cast<void>(HoldHere());
  } catch (const std::bad_alloc&) {  // whoever collects what is dead tries again
  }
}

}  // namespace kist
