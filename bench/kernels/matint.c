// Blocked product of 32-bit integer matrices, and powers of a small 64-bit one: address arithmetic in deep loop nests.
#include "kernel.h"

#define N 256
#define BLOCK 32
#define M 12

static int32_t a[N * N], b[N * N], c[N * N];

static NOINLINE void blocked_product(uint32_t n, uint32_t block) {
    memset(c, 0, sizeof c);
    for (uint32_t ii = 0; ii < n; ii += block)
        for (uint32_t kk = 0; kk < n; kk += block)
            for (uint32_t jj = 0; jj < n; jj += block)
                for (uint32_t i = ii; i < ii + block; i++)
                    for (uint32_t j = jj; j < jj + block; j++) {
                        int32_t total = c[i * n + j];
                        for (uint32_t k = kk; k < kk + block; k++)
                            total = (int32_t)((uint32_t)total + (uint32_t)a[i * n + k] * (uint32_t)b[k * n + j]);
                        c[i * n + j] = total;
                    }
}

static NOINLINE void small_square(uint64_t m[M][M]) {
    uint64_t out[M][M];
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++) {
            uint64_t total = 0;
            for (int k = 0; k < M; k++) total += m[i][k] * m[k][j];
            out[i][j] = total ^ total >> 29;
        }
    memcpy(m, out, sizeof out);
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (int i = 0; i < N * N; i++) {
            a[i] = (int32_t)random_next(&seed);
            b[i] = (int32_t)random_next(&seed);
        }
        for (int pass = 0; pass < 8; pass++) {
            blocked_product(N, BLOCK);
            memcpy(a, c, sizeof a);
            for (int i = 0; i < N; i++) sum = checksum_u64(sum, (uint32_t)c[i * N + (i * 5 + pass) % N]);
        }
        uint64_t m[M][M];
        for (int i = 0; i < M * M; i++) m[i / M][i % M] = random_next(&seed);
        for (int pass = 0; pass < 8000; pass++) small_square(m);
        sum = checksum_u64(sum, m[3][5]);
    }
    return kernel_report("matint", sum);
}
