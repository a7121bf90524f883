// File names: the forms, and that nothing else parses.
#include "key/file_name.h"

#include "support/unit_test.h"

using kist::FileType;
using kist::ParseFileName;
using kist::test::Rng;

static void file_name__forms_and_back(void**) {
  assert_string_equal(kist::LogFileName(123).c_str(), "000123.log");
  assert_string_equal(kist::TableFileName(1234567).c_str(), "1234567.kst");
  assert_string_equal(kist::ManifestFileName(0).c_str(), "MANIFEST-000000");
  for (uint64_t n : {uint64_t{0}, uint64_t{1}, uint64_t{999999}, uint64_t{1000000},
                     uint64_t{999999999999999999}}) {
    const auto log = ParseFileName(kist::LogFileName(n));
    assert_true(log && log->type == FileType::kLog && log->number == n);
    const auto table = ParseFileName(kist::TableFileName(n));
    assert_true(table && table->type == FileType::kTable && table->number == n);
    const auto manifest = ParseFileName(kist::ManifestFileName(n));
    assert_true(manifest && manifest->type == FileType::kManifest && manifest->number == n);
    const auto temporary = ParseFileName(kist::TableFileName(n) + ".tmp");
    assert_true(temporary && temporary->type == FileType::kTemporary && temporary->number == n);
  }
  assert_true(ParseFileName("CURRENT")->type == FileType::kCurrent);
  assert_true(ParseFileName("LOCK")->type == FileType::kLock);
  assert_true(ParseFileName("CURRENT.tmp")->type == FileType::kTemporary);
}

static void file_name__foreign_names_are_not_ours(void**) {
  const char* foreign[] = {"",
                           "1.log",
                           "00123.log",
                           "0001234.log",
                           "+00123.log",
                           "-00123.log",
                           " 000123.log",
                           "000123.log ",
                           "000123.LOG",
                           "000123.sst",
                           "000123",
                           "00012a.log",
                           "MANIFEST",
                           "MANIFEST-",
                           "MANIFEST-123",
                           "MANIFEST-000123x",
                           "manifest-000123",
                           "CURRENT2",
                           "current",
                           "LOCK~",
                           ".tmp",
                           "notes.tmp",
                           "a.log.tmp",
                           "000123.log.tmp.tmp",
                           "1000000000000000000.log",
                           "18446744073709551615.log",
                           "99999999999999999999999.kst",
                           "000123.log/",
                           "x000123.kst",
                           "000123.kst.bak"};
  for (const char* name : foreign) {
    if (ParseFileName(name)) fail_msg("'%s' parsed", name);
  }
  assert_false(ParseFileName(kist::Slice("000123.log\0", 11)).has_value());
}

static void file_name__random_bytes_parse_only_in_canonical_form(void**) {
  Rng rng(kist::test::Seed("file_name"));
  const std::string alphabet = "0123456789.logkstmpMANIFEST-CUR";
  const std::string parts[] = {".log",   ".kst",    ".tmp", "MANIFEST-", "000",
                               "123456", "CURRENT", "LOCK", "0",         "9"};
  for (int i = 0; i < 200000; ++i) {
    std::string name;
    for (uint64_t n = rng.Below(5); n > 0; --n) {
      name += rng.OneIn(3) ? std::string(1, alphabet[rng.Below(alphabet.size())])
                           : parts[rng.Below(10)];
    }
    auto parsed = ParseFileName(name);
    if (!parsed) continue;
    const bool temporary = parsed->type == FileType::kTemporary;
    const std::string base = temporary ? name.substr(0, name.size() - 4) : name;
    if (temporary) parsed = ParseFileName(base);
    assert_true(parsed.has_value());
    const uint64_t n = parsed->number;
    assert_true(base == kist::LogFileName(n) || base == kist::TableFileName(n) ||
                base == kist::ManifestFileName(n) || base == "CURRENT" || base == "LOCK");
  }
}

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(file_name__forms_and_back),
      cmocka_unit_test(file_name__foreign_names_are_not_ours),
      cmocka_unit_test(file_name__random_bytes_parse_only_in_canonical_form),
  };
  return cmocka_run_group_tests_name("file_name", tests, nullptr, nullptr);
}
