// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The option parser: values that must be taken, command lines that must fail, and noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "tools/opt.h"

#define WORDS_MAX 12

static const char *const modes[] = { "auto", "native", "generic", NULL };

static struct values {
	bool verbose;
	uint64_t count, size;
	const char *file, *json;
	struct opt_list match;
	int mode;
} v;

static const struct opt opts[] = {
	{ 'v', "verbose", NULL, "say more", OPT_FLAG, &v.verbose, 0, 0, NULL },
	{ 'c', "count", "N", "how many", OPT_NUMBER, &v.count, 1, 1000000, NULL },
	{ 0, "size", "BYTES", "how large", OPT_NUMBER, &v.size, 0, UINT64_MAX, NULL },
	{ 'w', NULL, "FILE", "where to", OPT_TEXT, &v.file, 0, 0, NULL },
	{ 'm', "match", "EXPR", "which", OPT_LIST, &v.match, 0, 0, NULL },
	{ 0, "mode", NULL, "how", OPT_CHOICE, &v.mode, 0, 0, modes },
	{ 0, "json", "FILE", "as JSON", OPT_MAYBE, &v.json, 0, 0, NULL },
	{ 0 },
};

static const struct usage usage = {
	.verb = "test",
	.synopsis = "[FILE]",
	.about =
		"A verb that exists in this test only, with an about text long enough that it has to be"
		" folded at the right margin.",
	.examples = "wirewho test a\nwirewho test b",
};

/* Splits at blanks, keeps the words alive for the caller's look at `v`. */
static int parse(const char *line)
{
	static char words[512];
	static char *argv[WORDS_MAX + 1];
	int argc = 0;

	free(v.match.item);
	v = (struct values){ 0 };
	snprintf(words, sizeof(words), "test %s", line);
	for (char *w = strtok(words, " "); w && argc < WORDS_MAX; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	return opt__parse(argc, argv, &usage, opts);
}

/* What went to `fd` while the line was parsed. */
static const char *parse__output(const char *line, int fd, int *result)
{
	static char text[4096];
	FILE *file = tmpfile();
	int saved = dup(fd);
	size_t n;

	assert_non_null(file);
	fflush(NULL);
	dup2(fileno(file), fd);
	*result = parse(line);
	fflush(NULL);
	dup2(saved, fd);
	close(saved);
	rewind(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = '\0';
	fclose(file);
	return text;
}

static void takes_values(void **state)
{
	(void)state;
	assert_int_equal(parse("-v -c 10 -w out --size=7 --mode generic"), 9);
	assert_true(v.verbose);
	assert_int_equal(v.count, 10);
	assert_int_equal(v.size, 7);
	assert_string_equal(v.file, "out");
	assert_int_equal(v.mode, 2);
	assert_null(v.json);

	assert_int_equal(parse("-vc5 -m tcp --match=udp -mip"), 6);
	assert_int_equal(v.count, 5);
	assert_int_equal(v.match.n, 3);
	assert_string_equal(v.match.item[0], "tcp");
	assert_string_equal(v.match.item[1], "udp");
	assert_string_equal(v.match.item[2], "ip");
	opt_list__free(&v.match);
	assert_null(v.match.item);
	assert_int_equal(v.match.n, 0);
}

static void takes_optional_values(void **state)
{
	(void)state;
	assert_int_equal(parse("--json"), 2);
	assert_string_equal(v.json, "");
	assert_int_equal(parse("--json=x"), 2);
	assert_string_equal(v.json, "x");
	/* A separate word is not the value of an option that may go without. */
	assert_int_equal(parse("--json x"), 2);
	assert_string_equal(v.json, "");
}

static void takes_positionals(void **state)
{
	(void)state;
	assert_int_equal(parse(""), 1);
	assert_int_equal(parse("file"), 1);
	assert_int_equal(parse("file -v"), 2);
	assert_true(v.verbose);
	assert_int_equal(parse("-- -v"), 2);
	assert_false(v.verbose);
	assert_int_equal(parse("a -- -v"), 2);
	assert_false(v.verbose);
	assert_int_equal(parse("-"), 1);
}

static const struct {
	const char *text;
	unsigned long long value;
} good_numbers[] = {
	{ "0", 0 },
	{ "007", 7 },
	{ "1k", 1000 },
	{ "3M", 3000000 },
	{ "4G", 4000000000ULL },
	{ "2Ki", 2048 },
	{ "64Mi", 64ULL << 20 },
	{ "1Gi", 1ULL << 30 },
	{ "18446744073709551615", UINT64_MAX },
};

static const char *const bad_numbers[] = {
	"",
	"-1",
	"+1",
	" 1",
	"1 ",
	"1.5",
	"0x10",
	"1e3",
	"k",
	"1kk",
	"1Kb",
	"1K",
	"1mi",
	"1T",
	"ten",
	"1,0",
	"1\n",
	"\x01",
	"١",
	"18446744073709551616",
	"18446744073709552k",
	"99999999999999999999999999",
};

static void reads_numbers(void **state)
{
	unsigned long long got;

	(void)state;
	for (size_t i = 0; i < sizeof(good_numbers) / sizeof(*good_numbers); i++) {
		got = 12345;
		assert_int_equal(opt__number(good_numbers[i].text, "n", 0, UINT64_MAX, &got), 0);
		assert_true(got == good_numbers[i].value);
	}
	for (size_t i = 0; i < sizeof(bad_numbers) / sizeof(*bad_numbers); i++) {
		got = 12345;
		assert_true(opt__number(bad_numbers[i], "n", 0, UINT64_MAX, &got) < 0);
		assert_int_equal(got, 12345);
	}
	assert_true(opt__number("9", "n", 10, 20, &got) < 0);
	assert_int_equal(opt__number("10", "n", 10, 20, &got), 0);
	assert_int_equal(opt__number("20", "n", 10, 20, &got), 0);
	assert_true(opt__number("21", "n", 10, 20, &got) < 0);
}

/* Each must be refused in one line that holds this text, and the way to the help. */
static const struct {
	const char *line, *said;
} wrong[] = {
	{ "-x", "unknown option -x" },
	{ "-vx", "unknown option -x" },
	{ "--nothing", "--nothing" },
	{ "--m=1", "--m=1" }, /* --match or --mode */
	{ "--verbose=1", "--verbose=1: this option takes no value" },
	{ "--help=1", "takes no value" },
	{ "-c", "--count wants a value: N" },
	{ "-w", "-w wants a value: FILE" },
	{ "--mode", "--mode wants a value" },
	{ "-c 0", "--count '0' is not a whole number from 1 to 1000000" },
	{ "-c 1000001", "'1000001'" },
	{ "-c 2M", "'2M'" },
	{ "-c -1", "'-1'" },
	{ "--size 1q", "--size '1q' is not a whole number from 0 upwards" },
	{ "--mode fast", "--mode 'fast' is not one of: auto, native, generic" },
	{ "--mode nativ", "'nativ'" },
	{ "file -x", "unknown option -x" },
};

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int result;
		const char *said = parse__output(wrong[i].line, STDERR_FILENO, &result);

		if (result != OPT_WRONG || !strstr(said, wrong[i].said))
			fail_msg("'%s': returned %d, said: %s", wrong[i].line, result, said);
		assert_non_null(strstr(said, "; try 'wirewho test --help'\n"));
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
}

static void helps(void **state)
{
	static const char *const parts[] = {
		"usage: wirewho test [FILE]\n",
		"  -v, --verbose      say more\n",
		"  -w FILE            where to\n",
		"      --json[=FILE]  as JSON\n",
		"--mode auto|native|generic\n",
		"  -h, --help         print this help\n",
		"      --version      print the version\n",
		"\n  wirewho test b\n",
	};
	int result;
	const char *text = parse__output("--help", STDOUT_FILENO, &result);

	(void)state;
	assert_int_equal(result, OPT_HELPED);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (!strstr(text, parts[i]))
			fail_msg("the help lacks \"%s\":\n%s", parts[i], text);
	for (const char *at = text; *at; at += strcspn(at, "\n") + 1)
		assert_true(strcspn(at, "\n") <= 80);

	assert_string_not_equal(parse__output("-v -h", STDOUT_FILENO, &result), "");
	assert_int_equal(result, OPT_HELPED);
	text = parse__output("--version", STDOUT_FILENO, &result);
	assert_int_equal(result, OPT_HELPED);
	assert_memory_equal(text, "wirewho ", 8);
}

/* Whatever the command line: a defined answer, and no byte outside. Meant for valgrind and ASan too. */
static void survives_noise(void **state)
{
	static const char letters[] = "-vcwmh=:; -json--size--match--modeauto019kMGi\x01\xff";
	unsigned seed = 1;
	int null = dup(STDERR_FILENO), out = dup(STDOUT_FILENO);

	(void)state;
	fflush(NULL);
	assert_non_null(freopen("/dev/null", "w", stderr));
	assert_non_null(freopen("/dev/null", "w", stdout));
	for (int round = 0; round < 20000; round++) {
		char line[64];
		int n = rand_r(&seed) % (int)(sizeof(line) - 1), result;

		for (int i = 0; i < n; i++)
			line[i] = letters[rand_r(&seed) % (sizeof(letters) - 1)];
		line[n] = '\0';
		result = parse(line);
		if (result != OPT_WRONG && result != OPT_HELPED && result < 1)
			abort();
	}
	fflush(NULL);
	dup2(null, STDERR_FILENO);
	dup2(out, STDOUT_FILENO);
	close(null);
	close(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_values),      cmocka_unit_test(takes_optional_values),
		cmocka_unit_test(takes_positionals), cmocka_unit_test(reads_numbers),
		cmocka_unit_test(refuses),           cmocka_unit_test(helps),
		cmocka_unit_test(survives_noise),
	};
	int failed = cmocka_run_group_tests_name("opt", tests, NULL, NULL);

	opt_list__free(&v.match);
	return failed;
}
