// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What one interface allows, and what is on it already. */
#include "doctor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tools/capture/busy_poll.h"
#include "tools/hooks.h"
#include "place.h"
#include "xdp/netlink.h"
#include "xdp/link.h"
#include "xdp/probe.h"

/*
 * From <linux/netdev.h> (kernel commit d3d854fd6a1d, 6.3): the driver's own word on XDP. The installed headers may be
 * older.
 */
enum {
	NETDEV_DEV_GET = 1,
	NETDEV_IFINDEX = 1,
	NETDEV_XDP_FEATURES = 3,
	XDP_BASIC = 1 << 0,
	XDP_REDIRECT_OUT = 1 << 1,
	XDP_ZEROCOPY = 1 << 3,
	XDP_FRAGS = 1 << 5,
};

/* A frame in one piece has at most a page, less 256 bytes of headroom and 320 of bookkeeping, less its header. */
#define MTU_ONE_PIECE 3506

#define TC_INSTEAD "--mode tc (run, top, trace packets)"

struct link {
	const char *name;
	struct link_facts facts;
	struct place place;
	bool features_known;
	uint64_t features;
	struct xdp_hook xdp;
};

/* ---- asking ---- */

static void take_family(void *to, const struct nlmsghdr *answer)
{
	if (answer->nlmsg_type == GENL_ID_CTRL)
		*(unsigned *)to = (unsigned)netlink__number(
			netlink__find(answer, sizeof(struct genlmsghdr), CTRL_ATTR_FAMILY_ID));
}

static void take_features(void *to, const struct nlmsghdr *answer)
{
	const struct nlattr *a = netlink__find(answer, sizeof(struct genlmsghdr),
					       NETDEV_XDP_FEATURES);
	struct link *l = to;

	l->features_known = a != NULL;
	l->features = netlink__number(a);
}

static void ask_features(struct link *l)
{
	struct netlink_request family = {
		.head = { .nlmsg_type = GENL_ID_CTRL },
		.generic = { .cmd = CTRL_CMD_GETFAMILY, .version = 1 },
	};
	struct netlink_request get = { .generic = { .cmd = NETDEV_DEV_GET, .version = 1 } };
	unsigned id = 0;

	netlink__put(&family, sizeof(family.generic), CTRL_ATTR_FAMILY_NAME, "netdev",
		     sizeof("netdev"));
	if (netlink__ask(NETLINK_GENERIC, &family, sizeof(family.generic), take_family, &id) || !id)
		return;
	get.head.nlmsg_type = (__u16)id;
	netlink__put(&get, sizeof(get.generic), NETDEV_IFINDEX, &l->facts.ifindex,
		     sizeof(l->facts.ifindex));
	netlink__ask(NETLINK_GENERIC, &get, sizeof(get.generic), take_features, l);
}

/* One of ethtool's yes-or-no questions. */
static bool ask_ethtool(const char *ifname, uint32_t command, uint32_t bit)
{
	struct ethtool_value value = { .cmd = command };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_data = (void *)&value };
	bool yes;

	if (fd < 0)
		return false;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	yes = !ioctl(fd, SIOCETHTOOL, &r) && (value.data & bit);
	close(fd);
	return yes;
}

/* ---- the interface itself ---- */

static void check__state(struct doctor *d, const struct link *l)
{
	const struct link_facts *f = &l->facts;
	char fix[96];

	snprintf(fix, sizeof(fix), "ip link set dev %s up", l->name);
	if (!f->up)
		doctor__find(d, DOCTOR_PROBLEM, "link", fix, "down");
	else if (!f->carrier)
		doctor__find(d, DOCTOR_PROBLEM, "link", "check the cable, or the peer's state",
			     "up, but without carrier");
	else
		doctor__find(d, DOCTOR_OK, "link", NULL,
			     "up, MTU %u, driver %s%s%s, %u receive queue%s%s", f->mtu,
			     *f->driver ? f->driver : "unknown", *l->place.kind ? ", kind " : "",
			     l->place.kind, f->queues, f->queues == 1 ? "" : "s",
			     f->raw ? ", no Ethernet header" : "");
}

static bool native(const struct link *l)
{
	return l->features_known && l->features & XDP_BASIC;
}

static void check__mtu(struct doctor *d, const struct link *l)
{
	bool fits = l->facts.mtu <= MTU_ONE_PIECE;
	bool frags = l->features & XDP_FRAGS && !probe__frags();
	char fix[160];

	if (fits || (l->features_known && (!native(l) || frags)))
		return;
	snprintf(fix, sizeof(fix), "ip link set dev %s mtu 3500, or --mode generic", l->name);
	doctor__find(d, DOCTOR_NOTE, "MTU", fix,
		     "MTU %u, and the driver %s XDP programs for frames in several pieces: it may "
		     "refuse native XDP",
		     l->facts.mtu, l->features_known ? "does not take" : "may not take");
}

/* The driver is known by its name only. */
static bool costs_peer(const struct link *l)
{
	return !strcmp(l->facts.driver, VETH_DRIVER);
}

static void check__modes(struct doctor *d, const struct link *l)
{
	const char *fix = costs_peer(l) ? TC_INSTEAD : NULL;
	const char *cost = costs_peer(l) ? "; on a veth native XDP " VETH_COST : "";

	if (!l->features_known)
		doctor__find(
			d, DOCTOR_NOTE, "XDP modes", fix,
			"this kernel does not tell what drivers can do: native is tried first, then generic%s",
			cost);
	else if (!native(l))
		doctor__find(
			d, DOCTOR_NOTE, "XDP modes", TC_INSTEAD,
			"the driver has no native XDP: generic is used, which costs more for each packet");
	else
		doctor__find(d, fix ? DOCTOR_NOTE : DOCTOR_OK, "XDP modes", fix, "native%s%s%s%s",
			     l->features & XDP_FRAGS ? ", frames in several pieces" : "",
			     l->features & XDP_REDIRECT_OUT ? ", redirect" : "",
			     l->features & XDP_ZEROCOPY ? ", zero-copy AF_XDP" : "; AF_XDP by copy",
			     cost);
}

static void check__offloads(struct doctor *d, const struct link *l)
{
	bool gro = ask_ethtool(l->name, ETHTOOL_GGRO, 1);
	bool lro = ask_ethtool(l->name, ETHTOOL_GFLAGS, ETH_FLAG_LRO);
	bool tso = ask_ethtool(l->name, ETHTOOL_GTSO, 1);
	char fix[96];

	snprintf(fix, sizeof(fix), "ethtool -K %s %s off%s", l->name, lro ? "lro" : "gro",
		 lro ? "" : ", or " TC_INSTEAD);
	if (lro)
		doctor__find(
			d, DOCTOR_NOTE, "offloads", fix,
			"LRO: the card merges received packets, so fewer and longer ones are counted than "
			"were on the wire; native XDP turns it off where the driver can");
	else if (gro && !native(l))
		doctor__find(
			d, DOCTOR_NOTE, "offloads", fix,
			"GRO: in generic mode packets are merged before they are counted, so fewer and "
			"longer ones than were on the wire");
	else
		doctor__find(
			d, DOCTOR_OK, "offloads", NULL,
			"GRO %s, LRO off, TSO %s: nothing that changes counts (what is sent is counted as "
			"the segments on the wire)",
			gro ? "on" : "off", tso ? "on" : "off");
}

/* ---- its place among others ---- */

static void check__addresses(struct doctor *d, const struct link *l)
{
	struct ifaddrs *all, *a;
	char first[INET6_ADDRSTRLEN] = "";

	if (getifaddrs(&all))
		return;
	for (a = all; a && !*first; a = a->ifa_next) {
		int family = a->ifa_addr ? a->ifa_addr->sa_family : AF_UNSPEC;

		if (strcmp(a->ifa_name, l->name))
			continue;
		if (family == AF_INET)
			inet_ntop(family, &((struct sockaddr_in *)a->ifa_addr)->sin_addr, first,
				  sizeof(first));
		else if (family == AF_INET6)
			inet_ntop(family, &((struct sockaddr_in6 *)a->ifa_addr)->sin6_addr, first,
				  sizeof(first));
	}
	freeifaddrs(all);
	if (*first)
		doctor__find(
			d, DOCTOR_OK, "addresses", NULL,
			"%s: the host's own traffic is here, so `capture --sample tap`, which takes packets "
			"away, is refused unless forced",
			first);
	else
		doctor__find(d, DOCTOR_OK, "addresses", NULL,
			     "none: `capture --sample tap` takes nothing away from this host");
}

/* ---- what is attached already ---- */

static void programs__text(const struct program *p, unsigned n, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%s (id %u)", i ? ", " : "",
				       p[i].name, p[i].id);
}

/* Somebody else's program, without the dispatcher. */
static void check__xdp_other(struct doctor *d, const struct link *l, const char *holder)
{
	const char *mode = l->xdp.generic ? "generic" : "native";
	char fix[160];

	if (*holder)
		snprintf(fix, sizeof(fix), "stop %s, or watch another interface", holder);
	else
		snprintf(fix, sizeof(fix), "ip link set dev %s xdp%s off", l->name,
			 l->xdp.generic ? "generic" : "drv");
	doctor__find(
		d, DOCTOR_PROBLEM, "XDP", fix,
		"%s (id %u, %s) is attached directly, and leaves no place for another program%s",
		l->xdp.program.name, l->xdp.program.id, mode,
		*holder ? "" : "; nobody has it open, but somebody may need it");
}

/* Ours already, of a run that lives or of one that was killed. */
static void check__xdp_ours(struct doctor *d, const struct program *p)
{
	char holder[64];

	if (hooks__holder(HELD_PROGRAM, p->id, holder, sizeof(holder)))
		doctor__find(d, DOCTOR_PROBLEM, "XDP", "stop it before another run",
			     "watched already, by %s", holder);
	else
		doctor__find(d, DOCTOR_PROBLEM, "XDP", "wirewho cleanup",
			     "%s (id %u) was left behind by a run that was killed", p->name, p->id);
}

static void check__xdp_direct(struct doctor *d, const struct link *l)
{
	const struct program *p = &l->xdp.program;
	char holder[64] = "";

	if (!strcmp(p->name, METER_NAME)) {
		check__xdp_ours(d, p);
		return;
	}
	hooks__holder(HELD_PROGRAM, p->id, holder, sizeof(holder));
	check__xdp_other(d, l, holder);
}

static void check__xdp_chain(struct doctor *d, const struct link *l)
{
	char all[512];

	for (unsigned i = 0; i < l->xdp.members; i++)
		if (!strcmp(l->xdp.member[i].name, METER_NAME)) {
			check__xdp_ours(d, &l->xdp.member[i]);
			return;
		}
	programs__text(l->xdp.member, l->xdp.members, all, sizeof(all));
	if (!l->xdp.members)
		snprintf(all, sizeof(all), "nothing");
	if (l->xdp.members_err)
		doctor__find(
			d, DOCTOR_PROBLEM, "XDP",
			"nsenter --net=/run/netns/NAME wirewho doctor ... (not ip netns exec)",
			"libxdp's dispatcher is attached, but what it runs cannot be seen from here: "
			"its pins are in another mount namespace (%s)",
			strerror(-l->xdp.members_err));
	else if (probe__dispatcher())
		doctor__find(
			d, DOCTOR_PROBLEM, "XDP", NULL,
			"libxdp's dispatcher is attached (%s), and no program can be added here",
			all);
	else
		doctor__find(d, DOCTOR_OK, "XDP", NULL,
			     "the dispatcher runs %s; ours is added with priority 50", all);
}

static void check__xdp(struct doctor *d, struct link *l)
{
	int err = hooks__xdp(l->facts.ifindex, &l->xdp);

	if (err)
		doctor__find(d, DOCTOR_PROBLEM, "XDP", NULL, "cannot ask what is attached: %s",
			     strerror(-err));
	else if (!l->xdp.program.id)
		doctor__find(d, DOCTOR_OK, "XDP", NULL, "no program attached");
	else if (l->xdp.dispatcher)
		check__xdp_chain(d, l);
	else
		check__xdp_direct(d, l);
}

/* Our filter, without its owner. */
static bool is_stale(const struct tc_filter *f, bool egress)
{
	char holder[64];

	return !strcmp(f->program.name, egress ? EGRESS_NAME : INGRESS_NAME) &&
	       !hooks__holder(HELD_PROGRAM, f->program.id, holder, sizeof(holder));
}

static void check__tc(struct doctor *d, const struct link *l, bool egress)
{
	const char *check = egress ? "tc egress" : "tc ingress";
	struct program tcx[HOOKS_MAX], clsact[HOOKS_MAX];
	struct tc_filter filters[HOOKS_MAX];
	int links = hooks__tcx(l->facts.ifindex, egress, tcx);
	int n = hooks__filters(l->facts.ifindex, egress, filters);
	char a[512], b[512];
	bool stale = false;

	for (int i = 0; i < n; i++) {
		clsact[i] = filters[i].program;
		stale |= is_stale(&filters[i], egress);
	}
	programs__text(tcx, links > 0 ? (unsigned)links : 0, a, sizeof(a));
	programs__text(clsact, n > 0 ? (unsigned)n : 0, b, sizeof(b));
	/* -EINVAL: a kernel without tcx. */
	if ((links < 0 && links != -EINVAL) || n < 0)
		doctor__find(d, DOCTOR_NOTE, check, "sudo wirewho doctor",
			     "cannot ask what is attached: %s", strerror(n < 0 ? -n : -links));
	else if (!*a && !*b)
		doctor__find(d, DOCTOR_OK, check, NULL, "no BPF program attached");
	else
		doctor__find(d, stale ? DOCTOR_PROBLEM : DOCTOR_OK, check,
			     stale ? "wirewho cleanup" : NULL, "%s%s%s%s%s%s", *a ? "tcx: " : "", a,
			     *a && *b ? "; " : "", *b ? "clsact: " : "", b,
			     stale ? "; left behind by a run that was killed" : "");
}

struct stale {
	unsigned ifindex;
	bool is;
};

static void look_stale(void *to, const char *path, const struct busy_poll_left *left)
{
	struct stale *s = to;

	(void)path;
	s->is |= !left->in_use && !left->gone && if_nametoindex(left->ifname) == s->ifindex;
}

/* Whoever set the knobs: they are said, because received packets wait for them. */
static void check__busy_poll(struct doctor *d, const struct link *l)
{
	struct stale stale = { .ifindex = l->facts.ifindex };
	struct busy_poll_knobs now;

	busy_poll__each(look_stale, &stale);
	if (busy_poll__read(l->name, &now))
		doctor__find(d, DOCTOR_NOTE, "busy poll", NULL,
			     "napi_defer_hard_irqs and gro_flush_timeout cannot be read: capture "
			     "--busy-poll will not work");
	else
		doctor__find(d, stale.is ? DOCTOR_PROBLEM : DOCTOR_OK, "busy poll",
			     stale.is ? "wirewho cleanup" : NULL,
			     "napi_defer_hard_irqs %lu, gro_flush_timeout %lu ns%s", now.defer,
			     now.timeout,
			     stale.is ? "; left behind by a capture --busy-poll that was killed"
				      : "");
}

void doctor__link(struct doctor *d, const char *ifname)
{
	struct link l = { .name = ifname };
	int err = link__facts(ifname, &l.facts);

	if (err) {
		doctor__find(d, DOCTOR_PROBLEM, "link",
			     "ip link lists those of this network namespace",
			     "no such interface here: %s", strerror(-err));
		return;
	}
	place__ask(&l.place, l.facts.ifindex);
	ask_features(&l);
	check__state(d, &l);
	check__modes(d, &l);
	check__mtu(d, &l);
	place__check(d, l.name, &l.place);
	check__offloads(d, &l);
	check__addresses(d, &l);
	check__xdp(d, &l);
	check__tc(d, &l, false);
	check__tc(d, &l, true);
	check__busy_poll(d, &l);
}
