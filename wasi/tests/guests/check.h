// Checks shared by the guests: each says which check failed, with the number it got, and ends the guest.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

static void check_failed(int line, const char *what, long long got, long long want) {
  fprintf(stderr, "line %d: %s: got %lld, want %lld\n", line, what, got, want);
  exit(1);
}

// The expression has this value.
#define EQ(expr, want)                                             \
  do {                                                             \
    long long got_ = (long long)(expr);                            \
    if (got_ != (long long)(want))                                 \
      check_failed(__LINE__, #expr, got_, (long long)(want));      \
  } while (0)

// The call succeeds.
#define OK(expr) EQ(expr, 0)

// The call has one of two outcomes that runtimes may choose between.
#define EITHER(expr, a, b)                                         \
  do {                                                             \
    long long got_ = (long long)(expr);                            \
    if (got_ != (long long)(a) && got_ != (long long)(b))          \
      check_failed(__LINE__, #expr, got_, (long long)(a));         \
  } while (0)

// The condition holds.
#define TRUE(cond)                                                 \
  do {                                                             \
    if (!(cond)) check_failed(__LINE__, #cond, 0, 1);              \
  } while (0)

// Whether the runtime under test is ours, whose choices are checked where the interface leaves one.
static inline int exact(void) { return getenv("EXACT") != NULL; }
