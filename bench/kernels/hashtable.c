// A hash table with open addressing: insertion, lookup, deletion by moving entries back, growth.
#include "kernel.h"

typedef struct {
    uint64_t key; // 0: free
    uint64_t value;
} Entry;

typedef struct {
    Entry *entries;
    uint32_t mask, used;
} Table;

static inline uint32_t home(const Table *t, uint64_t key) {
    key *= 0x9FB21C651E98DF25ULL;
    return (uint32_t)(key ^ key >> 35) & t->mask;
}

static void table_new(Table *t, uint32_t capacity) {
    t->entries = calloc(capacity, sizeof(Entry));
    if (!t->entries) kernel_fail("out of memory");
    t->mask = capacity - 1;
    t->used = 0;
}

static NOINLINE Entry *find(const Table *t, uint64_t key) {
    uint32_t at = home(t, key);
    while (t->entries[at].key != key && t->entries[at].key != 0) at = (at + 1) & t->mask;
    return &t->entries[at];
}

static NOINLINE void grow(Table *t) {
    Table bigger;
    table_new(&bigger, (t->mask + 1) * 2);
    for (uint32_t i = 0; i <= t->mask; i++)
        if (t->entries[i].key) *find(&bigger, t->entries[i].key) = t->entries[i];
    bigger.used = t->used;
    free(t->entries);
    *t = bigger;
}

static void add(Table *t, uint64_t key, uint64_t amount) {
    if (t->used * 4 >= t->mask * 3) grow(t);
    Entry *entry = find(t, key);
    if (entry->key == 0) {
        entry->key = key;
        entry->value = 0;
        t->used++;
    }
    entry->value += amount;
}

static NOINLINE int removed(Table *t, uint64_t key) {
    Entry *entry = find(t, key);
    if (entry->key == 0) return 0;
    uint32_t hole = (uint32_t)(entry - t->entries);
    for (uint32_t at = (hole + 1) & t->mask; t->entries[at].key; at = (at + 1) & t->mask) {
        uint32_t wanted = home(t, t->entries[at].key);
        if (((at - wanted) & t->mask) >= ((at - hole) & t->mask)) {
            t->entries[hole] = t->entries[at];
            hole = at;
        }
    }
    t->entries[hole].key = 0;
    t->used--;
    return 1;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        Table table;
        uint64_t seed = random_seed(round), hits = 0;
        table_new(&table, 64);
        for (int i = 0; i < 1800000; i++) add(&table, (random_next(&seed) >> 40 & 0xffff) + 1, (uint64_t)i);
        for (int i = 0; i < 1800000; i++) hits += find(&table, (random_next(&seed) >> 40 & 0x1ffff) + 1)->key != 0;
        for (uint64_t key = 1; key < 0x10000; key += 3) hits += (uint64_t)removed(&table, key) << 32;
        sum = checksum_u64(checksum_u64(sum, hits), table.used);
        for (uint64_t key = 1; key < 0x10000; key++) {
            const Entry *entry = find(&table, key);
            if (entry->key) sum = checksum_u64(sum, entry->value);
        }
        free(table.entries);
    }
    return kernel_report("hashtable", sum);
}
