#include "abacus.h"

long abacus_sum(const long *numbers, size_t count) {
  long sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += numbers[i];
  return sum;
}
