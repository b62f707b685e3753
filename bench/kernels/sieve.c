// Sieves of Eratosthenes: one byte per number, and one bit per odd number, with counts of primes and twins.
#include "kernel.h"

#define LIMIT 2000000
#define BITS 4000000

static uint8_t composite[LIMIT];
static uint32_t bits[BITS / 64 + 1];

static NOINLINE uint32_t byte_sieve(uint32_t limit) {
    uint32_t count = 0;
    memset(composite, 0, limit);
    for (uint32_t i = 2; i < limit; i++) {
        if (composite[i]) continue;
        count++;
        for (uint64_t j = (uint64_t)i * i; j < limit; j += i) composite[j] = 1;
    }
    return count;
}

// Bit k stands for 2k + 1.
static NOINLINE uint32_t bit_sieve(uint32_t limit) {
    uint32_t half = limit / 2, count = 0;
    memset(bits, 0xff, sizeof bits);
    bits[0] &= ~1u;
    for (uint32_t k = 1; (2 * k + 1) * (2 * k + 1) < limit; k++)
        if (bits[k / 32] >> k % 32 & 1)
            for (uint32_t j = 2 * k * (k + 1); j < half; j += 2 * k + 1) bits[j / 32] &= ~(1u << j % 32);
    for (uint32_t k = 0; k < half / 32; k++) count += (uint32_t)__builtin_popcount(bits[k]);
    for (uint32_t k = half / 32 * 32; k < half; k++) count += bits[k / 32] >> k % 32 & 1;
    return count + 1;
}

static NOINLINE uint32_t twins(uint32_t limit) {
    uint32_t count = 0;
    for (uint32_t k = 1; k + 1 < limit / 2; k++)
        count += (bits[k / 32] >> k % 32 & 1) & (bits[(k + 1) / 32] >> (k + 1) % 32 & 1);
    return count;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    if (byte_sieve(1000000) != 78498 || bit_sieve(1000000) != 78498) kernel_fail("there are 78498 primes below 1000000");
    for (uint32_t round = 0; round < scale; round++) {
        uint32_t less = round * 1000 % 100000;
        for (uint32_t pass = 0; pass < 8; pass++) {
            sum = checksum_u64(sum, byte_sieve(LIMIT - less - pass));
            sum = checksum_u64(sum, bit_sieve(BITS - less - pass));
            sum = checksum_u64(sum, twins(BITS - less - pass));
        }
    }
    return kernel_report("sieve", sum);
}
