// Opening: the file as the format has it, then what this version can run.
#include "ops/op.h"

#define TEXT(x) #x
#define VERSION(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

const char *edgert_version(void) { return VERSION(EDGERT_VERSION_MAJOR, EDGERT_VERSION_MINOR, EDGERT_VERSION_PATCH); }

// Whose packed weights these are: of a model's bytes, and of all sources that make them.
static uint64_t owner_of(const edgert_model *m)
{
    const uint64_t library = er_hash(sizeof(void *), ER_SOURCES, sizeof ER_SOURCES);
    return er_hash(library, m->data, m->size);
}

int32_t edgert_model_load_weights(edgert_model *m, const char *path) { return er_store_load(m->packed, path, owner_of(m)); }

edgert_status edgert_model_save_weights(edgert_model *m, const char *path, edgert_error *error)
{
    if (er_store_is_saved(m->packed)) return EDGERT_OK;
    const er_status status = er_store_save(m->packed, path, owner_of(m), error);
    if (status != ER_OK) er_prefix(error, "%s: ", path);
    return status;
}

static edgert_model *checked(edgert_model *m, edgert_error *error)
{
    if (!m || er_check_supported(m, error) == ER_OK) return m;
    edgert_model_close(m);
    return NULL;
}

edgert_model *edgert_model_open(const char *path, edgert_error *error)
{
    edgert_model *m = checked(er_model_map(path, error), error);
    if (!m) er_prefix(error, "%s: ", path);
    return m;
}

edgert_model *edgert_model_from_memory(const void *data, size_t bytes, edgert_error *error)
{
    return checked(er_model_view(data, bytes, error), error);
}
