#ifndef ABACUS_H
#define ABACUS_H
#include <stddef.h>

/* The sum of `count` numbers. */
long abacus_sum(const long *numbers, size_t count);
#endif
