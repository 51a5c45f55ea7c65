// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "xdp/say.h"

#define LONGEST (256 << 10)
#define ID_LEAST 8 /* digits of a container's id that tell it from others */

struct capture_filter {
	const struct capture_filter_opts *opts;
	struct bpf_program program[2]; /* by raw */
	bool compiled, never_raw;
};

/* ---- by the packet ---- */

/* `quiet`: what is wrong with it has been said, or is right with another link type. */
static int compile(const char *expression, int link_type, bool quiet, struct bpf_program *out)
{
	pcap_t *p = pcap_open_dead(link_type, LONGEST);
	int err = 0;

	if (!p)
		return fail(-ENOMEM, NULL, "compile the filter");
	if (pcap_compile(p, out, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		if (!quiet)
			say(SAY_ERROR, "filter by '%s': %s; `man pcap-filter` has the language",
			    expression, pcap_geterr(p));
		err = -EINVAL;
	}
	pcap_close(p);
	return err;
}

bool capture_filter__takes_bytes(const struct capture_filter *f, bool raw, const uint8_t *data,
				 uint32_t caplen, uint32_t length)
{
	if (raw && f->never_raw)
		return false;
	return !f->compiled || bpf_filter(f->program[raw].bf_insns, data, length, caplen);
}

/* ---- by the owner ---- */

bool capture_filter__wants_owner(const struct capture_filter_opts *o)
{
	return o->pids.n || o->comms.n || o->users.n || o->groups.n;
}

static bool fits_pid(const struct process *p, const char *pid)
{
	return strtoul(pid, NULL, 10) == p->who.pid;
}

/* The kernel keeps 15 bytes of a name. */
static bool fits_comm(const struct process *p, const char *comm)
{
	return !strncmp(p->who.comm, comm, sizeof(p->who.comm) - 1);
}

static bool fits_user(const struct process *p, const char *user)
{
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", p->who.uid);
	return !strcmp(user, uid) || (p->user && !strcmp(user, p->user));
}

static bool fits_group(const struct process *p, const char *group)
{
	size_t n = strlen(group);

	if (p->container && n >= ID_LEAST && !strncmp(p->container, group, n))
		return true;
	while (n && group[n - 1] == '/')
		n--;
	return p->cgroup && !strncmp(p->cgroup, group, n) && (!p->cgroup[n] || p->cgroup[n] == '/');
}

static bool fits_any(const struct process *p, const struct opt_list *list,
		     bool (*fits)(const struct process *, const char *))
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (fits(p, list->item[i]))
			return true;
	return !list->n;
}

bool capture_filter__takes_owner(const struct capture_filter *f, const struct process *p)
{
	const struct capture_filter_opts *o = f->opts;

	if (!capture_filter__wants_owner(o))
		return true;
	return p && fits_any(p, &o->pids, fits_pid) && fits_any(p, &o->comms, fits_comm) &&
	       fits_any(p, &o->users, fits_user) && fits_any(p, &o->groups, fits_group);
}

/* ---- opening ---- */

int capture_filter__check(const struct capture_filter_opts *o)
{
	struct bpf_program program;
	unsigned long long pid;
	size_t i;
	int err = 0;

	for (i = 0; i < o->pids.n && !err; i++)
		err = opt__number(o->pids.item[i], "--pid", 1, 1u << 22, &pid);
	for (i = 0; i < o->groups.n && !err; i++)
		if (o->groups.item[i][0] != '/' && strlen(o->groups.item[i]) < ID_LEAST) {
			say(SAY_ERROR,
			    "--cgroup %s: a path below the cgroup root begins with /, and a container's "
			    "id needs at least %d digits",
			    o->groups.item[i], ID_LEAST);
			err = -EINVAL;
		}
	if (err || !o->expression)
		return err;
	err = compile(o->expression, DLT_EN10MB, false, &program);
	if (!err)
		pcap_freecode(&program);
	return err;
}

/* Where there is no Ethernet there is no ARP: libpcap refuses to compile what no packet can be. */
static int compile_both(struct capture_filter *f)
{
	int err = compile(f->opts->expression, DLT_EN10MB, false, &f->program[0]);

	if (err)
		return err;
	f->never_raw = compile(f->opts->expression, DLT_RAW, true, &f->program[1]);
	f->compiled = true;
	return 0;
}

int capture_filter__open(struct capture_filter **out, const struct capture_filter_opts *opts)
{
	static const struct capture_filter_opts everything;
	struct capture_filter *f = calloc(1, sizeof(*f));
	int err = 0;

	if (!f)
		return fail(-ENOMEM, NULL, "make the filter");
	f->opts = opts ? opts : &everything;
	if (f->opts->expression)
		err = compile_both(f);
	if (err) {
		free(f);
		return err;
	}
	*out = f;
	return 0;
}

void capture_filter__close(struct capture_filter *f)
{
	if (f && f->compiled) {
		pcap_freecode(&f->program[0]);
		if (!f->never_raw)
			pcap_freecode(&f->program[1]);
	}
	free(f);
}
