// What every kernel shares: the scale argument, a random generator, a running checksum, and the one line of output.
//
// A kernel is called with one optional argument: "small" (the default, 1), "large" (12) or a positive number. It does
// its unit of work that many times, each time on different data, and prints one line whose checksum depends on all of
// it. The line is the same in every engine and natively, which is how a comparison knows that all did the same work.
#ifndef KERNEL_H
#define KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

#define SCALE_SMALL 1u
#define SCALE_LARGE 12u
#define SCALE_MAX 100000u

// Ends the process with status 2 and a message; for misuse and for failed self-checks.
static _Noreturn void kernel_fail(const char *message) {
    (void)!write(2, message, strlen(message));
    (void)!write(2, "\n", 1);
    exit(2);
}

static uint32_t kernel_scale(int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "small") == 0) return SCALE_SMALL;
    if (strcmp(argv[1], "large") == 0) return SCALE_LARGE;
    uint32_t value = 0;
    for (const char *p = argv[1]; *p; p++) {
        if (*p < '0' || *p > '9') kernel_fail("the scale is small, large or a number");
        value = value * 10 + (uint32_t)(*p - '0');
        if (value > SCALE_MAX) kernel_fail("the scale is at most 100000");
    }
    if (value == 0) kernel_fail("the scale is at least 1");
    return value;
}

// xorshift64*: enough randomness for test data, the same everywhere.
static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545F4914F6CDD1DULL;
}

static inline uint64_t random_seed(uint32_t round) {
    return 0x9E3779B97F4A7C15ULL * (round + 1) | 1;
}

// FNV-1a over the bytes of a value.
static inline uint64_t checksum_u64(uint64_t sum, uint64_t value) {
    for (int i = 0; i < 8; i++) sum = (sum ^ (value >> (8 * i) & 0xff)) * 0x100000001B3ULL;
    return sum;
}

static inline uint64_t checksum_f64(uint64_t sum, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return checksum_u64(sum, bits);
}

static inline uint64_t checksum_start(void) { return 0xCBF29CE484222325ULL; }

// The one line of output: "<name> <checksum in hexadecimal>". Written without stdio to keep the modules small.
static int kernel_report(const char *name, uint64_t sum) {
    char line[64];
    size_t length = strlen(name);
    if (length > 40) kernel_fail("kernel name too long");
    memcpy(line, name, length);
    line[length++] = ' ';
    for (int shift = 60; shift >= 0; shift -= 4) line[length++] = "0123456789abcdef"[sum >> shift & 15];
    line[length++] = '\n';
    return write(1, line, length) == (ssize_t)length ? 0 : 1;
}

#endif
