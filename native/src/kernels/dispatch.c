// Reading this file tells which kernels run where: generic fills the whole table, then each instruction set that the
// CPU has overwrites its part, best last.
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "base/cpu.h"
#include "base/exponential.h"
#include "kernels/kernels.h"

enum { MAX_ISAS = 8 };
static er_kernels tables[MAX_ISAS], exact_tables[MAX_ISAS];
static int n_tables;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void add(const char *isa, void (*fill)(er_kernels *))
{
    if (n_tables) tables[n_tables] = tables[n_tables - 1];
    fill(&tables[n_tables]);
    // A product for small weights is faster than the one beside it, not than that of a later instruction set.
    if (n_tables && tables[n_tables].qgemm.run != tables[n_tables - 1].qgemm.run && tables[n_tables].qgemm_small.run == tables[n_tables - 1].qgemm_small.run)
        tables[n_tables].qgemm_small = (er_qgemm){0};
    tables[n_tables].isa = isa;
    er_kernels *exact = &exact_tables[n_tables];
    *exact = tables[n_tables++];
    exact->exact = true;
    exact->sgemm = exact->sgemm_exact;
    exact->sdepthwise = exact->sdepthwise_exact;
    exact->exp_floats = er_exp_floats_exact;
    exact->logistic_floats = er_logistic_floats_exact;
}

static void fill_tables(void)
{
    er_cpu cpu = er_cpu_features();
    (void)cpu;
    add("generic", er_kernels_generic);
#if defined(ER_HAVE_AVX2)
    if (cpu.avx2_fma) add("avx2", er_kernels_avx2);
#endif
#if defined(ER_HAVE_AVXVNNI)
    if (cpu.avx_vnni) add("avxvnni", er_kernels_avxvnni);
#endif
#if defined(ER_HAVE_AVX512VNNI)
    if (cpu.avx512_vnni) add("avx512vnni", er_kernels_avx512vnni);
#endif
#if defined(ER_HAVE_NEON)
    if (cpu.neon) add("neon", er_kernels_neon);
#endif
#if defined(ER_HAVE_DOTPROD)
    if (cpu.dotprod) add("dotprod", er_kernels_dotprod);
#endif
#if defined(ER_HAVE_I8MM)
    if (cpu.i8mm) add("i8mm", er_kernels_i8mm);
#endif
}

const char *edgert_isas_built(void)
{
    return "generic"
#if defined(ER_HAVE_AVX2)
           " avx2"
#endif
#if defined(ER_HAVE_AVXVNNI)
           " avxvnni"
#endif
#if defined(ER_HAVE_AVX512VNNI)
           " avx512vnni"
#endif
#if defined(ER_HAVE_NEON)
           " neon"
#endif
#if defined(ER_HAVE_DOTPROD)
           " dotprod"
#endif
#if defined(ER_HAVE_I8MM)
           " i8mm"
#endif
        ;
}

const er_kernels *er_kernels_of(const char *isa)
{
    pthread_once(&once, fill_tables);
    for (int i = 0; i < n_tables; i++)
        if (!strcmp(tables[i].isa, isa)) return &tables[i];
    return NULL;
}

const er_kernels *er_kernels_exact(const er_kernels *k) { return &exact_tables[k - tables]; }

const er_kernels *er_kernels_get(edgert_error *error)
{
    pthread_once(&once, fill_tables);
    const char *wanted = getenv("EDGERT_ISA");
    if (!wanted || !*wanted) return &tables[n_tables - 1];
    const er_kernels *k = er_kernels_of(wanted);
    if (!k)
        er_fail(error, EDGERT_ERROR_ARGUMENT, "EDGERT_ISA=%s cannot be used: this library has \"%s\", and this CPU can use them up to \"%s\"",
                wanted, edgert_isas_built(), tables[n_tables - 1].isa);
    return k;
}

const char *edgert_isa(edgert_error *error)
{
    const er_kernels *k = er_kernels_get(error);
    return k ? k->isa : NULL;
}
