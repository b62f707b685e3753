// Explicit 128-bit vectors, through the compiler's portable vector types so that the same source is native code too:
// pixel blending in bytes with widening to 16 bits, a dot product in i32, a filter in f32, a shuffled transposition.
// Built with -msimd128 for WebAssembly.
#include "kernel.h"

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x8 __attribute__((vector_size(8)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));

#define PIXELS (1 << 18)
#define SAMPLES 65536
#define TAPS 16
#define SIDE 512

static u8x16 under[PIXELS / 16], over[PIXELS / 16];
static i32x4 left[SAMPLES / 4], right[SAMPLES / 4];
static float signal[SAMPLES + TAPS];
static f32x4 filtered[SAMPLES / 4];
static i32x4 matrix[SIDE * SIDE / 4], transposed[SIDE * SIDE / 4];

static NOINLINE void blend(uint16_t alpha) {
    u16x8 weight = {alpha, alpha, alpha, alpha, alpha, alpha, alpha, alpha};
    for (int i = 0; i < PIXELS / 16; i++) {
        u8x16 a = under[i], b = over[i];
        u16x8 a_low = __builtin_convertvector(__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7), u16x8);
        u16x8 b_low = __builtin_convertvector(__builtin_shufflevector(b, b, 0, 1, 2, 3, 4, 5, 6, 7), u16x8);
        u16x8 a_high = __builtin_convertvector(__builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15), u16x8);
        u16x8 b_high = __builtin_convertvector(__builtin_shufflevector(b, b, 8, 9, 10, 11, 12, 13, 14, 15), u16x8);
        u8x8 low = __builtin_convertvector((a_low * (256 - weight) + b_low * weight) >> 8, u8x8);
        u8x8 high = __builtin_convertvector((a_high * (256 - weight) + b_high * weight) >> 8, u8x8);
        under[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
}

static NOINLINE int32_t dot(void) {
    i32x4 total = {0, 0, 0, 0};
    for (int i = 0; i < SAMPLES / 4; i++) {
        i32x4 larger = left[i] > right[i]; // all ones where true
        total += left[i] * right[i] + (left[i] & larger) - (right[i] & ~larger);
    }
    return total[0] ^ total[1] ^ total[2] ^ total[3];
}

static NOINLINE void filter(const float *taps) {
    for (int i = 0; i < SAMPLES / 4; i++) {
        f32x4 total = {0, 0, 0, 0};
        for (int t = 0; t < TAPS; t++) {
            f32x4 samples;
            memcpy(&samples, signal + 4 * i + t, 16);
            total += samples * taps[t];
        }
        filtered[i] = total;
    }
}

static NOINLINE void transpose(void) {
    const int row = SIDE / 4;
    for (int y = 0; y < SIDE; y += 4)
        for (int x = 0; x < row; x++) {
            i32x4 a = matrix[y * row + x], b = matrix[(y + 1) * row + x];
            i32x4 c = matrix[(y + 2) * row + x], d = matrix[(y + 3) * row + x];
            i32x4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
            i32x4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
            i32x4 *out = &transposed[4 * x * row + y / 4];
            out[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
            out[row] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
            out[2 * row] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
            out[3 * row] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
        }
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        float taps[TAPS];
        for (int i = 0; i < PIXELS; i++) ((uint8_t *)under)[i] = (uint8_t)(random_next(&seed) >> 40);
        for (int i = 0; i < PIXELS; i++) ((uint8_t *)over)[i] = (uint8_t)(random_next(&seed) >> 40);
        for (int i = 0; i < SAMPLES; i++) left[i / 4][i % 4] = (int32_t)(random_next(&seed) >> 48);
        for (int i = 0; i < SAMPLES; i++) right[i / 4][i % 4] = (int32_t)(random_next(&seed) >> 48);
        for (int i = 0; i < SAMPLES + TAPS; i++) signal[i] = (float)(random_next(&seed) >> 48) - 32768.0f;
        for (int i = 0; i < SIDE * SIDE; i++) matrix[i / 4][i % 4] = (int32_t)random_next(&seed);
        for (int t = 0; t < TAPS; t++) taps[t] = (float)(t + 1) / 128.0f;
        for (int pass = 0; pass < 320; pass++) {
            blend((uint16_t)(16 + pass % 60 * 4));
            over[pass] ^= under[pass];
            sum = checksum_u64(sum, (uint32_t)dot());
            left[pass] = left[pass] + pass;
            filter(taps);
            sum = checksum_f64(sum, filtered[(pass * 131) % (SAMPLES / 4)][pass % 4]);
            taps[pass % TAPS] += 0.0078125f;
            if (pass % 8 == 0) {
                transpose();
                memcpy(matrix, transposed, sizeof matrix / 2);
                sum = checksum_u64(sum, (uint32_t)matrix[pass * 197][pass % 4]);
            }
        }
        for (int i = 0; i < PIXELS / 16; i += 37) sum = checksum_u64(sum, under[i][i % 16]);
    }
    return kernel_report("simd", sum);
}
