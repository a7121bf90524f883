// Checks of the walks: a call of the C interface, which uses `err`, gives this result, or the
// program ends with what it said.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "kist/kist.h"
#include "util/status.h"

namespace kist::test {

inline void MustBeOk(const Status& s, const char* what) {
  if (s.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, s.ToString().c_str());
  std::abort();
}

}  // namespace kist::test

#define MUST_GIVE(want, call)                                                        \
  do {                                                                               \
    kist_err err = KIST_ERR_INIT;                                                    \
    const kist_rc must_rc_ = (call);                                                 \
    if (must_rc_ != (want)) {                                                        \
      std::fprintf(stderr, "%s: wanted %s, got %s: %s\n", #call, kist_rc_name(want), \
                   kist_rc_name(must_rc_), err.message);                             \
      std::abort();                                                                  \
    }                                                                                \
  } while (0)
#define MUST(call) MUST_GIVE(KIST_OK, call)
