// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Attaches the owner programs, and nothing else, each time a line comes in on stdin, and detaches them with the next. */
#include <errno.h>
#include <stdio.h>
#include "attrib/owners.h"

static void on_event(void *to, const struct owner_event *e)
{
	(void)e;
	++*(unsigned long *)to;
}

int main(void)
{
	struct owners *owners = NULL;
	unsigned long events = 0;
	char line[16];

	while (fgets(line, sizeof(line), stdin)) {
		if (owners) {
			owners__read(owners);
			owners__close(owners);
			owners = NULL;
		} else if (owners__open(&owners, 0, on_event, &events)) {
			return 1;
		}
		printf("%s %lu\n", owners ? "on" : "off", events);
		fflush(stdout);
	}
	owners__close(owners);
	return 0;
}
