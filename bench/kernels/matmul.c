// Dense product of f64 matrices, in the loop order that walks memory forwards; the same with f32.
#include "kernel.h"

#define N 256

static double a[N][N], b[N][N], c[N][N];
static float fa[N][N], fb[N][N], fc[N][N];

static NOINLINE void product_f64(void) {
    memset(c, 0, sizeof c);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < N; k++) {
            double factor = a[i][k];
            for (int j = 0; j < N; j++) c[i][j] += factor * b[k][j];
        }
    }
}

static NOINLINE void product_f32(void) {
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            float total = 0;
            for (int k = 0; k < N; k++) total += fa[i][k] * fb[j][k];
            fc[i][j] = total;
        }
    }
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (int i = 0; i < N; i++) {
            for (int j = 0; j < N; j++) {
                a[i][j] = (double)(random_next(&seed) >> 44) * 0x1p-20;
                b[i][j] = (double)(random_next(&seed) >> 44) * 0x1p-20 - 0.5;
                fa[i][j] = (float)a[i][j];
                fb[i][j] = (float)b[i][j];
            }
        }
        for (int pass = 0; pass < 14; pass++) {
            product_f64();
            for (int i = 0; i < N; i++) sum = checksum_f64(sum, c[i][(i * 3 + pass) % N]);
            memcpy(b, c, sizeof b);
            for (int i = 0; i < N; i++)
                for (int j = 0; j < N; j++) b[i][j] *= 1.0 / N;
        }
        for (int pass = 0; pass < 2; pass++) {
            product_f32();
            for (int i = 0; i < N; i++) sum = checksum_f64(sum, fc[i][N - 1 - i]);
            memcpy(fa, fc, sizeof fa);
        }
    }
    return kernel_report("matmul", sum);
}
