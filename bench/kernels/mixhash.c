// 64-bit hashing of memory in two styles: four lanes of multiply and rotate, and folding of 64 x 64 -> 128-bit products.
#include "kernel.h"

#define SIZE (1 << 18)

static uint8_t data[SIZE + 64];

#define P1 0x9E3779B185EBCA87ULL
#define P2 0xC2B2AE3D27D4EB4FULL
#define P3 0x165667B19E3779F9ULL

static inline uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

static inline uint64_t load64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, 8);
    return value;
}

static NOINLINE uint64_t lanes(const uint8_t *p, size_t n, uint64_t seed) {
    uint64_t lane[4] = {seed + P1 + P2, seed + P2, seed, seed - P1};
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (int k = 0; k < 4; k++) lane[k] = rotate(lane[k] + load64(p + i + 8 * k) * P2, 31) * P1;
    uint64_t hash = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
    for (; i < n; i++) hash = rotate(hash ^ p[i] * P3, 11) * P1;
    hash = (hash ^ hash >> 33) * P2;
    hash = (hash ^ hash >> 29) * P3;
    return hash ^ hash >> 32;
}

static inline uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static NOINLINE uint64_t folded(const uint8_t *p, size_t n, uint64_t seed) {
    uint64_t hash = seed ^ P1;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) hash = fold(load64(p + i) ^ P2, load64(p + i + 8) ^ hash);
    for (; i < n; i++) hash = fold(hash ^ P3, p[i] + P1);
    return fold(hash ^ n, P3);
}

// Many short keys: the shape of a hash table's use.
static NOINLINE uint64_t short_keys(uint64_t seed) {
    uint64_t hash = seed;
    for (size_t i = 0; i + 24 < SIZE; i += 5) hash += folded(data + i, 3 + (i & 15), hash) ^ lanes(data + i, 9, hash);
    return hash;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (size_t i = 0; i < SIZE; i++) data[i] = (uint8_t)(random_next(&seed) >> 32);
        for (uint32_t pass = 0; pass < 420; pass++) {
            seed = lanes(data + (pass & 7), SIZE, seed);
            seed ^= folded(data + (pass & 15), SIZE, seed);
            sum = checksum_u64(sum, seed);
        }
        for (uint32_t pass = 0; pass < 30; pass++) sum = checksum_u64(sum, short_keys(seed + pass));
    }
    return kernel_report("mixhash", sum);
}
