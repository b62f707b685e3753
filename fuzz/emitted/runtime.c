/* The library of C that generated programs see, and the main program of a batch.
 *
 * In: `programs`, the batch's programs, each its own `main`; the argument, if any, is the number of the only one to run. Out: a line
 * for each: its number and what it prints. Needs nothing but WASI's `fd_write` and arguments, or, built natively, `write`. */
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

typedef int program(int, char **);
extern program *const programs[];
extern const int program_count;

static char buffer[1 << 12];
static size_t used;

#ifdef __wasm__
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
WASI(fd_write) int fd_write(int, const void *, int, int *);
WASI(args_sizes_get) int args_sizes_get(int *, int *);
WASI(args_get) int args_get(char **, char *);
static void flush(void) {
    struct { char *at; size_t len; } part = { buffer, used };
    int written;
    fd_write(1, &part, 1, &written);
    used = 0;
}
void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    char *t = to;
    const char *f = from;
    while (n--) *t++ = *f++;
    return to;
}
void *memmove(void *to, const void *from, size_t n) {
    char *t = to;
    const char *f = from;
    if (t < f) return memcpy(to, from, n);
    while (n--) t[n] = f[n];
    return to;
}
void *memset(void *to, int c, size_t n) {
    char *t = to;
    while (n--) *t++ = c;
    return to;
}
int memcmp(const void *a, const void *b, size_t n) {
    const unsigned char *x = a, *y = b;
    for (; n--; x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}
int strcmp(const char *a, const char *b) {
    for (; *a && *a == *b; a++) b++;
    return (unsigned char)*a - (unsigned char)*b;
}
/* By repeated doubling, exact wherever the result is a normal number. */
double ldexp(double x, int n) {
    for (; n > 0; n--) x *= 2;
    for (; n < 0; n++) x /= 2;
    return x;
}
#else
long write(int, const void *, size_t);
static void flush(void) {
    write(1, buffer, used);
    used = 0;
}
#endif

static void put(char c) {
    if (used == sizeof buffer) flush();
    buffer[used++] = c;
}

static void number(unsigned long n, unsigned base) {
    if (n >= base) number(n / base, base);
    put("0123456789ABCDEF"[n % base]);
}

int printf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        while (*++format == 'l') continue;
        if (*format == 's') {
            for (const char *s = va_arg(args, const char *); *s; s++) put(*s);
        } else {
            number(va_arg(args, unsigned long), *format == 'd' ? 10 : 16);
        }
    }
    va_end(args);
    return 0;
}

static void run(int only) {
    for (int i = 0; i < program_count; i++) {
        if (only >= 0 && only != i) continue;
        printf("%d: ", i);
        flush(); /* a program that traps is known by its number */
        programs[i](1, 0);
    }
    flush();
}

static int parse(const char *text) {
    int n = 0;
    while (*text) n = n * 10 + *text++ - '0';
    return n;
}

#ifdef __wasm__
__attribute__((export_name("_start"))) void _start(void) {
    static char *list[16], text[4096];
    int count, size;
    args_sizes_get(&count, &size);
    if (count > 16 || size > (int)sizeof text) __builtin_trap();
    args_get(list, text);
    run(count > 1 ? parse(list[1]) : -1);
}
#else
int main(int count, char **list) {
    run(count > 1 ? parse(list[1]) : -1);
    return 0;
}
#endif
