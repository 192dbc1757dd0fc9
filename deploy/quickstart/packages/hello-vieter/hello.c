#include <stdio.h>

int main(void) {
  puts("Hello from " PACKAGE_VERSION ", built in a container and installed by pacman.");
  return 0;
}
