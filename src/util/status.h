// Status: what a fallible call inside the engine returns; one word, null when all is well.
// Invariants:
//  1. Codes are the numbers of kist_rc (static_asserts in capi/ compare them), so that the C
//     boundary copies instead of translating.
//  2. "No such key" is never a Status: absence is std::optional or a bool, so that a missing file
//     can never read as a missing key.
//  3. Making one never throws: where memory for the message is missing, the code survives alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "util/slice.h"

namespace kist {

enum class Code : int32_t {
  kOk = 0,
  kInvalid = -1,
  kMisuse = -2,
  kNoMem = -3,
  kIo = -4,
  kCorrupt = -5,
  kBusy = -6,
  kLocked = -7,
  kConflict = -8,
  kClosed = -9,
  kReadOnly = -10,
  kNoSpace = -11,
  kPoisoned = -12,
  kExists = -13,
  kMissing = -14,
  kTooNew = -15,
  kUnsupported = -16,
  kLimit = -17,
  kCancelled = -18,
  kTimeout = -19,
  kForked = -20,
  kPermission = -21,
  kInternal = -22,
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(const Status& other);
  Status& operator=(const Status& other);
  Status(Status&& other) noexcept : rep_(other.rep_) { other.rep_ = 0; }
  Status& operator=(Status&& other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Status() {
    if (rep_ != 0) Clear();
  }

  // `message` is one line for a person and names what is wrong. aux: see kist_err.
  static Status Error(Code code, std::string message, uint64_t aux = 0, int sys_errno = 0) noexcept;
  // A code alone; allocates nothing.
  static Status Bare(Code code) noexcept;
  static Status Invalid(std::string m) { return Error(Code::kInvalid, std::move(m)); }
  static Status Corrupt(const std::string& file, uint64_t offset, const std::string& reason);
  // The code that errno stands for (ENOSPC, EDQUOT, EFBIG: kNoSpace; ENOENT: kMissing; EACCES,
  // EPERM, EROFS: kPermission; ENOMEM: kNoMem; else kIo), with "<doing> <path>: <strerror>" as its
  // message.
  static Status FromErrno(int err, const std::string& doing, const std::string& path);

  bool ok() const { return rep_ == 0; }
  Code code() const;
  int32_t rc() const { return static_cast<int32_t>(code()); }
  const std::string& message() const;
  uint64_t aux() const;
  int sys_errno() const;
  bool Is(Code c) const { return code() == c; }
  std::string ToString() const;
  // The same error under another code (a failed fsync is kIo even when its errno is ENOSPC).
  Status WithCode(Code c) const;
  // The same error with `where` and ": " before its message.
  Status Prefixed(const std::string& where) const;

 private:
  struct Rep;
  void Clear();
  // 0: ok. Odd: a bare code, (-code << 1) | 1. Else a Rep*.
  uintptr_t rep_ = 0;
};

// Either a T or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {}  // NOLINT
  bool ok() const { return status_.ok(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  T Take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

#define KIST_TRY(expr)                                   \
  do {                                                   \
    ::kist::Status kist_try_status_ = (expr);            \
    if (!kist_try_status_.ok()) return kist_try_status_; \
  } while (0)

#define KIST_TRY_CONCAT2(a, b) a##b
#define KIST_TRY_CONCAT(a, b) KIST_TRY_CONCAT2(a, b)
// KIST_TRY_ASSIGN(auto file, vfs->Open(...)): returns the error or binds the value.
#define KIST_TRY_ASSIGN(decl, expr) \
  KIST_TRY_ASSIGN2(decl, expr, KIST_TRY_CONCAT(kist_try_result_, __LINE__))
#define KIST_TRY_ASSIGN2(decl, expr, tmp)        \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  decl = tmp.Take()

}  // namespace kist
