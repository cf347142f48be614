// Compares a model with a golden file: see edgert/golden.py for the format.
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdbool.h>

#include "edgert.h"

// Prints what was found, in one line. `model` is a name to print.
bool check_golden(edgert_interpreter *it, const char *model, const char *path);

#endif
