// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* wirewho doctor: what this host can do, what is in the way, and the exact fix. */
#include "verbs.h"

#include <errno.h>
#include <jansson.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/doctor/doctor.h"
#include "tools/hooks.h"
#include "tools/opt.h"
#include "xdp/say.h"

#define LINE_WIDTH 100
#define INDENT 24

static const struct usage usage = {
	.verb = "doctor",
	.synopsis = "[-i IF]... [--json]",
	.about =
		"Tries what the other verbs need, and says what works, what works with less, and what "
		"is in the way, each with its fix. Attaches nothing, changes nothing. The exit code is "
		"1 when there is a problem.",
	.examples = "wirewho doctor                    this host\n"
		    "wirewho doctor -i eth0 -i eth1    and these interfaces\n"
		    "wirewho doctor --json | jq -r 'select(.verdict == \"problem\") | .fix'",
};

static const char *const verdicts[] = { "ok", "note", "problem" };

/* ---- findings ---- */

/* Words from column INDENT on; the first line has its head already. */
static void print_wrapped(const char *text)
{
	int at = INDENT;

	while (*text) {
		int word = (int)strcspn(text, " ");

		if (at > INDENT && at + 1 + word > LINE_WIDTH) {
			printf("\n%*s", INDENT, "");
			at = INDENT;
		}
		at += printf("%s%.*s", at > INDENT ? " " : "", word, text);
		text += word;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void find__text(struct doctor *d, enum verdict v, const char *check, const char *fix,
		       const char *fact)
{
	if (d->said != d->scope)
		printf("%s%s\n", d->said ? "\n" : "", d->scope);
	d->said = d->scope;
	printf("  %-8s %-12s ", verdicts[v], check);
	print_wrapped(fact);
	if (!fix)
		return;
	/* As it is, however long: it is there to be copied. */
	printf("%*s-> %s\n", INDENT, "", fix);
}

static void find__json(const struct doctor *d, enum verdict v, const char *check, const char *fix,
		       const char *fact)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s?}", "scope", d->scope, "check", check,
			      "verdict", verdicts[v], "fact", fact, "fix", fix);

	if (!o) {
		fail(-ENOMEM, NULL, "write what was found about %s", check);
		return;
	}
	json_dumpf(o, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(o);
}

void doctor__find(struct doctor *d, enum verdict v, const char *check, const char *fix,
		  const char *format, ...)
{
	char fact[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(fact, sizeof(fact), format, args);
	va_end(args);
	d->notes += v == DOCTOR_NOTE;
	d->problems += v == DOCTOR_PROBLEM;
	if (d->json)
		find__json(d, v, check, fix, fact);
	else
		find__text(d, v, check, fix, fact);
}

/* ---- the verb ---- */

static void suggest_interfaces(void)
{
	struct if_nameindex *all = if_nameindex();

	printf("\nName interfaces to have them checked, too:");
	for (struct if_nameindex *i = all; i && i->if_index; i++)
		if (strcmp(i->if_name, "lo"))
			printf(" -i %s", i->if_name);
	putchar('\n');
	if (all)
		if_freenameindex(all);
}

static int examine(struct doctor *d, const struct opt_list *interfaces)
{
	hooks__hush();
	d->scope = "host";
	doctor__host(d);
	for (size_t i = 0; i < interfaces->n; i++) {
		d->scope = interfaces->item[i];
		doctor__link(d, interfaces->item[i]);
	}
	if (!d->json && !interfaces->n)
		suggest_interfaces();
	if (!d->json)
		printf("\n%u problem%s, %u note%s\n", d->problems, d->problems == 1 ? "" : "s",
		       d->notes, d->notes == 1 ? "" : "s");
	return d->problems ? 1 : 0;
}

int verb_doctor(int argc, char **argv)
{
	struct doctor d = { 0 };
	struct opt_list interfaces = { 0 };
	bool verbose = false;
	const struct opt opts[] = {
		{ 'i', "interface", "IF", "check this interface; may be given several times",
		  OPT_LIST, &interfaces, 0, 0, NULL },
		{ 0, "json", NULL, "one JSON object a line", OPT_FLAG, &d.json, 0, 0, NULL },
		{ 'v', "verbose", NULL, "show the libraries' own lines", OPT_FLAG, &verbose, 0, 0,
		  NULL },
		{ 0 },
	};
	int first = opt__parse(argc, argv, &usage, opts), code = 2;

	if (verbose)
		say__set_level(SAY_DETAIL);
	if (first == OPT_HELPED)
		code = 0;
	else if (first >= 0 && first < argc)
		say(SAY_ERROR,
		    "doctor takes no argument, but got '%.80s'; try 'wirewho doctor --help'",
		    argv[first]);
	else if (first >= 0)
		code = examine(&d, &interfaces);
	opt_list__free(&interfaces);
	return code;
}
