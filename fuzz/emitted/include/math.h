/* What csmith's runtime needs of the library of C. */
#define fabs __builtin_fabs
#define fabsf __builtin_fabsf
double ldexp(double, int);
