// Conway's Game of Life on a torus, drawn with two cells per character.
//
//   vm run life.wasm [GENERATIONS] [WIDTH] [HEIGHT] [PATTERN]
//   vm run --dir . life.wasm 200 80 48 pattern.txt
//
// A pattern is a file of '.' and 'O', one line per row; "-" is standard input. Without one the board starts with
// Gosper's glider gun.
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const gun[] = {
    "........................O...........", "......................O.O...........", "............OO......OO............OO",
    "...........O...O....OO............OO", "OO........O.....O...OO..............", "OO........O...O.OO....O.O...........",
    "..........O.....O.......O...........", "...........O...O....................", "............OO......................",
};

typedef struct {
    unsigned width, height;
    uint8_t *cells, *next;
} Board;

static unsigned number(const char *text, unsigned least, unsigned most, const char *what) {
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most) {
        fprintf(stderr, "life: %s is a number from %u to %u, not \"%s\"\n", what, least, most, text);
        exit(2);
    }
    return (unsigned)value;
}

static void place(Board *board, const char *row, unsigned x, unsigned y) {
    for (; *row && *row != '\n' && x < board->width; row++, x++) board->cells[y * board->width + x] = *row == 'O';
}

static void read_pattern(Board *board, const char *path) {
    char line[1026];
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    for (unsigned y = 0; file && y < board->height && fgets(line, sizeof line, file);)
        if (line[0] != '!') place(board, line, 0, y++); // others are comments
    if (!file || ferror(file)) {
        fprintf(stderr, "life: %s: %s\n", path, strerror(errno));
        exit(1);
    }
}

static void step(Board *board) {
    unsigned w = board->width, h = board->height;
    for (unsigned y = 0; y < h; y++) {
        const uint8_t *above = board->cells + (y + h - 1) % h * w;
        const uint8_t *here = board->cells + y * w;
        const uint8_t *below = board->cells + (y + 1) % h * w;
        for (unsigned x = 0; x < w; x++) {
            unsigned l = (x + w - 1) % w, r = (x + 1) % w;
            unsigned n = above[l] + above[x] + above[r] + here[l] + here[r] + below[l] + below[x] + below[r];
            board->next[y * w + x] = n == 3 || (n == 2 && here[x]);
        }
    }
    uint8_t *t = board->cells;
    board->cells = board->next;
    board->next = t;
}

static void draw(const Board *board) {
    static const char *const blocks[4] = {" ", "▀", "▄", "█"};
    for (unsigned y = 0; y < board->height; y += 2) {
        const uint8_t *upper = board->cells + y * board->width;
        const uint8_t *lower = y + 1 < board->height ? upper + board->width : NULL;
        unsigned used = board->width;
        while (used && !upper[used - 1] && !(lower && lower[used - 1])) used--;
        for (unsigned x = 0; x < used; x++) fputs(blocks[upper[x] | (lower ? lower[x] : 0) << 1], stdout);
        putchar('\n');
    }
}

int main(int argc, char **argv) {
    unsigned generations = argc > 1 ? number(argv[1], 0, 1000000, "the count of generations") : 150;
    Board board = {argc > 2 ? number(argv[2], 3, 1024, "the width") : 76, argc > 3 ? number(argv[3], 3, 1024, "the height") : 40, 0, 0};
    size_t size = (size_t)board.width * board.height;
    board.cells = calloc(size, 1);
    board.next = calloc(size, 1);
    if (!board.cells || !board.next) {
        fputs("life: out of memory\n", stderr);
        return 1;
    }
    if (argc > 4) read_pattern(&board, argv[4]);
    else
        for (unsigned y = 0; y < sizeof gun / sizeof gun[0] && y + 1 < board.height; y++) place(&board, gun[y], 1, y + 1);
    for (unsigned i = 0; i < generations; i++) step(&board);
    draw(&board);
    unsigned alive = 0;
    for (size_t i = 0; i < size; i++) alive += board.cells[i];
    printf("generation %u, %u cells alive\n", generations, alive);
    free(board.cells);
    free(board.next);
    return 0;
}
