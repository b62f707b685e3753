// Sorting integers in place: quicksort with insertion sort at the leaves, then heap sort on the same data.
#include "kernel.h"

#define SIZE 200000

static int32_t original[SIZE], work[SIZE];

static void insertion_sort(int32_t *v, int32_t lo, int32_t hi) {
    for (int32_t i = lo + 1; i <= hi; i++) {
        int32_t value = v[i], j = i;
        while (j > lo && v[j - 1] > value) {
            v[j] = v[j - 1];
            j--;
        }
        v[j] = value;
    }
}

static int32_t median(int32_t a, int32_t b, int32_t c) {
    return a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
}

static NOINLINE void quicksort(int32_t *v, int32_t lo, int32_t hi) {
    while (hi - lo > 16) {
        int32_t pivot = median(v[lo], v[lo + (hi - lo) / 2], v[hi]);
        int32_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) i++;
            while (v[j] > pivot) j--;
            if (i <= j) {
                int32_t t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (j - lo < hi - i) {
            quicksort(v, lo, j);
            lo = i;
        } else {
            quicksort(v, i, hi);
            hi = j;
        }
    }
    insertion_sort(v, lo, hi);
}

static void sift_down(int32_t *v, uint32_t root, uint32_t n) {
    int32_t value = v[root];
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= n) break;
        if (child + 1 < n && v[child + 1] > v[child]) child++;
        if (v[child] <= value) break;
        v[root] = v[child];
        root = child;
    }
    v[root] = value;
}

static NOINLINE void heap_sort(int32_t *v, uint32_t n) {
    for (uint32_t i = n / 2; i-- > 0;) sift_down(v, i, n);
    for (uint32_t i = n - 1; i > 0; i--) {
        int32_t t = v[0];
        v[0] = v[i];
        v[i] = t;
        sift_down(v, 0, i);
    }
}

static uint64_t sample(uint64_t sum) {
    for (uint32_t i = 1; i < SIZE; i++)
        if (work[i - 1] > work[i]) kernel_fail("not sorted");
    for (uint32_t i = 0; i < SIZE; i += 997) sum = checksum_u64(sum, (uint32_t)work[i]);
    return sum;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (uint32_t pass = 0; pass < 3; pass++) {
            for (uint32_t i = 0; i < SIZE; i++) original[i] = (int32_t)(random_next(&seed) >> (32 + 6 * pass));
            memcpy(work, original, sizeof work);
            quicksort(work, 0, SIZE - 1);
            sum = sample(sum);
            memcpy(work, original, sizeof work);
            heap_sort(work, SIZE);
            sum = sample(sum);
        }
    }
    return kernel_report("sort", sum);
}
