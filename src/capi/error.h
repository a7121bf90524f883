// Errors at the C boundary: how a kist_err is filled, and the one wall that no exception passes.
// Invariants:
//  1. A kist_err is written only where an error is returned, and never beyond its own `size`.
//  2. Filling one allocates nothing, so that it works when memory is gone.
// Threads: everything here is a function of its arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include "kist/kist.h"
#include "util/status.h"

namespace kist::capi {

// What Fail reports beside the code.
struct Reason {
  int32_t detail = KIST_D_NONE;
  uint64_t aux = 0;
};

// Fills err (where there is one) and returns rc.
[[gnu::cold, gnu::noinline, gnu::format(printf, 4, 5)]] kist_rc Fail(kist_err* err, kist_rc rc,
                                                                     Reason reason,
                                                                     const char* format,
                                                                     ...) noexcept;
[[gnu::cold, gnu::noinline]] kist_rc FailWith(kist_err* err, const Status& status,
                                              int32_t detail = KIST_D_NONE) noexcept;

// KIST_OK, or what the status says.
inline kist_rc Finish(kist_err* err, const Status& status) noexcept {
  return __builtin_expect(status.ok(), 1) ? KIST_OK : FailWith(err, status);
}

[[gnu::cold, gnu::noinline]] kist_rc FailNoMemory(kist_err* err) noexcept;
[[gnu::cold, gnu::noinline]] kist_rc FailException(kist_err* err) noexcept;

// The wall: every exported function that can fail is one line into it.
template <typename Body>
inline kist_rc Guard(kist_err* err, Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return FailNoMemory(err);
  } catch (...) {
    return FailException(err);
  }
}

// The same for functions that return nothing.
template <typename Body>
inline void GuardVoid(Body&& body) noexcept {
  try {
    body();
  } catch (...) {
    return;
  }
}

// Passes an error on: KIST_CHECKED(CheckKey(...));
#define KIST_CHECKED(expr)                                                  \
  do {                                                                      \
    const kist_rc kist_checked_rc_ = (expr);                                \
    if (__builtin_expect(kist_checked_rc_ < 0, 0)) return kist_checked_rc_; \
  } while (0)

}  // namespace kist::capi
