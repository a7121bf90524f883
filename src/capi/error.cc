// Filling kist_err without allocating: the message is cut to what fits, between characters, and
// made one line of valid UTF-8 whatever bytes (file names, option values) went into it.
// Threads: functions of their arguments.
#include "capi/error.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace kist::capi {
namespace {

static_assert(sizeof(kist_err) == 256 && offsetof(kist_err, message) == 24);

// Beyond this, `size` is not a size but an uninitialised struct: nothing past kist_err is touched.
constexpr uint32_t kErrSizeMax = 4096;

// The length of the UTF-8 character at p, 0 where the bytes are none.
size_t CharacterLength(const unsigned char* p, size_t n) {
  const unsigned c = p[0];
  if (c < 0x80) return 1;
  const size_t length = c >= 0xc2 && c < 0xe0   ? 2
                        : (c & 0xf0) == 0xe0    ? 3
                        : c >= 0xf0 && c < 0xf5 ? 4
                                                : 0;
  if (length == 0 || length > n) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((p[i] & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, beyond U+10FFFF.
  if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] >= 0xa0)) return 0;
  if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] >= 0x90)) return 0;
  return length;
}

// Copies what fits cap bytes, the NUL included.
void CopyMessage(char* to, size_t cap, Slice from) {
  size_t out = 0;
  for (size_t i = 0; i < from.size();) {
    const auto* p = reinterpret_cast<const unsigned char*>(from.data()) + i;
    const size_t length = CharacterLength(p, from.size() - i);
    const size_t taken = std::max<size_t>(length, 1);
    if (out + taken >= cap) break;
    if (length == 0 || p[0] < 0x20 || p[0] == 0x7f) {
      to[out] = '?';
    } else {
      std::memcpy(to + out, p, length);
    }
    out += taken;
    i += taken;
  }
  std::memset(to + out, 0, cap - out);
}

void Fill(kist_err* err, kist_rc rc, Reason reason, int sys_errno, Slice message) {
  if (err == nullptr || err->size == 0) return;
  const uint32_t size = err->size > kErrSizeMax ? sizeof(kist_err) : err->size;
  kist_err full = KIST_ERR_INIT;
  full.size = err->size;
  full.code = rc;
  full.detail = reason.detail;
  full.sys_errno = sys_errno;
  full.aux = reason.aux;
  const size_t known = std::min<size_t>(size, sizeof full);
  constexpr size_t kHead = offsetof(kist_err, message);
  if (known > kHead) CopyMessage(full.message, known - kHead, message);
  std::memcpy(static_cast<void*>(err), &full, known);
  if (size > known) std::memset(reinterpret_cast<char*>(err) + known, 0, size - known);
}

}  // namespace

kist_rc Fail(kist_err* err, kist_rc rc, Reason reason, const char* format, ...) noexcept {
  char message[512];
  va_list args;
  va_start(args, format);
  const int length = std::vsnprintf(message, sizeof message, format, args);
  va_end(args);
  const size_t kept =
      length < 0 ? 0 : std::min<size_t>(static_cast<size_t>(length), sizeof message - 1);
  Fill(err, rc, reason, 0, Slice(message, kept));
  return rc;
}

kist_rc FailWith(kist_err* err, const Status& status, int32_t detail) noexcept {
  const Slice message = status.message();
  // The system's lack of memory says nothing; the budget says who holds it.
  if (status.Is(Code::kNoMem) && !message.empty()) detail = KIST_D_BUDGET;
  Fill(err, status.rc(), Reason{detail, status.aux()}, status.sys_errno(),
       message.empty() ? Slice(kist_rc_text(status.rc())) : message);
  return status.rc();
}

kist_rc FailNoMemory(kist_err* err) noexcept {
  Fill(err, KIST_E_NOMEM, Reason{}, 0, "out of memory");
  return KIST_E_NOMEM;
}

kist_rc FailException(kist_err* err) noexcept {
  Fill(err, KIST_E_INTERNAL, Reason{}, 0, "an unexpected exception inside Kist; this is a defect");
  return KIST_E_INTERNAL;
}

}  // namespace kist::capi
