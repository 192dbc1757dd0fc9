#ifndef FAREWELL_H
#define FAREWELL_H
/* Greets, then writes "goodbye, <name>" to standard output. */
void farewell(const char *name);
#endif
