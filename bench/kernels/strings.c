// String routines: lengths, copies, comparisons, substring search in two ways, splitting and case folding.
#include "text.h"

#define SIZE 300000

static char text[SIZE + 1], copy[SIZE + 1];
static uint32_t shift_table[256];

static NOINLINE uint32_t naive_search(const char *hay, const char *needle) {
    uint32_t found = 0;
    for (; *hay; hay++) {
        const char *h = hay, *n = needle;
        while (*n && *h == *n) h++, n++;
        found += !*n;
    }
    return found;
}

// Horspool's search: skips by the last byte of the window.
static NOINLINE uint32_t skip_search(const char *hay, size_t hay_length, const char *needle) {
    size_t n = strlen(needle);
    uint32_t found = 0;
    for (int i = 0; i < 256; i++) shift_table[i] = (uint32_t)n;
    for (size_t i = 0; i + 1 < n; i++) shift_table[(uint8_t)needle[i]] = (uint32_t)(n - 1 - i);
    for (size_t at = 0; at + n <= hay_length; at += shift_table[(uint8_t)hay[at + n - 1]])
        found += memcmp(hay + at, needle, n) == 0;
    return found;
}

static NOINLINE void fold_case(char *s) {
    int start = 1;
    for (; *s; s++) {
        if (*s >= 'a' && *s <= 'z' && start) *s -= 'a' - 'A';
        else if (*s >= 'A' && *s <= 'Z' && !start) *s += 'a' - 'A';
        start = *s == ' ' || *s == '\n';
    }
}

// Splits in place at spaces, then measures and compares neighbours with the C library's routines.
static NOINLINE uint64_t words(char *s) {
    uint64_t sum = 0;
    char *end = s + SIZE, *before = NULL;
    for (char *p = s; p < end; p++)
        if (*p == ' ' || *p == '\n' || *p == ',') *p = 0;
    for (char *p = s; p < end;) {
        size_t n = strlen(p);
        if (n && before) {
            int order = strcmp(before, p);
            sum = sum * 31 + (order > 0) - (order < 0) + n;
        }
        if (n) before = p;
        p += n + 1;
    }
    return sum;
}

static NOINLINE void reverse(char *s, size_t n) {
    for (size_t i = 0, j = n - 1; i < j; i++, j--) {
        char t = s[i];
        s[i] = s[j];
        s[j] = t;
    }
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        make_text((uint8_t *)text, SIZE, &seed);
        for (uint32_t pass = 0; pass < 32; pass++) {
            const char *needle = vocabulary[(pass * 37 + round) % VOCABULARY];
            sum = checksum_u64(sum, strlen(text));
            sum = checksum_u64(sum, naive_search(text, needle));
            sum = checksum_u64(sum, skip_search(text, SIZE, needle));
            sum = checksum_u64(sum, strstr(text, needle) != NULL);
            memcpy(copy, text, SIZE + 1);
            fold_case(copy);
            sum = checksum_u64(sum, words(copy));
            for (size_t at = 0; at + 64 < SIZE; at += 64) memmove(copy + at, copy + at + 13 + pass, 40);
            reverse(copy, SIZE);
            sum = checksum_u64(sum, (uint64_t)(uint8_t)copy[pass * 1000] << 8 | (uint8_t)copy[SIZE / 2]);
        }
    }
    return kernel_report("strings", sum);
}
