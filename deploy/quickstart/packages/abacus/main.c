#include "abacus.h"
#include <stdio.h>
#include <stdlib.h>

/* Adds up its arguments. */
int main(int argc, char **argv) {
  size_t count = argc > 1 ? (size_t)argc - 1 : 0;
  long *numbers = calloc(count + 1, sizeof *numbers);
  if (numbers == NULL)
    return 1;
  for (size_t i = 0; i < count; i++)
    numbers[i] = strtol(argv[i + 1], NULL, 10);
  printf("%ld\n", abacus_sum(numbers, count));
  free(numbers);
  return 0;
}
