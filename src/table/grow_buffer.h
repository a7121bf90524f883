// GrowBuffer: bytes that grow at their end, in memory of util/alloc; doubling, never throwing. What
// builders collect stands in these, so that adding an entry allocates nothing once the buffers have
// their size. Threads: one at a time.
#pragma once

#include <cstring>
#include <utility>

#include "util/alloc.h"
#include "util/slice.h"

namespace kist {

class GrowBuffer {
 public:
  GrowBuffer() = default;
  ~GrowBuffer() { DeallocateSized(data_, capacity_); }
  GrowBuffer(const GrowBuffer&) = delete;
  GrowBuffer& operator=(const GrowBuffer&) = delete;

  // Room for `more` bytes behind size(); false: no memory, and nothing changed.
  [[nodiscard]] bool Reserve(size_t more) noexcept {
    return capacity_ - size_ >= more || Grow(more);
  }
  [[nodiscard]] bool Append(const char* p, size_t n) noexcept {
    if (!Reserve(n)) return false;
    if (n != 0) std::memcpy(data_ + size_, p, n);
    size_ += n;
    return true;
  }
  [[nodiscard]] bool Append(Slice s) noexcept { return Append(s.data(), s.size()); }
  // One object, bytewise.
  template <typename T>
  [[nodiscard]] bool Push(const T& v) noexcept {
    return Append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  // Size only; within what was reserved.
  void Resize(size_t n) { size_ = n; }
  // Empties; memory above `keep` bytes is given back.
  void Clear(size_t keep = ~size_t{0}) noexcept {
    size_ = 0;
    if (capacity_ <= keep) return;
    DeallocateSized(std::exchange(data_, nullptr), capacity_);
    capacity_ = 0;
  }
  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  Slice slice() const { return Slice(data_, size_); }

 private:
  [[gnu::noinline]] bool Grow(size_t more) noexcept {
    if (more > ~size_t{0} / 4 - size_) return false;
    size_t capacity = capacity_ < 256 ? 256 : capacity_ * 2;
    if (capacity < size_ + more) capacity = size_ + more;
    void* grown = ReallocateSized(data_, capacity_, capacity);
    if (grown == nullptr) return false;
    data_ = static_cast<char*>(grown);
    capacity_ = capacity;
    return true;
  }
  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace kist
