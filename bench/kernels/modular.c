// 64-bit integer arithmetic: Montgomery multiplication, Miller-Rabin, Pollard's rho, and division-heavy 32-bit code.
#include "kernel.h"

typedef struct {
    uint64_t modulus, inverse, one, square; // inverse: -1 / modulus mod 2^64; one: 2^64, square: 2^128 mod modulus
} Field;

static inline uint64_t reduce(const Field *f, unsigned __int128 x) {
    uint64_t m = (uint64_t)x * f->inverse;
    unsigned __int128 product = (unsigned __int128)m * f->modulus;
    uint64_t carry = (uint64_t)x != 0;
    uint64_t high = (uint64_t)(x >> 64) + (uint64_t)(product >> 64) + carry;
    return high >= f->modulus ? high - f->modulus : high;
}

static inline uint64_t multiply(const Field *f, uint64_t a, uint64_t b) { return reduce(f, (unsigned __int128)a * b); }

// For odd moduli below 2^62.
static Field field_new(uint64_t modulus) {
    Field f = {modulus, 1, 0, 0};
    uint64_t inverse = modulus;
    for (int i = 0; i < 5; i++) inverse *= 2 - modulus * inverse;
    f.inverse = 0 - inverse;
    f.one = (0 - modulus) % modulus;
    f.square = f.one;
    for (int i = 0; i < 64; i++) {
        f.square <<= 1;
        if (f.square >= modulus) f.square -= modulus;
    }
    return f;
}

static NOINLINE uint64_t power(const Field *f, uint64_t base, uint64_t exponent) {
    uint64_t result = f->one;
    for (; exponent; exponent >>= 1) {
        if (exponent & 1) result = multiply(f, result, base);
        base = multiply(f, base, base);
    }
    return result;
}

static NOINLINE int is_prime(uint64_t n) {
    static const uint64_t witnesses[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};
    for (size_t i = 0; i < 12; i++)
        if (n % witnesses[i] == 0) return n == witnesses[i];
    Field f = field_new(n);
    int twos = __builtin_ctzll(n - 1);
    for (size_t i = 0; i < 12; i++) {
        uint64_t x = power(&f, multiply(&f, witnesses[i], f.square), (n - 1) >> twos);
        if (x == f.one || x == n - f.one) continue;
        int k = 1;
        for (; k < twos; k++) {
            x = multiply(&f, x, x);
            if (x == n - f.one) break;
        }
        if (k >= twos) return 0;
    }
    return 1;
}

static NOINLINE uint64_t gcd(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

// A factor of an odd composite number, or the number itself when the walk finds none.
static NOINLINE uint64_t factor(uint64_t n) {
    Field f = field_new(n);
    for (uint64_t c = 1; c < 20; c++) {
        uint64_t slow = 2, fast = 2, product = f.one, divisor = 1;
        for (uint32_t step = 1; divisor == 1; step++) {
            slow = (multiply(&f, slow, slow) + c) % n;
            fast = (multiply(&f, fast, fast) + c) % n;
            fast = (multiply(&f, fast, fast) + c) % n;
            product = multiply(&f, product, slow > fast ? slow - fast : fast - slow);
            if (step % 64 == 0 || product == 0) divisor = gcd(product, n);
        }
        if (divisor != n) return divisor;
    }
    return n;
}

static NOINLINE uint32_t digit_sums(uint32_t from, uint32_t count) {
    uint32_t total = 0;
    for (uint32_t n = from; n < from + count; n++) {
        for (uint32_t rest = n; rest; rest /= 10) total += rest % 10;
        total ^= n % (1 + (n >> 20 & 127));
    }
    return total;
}

int main(int argc, char **argv) {
    uint32_t scale = kernel_scale(argc, argv);
    uint64_t sum = checksum_start();
    if (!is_prime(2305843009213693951ULL) || is_prime(2305843009213693953ULL)) kernel_fail("2^61 - 1 is prime, 2^61 + 1 is not");
    for (uint32_t round = 0; round < scale; round++) {
        uint64_t seed = random_seed(round), primes[2] = {0, 0};
        uint32_t found = 0;
        for (uint32_t i = 0; i < 70000; i++) found += (uint32_t)is_prime(random_next(&seed) >> 3 | 1);
        for (uint32_t i = 0; i < 2; i++)
            do primes[i] = random_next(&seed) >> 35 | 1 << 28 | 1;
            while (!is_prime(primes[i]));
        uint64_t divisor = factor(primes[0] * primes[1]);
        if (primes[0] * primes[1] % divisor != 0) kernel_fail("not a factor");
        sum = checksum_u64(checksum_u64(sum, found), divisor);
        sum = checksum_u64(sum, digit_sums(100000000 + round * 7919, 6000000));
    }
    return kernel_report("modular", sum);
}
