// Status and Result: codes, messages, copies, errno.
#include "util/status.h"

#include <cerrno>

#include "support/unit_test.h"

using kist::Code;
using kist::Result;
using kist::Status;

static void status__ok_is_one_null_word(void**) {
  static_assert(sizeof(Status) == sizeof(void*), "one word");
  Status s;
  assert_true(s.ok());
  assert_int_equal(s.rc(), 0);
  assert_string_equal(s.message().c_str(), "ok");
  assert_true(Status::Error(Code::kOk, "no error").ok());
  assert_true(s.WithCode(Code::kIo).ok());
  assert_true(s.Prefixed("x").ok());
}

static void status__bare_keeps_every_code(void**) {
  for (int c = -1; c >= -22; --c) {
    const Status s = Status::Bare(static_cast<Code>(c));
    assert_int_equal(s.rc(), c);
    assert_false(s.ok());
    assert_int_equal(s.aux(), 0);
    assert_int_equal(s.sys_errno(), 0);
    assert_true(s.message().size() > 0);
    const Status copy = s;
    assert_int_equal(copy.rc(), c);
    assert_int_equal(s.WithCode(Code::kIo).rc(), -4);
  }
}

static void status__error_survives_copy_and_move(void**) {
  Status a = Status::Error(Code::kBusy, "three iterators are open", 3, 0);
  Status b = a;
  assert_int_equal(b.aux(), 3);
  assert_string_equal(b.message().c_str(), "three iterators are open");
  Status c = std::move(a);
  assert_true(a.ok());
  assert_true(c.Is(Code::kBusy));
  a = c;
  c = Status();
  assert_true(a.Is(Code::kBusy));
  Status& self = a;
  a = self;
  assert_true(a.Is(Code::kBusy));
}

static void status__corrupt_names_file_offset_reason(void**) {
  const Status s = Status::Corrupt("000001.log", 4096, "bad checksum");
  assert_true(s.Is(Code::kCorrupt));
  assert_int_equal(s.aux(), 4096);
  assert_string_equal(s.message().c_str(), "000001.log: offset 4096: bad checksum");
}

static void status__errno_becomes_code(void**) {
  const struct {
    int err;
    Code code;
  } cases[] = {{ENOSPC, Code::kNoSpace},   {EDQUOT, Code::kNoSpace},   {EFBIG, Code::kNoSpace},
               {ENOENT, Code::kMissing},   {EEXIST, Code::kExists},    {EACCES, Code::kPermission},
               {EPERM, Code::kPermission}, {EROFS, Code::kPermission}, {ENOMEM, Code::kNoMem},
               {EIO, Code::kIo},           {EMFILE, Code::kIo},        {ENOTEMPTY, Code::kExists}};
  for (const auto& c : cases) {
    const Status s = Status::FromErrno(c.err, "write", "dir/file");
    assert_int_equal(s.rc(), static_cast<int>(c.code));
    assert_int_equal(s.sys_errno(), c.err);
    assert_true(s.message().find("write dir/file: ") == 0);
  }
  const Status sync = Status::FromErrno(ENOSPC, "sync", "f").WithCode(Code::kIo);
  assert_true(sync.Is(Code::kIo));
  assert_int_equal(sync.sys_errno(), ENOSPC);
}

static void status__prefix_keeps_the_rest(void**) {
  const Status s = Status::Error(Code::kCorrupt, "bad", 7, EIO).Prefixed("000001.kst");
  assert_string_equal(s.message().c_str(), "000001.kst: bad");
  assert_int_equal(s.aux(), 7);
  assert_int_equal(s.sys_errno(), EIO);
}

static Result<std::string> Half(int n) {
  if (n % 2 != 0) return Status::Invalid("odd");
  return std::to_string(n / 2);
}
static Status Quarter(int n, std::string* out) {
  KIST_TRY_ASSIGN(std::string half, Half(n));
  KIST_TRY_ASSIGN(*out, Half(std::stoi(half)));
  KIST_TRY(Status());
  return Status();
}

static void status__try_macros_pass_errors_on(void**) {
  std::string out;
  assert_true(Quarter(8, &out).ok());
  assert_string_equal(out.c_str(), "2");
  assert_true(Quarter(6, &out).Is(Code::kInvalid));
  assert_true(Quarter(7, &out).Is(Code::kInvalid));
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(status__ok_is_one_null_word),
      cmocka_unit_test(status__bare_keeps_every_code),
      cmocka_unit_test(status__error_survives_copy_and_move),
      cmocka_unit_test(status__corrupt_names_file_offset_reason),
      cmocka_unit_test(status__errno_becomes_code),
      cmocka_unit_test(status__prefix_keeps_the_rest),
      cmocka_unit_test(status__try_macros_pass_errors_on),
  };
  return cmocka_run_group_tests_name("status", tests, nullptr, nullptr);
}
