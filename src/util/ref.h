// RefPtr<T>: owns one reference of an intrusively counted object; T has Ref() and Unref(), and the
// last Unref deletes it. Threads: like a plain pointer; the counts themselves are T's to make
// atomic.
#pragma once

#include <utility>

namespace kist {

template <typename T>
class RefPtr {
 public:
  RefPtr() = default;
  static RefPtr Adopt(T* p) {  // takes over a reference that the caller holds
    RefPtr r;
    r.p_ = p;
    return r;
  }
  static RefPtr Share(T* p) {  // adds one
    if (p != nullptr) p->Ref();
    return Adopt(p);
  }
  RefPtr(const RefPtr& o) : p_(o.p_) {
    if (p_ != nullptr) p_->Ref();
  }
  RefPtr(RefPtr&& o) noexcept : p_(o.p_) { o.p_ = nullptr; }
  RefPtr& operator=(RefPtr o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~RefPtr() {
    if (p_ != nullptr) p_->Unref();
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  T* Release() { return std::exchange(p_, nullptr); }

 private:
  T* p_ = nullptr;
};

}  // namespace kist
