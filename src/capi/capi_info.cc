// Version, build and result texts; and the checks that the engine's codes are the interface's and
// that public structs have the layout that callers have compiled in.
// Threads: any; everything returned lives as long as the library.
#include <snappy.h>

#include <cstddef>
#ifdef KIST_MIMALLOC
#include <mimalloc.h>
#endif

#include "capi/error.h"
#include "db/db.h"
#include "kist/kist.h"
#include "table/format.h"
#include "util/crc32c.h"

namespace {

using kist::Code;

#define KIST_SAME(code, rc) static_assert(static_cast<int32_t>(Code::code) == rc)
KIST_SAME(kOk, KIST_OK);
KIST_SAME(kInvalid, KIST_E_INVALID);
KIST_SAME(kMisuse, KIST_E_MISUSE);
KIST_SAME(kNoMem, KIST_E_NOMEM);
KIST_SAME(kIo, KIST_E_IO);
KIST_SAME(kCorrupt, KIST_E_CORRUPT);
KIST_SAME(kBusy, KIST_E_BUSY);
KIST_SAME(kLocked, KIST_E_LOCKED);
KIST_SAME(kConflict, KIST_E_CONFLICT);
KIST_SAME(kClosed, KIST_E_CLOSED);
KIST_SAME(kReadOnly, KIST_E_READONLY);
KIST_SAME(kNoSpace, KIST_E_NOSPACE);
KIST_SAME(kPoisoned, KIST_E_POISONED);
KIST_SAME(kExists, KIST_E_EXISTS);
KIST_SAME(kMissing, KIST_E_MISSING);
KIST_SAME(kTooNew, KIST_E_TOO_NEW);
KIST_SAME(kUnsupported, KIST_E_UNSUPPORTED);
KIST_SAME(kLimit, KIST_E_LIMIT);
KIST_SAME(kCancelled, KIST_E_CANCELLED);
KIST_SAME(kTimeout, KIST_E_TIMEOUT);
KIST_SAME(kForked, KIST_E_FORKED);
KIST_SAME(kPermission, KIST_E_PERMISSION);
KIST_SAME(kInternal, KIST_E_INTERNAL);
#undef KIST_SAME

static_assert(static_cast<uint32_t>(kist::Durability::kDefault) == KIST_DURABILITY_DEFAULT);
static_assert(static_cast<uint32_t>(kist::Durability::kBuffered) == KIST_DURABILITY_BUFFERED);
static_assert(static_cast<uint32_t>(kist::Durability::kOs) == KIST_DURABILITY_OS);
static_assert(static_cast<uint32_t>(kist::Durability::kSync) == KIST_DURABILITY_SYNC);
static_assert(kist::kTtlNever == KIST_TTL_NEVER);
static_assert(static_cast<int>(kist::KeyspaceMode::kCreateNew) == KIST_KEYSPACE_CREATE_NEW);
static_assert(static_cast<int>(kist::Db::StatsFormat::kPrometheus) == KIST_STATS_PROMETHEUS);

// The layouts that callers have compiled in, 64-bit.
static_assert(sizeof(void*) != 8 ||
              (sizeof(kist_slice) == 16 && sizeof(kist_pin) == 32 && sizeof(kist_entry) == 32));
static_assert(sizeof(void*) != 8 ||
              (sizeof(kist_read_options) == 24 && sizeof(kist_iter_options) == 72));
static_assert(sizeof(void*) != 8 || (sizeof(kist_job) == 24 && sizeof(kist_option_info) == 48));
static_assert(sizeof(kist_write_options) == 24 && sizeof(kist_restore_options) == 24 &&
              sizeof(kist_stream_info) == 48);

struct RcText {
  const char* name;
  const char* text;
};

constexpr RcText kPositive[] = {
    {"KIST_OK", "success"},
    {"KIST_NOT_FOUND", "the key has no visible value"},
    {"KIST_DONE", "no further entry"},
    {"KIST_TRUNCATED", "the buffer is too small"},
};

constexpr RcText kNegative[] = {
    {"KIST_OK", "success"},
    {"KIST_E_INVALID", "invalid argument"},
    {"KIST_E_MISUSE", "not allowed in this state"},
    {"KIST_E_NOMEM", "out of memory"},
    {"KIST_E_IO", "input/output error"},
    {"KIST_E_CORRUPT", "stored data is damaged"},
    {"KIST_E_BUSY", "handles of the database are live"},
    {"KIST_E_LOCKED", "the database is open for writing elsewhere"},
    {"KIST_E_CONFLICT", "the transaction lost against another commit"},
    {"KIST_E_CLOSED", "the database has been closed"},
    {"KIST_E_READONLY", "the database is open read-only"},
    {"KIST_E_NOSPACE", "no space left"},
    {"KIST_E_POISONED", "an earlier failure left the write path in doubt; close and open"},
    {"KIST_E_EXISTS", "exists already"},
    {"KIST_E_MISSING", "does not exist"},
    {"KIST_E_TOO_NEW", "made by a newer version"},
    {"KIST_E_UNSUPPORTED", "not supported here"},
    {"KIST_E_LIMIT", "over a limit"},
    {"KIST_E_CANCELLED", "cancelled"},
    {"KIST_E_TIMEOUT", "timed out"},
    {"KIST_E_FORKED", "the handle belongs to the parent process"},
    {"KIST_E_PERMISSION", "permission denied"},
    {"KIST_E_INTERNAL", "a defect in Kist"},
};
static_assert(sizeof kNegative / sizeof *kNegative == 1 - KIST_E_INTERNAL);

const RcText& TextOf(kist_rc rc) {
  static constexpr RcText kUnknownResult = {"KIST_UNKNOWN", "a result of a newer version"};
  static constexpr RcText kUnknownError = {"KIST_E_UNKNOWN", "an error of a newer version"};
  if (rc >= 0) return rc <= KIST_TRUNCATED ? kPositive[rc] : kUnknownResult;
  return rc >= KIST_E_INTERNAL ? kNegative[-rc] : kUnknownError;
}

}  // namespace

#define KIST_TEXT2(x) #x
#define KIST_TEXT(x) KIST_TEXT2(x)
#define KIST_VERSION_TEXT \
  KIST_TEXT(KIST_VERSION_MAJOR) "." KIST_TEXT(KIST_VERSION_MINOR) "." KIST_TEXT(KIST_VERSION_PATCH)

#if defined(__clang__)
#define KIST_COMPILER "clang " __clang_version__
#else
#define KIST_COMPILER "gcc " __VERSION__
#endif
#ifdef KIST_MIMALLOC
#define KIST_ALLOCATOR "mimalloc " KIST_TEXT(MI_MALLOC_VERSION)
#else
#define KIST_ALLOCATOR "malloc"
#endif
#ifdef KIST_S3
#define KIST_S3_TARGETS "on"
#else
#define KIST_S3_TARGETS "off"
#endif
#ifdef NDEBUG
#define KIST_ASSERTIONS "off"
#else
#define KIST_ASSERTIONS "on"
#endif
#define KIST_SNAPPY \
  KIST_TEXT(SNAPPY_MAJOR) "." KIST_TEXT(SNAPPY_MINOR) "." KIST_TEXT(SNAPPY_PATCHLEVEL)
// One text for each CRC kernel, so that none is put together at run time. KIST_BUILD is from
// CMakeLists.txt: system, processor, kind of build.
#define KIST_BUILD_TEXT(kernel)                                                    \
  "kist " KIST_VERSION_TEXT "; build " KIST_BUILD "; compiler " KIST_COMPILER      \
  "; assertions " KIST_ASSERTIONS "; crc32c " kernel "; allocator " KIST_ALLOCATOR \
  "; snappy " KIST_SNAPPY "; s3 " KIST_S3_TARGETS                                  \
  "; formats: segments read 1-2, written 2; tables read 1, written 1"

namespace {

static_assert(kist::kTableVersion == 1, "KIST_BUILD_TEXT names the formats");

const char* BuildInfo() {
  const kist::Slice kernel = kist::crc32c::KernelName();
  if (kernel == "sse4.2+pclmul") return KIST_BUILD_TEXT("sse4.2+pclmul");
  if (kernel == "sse4.2") return KIST_BUILD_TEXT("sse4.2");
  if (kernel == "armv8") return KIST_BUILD_TEXT("armv8");
  return KIST_BUILD_TEXT("table");
}

}  // namespace

extern "C" {

uint32_t kist_version(void) { return KIST_VERSION_NUMBER; }

const char* kist_version_string(void) { return KIST_VERSION_TEXT; }

const char* kist_build_info(void) { return BuildInfo(); }

const char* kist_rc_name(kist_rc rc) { return TextOf(rc).name; }

const char* kist_rc_text(kist_rc rc) { return TextOf(rc).text; }

}  // extern "C"
