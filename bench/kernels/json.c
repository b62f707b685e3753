// JSON: a document is built, printed, parsed into a tree, walked, printed again and compared. Recursive descent, small
// allocations, many branches on characters.
#include "kernel.h"

typedef enum { NUL, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT } Kind;

typedef struct Value {
    Kind kind;
    double number;
    char *text;          // STRING: its characters
    char *key;           // the key under which an object holds this value
    struct Value *first; // ARRAY, OBJECT
    struct Value *next;
} Value;

#define ARENA (24u << 20)
#define TEXT (4u << 20)

static char arena[ARENA];
static size_t arena_used;
static char printed[TEXT], again[TEXT];

static void *allocate(size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (arena_used + size > ARENA) kernel_fail("arena exhausted");
    void *p = arena + arena_used;
    arena_used += size;
    return p;
}

static Value *new_value(Kind kind) {
    Value *v = allocate(sizeof *v);
    memset(v, 0, sizeof *v);
    v->kind = kind;
    return v;
}

static char *random_text(uint64_t *seed) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJ\"\\\n\t/0123456789_-+.:,;{}[]";
    uint32_t n = 1 + (uint32_t)(random_next(seed) >> 60);
    char *text = allocate(n + 1);
    for (uint32_t i = 0; i < n; i++) text[i] = alphabet[(random_next(seed) >> 33) % (sizeof alphabet - 1)];
    text[n] = 0;
    return text;
}

static Value *random_value(uint64_t *seed, int depth) {
    uint32_t pick = (uint32_t)(random_next(seed) >> 33) % 10;
    Kind kind = depth > 6 ? pick % 5 : pick < 3 ? OBJECT : pick < 5 ? ARRAY : (Kind)(pick - 5);
    if (depth == 0) kind = ARRAY;
    Value *v = new_value(kind);
    if (kind == NUMBER) v->number = (double)((int64_t)random_next(seed) >> 20) / 1024.0;
    if (kind == STRING) v->text = random_text(seed);
    if (kind >= ARRAY) {
        uint32_t children = depth == 0 ? 1200 : (uint32_t)(random_next(seed) >> 33) % 6;
        Value **link = &v->first;
        while (children--) {
            *link = random_value(seed, depth + 1);
            if (kind == OBJECT) (*link)->key = random_text(seed);
            link = &(*link)->next;
        }
    }
    return v;
}

static char *print_text(char *out, const char *text) {
    *out++ = '"';
    for (; *text; text++) {
        switch (*text) {
        case '"': *out++ = '\\', *out++ = '"'; break;
        case '\\': *out++ = '\\', *out++ = '\\'; break;
        case '\n': *out++ = '\\', *out++ = 'n'; break;
        case '\t': *out++ = '\\', *out++ = 't'; break;
        default: *out++ = *text;
        }
    }
    *out++ = '"';
    return out;
}

// Integer part and the ten binary places that numbers of this document have, exactly, as decimals.
static char *print_number(char *out, double number) {
    if (number < 0) *out++ = '-', number = -number;
    uint64_t whole = (uint64_t)number;
    uint64_t fraction = (uint64_t)((number - (double)whole) * 1024.0) * 9765625u; // * 10^10 / 2^10
    char digits[24];
    int n = 0;
    do digits[n++] = (char)('0' + whole % 10);
    while (whole /= 10);
    while (n) *out++ = digits[--n];
    if (fraction) {
        *out++ = '.';
        for (uint64_t unit = 1000000000u; fraction; unit /= 10) {
            *out++ = (char)('0' + fraction / unit);
            fraction %= unit;
        }
    }
    return out;
}

static char *print_word(char *out, const char *word) {
    size_t n = strlen(word);
    memcpy(out, word, n);
    return out + n;
}

static NOINLINE char *print(char *out, const Value *v) {
    switch (v->kind) {
    case NUL: return print_word(out, "null");
    case FALSE: return print_word(out, "false");
    case TRUE: return print_word(out, "true");
    case NUMBER: return print_number(out, v->number);
    case STRING: return print_text(out, v->text);
    case ARRAY:
    case OBJECT: break;
    }
    if (out > printed + TEXT - 4096 && out < printed + TEXT) kernel_fail("text too long");
    *out++ = v->kind == ARRAY ? '[' : '{';
    for (const Value *child = v->first; child; child = child->next) {
        if (child != v->first) *out++ = ',';
        if (v->kind == OBJECT) {
            out = print_text(out, child->key);
            *out++ = ':';
        }
        out = print(out, child);
    }
    *out++ = v->kind == ARRAY ? ']' : '}';
    return out;
}

static const char *cursor;

static void skip_space(void) {
    while (*cursor == ' ' || *cursor == '\n' || *cursor == '\t' || *cursor == '\r') cursor++;
}

static void expect(char c) {
    if (*cursor++ != c) kernel_fail("syntax error");
}

static char *parse_text(void) {
    expect('"');
    const char *end = cursor;
    while (*end && *end != '"') end += *end == '\\' ? 2 : 1;
    char *text = allocate((size_t)(end - cursor) + 1), *out = text;
    while (*cursor != '"') {
        char c = *cursor++;
        if (c == '\\') {
            c = *cursor++;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        }
        *out++ = c;
    }
    cursor++;
    *out = 0;
    return text;
}

static double parse_number(void) {
    int negative = *cursor == '-';
    cursor += negative;
    uint64_t digits = 0;
    for (; *cursor >= '0' && *cursor <= '9'; cursor++) digits = digits * 10 + (uint64_t)(*cursor - '0');
    double value = (double)digits;
    if (*cursor == '.') {
        uint64_t fraction = 0, unit = 1;
        for (cursor++; *cursor >= '0' && *cursor <= '9'; cursor++, unit *= 10) fraction = fraction * 10 + (uint64_t)(*cursor - '0');
        value += (double)fraction / (double)unit;
    }
    return negative ? -value : value;
}

static Value *parse_word(const char *word, Kind kind) {
    for (; *word; word++) expect(*word);
    return new_value(kind);
}

static NOINLINE Value *parse(void) {
    skip_space();
    Value *v;
    switch (*cursor) {
    case 'n': return parse_word("null", NUL);
    case 'f': return parse_word("false", FALSE);
    case 't': return parse_word("true", TRUE);
    case '"':
        v = new_value(STRING);
        v->text = parse_text();
        return v;
    case '[':
    case '{': v = new_value(*cursor == '[' ? ARRAY : OBJECT); break;
    default:
        v = new_value(NUMBER);
        v->number = parse_number();
        return v;
    }
    char close = *cursor++ == '[' ? ']' : '}';
    Value **link = &v->first;
    for (skip_space(); *cursor != close; skip_space()) {
        if (link != &v->first) expect(',');
        char *key = NULL;
        if (v->kind == OBJECT) {
            skip_space();
            key = parse_text();
            skip_space();
            expect(':');
        }
        *link = parse();
        (*link)->key = key;
        link = &(*link)->next;
    }
    cursor++;
    return v;
}

static NOINLINE uint64_t walk(const Value *v, uint64_t sum) {
    sum = checksum_u64(sum, v->kind);
    if (v->kind == NUMBER) sum = checksum_f64(sum, v->number);
    for (const Value *child = v->first; child; child = child->next) sum = walk(child, sum);
    return sum;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        arena_used = 0;
        Value *document = random_value(&seed, 0);
        size_t base = arena_used;
        size_t n = (size_t)(print(printed, document) - printed);
        printed[n] = 0;
        for (int pass = 0; pass < 36; pass++) {
            arena_used = base;
            cursor = printed;
            Value *parsed = parse();
            if (*cursor != 0) kernel_fail("text after the document");
            sum = walk(parsed, sum);
            size_t m = (size_t)(print(again, parsed) - again);
            if (m != n || memcmp(printed, again, n) != 0) kernel_fail("printed document differs");
        }
        sum = checksum_u64(sum, n);
    }
    return kernel_report("json", sum);
}
