// Markdown to HTML: headings, paragraphs, quotes, lists, code, tables, rules, emphasis, links and images.
//
//   vm run --dir . markdown.wasm README.md > readme.html
//   vm run markdown.wasm < README.md
//
// Lines are read once; blocks are opened and closed as their first characters say; text is written as it is met. Raw
// HTML is shown, not passed on.
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE 65536
#define NESTING 16

typedef enum { PARAGRAPH, QUOTE, BULLETS, NUMBERS, ITEM, CODE, TABLE } Block;

static const char *const tags[] = {"p", "blockquote", "ul", "ol", "li", "pre", "table"};

// Blocks that are open, outermost first; `indent` is the column at which a list's text begins.
static struct {
    Block block;
    size_t indent;
} open_blocks[NESTING];
static size_t depth;

static void put_escaped(char c) {
    switch (c) {
    case '<': fputs("&lt;", stdout); break;
    case '>': fputs("&gt;", stdout); break;
    case '&': fputs("&amp;", stdout); break;
    case '"': fputs("&quot;", stdout); break;
    default: putchar(c);
    }
}

static void put_range(const char *from, const char *to) {
    while (from < to) put_escaped(*from++);
}

static void close_to(size_t wanted) {
    while (depth > wanted) {
        Block block = open_blocks[--depth].block;
        if (block == TABLE) fputs("</tbody>", stdout);
        printf("</%s>\n", tags[block]);
    }
}

static void open_block(Block block, size_t indent) {
    if (depth == NESTING) close_to(NESTING - 1);
    open_blocks[depth].block = block;
    open_blocks[depth++].indent = indent;
    printf("<%s>%s", tags[block], block == QUOTE || block == BULLETS || block == NUMBERS ? "\n" : "");
}

static bool inside(Block block) { return depth && open_blocks[depth - 1].block == block; }

// Where `mark` occurs in text[0..n] outside of code, or NULL.
static const char *find(const char *text, const char *end, const char *mark) {
    size_t n = strlen(mark);
    bool code = false;
    for (const char *p = text; p + n <= end; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
            continue;
        }
        if (!code && strncmp(p, mark, n) == 0) return p;
        if (*p == '`') code = !code;
    }
    return NULL;
}

static void inline_text(const char *p, const char *end);

// [text](target) and ![text](target); returns what follows, or NULL when it is neither.
static const char *link_or_image(const char *p, const char *end) {
    bool image = *p == '!';
    const char *text = p + image + 1;
    const char *close = find(text, end, "](");
    const char *after = close ? find(close + 2, end, ")") : NULL;
    if (!after) return NULL;
    printf(image ? "<img src=\"" : "<a href=\"");
    put_range(close + 2, after);
    if (image) {
        printf("\" alt=\"");
        put_range(text, close);
        printf("\">");
    } else {
        printf("\">");
        inline_text(text, close);
        printf("</a>");
    }
    return after + 1;
}

// A span between two equal marks; returns what follows, or NULL when the second is missing.
static const char *span(const char *p, const char *end, const char *mark, const char *tag) {
    size_t n = strlen(mark);
    if ((size_t)(end - p) < 2 * n || strncmp(p, mark, n) != 0 || isspace((unsigned char)p[n])) return NULL;
    const char *close = find(p + n, end, mark);
    if (!close || close == p + n) return NULL;
    printf("<%s>", tag);
    if (*mark == '`') put_range(p + n, close);
    else inline_text(p + n, close);
    printf("</%s>", tag);
    return close + n;
}

static void inline_text(const char *p, const char *end) {
    static const struct {
        const char *mark, *tag;
    } spans[] = {{"``", "code"}, {"`", "code"}, {"**", "strong"}, {"__", "strong"}, {"~~", "del"}, {"*", "em"}};
    while (p < end) {
        const char *after = NULL;
        if (*p == '\\' && p + 1 < end && ispunct((unsigned char)p[1])) {
            put_escaped(p[1]);
            p += 2;
            continue;
        }
        if (*p == '[' || (*p == '!' && p + 1 < end && p[1] == '[')) after = link_or_image(p, end);
        for (size_t i = 0; !after && i < sizeof spans / sizeof spans[0]; i++) after = span(p, end, spans[i].mark, spans[i].tag);
        if (after) p = after;
        else put_escaped(*p++);
    }
}

// Three or more of the same mark and nothing else.
static bool is_rule(const char *p) {
    char mark = *p;
    size_t count = 0;
    if (mark != '-' && mark != '*' && mark != '_') return false;
    for (; *p; p++) {
        if (*p == mark) count++;
        else if (*p != ' ') return false;
    }
    return count >= 3;
}

// The length of a list's mark with the space after it, or 0; says which kind it is.
static size_t list_mark(const char *p, Block *kind) {
    size_t n = 0;
    if ((*p == '-' || *p == '*' || *p == '+') && p[1] == ' ') n = 1, *kind = BULLETS;
    else {
        while (isdigit((unsigned char)p[n])) n++;
        if (n == 0 || n > 9 || (p[n] != '.' && p[n] != ')') || p[n + 1] != ' ') return 0;
        n++, *kind = NUMBERS;
    }
    while (p[n] == ' ') n++;
    return n;
}

static void table_row(const char *p, const char *cell_tag) {
    const char *end = p + strlen(p);
    while (end > p && end[-1] == ' ') end--;
    if (end > p && end[-1] == '|') end--;
    if (*p == '|') p++;
    printf("<tr>");
    while (p <= end) {
        const char *bar = find(p, end, "|");
        const char *stop = bar ? bar : end;
        const char *last = stop;
        while (p < last && *p == ' ') p++;
        while (last > p && last[-1] == ' ') last--;
        printf("<%s>", cell_tag);
        inline_text(p, last);
        printf("</%s>", cell_tag);
        p = stop + 1;
    }
    printf("</tr>\n");
}

// The line under a table's head: bars, dashes, colons.
static bool is_table_line(const char *p) { return *p && strspn(p, "|-: ") == strlen(p) && strchr(p, '-') && strchr(p, '|'); }

static void heading(const char *p) {
    size_t level = strspn(p, "#");
    const char *text = p + level;
    while (*text == ' ') text++;
    const char *end = text + strlen(text);
    while (end > text && (end[-1] == '#' || end[-1] == ' ')) end--;
    printf("<h%zu>", level);
    inline_text(text, end);
    printf("</h%zu>\n", level);
}

// Opens the list and the item that a mark at column `indent` asks for, closing what it ends.
static void list_item(Block kind, size_t indent, size_t text_column) {
    while (depth) {
        Block block = open_blocks[depth - 1].block;
        bool list = block == BULLETS || block == NUMBERS;
        if (list && open_blocks[depth - 1].indent <= indent && block == kind) break;
        if (block == ITEM && open_blocks[depth - 1].indent <= indent) break;
        if (block == QUOTE) break;
        close_to(depth - 1);
    }
    if (!inside(kind)) open_block(kind, indent);
    open_block(ITEM, text_column);
}

// Whether text that follows belongs to the open paragraph or item.
static void paragraph(const char *p) {
    const char *end = p + strlen(p);
    if (inside(PARAGRAPH) || inside(ITEM)) putchar(inside(PARAGRAPH) ? '\n' : ' ');
    else open_block(PARAGRAPH, 0);
    inline_text(p, end);
}

typedef struct {
    bool in_code, blank;
    char pending[LINE]; // a line that is a table's head if the next one says so
} State;

static void flush_pending(State *state) {
    if (state->pending[0]) {
        paragraph(state->pending);
        state->pending[0] = 0;
    }
}

static void line(State *state, char *text) {
    size_t indent = strspn(text, " ");
    char *p = text + indent;
    if (strncmp(p, "```", 3) == 0) {
        flush_pending(state);
        if (state->in_code) fputs("</code></pre>\n", stdout);
        else {
            close_to(0);
            fputs("<pre><code>", stdout);
        }
        state->in_code = !state->in_code;
        return;
    }
    if (state->in_code) {
        put_range(text, text + strlen(text));
        putchar('\n');
        return;
    }
    if (state->pending[0] && is_table_line(p)) {
        close_to(0);
        open_block(TABLE, 0);
        fputs("<thead>", stdout);
        table_row(state->pending, "th");
        fputs("</thead><tbody>\n", stdout);
        state->pending[0] = 0;
        return;
    }
    flush_pending(state);
    if (!*p) {
        while (inside(PARAGRAPH) || inside(TABLE)) close_to(depth - 1);
        state->blank = true;
        return;
    }
    Block kind = BULLETS;
    size_t mark = list_mark(p, &kind);
    size_t level = strspn(p, "#");
    if (state->blank && indent == 0 && !mark) close_to(0);
    state->blank = false;
    if (inside(TABLE) && strchr(p, '|')) table_row(p, "td");
    else if (level >= 1 && level <= 6 && p[level] == ' ') {
        close_to(0);
        heading(p);
    } else if (is_rule(p)) {
        close_to(0);
        fputs("<hr>\n", stdout);
    } else if (mark) {
        while (inside(PARAGRAPH)) close_to(depth - 1);
        list_item(kind, indent, indent + mark);
        inline_text(p + mark, p + strlen(p));
    } else if (*p == '>') {
        if (!depth || open_blocks[0].block != QUOTE) {
            close_to(0);
            open_block(QUOTE, 0);
        }
        p += p[1] == ' ' ? 2 : 1;
        if (*p) paragraph(p);
        else while (inside(PARAGRAPH)) close_to(depth - 1);
    } else if (strchr(p, '|')) {
        strcpy(state->pending, p);
    } else paragraph(p);
}

int main(int argc, char **argv) {
    static State state;
    static char text[LINE];
    FILE *in = stdin;
    if (argc > 2) {
        fputs("usage: markdown [FILE]\n", stderr);
        return 2;
    }
    if (argc == 2 && !(in = fopen(argv[1], "r"))) {
        fprintf(stderr, "markdown: ");
        perror(argv[1]);
        return 1;
    }
    while (fgets(text, sizeof text, in)) {
        size_t n = strlen(text);
        while (n && (text[n - 1] == '\n' || text[n - 1] == '\r')) text[--n] = 0;
        line(&state, text);
    }
    if (ferror(in)) {
        perror("markdown");
        return 1;
    }
    flush_pending(&state);
    if (state.in_code) fputs("</code></pre>\n", stdout);
    close_to(0);
    return fflush(stdout) == 0 ? 0 : 1;
}
