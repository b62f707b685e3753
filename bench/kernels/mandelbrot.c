// A floating point loop with a data-dependent exit and nothing in memory: escape times of the Mandelbrot set.
#include "kernel.h"

#define SIZE 480
#define LIMIT 500

static NOINLINE uint32_t escape_time(double cx, double cy) {
    double x = 0, y = 0, xx = 0, yy = 0;
    uint32_t n = 0;
    while (n < LIMIT && xx + yy <= 4.0) {
        y = 2 * x * y + cy;
        x = xx - yy + cx;
        xx = x * x;
        yy = y * y;
        n++;
    }
    return n;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        double zoom = 1.0 / (1.0 + 0.05 * round);
        for (int py = 0; py < SIZE; py++) {
            uint32_t row = 0;
            for (int px = 0; px < SIZE; px++) {
                double cx = -0.74 + zoom * (3.0 * px / SIZE - 1.5);
                double cy = 0.1 + zoom * (2.6 * py / SIZE - 1.3);
                row = row * 31 + escape_time(cx, cy);
            }
            sum = checksum_u64(sum, row);
        }
    }
    return kernel_report("mandelbrot", sum);
}
