// A plugin for qemu-user that counts the instructions that a program executes, by function: between the calls of
// getpriority(PRIO_PROCESS, 0x5EED) that the program makes, the last interval is what is printed, most first.
//
// build: cc -shared -fPIC -O2 -o libcount.so plugin.c        use: qemu-aarch64 -plugin ./libcount.so PROGRAM
//
// The declarations are those of qemu's plugin interface, version 1 (package qemu-user; the static one has no plugins).
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef void tb_trans_callback(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void syscall_callback(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
typedef void exit_callback(qemu_plugin_id_t, void *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, tb_trans_callback *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_callback *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, exit_callback *, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { MARK = 0x5EED, MOST_FUNCTIONS = 4096 };
typedef struct { char name[64]; uint64_t executed, at_mark, interval; } function;
static function functions[MOST_FUNCTIONS];
static size_t n_functions;
static uint64_t marks;

static function *function_of(const char *name)
{
    if (!name) name = "(no symbol)";
    for (size_t i = 0; i < n_functions; i++)
        if (!strncmp(functions[i].name, name, sizeof functions[i].name - 1)) return &functions[i];
    if (n_functions == MOST_FUNCTIONS) return &functions[MOST_FUNCTIONS - 1];
    function *f = &functions[n_functions++];
    snprintf(f->name, sizeof f->name, "%s", name);
    return f;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    function *f = function_of(qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(tb, 0)));
    qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64, &f->executed, qemu_plugin_tb_n_insns(tb));
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t which, uint64_t who, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8)
{
    (void)id, (void)cpu, (void)number, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (which != 0 || (uint32_t)who != MARK) return;
    marks++;
    for (size_t i = 0; i < n_functions; i++) {
        functions[i].interval = functions[i].executed - functions[i].at_mark;
        functions[i].at_mark = functions[i].executed;
    }
}

static int by_interval(const void *a, const void *b)
{
    const uint64_t x = ((const function *)a)->interval, y = ((const function *)b)->interval;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void ended(qemu_plugin_id_t id, void *p)
{
    (void)id, (void)p;
    if (!marks) return;
    uint64_t all = 0;
    for (size_t i = 0; i < n_functions; i++) all += functions[i].interval;
    qsort(functions, n_functions, sizeof functions[0], by_interval);
    fprintf(stderr, "instructions: %" PRIu64 "\n", all);
    for (size_t i = 0; i < n_functions && functions[i].interval * 200 > all; i++)
        fprintf(stderr, "%14" PRIu64 "  %s\n", functions[i].interval, functions[i].name);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
