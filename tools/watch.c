// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "watch.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "hooks.h"
#include "leftovers.h"
#include "xdp/link.h"
#include "xdp/pin.h"
#include "xdp/say.h"

const char *const watch_modes[] = { "auto", "native", "generic", "tc", NULL };
const char *const watch_tables[] = { "wirewho", "hash", NULL };

static void set_verbosity(bool verbose)
{
	say__set_level(verbose ? SAY_DETAIL : SAY_NOTE);
	hooks__hush();
}

static bool is_listed(const struct opt_list *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (!strcmp(list->item[i], name))
			return true;
	return false;
}

static bool is_candidate(const struct ifaddrs *a, const struct opt_list *have)
{
	struct link_facts f;

	return a->ifa_addr &&
	       (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6) &&
	       strcmp(a->ifa_name, "lo") && !is_listed(have, a->ifa_name) &&
	       !link__facts(a->ifa_name, &f) && f.up && f.carrier;
}

static int take(struct watch_opts *w, const char *name)
{
	size_t n = w->interfaces.n;
	const char **more = realloc(w->interfaces.item, (n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	w->interfaces.item = more;
	snprintf(w->chosen[n], sizeof(w->chosen[n]), "%s", name);
	more[n] = w->chosen[n];
	w->interfaces.n++;
	return 0;
}

/* None named: every interface that carries an address and a signal, but loopback. */
static int choose_interfaces(struct watch_opts *w)
{
	struct ifaddrs *all, *a;
	int err = 0;

	if (w->interfaces.n)
		return 0;
	w->chosen = calloc(LINKS_MAX, sizeof(*w->chosen));
	if (!w->chosen || getifaddrs(&all))
		return -ENOMEM;
	for (a = all; a && !err && w->interfaces.n < LINKS_MAX; a = a->ifa_next)
		if (is_candidate(a, &w->interfaces))
			err = take(w, a->ifa_name);
	freeifaddrs(all);
	if (!err && !w->interfaces.n) {
		say(SAY_ERROR,
		    "choose an interface: none but loopback is up and has an address; name one with -i");
		err = -ENODEV;
	}
	return err;
}

static int check_interfaces(const struct watch_opts *w)
{
	size_t i, j;

	for (i = 0; i < w->interfaces.n; i++)
		for (j = 0; j < i; j++)
			if (!strcmp(w->interfaces.item[i], w->interfaces.item[j])) {
				say(SAY_ERROR,
				    "watch %s: it was named twice, and would be counted twice",
				    w->interfaces.item[i]);
				return -EINVAL;
			}
	return 0;
}

static int compile_matches(struct watch_opts *w)
{
	char why[160];
	unsigned at;
	size_t i;

	for (i = 0; i < w->matches.n; i++) {
		int err = match__compile(&w->match, w->matches.item[i], &at, why, sizeof(why));

		if (err) {
			match__complain(w->matches.item[i], at, why);
			return err;
		}
	}
	return 0;
}

static int choose_chain(const struct watch_opts *w, struct chain *c)
{
	if (w->mode == RECEIVE_TC && (w->priority || w->actions)) {
		say(SAY_ERROR,
		    "--priority and --chain-actions give an XDP program its place, and --mode tc attaches none: leave out the one or the other");
		return -EINVAL;
	}
	*c = CHAIN_DEFAULT;
	c->asked = w->priority || w->actions;
	if (w->priority)
		c->priority = w->priority;
	if (!w->actions || !chain__parse_actions(c, w->actions))
		return 0;
	say(SAY_ERROR,
	    "--chain-actions takes aborted, drop, pass, tx and redirect, by commas, and not '%s'",
	    w->actions);
	return -EINVAL;
}

int watch__prepare(struct watch_opts *w, struct pipeline_opts *out)
{
	size_t i;

	set_verbosity(w->verbose);
	if (compile_matches(w) || check_interfaces(w) || choose_chain(w, &out->chain))
		return 2;
	if (choose_interfaces(w))
		return 1;
	for (i = 0; i < w->interfaces.n; i++)
		leftovers__before_start(w->interfaces.item[i]);
	if (w->pin && pins__open(w->pin))
		return 1;
	out->ifname = w->interfaces.item;
	out->links = w->interfaces.n;
	out->mode = w->mode;
	out->flows = w->flows;
	out->hash = w->table;
	out->match = w->matches.n ? &w->match : NULL;
	return 0;
}

void watch__free(struct watch_opts *w)
{
	pins__close();
	opt_list__free(&w->interfaces);
	opt_list__free(&w->matches);
	free(w->chosen);
}
