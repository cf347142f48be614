// Files mapped read-only.
#ifndef ER_FILE_H
#define ER_FILE_H

#include "base/status.h"

// On success `*data` has `*size` bytes (NULL and 0 for an empty file) until er_file_unmap(*data, *size).
er_status er_file_map(const char *path, void **data, size_t *size, edgert_error *error);
void er_file_unmap(void *data, size_t size);

// Its pages need not be in memory for now; whoever reads them finds them again.
void er_file_rest(const void *data, size_t size);

#endif
