/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_DOCTOR_H
#define WIREWHO_DOCTOR_H
/*
 * The doctor's checks: each ends in one finding. Checks attach nothing and change nothing.
 */
#include <stdbool.h>

enum verdict {
	DOCTOR_OK,
	DOCTOR_NOTE,    /* works, with less or in another way */
	DOCTOR_PROBLEM, /* something will not work: exit code 1 */
};

struct doctor {
	bool json;         /* one object a line instead of text */
	const char *scope; /* "host", or the interface that is looked at */
	unsigned notes, problems;
	const char *said; /* scope whose heading is printed */
};

/* One finding: what was checked, the fact (a format), and what to do about it (NULL: nothing). */
void doctor__find(struct doctor *d, enum verdict v, const char *check, const char *fix,
		  const char *format, ...) __attribute__((format(printf, 5, 6)));

void doctor__host(struct doctor *d);
void doctor__link(struct doctor *d, const char *ifname);
#endif
