// Checks of invariants that only a bug can break. Bytes from disk and arguments from callers are
// never checked with these: they decode or return an error.
//
//   KIST_DCHECK(c)  debug builds abort with the condition's text; release builds do not evaluate
//   it. KIST_CHECK(c)   cold paths of functions that return a Status or Result: debug builds abort,
//   release builds
//                   return Internal, upon which db/ poisons. A library never kills its host.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "util/status.h"

namespace kist {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, condition);
  std::abort();
}

[[gnu::cold, gnu::noinline]] inline Status InternalError(const char* file, int line,
                                                         const char* condition) {
#ifndef NDEBUG
  CheckFailed(file, line, condition);
#endif
  try {
    return Status::Error(Code::kInternal, std::string("invariant broken: ") + condition + " (" +
                                              file + ":" + std::to_string(line) + ")");
  } catch (const std::bad_alloc&) {
    return Status::Bare(Code::kInternal);
  }
}

}  // namespace kist

#ifdef NDEBUG
#define KIST_DCHECK(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#else
#define KIST_DCHECK(condition)                               \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::kist::CheckFailed(__FILE__, __LINE__, #condition))
#endif

#define KIST_CHECK(condition)                                       \
  do {                                                              \
    if (__builtin_expect(!(condition), 0))                          \
      return ::kist::InternalError(__FILE__, __LINE__, #condition); \
  } while (0)
