/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_OPT_H
#define WIREWHO_OPT_H
/*
 * The one option parser: an option is a row of data with its help text beside it. Numbers are parsed whole and
 * range-checked. Letters and long names go through getopt_long.
 */
#include <stdbool.h>
#include <stddef.h>

enum opt_type {
	OPT_FLAG,   /* bool *: set to true */
	OPT_NUMBER, /* uint64_t *: min..max; suffixes k, M, G (1000) and Ki, Mi, Gi (1024) */
	OPT_TEXT,   /* const char ** */
	OPT_LIST,   /* struct opt_list *: may be given several times */
	OPT_CHOICE, /* int *: index into `choices` */
	OPT_MAYBE,  /* const char **: long form --name or --name=VALUE; without value: "" */
};

struct opt_list {
	const char **item;
	size_t n;
};

struct opt {
	char letter;      /* 0: long form only */
	const char *name; /* NULL: letter only; a row of zeros ends the table */
	const char *arg;  /* placeholder in the help, NULL for flags */
	const char *help;
	enum opt_type type;
	void *to;
	unsigned long long min, max;
	const char *const *choices; /* NULL-terminated */
};

/* One verb: a row of main's table. */
struct verb {
	const char *name;
	int (*run)(int argc,
		   char **argv); /* argv[0] is the verb; returns the exit code 0, 1 or 2 */
	const char *line;        /* what it is for, one line */
};

struct usage {
	const char *program;  /* ".build/bench/cost", without a verb; NULL: wirewho */
	const char *verb;     /* "capture" */
	const char *synopsis; /* "-i IF -w FILE [EXPR]" */
	const char *about;    /* a paragraph, or NULL */
	const char *examples; /* lines, or NULL */
};

/*
 * Parses argv against `opts`. Returns the index of the first positional argument; OPT_HELPED after --help or
 * --version (printed: exit 0); OPT_WRONG after a wrong option (said: exit 2).
 */
#define OPT_HELPED (-1)
#define OPT_WRONG (-2)
int opt__parse(int argc, char **argv, const struct usage *usage, const struct opt *opts);
void opt_list__free(struct opt_list *list);

/* A whole decimal number within min..max; `what` names it in the error line. 0 or -EINVAL (said). */
int opt__number(const char *text, const char *what, unsigned long long min, unsigned long long max,
		unsigned long long *out);
#endif
