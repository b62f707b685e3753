// Calls with several arguments and deep recursion: Takeuchi's function, Ackermann's, and a pair of mutually recursive
// predicates.
#include "kernel.h"

static NOINLINE int32_t tak(int32_t x, int32_t y, int32_t z) {
    if (y >= x) return z;
    return tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

static NOINLINE uint32_t ackermann(uint32_t m, uint32_t n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

// Hofstadter's female and male sequences: two functions that call each other.
static int32_t male(int32_t n);
static NOINLINE int32_t female(int32_t n) { return n == 0 ? 1 : n - male(female(n - 1)); }
static NOINLINE int32_t male(int32_t n) { return n == 0 ? 0 : n - female(male(n - 1)); }

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        for (int32_t pass = 0; pass < 6; pass++) {
            int32_t shift = pass + (int32_t)(round & 7);
            for (int32_t z = 4; z < 10; z++) sum = checksum_u64(sum, (uint64_t)tak(20 + shift, 13 + shift, z + shift));
        }
        sum = checksum_u64(sum, ackermann(2, 300 + round % 5));
        sum = checksum_u64(sum, ackermann(3, 6));
        for (int32_t n = 0; n < 60; n++) sum = checksum_u64(sum, (uint64_t)(female(n) * 64 + male(n)));
    }
    return kernel_report("tak", sum);
}
