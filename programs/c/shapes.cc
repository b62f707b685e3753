// Virtual calls, templates, compile-time sums; compiled by G++ in its case.
struct Shape { virtual int area() const = 0; };
struct Box : Shape { int a, b; constexpr Box(int x, int y) : a(x), b(y) {} int area() const override { return a * b; } };
struct Square : Box { constexpr explicit Square(int x) : Box(x, x) {} int area() const override { return a * a + 1; } };
template <typename T, unsigned N> struct Ring {
    T items[N] = {};
    unsigned at = 0;
    void push(T v) { items[at++ % N] = v; }
    template <typename F> T fold(T start, F f) const { for (T v : items) start = f(start, v); return start; }
};
template <int... Ns> constexpr int sum = (Ns + ... + 0);
static_assert(sum<1, 2, 3> == 6);
int measure(const Shape &s, int times) {
    Ring<int, 4> ring;
    for (int i = 0; i < times; i++) ring.push(s.area() + i);
    return ring.fold(sum<4, 5>, [](int x, int y) { return x * 3 + y; });
}
int main() { Box b(2, 3); Square s(5); return measure(b, 3) + measure(s, 9); }
