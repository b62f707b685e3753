/* Counts the ways to place queens on boards up to a size, and says how the last board's first way looks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rows[16], first[16];
static long place(int size, int row, unsigned columns, unsigned rising, unsigned falling) {
    if (row == size) {
        if (first[0] < 0) memcpy(first, rows, sizeof rows);
        return 1;
    }
    long ways = 0;
    for (int c = 0; c < size; c++) {
        unsigned a = 1u << c, b = 1u << (row + c), d = 1u << (row - c + size);
        if (columns & a || rising & b || falling & d) continue;
        rows[row] = c;
        ways += place(size, row + 1, columns | a, rising | b, falling | d);
    }
    return ways;
}

int main(int argc, char **argv) {
    int most = argc > 1 ? atoi(argv[1]) : 6;
    if (most < 1 || most > 12) {
        fprintf(stderr, "a size from 1 to 12\n");
        return 3;
    }
    for (int size = 1; size <= most; size++) {
        first[0] = -1;
        printf("%2d: %6ld  (%.3f of all)\n", size, place(size, 0, 0, 0, 0), 1.0 / size);
    }
    for (int i = 0; i < most; i++) printf("%d ", first[i]);
    puts("");
    return 0;
}
