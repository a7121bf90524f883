// Status out of line: the representation, errno, and texts. See status.h for the invariants.
//
// A Rep is made with nothrow new and its strings inside a catch, so that running out of memory
// while reporting an error costs the message and never the code.
#include "util/status.h"

#include <cerrno>
#include <new>
#include <system_error>

namespace kist {

struct Status::Rep {
  Code code = Code::kInternal;
  int sys_errno = 0;
  uint64_t aux = 0;
  std::string message;
};

namespace {

// Each text fits the small-string buffer, so that the table below allocates nothing.
const std::string& BareText(Code code) {
  static const std::string texts[] = {
      "ok",        "invalid",   "misuse",     "out of memory", "i/o error",      "corrupt",
      "busy",      "locked",    "conflict",   "closed",        "read only",      "no space",
      "poisoned",  "exists",    "missing",    "too new",       "not supported",  "over a limit",
      "cancelled", "timed out", "fork child", "no permission", "internal error",
  };
  constexpr int kTexts = sizeof texts / sizeof texts[0];
  const int i = -static_cast<int>(code);
  return texts[i >= 0 && i < kTexts ? i : kTexts - 1];
}

Code CodeOfErrno(int err) {
  switch (err) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Code::kNoSpace;
    case ENOENT:
      return Code::kMissing;
    case EEXIST:
    case ENOTEMPTY:
      return Code::kExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermission;
    case ENOMEM:
      return Code::kNoMem;
    default:
      return Code::kIo;
  }
}

}  // namespace

Status Status::Bare(Code code) noexcept {
  Status s;
  if (code != Code::kOk) s.rep_ = static_cast<uintptr_t>(-static_cast<int64_t>(code)) << 1 | 1;
  return s;
}

Status Status::Error(Code code, std::string message, uint64_t aux, int sys_errno) noexcept {
  Rep* rep = new (std::nothrow) Rep;
  if (rep == nullptr || code == Code::kOk) {
    delete rep;
    return Bare(code);
  }
  rep->code = code;
  rep->sys_errno = sys_errno;
  rep->aux = aux;
  rep->message = std::move(message);
  Status s;
  s.rep_ = reinterpret_cast<uintptr_t>(rep);
  return s;
}

Status Status::Corrupt(const std::string& file, uint64_t offset, const std::string& reason) {
  try {
    return Error(Code::kCorrupt, file + ": offset " + std::to_string(offset) + ": " + reason,
                 offset);
  } catch (const std::bad_alloc&) {
    return Bare(Code::kCorrupt);
  }
}

Status Status::FromErrno(int err, const std::string& doing, const std::string& path) {
  const Code code = CodeOfErrno(err);
  try {
    return Error(code, doing + " " + path + ": " + std::generic_category().message(err), 0, err);
  } catch (const std::bad_alloc&) {
    return Bare(code);
  }
}

Status::Status(const Status& other) {
  if (other.rep_ == 0 || (other.rep_ & 1) != 0) {
    rep_ = other.rep_;
    return;
  }
  const Rep* rep = reinterpret_cast<const Rep*>(other.rep_);
  try {
    rep_ = reinterpret_cast<uintptr_t>(new Rep(*rep));
  } catch (const std::bad_alloc&) {
    *this = Bare(rep->code);
  }
}

Status& Status::operator=(const Status& other) {
  if (this != &other) *this = Status(other);
  return *this;
}

void Status::Clear() {
  if ((rep_ & 1) == 0) delete reinterpret_cast<Rep*>(rep_);
  rep_ = 0;
}

Code Status::code() const {
  if (rep_ == 0) return Code::kOk;
  if ((rep_ & 1) != 0) return static_cast<Code>(-static_cast<int32_t>(rep_ >> 1));
  return reinterpret_cast<const Rep*>(rep_)->code;
}

const std::string& Status::message() const {
  if (rep_ == 0 || (rep_ & 1) != 0) return BareText(code());
  return reinterpret_cast<const Rep*>(rep_)->message;
}

uint64_t Status::aux() const {
  return rep_ == 0 || (rep_ & 1) != 0 ? 0 : reinterpret_cast<const Rep*>(rep_)->aux;
}

int Status::sys_errno() const {
  return rep_ == 0 || (rep_ & 1) != 0 ? 0 : reinterpret_cast<const Rep*>(rep_)->sys_errno;
}

std::string Status::ToString() const {
  if (rep_ == 0) return "ok";
  if ((rep_ & 1) != 0) return BareText(code());
  return BareText(code()) + ": " + message();
}

Status Status::WithCode(Code c) const {
  if (rep_ == 0) return Status();
  Status s(*this);
  if ((s.rep_ & 1) != 0) return Bare(c);
  reinterpret_cast<Rep*>(s.rep_)->code = c;
  return s;
}

Status Status::Prefixed(const std::string& where) const {
  if (rep_ == 0) return Status();
  try {
    return Error(code(), where + ": " + message(), aux(), sys_errno());
  } catch (const std::bad_alloc&) {
    return *this;
  }
}

}  // namespace kist
