/* Sorts and sums; compiled by GCC in its cases. */
typedef unsigned char u8;
static int table[32];
static unsigned long seed = 12345;
static int next(void) {
    seed = seed * 1103515245UL + 12345UL;
    return (int)(seed >> 16) & 0x7fff;
}
static void sort(int *a, int n) {
    for (int i = 1; i < n; i++) {
        int v = a[i], j = i;
        while (j > 0 && a[j - 1] > v) { a[j] = a[j - 1]; j--; }
        a[j] = v;
    }
}
int fold(const u8 *text, u8 length) {
    int h = 0;
    for (u8 i = 0; i < length; i++)
        switch (text[i] & 3) {
        case 0: h += text[i]; break;
        case 1: h ^= text[i] << 3; break;
        case 2: h = h * 33 + text[i]; break;
        default: h >>= 1;
        }
    return h;
}
int main(void) {
    for (int i = 0; i < 32; i++) table[i] = next();
    sort(table, 32);
    return table[0] + fold((const u8 *)"hello", 5);
}
