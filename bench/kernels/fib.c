// Plain recursion: the cost of a call and a return.
#include "kernel.h"

static NOINLINE uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        for (uint32_t n = 20; n < 36; n++) sum = checksum_u64(sum, fib(n - (round & 1)));
    }
    return kernel_report("fib", sum);
}
