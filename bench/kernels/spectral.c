// Floating point with integer arithmetic and divisions in the inner loop: the spectral norm of an infinite matrix, by
// the power method on its leading part.
#include "kernel.h"

#define SIZE 420

static double u[SIZE], v[SIZE], scratch[SIZE];

// Entry (i, j) of the matrix: one over the number of the cell when cells are counted along diagonals.
static inline double entry(uint32_t i, uint32_t j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static NOINLINE void multiply(const double *in, double *out) {
    for (uint32_t i = 0; i < SIZE; i++) {
        double total = 0;
        for (uint32_t j = 0; j < SIZE; j++) total += entry(i, j) * in[j];
        out[i] = total;
    }
}

static NOINLINE void multiply_transposed(const double *in, double *out) {
    for (uint32_t i = 0; i < SIZE; i++) {
        double total = 0;
        for (uint32_t j = 0; j < SIZE; j++) total += entry(j, i) * in[j];
        out[i] = total;
    }
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        for (uint32_t i = 0; i < SIZE; i++) u[i] = 1.0 + (double)((i * 7 + round) % 5);
        for (int step = 0; step < 70; step++) {
            multiply(u, scratch);
            multiply_transposed(scratch, v);
            multiply(v, scratch);
            multiply_transposed(scratch, u);
        }
        double uv = 0, vv = 0;
        for (uint32_t i = 0; i < SIZE; i++) {
            uv += u[i] * v[i];
            vv += v[i] * v[i];
        }
        sum = checksum_f64(sum, __builtin_sqrt(uv / vv));
    }
    return kernel_report("spectral", sum);
}
