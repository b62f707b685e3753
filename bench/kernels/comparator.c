// Sorting records through a comparison function: a merge sort whose every comparison is an indirect call.
#include "kernel.h"

#define SIZE 40000

typedef struct {
    uint32_t key;
    uint16_t group;
    uint16_t rank;
    double weight;
} Record;

typedef int (*Compare)(const void *, const void *);

static Record original[SIZE], work[SIZE], scratch[SIZE];

static int by_key(const void *p, const void *q) {
    const Record *a = p, *b = q;
    return (a->key > b->key) - (a->key < b->key);
}

static int by_group_then_rank(const void *p, const void *q) {
    const Record *a = p, *b = q;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (int)a->rank - (int)b->rank;
}

static int by_weight_descending(const void *p, const void *q) {
    const Record *a = p, *b = q;
    return (a->weight < b->weight) - (a->weight > b->weight);
}

// volatile: which function is called is not to be known when the program is compiled.
static Compare volatile orders[3] = {by_key, by_group_then_rank, by_weight_descending};

static NOINLINE void merge_sort(Record *v, Record *space, uint32_t n, Compare compare) {
    if (n < 2) return;
    uint32_t half = n / 2;
    merge_sort(v, space, half, compare);
    merge_sort(v + half, space, n - half, compare);
    memcpy(space, v, half * sizeof *v);
    uint32_t left = 0, right = half, out = 0;
    while (left < half && right < n) {
        if (compare(&space[left], &v[right]) <= 0) v[out++] = space[left++];
        else v[out++] = v[right++];
    }
    memcpy(v + out, space + left, (half - left) * sizeof *v);
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (uint32_t i = 0; i < SIZE; i++) {
            uint64_t r = random_next(&seed);
            original[i] = (Record){(uint32_t)r, (uint16_t)(r >> 32 & 0xff), (uint16_t)(r >> 48), (double)(r >> 20 & 0xffffff)};
        }
        for (int pass = 0; pass < 12; pass++) {
            Compare compare = orders[pass % 3];
            memcpy(work, original, sizeof work);
            merge_sort(work, scratch, SIZE, compare);
            for (uint32_t i = 1; i < SIZE; i++)
                if (compare(&work[i - 1], &work[i]) > 0) kernel_fail("not sorted");
            for (uint32_t i = 0; i < SIZE; i += 101) sum = checksum_u64(sum, work[i].key);
        }
    }
    return kernel_report("comparator", sum);
}
