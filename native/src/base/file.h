// Files mapped read-only.
#ifndef ER_FILE_H
#define ER_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

// On success `*data` has `*size` bytes (NULL and 0 for an empty file) until er_file_unmap(*data, *size).
er_status er_file_map(const char *path, void **data, size_t *size, edgert_error *error);
void er_file_unmap(void *data, size_t size);

// Whether what was written is on the disk.
bool er_file_settle(FILE *f);

// The file `from` takes the place of `to`, if there is one.
er_status er_file_replace(const char *from, const char *to, edgert_error *error);

// Its pages need not be in memory for now; whoever reads them finds them again.
void er_file_rest(const void *data, size_t size);

#endif
