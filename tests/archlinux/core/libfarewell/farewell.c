#include "farewell.h"
#include <greet.h>
#include <stdio.h>

void farewell(const char *name) {
  greet(name);
  printf("goodbye, %s\n", name);
}
