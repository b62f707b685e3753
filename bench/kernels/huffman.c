// Huffman coding of text: building the tree with a heap, canonical codes, writing and reading bit streams.
#include "text.h"

#define SIZE 500000
#define SYMBOLS 256
#define LONGEST 15

static uint8_t input[SIZE], output[SIZE], stream[SIZE * 2 + 16];
static uint32_t weight[SYMBOLS * 2];
static uint16_t parent[SYMBOLS * 2], heap[SYMBOLS + 1];
static uint8_t code_length[SYMBOLS];
static uint16_t code[SYMBOLS];
static uint16_t decode_table[1 << LONGEST]; // symbol << 4 | length

static void sift_down(uint32_t at, uint32_t n) {
    uint16_t node = heap[at];
    for (uint32_t child; (child = 2 * at) <= n; at = child) {
        if (child < n && weight[heap[child + 1]] < weight[heap[child]]) child++;
        if (weight[heap[child]] >= weight[node]) break;
        heap[at] = heap[child];
    }
    heap[at] = node;
}

// Code lengths of a Huffman tree over the present symbols; halves the weights and retries while one is too long.
static NOINLINE void make_lengths(void) {
    uint32_t longest;
    do {
        uint32_t n = 0, next = SYMBOLS;
        for (uint32_t s = 0; s < SYMBOLS; s++)
            if (weight[s]) heap[++n] = (uint16_t)s;
        for (uint32_t i = n / 2; i > 0; i--) sift_down(i, n);
        while (n > 1) {
            uint16_t a = heap[1];
            heap[1] = heap[n--];
            sift_down(1, n);
            uint16_t b = heap[1];
            weight[next] = weight[a] + weight[b];
            parent[a] = parent[b] = (uint16_t)next;
            heap[1] = (uint16_t)next++;
            sift_down(1, n);
        }
        longest = 0;
        for (uint32_t s = 0; s < SYMBOLS; s++) {
            uint32_t depth = 0;
            if (weight[s])
                for (uint32_t node = s; node != next - 1; node = parent[node]) depth++;
            code_length[s] = (uint8_t)depth;
            if (depth > longest) longest = depth;
        }
        if (longest > LONGEST)
            for (uint32_t s = 0; s < SYMBOLS; s++) weight[s] = weight[s] ? (weight[s] >> 1) + 1 : 0;
    } while (longest > LONGEST);
}

static NOINLINE void make_codes(void) {
    uint32_t next = 0;
    for (uint32_t length = 1; length <= LONGEST; length++) {
        for (uint32_t s = 0; s < SYMBOLS; s++) {
            if (code_length[s] != length) continue;
            code[s] = (uint16_t)next;
            uint32_t shift = LONGEST - length;
            for (uint32_t i = 0; i < 1u << shift; i++) decode_table[(next << shift) + i] = (uint16_t)(s << 4 | length);
            next++;
        }
        next <<= 1;
    }
}

static NOINLINE size_t encode(void) {
    uint64_t bits = 0;
    uint32_t held = 0;
    size_t at = 0;
    for (size_t i = 0; i < SIZE; i++) {
        uint8_t s = input[i];
        bits = bits << code_length[s] | code[s];
        held += code_length[s];
        while (held >= 8) stream[at++] = (uint8_t)(bits >> (held -= 8));
    }
    stream[at++] = (uint8_t)(bits << (8 - held));
    stream[at] = stream[at + 1] = stream[at + 2] = 0;
    return at;
}

static NOINLINE void decode(void) {
    uint64_t bits = 0;
    uint32_t held = 0;
    const uint8_t *p = stream;
    for (size_t i = 0; i < SIZE; i++) {
        while (held < LONGEST) {
            bits = bits << 8 | *p++;
            held += 8;
        }
        uint16_t hit = decode_table[bits >> (held - LONGEST) & ((1 << LONGEST) - 1)];
        held -= hit & 15;
        output[i] = (uint8_t)(hit >> 4);
    }
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        make_text(input, SIZE, &seed);
        for (uint32_t pass = 0; pass < 20; pass++) {
            memset(weight, 0, sizeof weight);
            for (size_t i = 0; i < SIZE; i++) weight[input[i]]++;
            make_lengths();
            make_codes();
            size_t n = encode();
            decode();
            if (memcmp(input, output, SIZE) != 0) kernel_fail("decoded text differs");
            sum = checksum_u64(sum, n);
            for (size_t i = 0; i < n; i += 173) sum = checksum_u64(sum, stream[i]);
            for (size_t i = pass; i < SIZE; i += 97) input[i] = (uint8_t)(input[i] + pass);
        }
    }
    return kernel_report("huffman", sum);
}
