// Indirect calls: a table of small functions called in data-dependent order, and objects with methods of their own.
#include "kernel.h"

typedef uint32_t (*Step)(uint32_t state, uint32_t argument);

static uint32_t step_add(uint32_t s, uint32_t a) { return s + a; }
static uint32_t step_xor(uint32_t s, uint32_t a) { return s ^ a << 3; }
static uint32_t step_rotate(uint32_t s, uint32_t a) { return (s << 5 | s >> 27) + (a & 1); }
static uint32_t step_multiply(uint32_t s, uint32_t a) { return s * 2654435761u + a; }
static uint32_t step_subtract(uint32_t s, uint32_t a) { return s - a * 7; }
static uint32_t step_swap(uint32_t s, uint32_t a) { return (s >> 16 | s << 16) ^ a; }
static uint32_t step_fold(uint32_t s, uint32_t a) { return (s ^ s >> 15) + a; }
static uint32_t step_invert(uint32_t s, uint32_t a) { return ~s + (a >> 2); }

// volatile: the functions are not to be known when the loop is compiled.
static Step volatile steps[8] = {step_add,      step_xor,  step_rotate, step_multiply,
                                 step_subtract, step_swap, step_fold,   step_invert};

static NOINLINE uint32_t scramble(uint32_t state, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) state = steps[state >> 7 & 7](state, i);
    return state;
}

typedef struct Shape Shape;
struct Shape {
    double (*area)(const Shape *);
    void (*scale)(Shape *, double);
    double a, b, c;
};

static double circle_area(const Shape *s) { return 3.25 * s->a * s->a; }
static void circle_scale(Shape *s, double by) { s->a *= by; }
static double box_area(const Shape *s) { return s->a * s->b; }
static void box_scale(Shape *s, double by) { s->a *= by, s->b *= by; }
static double prism_area(const Shape *s) { return 2 * (s->a * s->b + s->b * s->c + s->c * s->a); }
static void prism_scale(Shape *s, double by) { s->a *= by, s->b *= by, s->c *= by; }

#define SHAPES 1000

static Shape shapes[SHAPES];

static NOINLINE double total_area(int passes) {
    double total = 0;
    for (int pass = 0; pass < passes; pass++) {
        double by = pass & 1 ? 0.5 : 2.0;
        for (int i = 0; i < SHAPES; i++) {
            shapes[i].scale(&shapes[i], by);
            total += shapes[i].area(&shapes[i]);
        }
    }
    return total;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round);
        for (int i = 0; i < SHAPES; i++) {
            uint64_t r = random_next(&seed);
            double a = (double)(r & 255), b = (double)(r >> 8 & 255), c = (double)(r >> 16 & 255);
            switch (r >> 60 & 3) {
            case 0: shapes[i] = (Shape){circle_area, circle_scale, a, 0, 0}; break;
            case 1: shapes[i] = (Shape){box_area, box_scale, a, b, 0}; break;
            default: shapes[i] = (Shape){prism_area, prism_scale, a, b, c}; break;
            }
        }
        sum = checksum_u64(sum, scramble((uint32_t)seed, 8000000));
        sum = checksum_f64(sum, total_area(3500));
    }
    return kernel_report("indirect", sum);
}
