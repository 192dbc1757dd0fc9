#include <abacus.h>
#include <stdio.h>

int main(void) {
  const long built[] = {2, 1, 1, 1};
  printf("The quick start makes %ld packages; libabacus, from the same repository, counted them.\n",
         abacus_sum(built, sizeof built / sizeof *built));
  return 0;
}
