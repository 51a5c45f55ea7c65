// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "opt.h"

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "xdp/say.h"

#ifndef WIREWHO_VERSION
#define WIREWHO_VERSION "unknown"
#endif

/* What getopt_long returns for a row without a letter, or for its long form: 256 + row. */
#define ROW_BASE 256
#define VALUE_HELP 254
#define VALUE_VERSION 255
#define HELP_WIDTH 80
#define HELP_COLUMN_MAX 30

static const struct opt common[] = {
	{ 'h', "help", NULL, "print this help", OPT_FLAG, NULL, 0, 0, NULL },
	{ 0, "version", NULL, "print the version", OPT_FLAG, NULL, 0, 0, NULL },
	{ 0 },
};

static size_t opt__rows(const struct opt *opts)
{
	size_t n = 0;

	while (opts[n].letter || opts[n].name)
		n++;
	return n;
}

static const struct opt *opt__by_letter(const struct opt *opts, int letter)
{
	for (; opts->letter || opts->name; opts++)
		if (opts->letter && (unsigned char)opts->letter == letter)
			return opts;
	return NULL;
}

/* "--snaplen", or "-s" for a row that has a letter only. */
static const char *opt__title(const struct opt *o, char *text, size_t size)
{
	if (o->name)
		snprintf(text, size, "--%s", o->name);
	else
		snprintf(text, size, "-%c", o->letter);
	return text;
}

/* ---- numbers ---- */

static int number__unit(const char *suffix, unsigned long long *unit)
{
	static const struct {
		const char *suffix;
		unsigned long long unit;
	} units[] = {
		{ "", 1 },
		{ "k", 1000 },
		{ "M", 1000000 },
		{ "G", 1000000000 },
		{ "Ki", 1ULL << 10 },
		{ "Mi", 1ULL << 20 },
		{ "Gi", 1ULL << 30 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(suffix, units[i].suffix))
			continue;
		*unit = units[i].unit;
		return 0;
	}
	return -EINVAL;
}

/* strtoull() would take blanks, signs and wrap a negative number around: digits only, then a unit. */
static int number__parse(const char *text, unsigned long long min, unsigned long long max,
			 unsigned long long *out)
{
	unsigned long long value = 0, unit;
	const char *at = text;

	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (unsigned long long)(*at - '0'), &value))
			return -ERANGE;
	if (at == text || number__unit(at, &unit))
		return -EINVAL;
	if (__builtin_mul_overflow(value, unit, &value) || value < min || value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

static int number__say(const char *text, const char *what, unsigned long long min,
		       unsigned long long max, const char *hint)
{
	if (max == UINT64_MAX)
		say(SAY_ERROR, "%s '%.80s' is not a whole number from %llu upwards%s", what, text,
		    min, hint);
	else
		say(SAY_ERROR, "%s '%.80s' is not a whole number from %llu to %llu%s", what, text,
		    min, max, hint);
	return -EINVAL;
}

int opt__number(const char *text, const char *what, unsigned long long min, unsigned long long max,
		unsigned long long *out)
{
	if (number__parse(text, min, max, out))
		return number__say(text, what, min, max, "");
	return 0;
}

/* ---- taking a value ---- */

static int take__number(const struct opt *o, const char *value, const char *hint)
{
	unsigned long long number;
	char title[64];

	if (number__parse(value, o->min, o->max, &number))
		return number__say(value, opt__title(o, title, sizeof(title)), o->min, o->max,
				   hint);
	*(uint64_t *)o->to = number;
	return 0;
}

static int take__list(const struct opt *o, const char *value)
{
	struct opt_list *list = o->to;
	const char **item = realloc(list->item, (list->n + 1) * sizeof(*item));

	if (!item)
		return fail(-ENOMEM, NULL, "keep one more value of --%s", o->name ? o->name : "");
	item[list->n++] = value;
	list->item = item;
	return 0;
}

static void choices__join(const struct opt *o, const char *between, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (int i = 0; o->choices[i] && at < size; i++)
		at += snprintf(text + at, size - at, "%s%s", i ? between : "", o->choices[i]);
}

static int take__choice(const struct opt *o, const char *value, const char *hint)
{
	char title[64], all[256];

	for (int i = 0; o->choices[i]; i++) {
		if (strcmp(value, o->choices[i]))
			continue;
		*(int *)o->to = i;
		return 0;
	}
	choices__join(o, ", ", all, sizeof(all));
	say(SAY_ERROR, "%s '%.80s' is not one of: %s%s", opt__title(o, title, sizeof(title)), value,
	    all, hint);
	return -EINVAL;
}

static int opt__take(const struct opt *o, const char *value, const char *hint)
{
	switch (o->type) {
	case OPT_FLAG:
		*(bool *)o->to = true;
		return 0;
	case OPT_NUMBER:
		return take__number(o, value, hint);
	case OPT_TEXT:
		*(const char **)o->to = value;
		return 0;
	case OPT_LIST:
		return take__list(o, value);
	case OPT_CHOICE:
		return take__choice(o, value, hint);
	case OPT_MAYBE:
		*(const char **)o->to = value ? value : "";
		return 0;
	}
	return -EINVAL;
}

/* ---- help ---- */

static void help__left(const struct opt *o, char *text, size_t size)
{
	char value[96] = "";
	size_t at;

	if (o->arg)
		snprintf(value, sizeof(value), "%s", o->arg);
	else if (o->type == OPT_CHOICE)
		choices__join(o, "|", value, sizeof(value));
	else if (o->type != OPT_FLAG)
		snprintf(value, sizeof(value), "VALUE");

	if (o->letter)
		at = snprintf(text, size, "  -%c%s", o->letter, o->name ? ", " : "");
	else
		at = snprintf(text, size, "      ");
	if (o->name)
		at += snprintf(text + at, size - at, "--%s", o->name);
	if (!value[0] || at >= size)
		return;
	if (o->type == OPT_MAYBE)
		snprintf(text + at, size - at, o->name ? "[=%s]" : "[%s]", value);
	else
		snprintf(text + at, size - at, " %s", value);
}

/* Words up to the right margin, further lines from the same column on. An empty line starts a paragraph. */
static void help__wrap(const char *text, int column)
{
	int at = column;

	text += strspn(text, " \n");
	while (*text) {
		int word = (int)strcspn(text, " \n");
		size_t gap = strspn(text + word, " \n");

		if (at > column && at + 1 + word > HELP_WIDTH) {
			printf("\n%*s", column, "");
			at = column;
		}
		at += printf("%s%.*s", at > column ? " " : "", word, text);
		text += word;
		if (text[gap] && gap > 1 && memmem(text, gap, "\n\n", 2)) {
			printf("\n\n%*s", column, "");
			at = column;
		}
		text += gap;
	}
	putchar('\n');
}

static int help__column(const struct opt *opts)
{
	int column = 0;
	char left[160];

	for (; opts->letter || opts->name; opts++) {
		int width;

		help__left(opts, left, sizeof(left));
		width = (int)strlen(left) + 2;
		if (width > column && width <= HELP_COLUMN_MAX)
			column = width;
	}
	return column;
}

static void help__rows(const struct opt *opts, int column)
{
	char left[160];

	for (; opts->letter || opts->name; opts++) {
		help__left(opts, left, sizeof(left));
		if ((int)strlen(left) + 2 > column)
			printf("%s\n%*s", left, column, "");
		else
			printf("%-*s", column, left);
		help__wrap(opts->help ? opts->help : "", column);
	}
}

static void help__examples(const char *text)
{
	printf("\nexamples:\n");
	while (*text) {
		int length = (int)strcspn(text, "\n");

		printf("%s%.*s\n", *text == ' ' || *text == '\n' ? "" : "  ", length, text);
		text += length;
		text += *text == '\n';
	}
}

/* "wirewho capture", or a program that has no verbs. */
static const char *usage__name(const struct usage *usage, char *text, size_t size)
{
	if (usage->program)
		snprintf(text, size, "%s", usage->program);
	else
		snprintf(text, size, "wirewho %s", usage->verb);
	return text;
}

static void opt__help(const struct usage *usage, const struct opt *opts)
{
	int column = help__column(opts), least = help__column(common);
	char name[64];

	if (column < least)
		column = least;
	printf("usage: %s %s\n", usage__name(usage, name, sizeof(name)),
	       usage->synopsis ? usage->synopsis : "");
	if (usage->about) {
		putchar('\n');
		help__wrap(usage->about, 0);
	}
	printf("\noptions:\n");
	help__rows(opts, column);
	help__rows(opt__by_letter(opts, 'h') ? common + 1 : common, column);
	if (usage->examples)
		help__examples(usage->examples);
}

/* ---- parsing ---- */

/* What getopt_long wants, made from the rows; both parts in one allocation. */
struct forms {
	struct option *longs;
	char *letters;
};

static int forms__make(struct forms *f, const struct opt *opts)
{
	size_t rows = opt__rows(opts);
	struct option *l = calloc(rows + 3, sizeof(*l) + 3);
	char *s;

	if (!l)
		return -ENOMEM;
	*f = (struct forms){ .longs = l, .letters = (char *)(l + rows + 3) };
	s = f->letters;
	*s++ = ':';
	for (size_t i = 0; i < rows; i++) {
		int arg = opts[i].type == OPT_FLAG    ? no_argument
			  : opts[i].type == OPT_MAYBE ? optional_argument
						      : required_argument;

		if (opts[i].name)
			*l++ = (struct option){ opts[i].name, arg, NULL, ROW_BASE + (int)i };
		if (!opts[i].letter)
			continue;
		*s++ = opts[i].letter;
		for (int colons = arg; colons > 0; colons--)
			*s++ = ':';
	}
	if (!opt__by_letter(opts, 'h'))
		*s++ = 'h';
	*l++ = (struct option){ "help", no_argument, NULL, VALUE_HELP };
	*l = (struct option){ "version", no_argument, NULL, VALUE_VERSION };
	return 0;
}

static int opt__complain(int got, char **argv, const struct opt *opts, const char *hint)
{
	const struct opt *o = optopt >= ROW_BASE ? &opts[optopt - ROW_BASE]
						 : opt__by_letter(opts, optopt);
	char title[64];

	if (got == ':' && o)
		say(SAY_ERROR, "%s wants a value%s%s%s", opt__title(o, title, sizeof(title)),
		    o->arg ? ": " : "", o->arg ? o->arg : "", hint);
	else if (optopt >= VALUE_HELP)
		say(SAY_ERROR, "%.80s: this option takes no value%s", argv[optind - 1], hint);
	else if (optopt)
		say(SAY_ERROR, "unknown option -%c%s", optopt > ' ' && optopt < 0x7f ? optopt : '?',
		    hint);
	else
		say(SAY_ERROR, "unknown or ambiguous option %.80s%s", argv[optind - 1], hint);
	return OPT_WRONG;
}

static int opt__walk(int argc, char **argv, const struct usage *usage, const struct opt *opts,
		     const struct forms *f)
{
	char hint[96], name[64];
	int got;

	snprintf(hint, sizeof(hint), "; try '%s --help'", usage__name(usage, name, sizeof(name)));
	/* Zero, not one: it makes glibc start afresh, also when a caller parses a second time. */
	optind = 0;
	opterr = 0;
	while ((got = getopt_long(argc, argv, f->letters, f->longs, NULL)) != -1) {
		const struct opt *o = got >= ROW_BASE ? &opts[got - ROW_BASE]
						      : opt__by_letter(opts, got);

		if (got == '?' || got == ':')
			return opt__complain(got, argv, opts, hint);
		if (got == VALUE_VERSION) {
			printf("wirewho %s\n", WIREWHO_VERSION);
			return OPT_HELPED;
		}
		if (got == VALUE_HELP || !o) {
			opt__help(usage, opts);
			return OPT_HELPED;
		}
		if (opt__take(o, optarg, hint))
			return OPT_WRONG;
	}
	return optind;
}

int opt__parse(int argc, char **argv, const struct usage *usage, const struct opt *opts)
{
	struct forms f;
	int first;

	if (argc < 1)
		return 0;
	if (forms__make(&f, opts)) {
		fail(-ENOMEM, NULL, "read the options of %s", usage->verb);
		return OPT_WRONG;
	}
	first = opt__walk(argc, argv, usage, opts, &f);
	free(f.longs);
	return first;
}

void opt_list__free(struct opt_list *list)
{
	free(list->item);
	*list = (struct opt_list){ 0 };
}
