// Made-up prose for the kernels that need compressible text: words of two to four syllables, common ones more often.
#ifndef TEXT_H
#define TEXT_H

#include "kernel.h"

#define VOCABULARY 700
#define LONGEST_WORD 12

static char vocabulary[VOCABULARY][LONGEST_WORD];
static uint8_t word_length[VOCABULARY];

static void make_vocabulary(uint64_t *seed) {
    static const char consonants[] = "bcdfghklmnprstvw", vowels[] = "aeiouaei";
    for (int w = 0; w < VOCABULARY; w++) {
        int length = 0;
        int syllables = 1 + (int)(random_next(seed) >> 33) % 4;
        for (int s = 0; s < syllables; s++) {
            vocabulary[w][length++] = consonants[random_next(seed) >> 60];
            vocabulary[w][length++] = vowels[random_next(seed) >> 61];
            if (random_next(seed) >> 62 == 0) vocabulary[w][length++] = consonants[random_next(seed) >> 60];
        }
        word_length[w] = (uint8_t)length;
    }
}

// Fills exactly `size` bytes with words, commas and lines.
static void make_text(uint8_t *out, size_t size, uint64_t *seed) {
    size_t at = 0, column = 0;
    make_vocabulary(seed);
    while (at < size) {
        // The product of two uniform numbers prefers the start of the vocabulary.
        uint64_t r = random_next(seed);
        uint32_t w = (uint32_t)((r >> 48) * (r >> 32 & 0xffff) * VOCABULARY >> 32);
        for (int i = 0; i < word_length[w] && at < size; i++) out[at++] = (uint8_t)vocabulary[w][i];
        column += word_length[w] + 1u;
        if (at < size && (r & 15) == 0) out[at++] = ',';
        if (at < size) out[at++] = column > 70 ? (column = 0, '\n') : ' ';
    }
}

#endif
