// Compression by references to earlier text, with a hash chain to find them, and decompression: byte loads, unaligned
// words, short copies.
//
// Format: a control byte with the count of literals (high four bits) and the match length less 4 (low four bits), each
// extended by bytes of 255 when 15; the literals; a 16-bit distance. The last group has no match.
#include "text.h"

#define SIZE 400000
#define HASH_BITS 14
#define CHAIN 12
#define WINDOW 65535u
#define NONE 0xffffffffu

static uint8_t input[SIZE], packed[SIZE * 2], output[SIZE];
static uint32_t head[1 << HASH_BITS], previous[SIZE];

static inline uint32_t load32(const uint8_t *p) {
    uint32_t value;
    memcpy(&value, p, 4);
    return value;
}

static inline uint32_t hash(const uint8_t *p) { return load32(p) * 2654435761u >> (32 - HASH_BITS); }

static uint8_t *put_length(uint8_t *out, size_t extra) {
    for (; extra >= 255; extra -= 255) *out++ = 255;
    *out++ = (uint8_t)extra;
    return out;
}

static uint8_t *put_group(uint8_t *out, const uint8_t *literals, size_t count, size_t match, size_t distance) {
    size_t low = match ? match - 4 : 0;
    *out++ = (uint8_t)((count < 15 ? count : 15) << 4 | (low < 15 ? low : 15));
    if (count >= 15) out = put_length(out, count - 15);
    memcpy(out, literals, count);
    out += count;
    if (match) {
        if (low >= 15) out = put_length(out, low - 15);
        *out++ = (uint8_t)distance;
        *out++ = (uint8_t)(distance >> 8);
    }
    return out;
}

static inline void enter(uint32_t at) {
    uint32_t h = hash(input + at);
    previous[at] = head[h];
    head[h] = at;
}

static uint32_t longest_match(uint32_t at, uint32_t *where) {
    uint32_t best = 0, tries = CHAIN;
    for (uint32_t p = head[hash(input + at)]; p != NONE && at - p <= WINDOW && tries--; p = previous[p]) {
        if (at + best >= SIZE || input[p + best] != input[at + best]) continue;
        uint32_t length = 0;
        while (at + length < SIZE && input[p + length] == input[at + length]) length++;
        if (length > best) {
            best = length;
            *where = p;
        }
    }
    return best;
}

static NOINLINE size_t compress(void) {
    uint8_t *out = packed;
    uint32_t at = 0, literals = 0;
    memset(head, 0xff, sizeof head);
    while (at + 4 <= SIZE) {
        uint32_t where = 0, length = longest_match(at, &where);
        if (length < 4) {
            enter(at++);
            continue;
        }
        out = put_group(out, input + literals, at - literals, length, at - where);
        for (uint32_t end = at + length; at < end; at++)
            if (at + 4 <= SIZE) enter(at);
        literals = at;
    }
    out = put_group(out, input + literals, SIZE - literals, 0, 0);
    return (size_t)(out - packed);
}

static const uint8_t *get_length(const uint8_t *p, size_t *length) {
    uint8_t byte;
    do *length += byte = *p++;
    while (byte == 255);
    return p;
}

static NOINLINE size_t decompress(size_t n) {
    const uint8_t *p = packed, *end = packed + n;
    uint8_t *out = output;
    for (;;) {
        uint8_t control = *p++;
        size_t count = control >> 4, match = (control & 15) + 4u;
        if (count == 15) p = get_length(p, &count);
        for (size_t i = 0; i < count; i++) out[i] = p[i];
        out += count;
        p += count;
        if (p >= end) return (size_t)(out - output);
        if (match == 19) p = get_length(p, &match);
        const uint8_t *from = out - (p[0] | p[1] << 8);
        p += 2;
        for (size_t i = 0; i < match; i++) out[i] = from[i];
        out += match;
    }
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        make_text(input, SIZE, &seed);
        size_t n = 0;
        for (int pass = 0; pass < 9; pass++) {
            n = compress();
            input[pass * 1111] ^= 1;
        }
        n = compress();
        for (int pass = 0; pass < 30; pass++) {
            memset(output, 0, sizeof output);
            if (decompress(n) != SIZE || memcmp(input, output, SIZE) != 0) kernel_fail("decompressed text differs");
        }
        sum = checksum_u64(sum, n);
        for (size_t i = 0; i < n; i += 61) sum = checksum_u64(sum, packed[i]);
    }
    return kernel_report("lz", sum);
}
