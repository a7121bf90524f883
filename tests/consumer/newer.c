/* A program of tomorrow on the library of today: newer DIRECTORY. Structs that have grown, options
 * that are not known yet; with TOMORROW also a function that the library lacks, which the loader
 * must notice before main. */
#include <kist/kist.h>
#include <stdio.h>
#include <string.h>

#define NEED(condition)                                                                \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, err.message); \
      return 1;                                                                        \
    }                                                                                  \
  } while (0)

/* A kist_write_options that has a further field. */
typedef struct {
  kist_write_options known;
  uint64_t field_of_tomorrow;
} new_write_options;

/* A kist_option_info that has a further field, which the library must zero. */
typedef struct {
  kist_option_info known;
  const char* text_of_tomorrow;
} new_option_info;

int main(int argc, char** argv) {
  kist_err err = KIST_ERR_INIT;
  kist_options* options = NULL;
  kist_db* db = NULL;
  new_write_options wo = {KIST_WRITE_OPTIONS_INIT, 0};
  new_option_info info = {KIST_OPTION_INFO_INIT, "left over"};

  puts("main");
  NEED(argc == 2);
#ifdef TOMORROW
  if (argc == 99) return (int)kist_of_tomorrow();
#endif
  NEED(kist_options_new(&options) == KIST_OK);
  NEED(kist_options_set(options, "option_of_tomorrow", "1", &err) == KIST_E_INVALID);
  NEED(strstr(err.message, "option_of_tomorrow") != NULL);
  NEED(kist_options_set(options, "?option_of_tomorrow", "1", &err) == KIST_OK);
  NEED(kist_open(argv[1], options, &db, &err) == KIST_OK);
  kist_options_free(options);

  wo.known.size = sizeof(wo);
  NEED(kist_put(kist_default(db), &wo.known, "key", 3, "value", 5, &err) == KIST_OK);
  wo.field_of_tomorrow = 1;
  NEED(kist_put(kist_default(db), &wo.known, "key", 3, "new", 3, &err) == KIST_E_TOO_NEW);
  info.known.size = sizeof(info);
  NEED(kist_option_describe(0, &info.known) == KIST_OK);
  NEED(info.known.name != NULL && info.text_of_tomorrow == NULL);

  NEED(kist_close(db, KIST_CLOSE_STRICT, &err) == KIST_OK);
  NEED(kist_destroy(argv[1], &err) == KIST_OK);
  return 0;
}
