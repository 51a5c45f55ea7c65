/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CAPTURE_FILTER_H
#define WIREWHO_CAPTURE_FILTER_H
/*
 * What is left out of a capture after the driver has handed it over: by a pcap-filter(7) expression, and by owner. Of
 * several --pid one must fit, and so for --comm, --user and --cgroup; of the four kinds, all that are given.
 */
#include <stdbool.h>
#include <stdint.h>
#include "attrib/process.h"
#include "tools/opt.h"

struct capture_filter_opts {
	const char *expression;                     /* pcap-filter, or NULL */
	struct opt_list pids, comms, users, groups; /* as they were given */
};

struct capture_filter;

/* Whether all of it can be understood: 0 or -EINVAL (said). */
int capture_filter__check(const struct capture_filter_opts *opts);
/* *opts must stay; NULL takes everything. 0 or -errno (said). */
int capture_filter__open(struct capture_filter **out, const struct capture_filter_opts *opts);
void capture_filter__close(struct capture_filter *f); /* NULL is fine */

bool capture_filter__wants_owner(const struct capture_filter_opts *opts);
bool capture_filter__takes_bytes(const struct capture_filter *f, bool raw, const uint8_t *data,
				 uint32_t caplen, uint32_t length);
/* NULL: nobody known, which fits no owner. */
bool capture_filter__takes_owner(const struct capture_filter *f, const struct process *p);
#endif
