/* What csmith's runtime needs of the library of C; runtime.c defines it. */
int printf(const char *, ...);
