// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * verifier BUDGET OBJECT...: loads each program of the objects (ROOM/NAME.bpf.o), one at a time, and says how many
 * instructions the verifier went through. BUDGET is a table of what each may take at most, a line a load:
 *
 *   ROOM/NAME PROGRAM MOST [CONSTANT=NUMBER]...
 *
 * Constants are those of .rodata, members as in `sampling.mode`; `match=N` is a selection of N tests. A program may
 * have several lines, as it is another program with other constants. `look_inside` is set as the kernel allows.
 *
 * Exit code 1 when a program needs more than its budget, has none, or is refused by the verifier. Where the kernel does
 * not have a program's hook, or does not let us use it, this is said, and is no failure; XDP and tc are needed on each. 77
 * where the kernel does not let us load programs at all.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "xdp/match.h"
#include "xdp/probe.h"
#include "xdp/say.h"

#define LINES_MAX 256
#define CONSTANTS_MAX 16
#define LOG_STATS 4 /* the verifier's log: its last line only */
#define LOG_ALL 1
#define LOG_BYTES (16 << 20)
#define LOG_SHOWN 1500 /* of a refusal: the end */

/* A line of the table. */
struct budget {
	char object[64], program[64];
	unsigned long most;
	char *constant[CONSTANTS_MAX];
	unsigned constants;
	bool used;
};

struct table {
	struct budget line[LINES_MAX];
	unsigned lines;
};

/* What one load came to. */
struct outcome {
	int err;
	bool counted;       /* the verifier says how many */
	unsigned long went; /* instructions, each as often as it was walked over */
	enum bpf_prog_type type;
};

static char *verifier_log;
static unsigned refused, loads;

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	return say__library(level, format, args);
}

/* ---- the table ---- */

static int read_line(struct table *t, char *text)
{
	struct budget *b = &t->line[t->lines];
	char *word, *rest;
	int used;

	text[strcspn(text, "#\n")] = 0;
	if (!text[strspn(text, " \t")])
		return 0;
	if (t->lines == LINES_MAX ||
	    sscanf(text, " %63s %63s %lu%n", b->object, b->program, &b->most, &used) != 3)
		return -EINVAL;
	for (word = strtok_r(text + used, " \t", &rest); word;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (b->constants == CONSTANTS_MAX || !strchr(word, '='))
			return -EINVAL;
		b->constant[b->constants++] = strdup(word);
	}
	t->lines++;
	return 0;
}

static int table__read(struct table *t, const char *path)
{
	FILE *file = fopen(path, "re");
	char text[512];
	int err = 0;

	if (!file)
		return fail(-errno, NULL, "read %s", path);
	while (!err && fgets(text, sizeof(text), file))
		err = read_line(t, text);
	fclose(file);
	return err ? fail(err, "OBJECT PROGRAM MOST [CONSTANT=NUMBER]...", "read %s after line %u",
			  path, t->lines)
		   : 0;
}

static void table__free(struct table *t)
{
	unsigned i, j;

	for (i = 0; i < t->lines; i++)
		for (j = 0; j < t->line[i].constants; j++)
			free(t->line[i].constant[j]);
}

/* ---- constants ---- */

static const struct btf_type *resolve(const struct btf *btf, __u32 id)
{
	const struct btf_type *t = btf__type_by_id(btf, id);

	while (t && (btf_is_mod(t) || btf_is_typedef(t) || btf_is_var(t)))
		t = btf__type_by_id(btf, t->type);
	return t;
}

static const struct btf_type *member(const struct btf *btf, const struct btf_type *t,
				     const char *name, size_t length, __u32 *offset)
{
	const struct btf_member *m;
	int i;

	if (!t || !btf_is_composite(t))
		return NULL;
	for (i = 0, m = btf_members(t); i < btf_vlen(t); i++, m++) {
		const char *its = btf__name_by_offset(btf, m->name_off);

		if (strlen(its) != length || strncmp(its, name, length))
			continue;
		*offset += btf_member_bit_offset(t, i) / 8;
		return resolve(btf, m->type);
	}
	return NULL;
}

/* The variable of this section that the first word of `path` names. */
static const struct btf_type *variable(const struct btf *btf, const struct btf_type *section,
				       const char *path, __u32 *offset)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(section);
	size_t length = strcspn(path, ".=");
	int i;

	for (i = 0; i < btf_vlen(section); i++, v++) {
		const char *its = btf__name_by_offset(btf, btf__type_by_id(btf, v->type)->name_off);

		if (strlen(its) != length || strncmp(its, path, length))
			continue;
		*offset = v->offset;
		return resolve(btf, v->type);
	}
	return NULL;
}

/* What `path` names, where in its section it stands, and which section of constants that is. */
static const struct btf_type *constant(const struct btf *btf, const char *path, __u32 *offset,
				       const char **section)
{
	const struct btf_type *t = NULL, *s;
	__u32 id;

	for (id = 1; !t && id < btf__type_cnt(btf); id++) {
		s = btf__type_by_id(btf, id);
		*section = btf__name_by_offset(btf, s->name_off);
		if (btf_is_datasec(s) && !strncmp(*section, ".rodata", 7))
			t = variable(btf, s, path, offset);
	}
	for (path += strcspn(path, ".="); t && *path == '.'; path += strcspn(path, ".=")) {
		path++;
		t = member(btf, t, path, strcspn(path, ".="), offset);
	}
	return t;
}

static int put_number(void *to, __u32 size, unsigned long long n)
{
	switch (size) {
	case 1:
		*(__u8 *)to = n;
		return 0;
	case 2:
		*(__u16 *)to = n;
		return 0;
	case 4:
		*(__u32 *)to = n;
		return 0;
	case 8:
		*(__u64 *)to = n;
		return 0;
	}
	return -EINVAL;
}

/* So many different tests, ports and networks by turns. */
static int put_match(void *to, __u32 size, unsigned long long tests)
{
	char expr[512] = "", why[256];
	unsigned long long i;
	size_t end;
	unsigned at;

	if (size != sizeof(struct match) || tests < 1 || tests > MATCH_PREDICATES)
		return -EINVAL;
	for (i = 0; i < tests; i++) {
		end = strlen(expr);
		snprintf(expr + end, sizeof(expr) - end,
			 i % 2 ? "or net 2001:db8:%llu::/48 " : "or portrange 1%llu-99 ", i);
	}
	return match__compile(to, expr + strlen("or "), &at, why, sizeof(why));
}

static int set_constant(struct bpf_object *obj, const char *text)
{
	unsigned long long n = strtoull(strchr(text, '=') + 1, NULL, 0);
	const char *section = "";
	__u32 offset = 0;
	const struct btf_type *t = constant(bpf_object__btf(obj), text, &offset, &section);
	struct bpf_map *map = t ? bpf_object__find_map_by_name(obj, section) : NULL;
	size_t size = 0;
	char *at = map ? (char *)bpf_map__initial_value(map, &size) : NULL;

	if (!at || offset + t->size > size)
		return -ENOENT;
	return strncmp(text, "match=", 6) ? put_number(at + offset, t->size, n)
					  : put_match(at + offset, t->size, n);
}

static int set_constants(struct bpf_object *obj, const struct budget *b)
{
	char text[] = "look_inside=1";
	unsigned i;
	int err;

	if (!probe__kernel_context())
		set_constant(obj, text); /* where there is such a constant */
	for (i = 0; b && i < b->constants; i++) {
		err = set_constant(obj, b->constant[i]);
		if (err)
			return fail(err, "the table says so", "set %s in %s", b->constant[i],
				    b->object);
	}
	return 0;
}

/* ---- loading ---- */

/* A program that replaces a function needs one that has it: the first of its object that loads. */
static int find_target(const char *path, struct bpf_program *extension, struct bpf_object **held)
{
	const char *function = strchr(bpf_program__section_name(extension), '/');
	struct bpf_program *p, *target = NULL;

	*held = bpf_object__open_file(path, NULL);
	if (!*held || !function)
		return -ENOENT;
	bpf_object__for_each_program(p, *held)
	{
		bool fits = !target && bpf_program__type(p) != BPF_PROG_TYPE_EXT;

		bpf_program__set_autoload(p, fits);
		target = fits ? p : target;
	}
	if (!target || bpf_object__load(*held))
		return -ENOENT;
	return bpf_program__set_attach_target(extension, bpf_program__fd(target), function + 1);
}

static void read_log(struct outcome *o)
{
	const char *line = strstr(verifier_log, "processed ");

	o->counted = line && sscanf(line, "processed %lu insns", &o->went) == 1;
}

static struct bpf_program *choose(struct bpf_object *obj, const char *name, unsigned level)
{
	struct bpf_program *p, *chosen = NULL;

	bpf_object__for_each_program(p, obj)
	{
		bool is = !strcmp(bpf_program__name(p), name);

		bpf_program__set_autoload(p, is);
		chosen = is ? p : chosen;
	}
	bpf_program__set_log_level(chosen, level);
	bpf_program__set_log_buf(chosen, verifier_log, LOG_BYTES);
	return chosen;
}

static int load(const char *path, const char *program, const struct budget *b, unsigned level,
		struct outcome *o)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL), *held = NULL;
	struct bpf_program *p;
	int err;

	*o = (struct outcome){};
	verifier_log[0] = 0;
	if (!obj)
		return fail(-errno, "make", "open %s", path);
	p = choose(obj, program, level);
	o->type = bpf_program__type(p);
	err = set_constants(obj, b);
	if (!err) {
		if (o->type == BPF_PROG_TYPE_EXT)
			o->err = find_target(path, p, &held);
		if (!o->err)
			o->err = bpf_object__load(obj);
		read_log(o);
	}
	bpf_object__close(obj);
	bpf_object__close(held);
	return err;
}

/* Not a word of the program was verified: the hook is not there, or not for us. */
static bool hook_refused(const struct outcome *o)
{
	return o->err && !o->went && o->type != BPF_PROG_TYPE_XDP &&
	       o->type != BPF_PROG_TYPE_SCHED_CLS;
}

static void explain(const char *path, const char *program, const struct budget *b)
{
	struct outcome o;
	size_t length;

	load(path, program, b, LOG_ALL, &o);
	length = strlen(verifier_log);
	fputs(length > LOG_SHOWN ? verifier_log + length - LOG_SHOWN : verifier_log, stdout);
}

/* 0, or -EPERM where one is refused or too much. */
static int judge(const char *path, const char *object, const char *program, struct budget *b)
{
	struct outcome o;
	unsigned i;
	int err = load(path, program, b, LOG_STATS, &o);

	if (err)
		return err;
	loads++;
	printf("%-22s %-24s ", object, program);
	if (hook_refused(&o)) {
		refused++;
		printf("%8s %8s  not on this kernel: %s\n", "-", "-", strerror(-o.err));
		return 0;
	}
	if (o.err) {
		printf("%8lu %8s  REFUSED: %s\n", o.went, "-", strerror(-o.err));
		explain(path, program, b);
		return -EPERM;
	}
	printf("%8lu %8lu  ", o.went, b ? b->most : 0);
	for (i = 0; b && i < b->constants; i++)
		printf("%s ", b->constant[i]);
	err = !b || !o.counted || o.went > b->most ? -EPERM : 0;
	puts(!err ? "" : !b ? "HAS NO BUDGET" : o.counted ? "OVER ITS BUDGET" : "NOT COUNTED");
	return err;
}

static int judge_program(struct table *t, const char *path, const char *object, const char *program)
{
	bool found = false;
	unsigned i;
	int err = 0;

	for (i = 0; i < t->lines; i++) {
		struct budget *b = &t->line[i];

		if (strcmp(b->object, object) || strcmp(b->program, program))
			continue;
		found = b->used = true;
		if (judge(path, object, program, b))
			err = -EPERM;
	}
	return found ? err : judge(path, object, program, NULL);
}

/* ".build/xdp/meter.bpf.o" is xdp/meter. */
static void object_name(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/');

	while (base && base > path && base[-1] != '/')
		base--;
	snprintf(name, size, "%s", base ? base : path);
	name[strcspn(name, ".")] = 0;
}

static int judge_object(struct table *t, const char *path)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	struct bpf_program *p;
	char object[64];
	unsigned i;
	int err = 0;

	if (!obj)
		return fail(-errno, "make", "open %s", path);
	object_name(path, object, sizeof(object));
	bpf_object__for_each_program(p, obj) if (judge_program(t, path, object,
							       bpf_program__name(p))) err = -EPERM;
	bpf_object__close(obj);
	for (i = 0; i < t->lines; i++) {
		if (t->line[i].used || strcmp(t->line[i].object, object))
			continue;
		printf("%-22s %-24s HAS A BUDGET, AND IS NOT THERE\n", object, t->line[i].program);
		err = -EPERM;
	}
	return err;
}

int main(int argc, char **argv)
{
	struct table t = {};
	struct utsname kernel;
	int i, err = 0;

	if (argc < 3) {
		fputs("usage: verifier BUDGET OBJECT...\n", stderr);
		return 2;
	}
	libbpf_set_print(print);
	if (probe__xdp()) {
		puts("this kernel lets us load no programs: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON");
		return 77;
	}
	verifier_log = malloc(LOG_BYTES);
	if (!verifier_log || table__read(&t, argv[1]))
		return 1;
	uname(&kernel);
	printf("kernel %s: instructions that the verifier went through, and the budget\n",
	       kernel.release);
	for (i = 2; i < argc; i++)
		if (judge_object(&t, argv[i]))
			err = -EPERM;
	printf("%u loads, %u not on this kernel: %s\n", loads, refused,
	       err ? "FAILED" : "all others within their budgets");
	table__free(&t);
	free(verifier_log);
	return err ? 1 : 0;
}
