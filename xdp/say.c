// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum say_level most = SAY_NOTE;

void say__set_level(enum say_level level)
{
	most = level;
}

void say(enum say_level level, const char *format, ...)
{
	va_list args;
	char line[1024];

	if (level > most)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "wirewho: %s\n", line);
}

int say__library(int level, const char *format, va_list args)
{
	(void)level;
	if (most < SAY_DETAIL)
		return 0;
	fputs("    ", stderr);
	return vfprintf(stderr, format, args);
}

int fail(int err, const char *hint, const char *format, ...)
{
	char what[512];
	va_list args;

	/* Whatever was tried: neither rights nor less memory help there. */
	if (err == -EMFILE || err == EMFILE)
		hint = "raise the limit of open files, as with `ulimit -n 1024`";
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	say(SAY_ERROR, "%s: %s%s%s", what, strerror(err < 0 ? -err : err), hint ? "; " : "",
	    hint ? hint : "");
	return err;
}
