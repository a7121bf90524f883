/* The words of a conformance script: bytes written as text, and outputs compared with the words
 * that a line expects. All static: the runner is one program of one thread, and what a line takes
 * lives until the line ends. */
#ifndef KIST_TESTS_CONFORMANCE_SCRIPT_H
#define KIST_TESTS_CONFORMANCE_SCRIPT_H

#include <ctype.h>
#include <inttypes.h>

#include "support/tempdir.h"

enum { kWords = 96, kOutputs = 4096 };

/* ---- what a line says, and what its call gave ------------------------------------------------ */

typedef struct {
  void* data;
  size_t len;
} bytes;

typedef enum { kBytes, kNumber, kNever, kCode } output_kind;
typedef struct {
  output_kind kind;
  bytes text;
  int64_t number;
} output;

static char* words[kWords]; /* words[0] is the verb */
static int word_count;      /* before the `=` */
static void* pool[kOutputs * 2];
static int pool_count; /* memory that lives as long as the line */
static output outputs[kOutputs];
static int output_count;
static kist_err last_error;   /* of the last line whose result was an error */
static char* directory;       /* of the case */
static char complaint[65536]; /* why the line fails; empty where it does not */

#define COMPLAIN(...)                                                          \
  do {                                                                         \
    if (complaint[0] == 0) snprintf(complaint, sizeof complaint, __VA_ARGS__); \
  } while (0)

static void* keep(void* memory) {
  if (memory == NULL || pool_count == kOutputs * 2) abort();
  return pool[pool_count++] = memory;
}

static void give(const void* data, size_t len) {
  char* copy = keep(malloc(len + 1));
  if (output_count == kOutputs) abort();
  if (len > 0) memcpy(copy, data, len);
  outputs[output_count++] = (output){kBytes, {copy, len}, 0};
}
static void give_text(const char* text) { give(text, strlen(text)); }
static void give_kind(output_kind kind, int64_t number) {
  if (output_count == kOutputs) abort();
  outputs[output_count++] = (output){kind, {NULL, 0}, number};
}
static void give_number(uint64_t number) { give_kind(kNumber, (int64_t)number); }

static int hex_digit(char c) {
  const char* digits = "0123456789abcdef";
  const char* at = c == 0 ? NULL : strchr(digits, tolower((unsigned char)c));
  return at == NULL ? -1 : (int)(at - digits);
}

static bytes decode(const char* word) {
  bytes out = {NULL, 0};
  unsigned long long count = 0;
  unsigned fill = 0;
  if (strcmp(word, "~") == 0) return out;
  out.data = keep(malloc(strlen(word) + 1));
  if (strcmp(word, "-") == 0) return out;
  if (word[0] == '@') {
    if (sscanf(word, "@%llu:%2x", &count, &fill) != 2) COMPLAIN("bad bytes: %s", word);
    out.data = keep(malloc(count + 1));
    memset(out.data, (int)fill, count);
    out.len = count;
    return out;
  }
  if (strchr("-~!", word[0]) != NULL) COMPLAIN("bad bytes: %s", word);
  for (const char* p = word; *p != 0; ++p) {
    char* to = (char*)out.data + out.len++;
    *to = *p;
    if (*p != '\\') continue;
    const int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);
    if (low < 0) {
      COMPLAIN("bad bytes: %s", word);
      break;
    }
    *to = (char)(high * 16 + low);
    p += 2;
  }
  return out;
}

static const char* show(const output* out) {
  char* text = keep(malloc(out->text.len * 3 + 64));
  char* to = text;
  if (out->kind == kNever) return "never";
  if (out->kind == kCode) {
    sprintf(text, "!%s", kist_rc_name((kist_rc)out->number) + strlen("KIST_"));
  } else if (out->kind == kNumber) {
    sprintf(text, "%" PRId64, out->number);
  } else if (out->text.len == 0) {
    strcpy(text, "-");
  } else {
    for (size_t i = 0; i < out->text.len && i < 400; ++i) {
      const unsigned char c = ((unsigned char*)out->text.data)[i];
      const int plain = c > ' ' && c < 127 && c != '\\' && !(i == 0 && strchr("-~@!=", c) != NULL);
      to += sprintf(to, plain ? "%c" : "\\%02x", c);
    }
    strcpy(to, out->text.len > 400 ? "..." : "");
  }
  return text;
}

static int matches(const output* out, const char* word) {
  long long low = 0, high = 0;
  if (out->kind == kNever) return strcmp(word, "never") == 0;
  if (out->kind == kCode) return strcmp(show(out), word) == 0;
  if (out->kind == kNumber) {
    const int read = sscanf(word, "%lld..%lld", &low, &high);
    return read >= 1 && out->number >= low && out->number <= (read == 2 ? high : low);
  }
  if (word[0] == '!') return 0;
  const bytes want = decode(word);
  return want.len == out->text.len &&
         (want.len == 0 || memcmp(want.data, out->text.data, want.len) == 0);
}

#endif
