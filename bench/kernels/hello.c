// The smallest program with output: what an engine costs before any work is done.
#include <stdio.h>

int main(void) {
    puts("Hello, world!");
    return 0;
}
