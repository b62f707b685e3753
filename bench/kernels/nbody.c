// Floating point in small loops over structures: bodies that attract each other, advanced step by step.
#include "kernel.h"

#define BODIES 5

typedef struct {
    double x, y, z, vx, vy, vz, mass;
} Body;

static void advance(Body *bodies, double step) {
    for (int i = 0; i < BODIES; i++) {
        Body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            Body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double square = dx * dx + dy * dy + dz * dz + 1e-9;
            double pull = step / (square * __builtin_sqrt(square));
            a->vx -= dx * b->mass * pull;
            a->vy -= dy * b->mass * pull;
            a->vz -= dz * b->mass * pull;
            b->vx += dx * a->mass * pull;
            b->vy += dy * a->mass * pull;
            b->vz += dz * a->mass * pull;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += step * bodies[i].vx;
        bodies[i].y += step * bodies[i].vy;
        bodies[i].z += step * bodies[i].vz;
    }
}

static double energy(const Body *bodies) {
    double total = 0;
    for (int i = 0; i < BODIES; i++) {
        const Body *a = &bodies[i];
        total += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
        for (int j = i + 1; j < BODIES; j++) {
            double dx = a->x - bodies[j].x, dy = a->y - bodies[j].y, dz = a->z - bodies[j].z;
            total -= a->mass * bodies[j].mass / __builtin_sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return total;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    for (uint32_t round = 0; round < scale; round++) {
        // A heavy body in the middle, four light ones on wide orbits around it.
        Body bodies[BODIES] = {{0, 0, 0, 0, 0, 0, 40.0}};
        uint64_t seed = random_seed(round);
        for (int i = 1; i < BODIES; i++) {
            double jitter = (double)(random_next(&seed) >> 40) / (double)(1 << 24);
            double radius = 4.0 * i + jitter;
            bodies[i] = (Body){radius, 0.1 * jitter, 0.02 * i, 0, __builtin_sqrt(40.0 / radius), 0.01 * jitter, 0.001 * i};
        }
        for (int step = 0; step < 1200000; step++) advance(bodies, 0.001);
        for (int i = 0; i < BODIES; i++) sum = checksum_f64(sum, bodies[i].x + bodies[i].y);
        sum = checksum_f64(sum, energy(bodies));
    }
    return kernel_report("nbody", sum);
}
