#ifndef GREET_H
#define GREET_H
/* Writes "hello, <name>" to standard output. */
void greet(const char *name);
#endif
