/* In every cmocka program: KIST_TEST=pattern runs only the cases whose names match (* and ? as in
 * file names). A constructor, so that the programs need not know of it. Threads: before main.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void set_filter(void) {
  const char* pattern = getenv("KIST_TEST");
  if (pattern != NULL) cmocka_set_test_filter(pattern);
}
