// What every C++ unit test includes: cmocka in its order, seeds, temporary directories and Status
// checks.
//
// Run with CMOCKA_TEST_ABORT=1: a failed cmocka assertion longjmps, past destructors. Random tests
// take their seed from Seed(), which prints it, and repeat with KIST_SEED=<n>.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

extern "C" {
#include <cmocka.h>
}

#include "util/slice.h"
#include "util/status.h"

// cmocka's fail is a macro, and a member of the standard streams.
#undef fail
#undef fail_msg
#define fail_msg(...)                   \
  do {                                  \
    print_error("ERROR: " __VA_ARGS__); \
    print_error("\n");                  \
    _fail(__FILE__, __LINE__);          \
  } while (0)

// Fails with the status's text.
#define ASSERT_OK(expr)                                                                           \
  do {                                                                                            \
    const ::kist::Status& assert_ok_status_ = ::kist::test::StatusOf(expr);                       \
    if (!assert_ok_status_.ok()) fail_msg("%s: %s", #expr, assert_ok_status_.ToString().c_str()); \
  } while (0)

#define ASSERT_CODE(expr, expected)                                                        \
  do {                                                                                     \
    const ::kist::Status& assert_code_status_ = ::kist::test::StatusOf(expr);              \
    if (!assert_code_status_.Is(expected))                                                 \
      fail_msg("%s: wanted %s (%d), got %s", #expr, #expected, static_cast<int>(expected), \
               assert_code_status_.ToString().c_str());                                    \
  } while (0)

#define ASSERT_SLICE(actual, expected)                                                       \
  do {                                                                                       \
    const ::std::string assert_a_(actual);                                                   \
    const ::std::string assert_e_(expected);                                                 \
    if (assert_a_ != assert_e_)                                                              \
      fail_msg("%s: wanted '%.*s', got '%.*s'", #actual, static_cast<int>(assert_e_.size()), \
               assert_e_.data(), static_cast<int>(assert_a_.size()), assert_a_.data());      \
  } while (0)

namespace kist::test {

inline Status StatusOf(Status s) { return s; }
template <typename T>
inline Status StatusOf(const Result<T>& r) {
  return r.status();
}

// KIST_SEED, or one from the clock; printed, so that a failure can be repeated.
inline uint64_t Seed(const char* test) {
  const char* given = std::getenv("KIST_SEED");
  const uint64_t seed =
      given != nullptr
          ? std::strtoull(given, nullptr, 10)
          : static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) %
                1000000007;
  std::printf("%s: KIST_SEED=%llu\n", test, static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

class Rng {
 public:
  explicit Rng(uint64_t seed) : engine_(seed) {}
  uint64_t Next() { return engine_(); }
  uint64_t Below(uint64_t n) { return engine_() % n; }  // n > 0
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  // Bytes of [first, first + range).
  std::string Bytes(size_t n, unsigned char first = 0, unsigned range = 256) {
    std::string s(n, 0);
    for (char& c : s) c = static_cast<char>(first + Below(range));
    return s;
  }

 private:
  std::mt19937_64 engine_;
};

// A fresh directory under TMPDIR, removed with all it holds.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kist-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace kist::test
