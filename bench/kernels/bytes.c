// Loops over bytes: a table-driven CRC-32, a histogram, a run-length count and Adler-32.
#include "kernel.h"

#define SIZE (1 << 20)

static uint8_t data[SIZE];
static uint32_t table[256];
static uint32_t histogram[256];

static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0);
        table[i] = value;
    }
}

static NOINLINE uint32_t crc32(const uint8_t *p, size_t n) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

static NOINLINE uint32_t adler32(const uint8_t *p, size_t n) {
    uint32_t a = 1, b = 0;
    while (n) {
        size_t chunk = n < 4096 ? n : 4096;
        for (size_t i = 0; i < chunk; i++) {
            a += p[i];
            b += a;
        }
        a %= 65521;
        b %= 65521;
        p += chunk;
        n -= chunk;
    }
    return b << 16 | a;
}

static NOINLINE void count(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) histogram[p[i]]++;
}

static NOINLINE uint32_t runs(const uint8_t *p, size_t n) {
    uint32_t found = 0;
    for (size_t i = 1; i < n; i++) found += p[i] != p[i - 1];
    return found;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    make_table();
    if (crc32((const uint8_t *)"123456789", 9) != 0xCBF43926u) kernel_fail("CRC-32 check value");
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (size_t i = 0; i < SIZE; i++) data[i] = (uint8_t)(random_next(&seed) >> 56 & random_next(&seed) >> 50);
        for (int pass = 0; pass < 20; pass++) {
            sum = checksum_u64(sum, crc32(data, SIZE));
            sum = checksum_u64(sum, adler32(data, SIZE));
            sum = checksum_u64(sum, runs(data, SIZE));
            count(data, SIZE);
            data[(uint32_t)pass * 1000] ^= (uint8_t)histogram[(uint32_t)pass];
        }
        for (int i = 0; i < 256; i++) sum = checksum_u64(sum, histogram[i]);
    }
    return kernel_report("bytes", sum);
}
