/* Functions whose engine comes with a later version: they check and set as all do, and say
 * KIST_E_UNSUPPORTED by their name. */
#include "support/tempdir.h"

#define UNSUPPORTED(name, call)                     \
  do {                                              \
    kist_err err = KIST_ERR_INIT;                   \
    assert_int_equal(call, KIST_E_UNSUPPORTED);     \
    assert_int_equal(err.code, KIST_E_UNSUPPORTED); \
    assert_non_null(strstr(err.message, name));     \
  } while (0)

static void later__repair(void** state) {
  char report[8] = "xxxxxxx";
  size_t len = 9;
  (void)state;
  UNSUPPORTED("kist_repair", kist_repair("/nowhere", NULL, report, sizeof report, &len, &err));
  assert_int_equal(len, 0);
  assert_string_equal(report, "");
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL,
               kist_repair(NULL, NULL, report, sizeof report, &len, &err));
  ASSERT_FAILS(KIST_E_INVALID, KIST_D_NULL, kist_repair("/nowhere", NULL, NULL, 8, &len, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {

      cmocka_unit_test(later__repair),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
