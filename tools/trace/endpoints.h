/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TRACE_ENDPOINTS_H
#define WIREWHO_TRACE_ENDPOINTS_H
/*
 * What the tracers of sockets share: the owner programs at work beside their own, so that a socket has the owner that
 * `wirewho run` gives its flows; and how a socket's ends stand in lines and records.
 */
#include <jansson.h>
#include "attrib/owner.h"
#include "trace.h"

struct endpoints;

/* A socket that the filter takes has been found to listen here. */
typedef void (*listener_fn)(void *to, const struct flow_key *key, uint64_t netns);

/* Loads and attaches the owner programs, and gives their maps to `obj`, which is not loaded yet. 0 or -errno (said). */
int endpoints__open(struct endpoints **out, struct trace *t, struct bpf_object *obj);
void endpoints__close(struct endpoints *p);
/* Once the tracer's own programs are attached: takes in the sockets that are older. 0 or -errno (said). */
int endpoints__snapshot(struct endpoints *p);
/* Before the snapshot: from here on listeners are told. */
void endpoints__tell_listeners(struct endpoints *p, listener_fn fn, void *to);
/* Before each batch of events. */
void endpoints__look(struct endpoints *p, uint64_t now);

/* Who listens where this key's source is. NULL: nobody known. Valid until the next look. */
const struct who *endpoints__listener(struct endpoints *p, const struct flow_key *key,
				      uint64_t netns, enum owner_how *how);

/* One line's or record's common part. */
struct endpoint {
	uint64_t time;              /* CLOCK_MONOTONIC ns */
	const struct flow_key *key; /* source is the socket's own end */
	uint64_t netns;
	const struct who *who;
	uint8_t how; /* OWNER_NONE: `who` means nothing */
	int opened;  /* by the socket's own end: 1, by its peer: 0, not known: -1 */
};

/* "TIME USER PID COMM HOW LOCAL REMOTE" in columns, without newline, and the heads of those columns. */
void endpoints__heads(struct endpoints *p);
void endpoints__line(struct endpoints *p, const struct endpoint *e);
/* `action` as in event.action; ours: the object below "wirewho" (its reference is taken). NULL without memory. */
json_t *endpoints__record(struct endpoints *p, const struct endpoint *e, const char *action,
			  json_t *ours);

/* "10.77.0.1:80", "[fd77::1]:80", "*:53"; nothing known: "*". Returns text. */
#define ENDPOINT_SIZE 56
char *endpoint__text(const struct flow_key *key, bool source, char text[ENDPOINT_SIZE]);

/* --port: a list of port numbers. 0, or -EINVAL (said). */
int endpoints__ports(const struct opt_list *list, __u16 *port, unsigned most, __u32 *n);
#endif
