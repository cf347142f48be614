#if defined(__linux__)
#define _DEFAULT_SOURCE     // madvise
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE
#endif
#include "base/file.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#include <io.h>
#include <stdlib.h>
#include <windows.h>

// No mapping here: the file is read.
er_status er_file_map(const char *path, void **data, size_t *size, edgert_error *error)
{
    FILE *f = fopen(path, "rb");
    if (!f) return er_fail(error, EDGERT_ERROR_IO, "cannot open the file: %s", strerror(errno));
    _fseeki64(f, 0, SEEK_END);
    long long n = _ftelli64(f);
    _fseeki64(f, 0, SEEK_SET);
    *data = n > 0 ? malloc((size_t)n) : NULL;
    *size = n > 0 ? (size_t)n : 0;
    bool ok = n >= 0 && (!n || (*data && fread(*data, 1, *size, f) == *size));
    fclose(f);
    if (ok) return ER_OK;
    free(*data);
    return er_fail(error, EDGERT_ERROR_IO, "cannot read the file");
}

void er_file_unmap(void *data, size_t size) { (void)size; free(data); }
void er_file_rest(const void *data, size_t size) { (void)data; (void)size; }
bool er_file_settle(FILE *f) { return _commit(_fileno(f)) == 0; }

er_status er_file_replace(const char *from, const char *to, edgert_error *error)
{
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING)) return ER_OK;
    return er_fail(error, EDGERT_ERROR_IO, "cannot write the file: error %lu of Windows", GetLastError());
}
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

er_status er_file_map(const char *path, void **data, size_t *size, edgert_error *error)
{
    er_status status = ER_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return er_fail(error, EDGERT_ERROR_IO, "cannot open the file: %s", strerror(errno));
    struct stat s;
    *data = NULL;
    *size = 0;
    if (fstat(fd, &s)) {
        status = er_fail(error, EDGERT_ERROR_IO, "cannot read the file: %s", strerror(errno));
    } else if (!S_ISREG(s.st_mode)) {
        status = er_fail(error, EDGERT_ERROR_IO, "%s, not a model file", S_ISDIR(s.st_mode) ? "this is a directory" : "this is no regular file");
    } else if (s.st_size > 0) {
        void *p = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            status = er_fail(error, EDGERT_ERROR_IO, "cannot map the file: %s", strerror(errno));
        } else {
            *data = p;
            *size = (size_t)s.st_size;
        }
    }
    close(fd);
    return status;
}

void er_file_unmap(void *data, size_t size)
{
    if (data) munmap(data, size);
}

void er_file_rest(const void *data, size_t size)
{
    // posix_madvise does nothing in glibc.
    if (data) madvise((void *)(uintptr_t)data, size, MADV_DONTNEED);
}

bool er_file_settle(FILE *f) { return fsync(fileno(f)) == 0; }

er_status er_file_replace(const char *from, const char *to, edgert_error *error)
{
    return rename(from, to) ? er_fail(error, EDGERT_ERROR_IO, "cannot write the file: %s", strerror(errno)) : ER_OK;
}
#endif
