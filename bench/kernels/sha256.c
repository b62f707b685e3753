// SHA-256 as FIPS 180-4 describes it: rotations, 32-bit additions, an unrolled state. The round constants are computed
// from their definition, the fractional parts of roots of primes, with integer arithmetic.
#include "kernel.h"

#define SIZE (1 << 19)

static uint32_t constants[64];
static uint32_t initial[8];
static uint8_t message[SIZE + 64 + 9];

// floor(root * 2^32) modulo 2^32 of the square (power 2) or cube (power 3) root of n, by bisection.
static uint32_t root_fraction(uint32_t n, int power) {
    uint64_t low = 0, high = (uint64_t)32 << 32;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        unsigned __int128 value = (unsigned __int128)middle * middle;
        unsigned __int128 bound = (unsigned __int128)n << 64;
        if (power == 3) value *= middle, bound <<= 32;
        if (value <= bound) low = middle;
        else high = middle;
    }
    return (uint32_t)low;
}

static void make_constants(void) {
    uint32_t found = 0;
    for (uint32_t n = 2; found < 64; n++) {
        uint32_t divisor = 2;
        while (divisor * divisor <= n && n % divisor) divisor++;
        if (divisor * divisor <= n) continue;
        if (found < 8) initial[found] = root_fraction(n, 2);
        constants[found++] = root_fraction(n, 3);
    }
}

static inline uint32_t rotate(uint32_t x, int by) { return x >> by | x << (32 - by); }

static NOINLINE void compress(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64];
    for (int i = 0; i < 16; i++) {
        const uint8_t *p = block + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 64; i++) {
        uint32_t s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
        uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + constants[i] + w[i];
        uint32_t s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
        uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

// The digest of data[0..n]; the buffer must have room for the padding.
static void digest(uint8_t *data, size_t n, uint32_t state[8]) {
    memcpy(state, initial, sizeof initial);
    size_t total = (n + 9 + 63) / 64 * 64;
    memset(data + n, 0, total - n);
    data[n] = 0x80;
    for (int i = 0; i < 8; i++) data[total - 1 - i] = (uint8_t)((uint64_t)n * 8 >> (8 * i));
    for (size_t at = 0; at < total; at += 64) compress(state, data + at);
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    uint32_t state[8];
    make_constants();
    memcpy(message, "abc", 3);
    digest(message, 3, state);
    if (state[0] != 0xBA7816BFu || state[7] != 0xF20015ADu) kernel_fail("SHA-256 check value");
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (size_t i = 0; i < SIZE; i++) message[i] = (uint8_t)random_next(&seed);
        for (int pass = 0; pass < 34; pass++) {
            digest(message, SIZE - (size_t)pass, state);
            for (int i = 0; i < 8; i++) sum = checksum_u64(sum, state[i]);
            memcpy(message + pass * 64, state, sizeof state);
        }
    }
    return kernel_report("sha256", sum);
}
