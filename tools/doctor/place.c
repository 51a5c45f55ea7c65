// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "place.h"

#include <linux/if_link.h>
#include <stdio.h>
#include <string.h>
#include "xdp/netlink.h"

/* ---- asking ---- */

#define BODY sizeof(struct ifinfomsg)

static unsigned number(const struct nlmsghdr *answer, unsigned type)
{
	return (unsigned)netlink__number(netlink__find(answer, BODY, type));
}

static void take_kind(char *kind, size_t size, const struct nlmsghdr *answer)
{
	const struct nlattr *info = netlink__find(answer, BODY, IFLA_LINKINFO);

	snprintf(kind, size, "%s", netlink__text(netlink__within(info, IFLA_INFO_KIND)));
}

static void take_link(void *to, const struct nlmsghdr *answer)
{
	const struct nlattr *info = netlink__find(answer, BODY, IFLA_LINKINFO);
	const struct nlattr *data = netlink__within(info, IFLA_INFO_DATA);
	struct place *p = to;

	if (answer->nlmsg_type != RTM_NEWLINK)
		return;
	take_kind(p->kind, sizeof(p->kind), answer);
	if_indextoname(number(answer, IFLA_MASTER), p->master);
	/* A veth's peer is its IFLA_LINK, too, but often in another namespace. */
	if (!netlink__find(answer, BODY, IFLA_LINK_NETNSID))
		if_indextoname(number(answer, IFLA_LINK), p->parent);
	snprintf(p->queue, sizeof(p->queue), "%s",
		 netlink__text(netlink__find(answer, BODY, IFLA_QDISC)));
	if (!strcmp(p->kind, "vlan"))
		p->vlan = (unsigned)netlink__number(netlink__within(data, IFLA_VLAN_ID));
}

static void take_master(void *to, const struct nlmsghdr *answer)
{
	struct place *p = to;

	if (answer->nlmsg_type == RTM_NEWLINK)
		take_kind(p->master_kind, sizeof(p->master_kind), answer);
}

/* Of all interfaces: is this one a port of ours? */
static void take_port(void *to, const struct nlmsghdr *answer)
{
	struct place *p = to;
	size_t at = strlen(p->ports);

	if (answer->nlmsg_type == RTM_NEWLINK && number(answer, IFLA_MASTER) == p->ifindex &&
	    at + sizeof(" -i ") + IF_NAMESIZE <= sizeof(p->ports))
		sprintf(p->ports + at, " -i %.15s",
			netlink__text(netlink__find(answer, BODY, IFLA_IFNAME)));
}

static void ask(unsigned ifindex, netlink_fn fn, struct place *p)
{
	struct netlink_request r = {
		.head = { .nlmsg_type = RTM_GETLINK, .nlmsg_flags = ifindex ? 0 : NLM_F_DUMP },
		.link = { .ifi_index = (int)ifindex },
	};

	netlink__ask(NETLINK_ROUTE, &r, sizeof(r.link), fn, p);
}

void place__ask(struct place *p, unsigned ifindex)
{
	*p = (struct place){ .ifindex = ifindex };
	ask(ifindex, take_link, p);
	if (*p->master)
		ask(if_nametoindex(p->master), take_master, p);
	ask(0, take_port, p);
}

/* ---- advising ---- */

/* On the ports there is more to see than on what they are joined to. */
static void advise_ports(struct doctor *d, const struct place *p, const char *fact)
{
	char fix[320];

	snprintf(fix, sizeof(fix), "wirewho top%s", p->ports);
	doctor__find(d, DOCTOR_NOTE, "place", *p->ports ? fix : NULL, "%s", fact);
}

static void check__bond(struct doctor *d, const char *ifname, const struct place *p)
{
	(void)ifname;
	advise_ports(
		d, p,
		"a bond: watch its ports instead, which counts each packet once and needs nothing of the "
		"bond; native XDP on the bond itself takes drivers that have it on all of them, and a "
		"mode that spreads packets in software");
}

static void check__vlan(struct doctor *d, const char *ifname, const struct place *p)
{
	char fix[96];

	(void)ifname;
	snprintf(fix, sizeof(fix), "wirewho top -i %s --match 'vlan %u'", p->parent, p->vlan);
	if (*p->parent)
		doctor__find(
			d, DOCTOR_NOTE, "place", fix,
			"VLAN %u on %s: generic XDP only; watch %s instead, which has native XDP if its "
			"driver has, and sees the tags (where `ethtool -K %s rxvlan off` leaves them in "
			"the frame)",
			p->vlan, p->parent, p->parent, p->parent);
	else
		doctor__find(
			d, DOCTOR_NOTE, "place", NULL,
			"VLAN %u on an interface of another network namespace: generic XDP only; watch "
			"that one there",
			p->vlan);
}

static void check__bridge(struct doctor *d, const char *ifname, const struct place *p)
{
	(void)ifname;
	advise_ports(
		d, p,
		"a bridge: it sees what is for this host and comes from it; what passes from port to port "
		"is seen on the ports only; watch those");
}

static void check__macvlan(struct doctor *d, const char *ifname, const struct place *p)
{
	char fix[96];

	snprintf(fix, sizeof(fix), "wirewho top -i %s", p->parent);
	doctor__find(
		d, DOCTOR_NOTE, "place", *p->parent ? fix : NULL,
		"a %s on %s: generic XDP only, and the packets of %s alone; %s sees those of all that "
		"stand on it, but for what they send each other",
		p->kind, *p->parent ? p->parent : "an interface of another network namespace",
		ifname, *p->parent ? p->parent : "that one");
}

static const struct {
	const char *kind;
	void (*check)(struct doctor *d, const char *ifname, const struct place *p);
} kinds[] = {
	{ "bond", check__bond },      { "team", check__bond },       { "vlan", check__vlan },
	{ "bridge", check__bridge },  { "macvlan", check__macvlan }, { "macvtap", check__macvlan },
	{ "ipvlan", check__macvlan },
};

static void check__port(struct doctor *d, const struct place *p)
{
	if (!strcmp(p->master_kind, "bridge"))
		doctor__find(
			d, DOCTOR_OK, "place", NULL,
			"a port of %s, a bridge: it sees all that comes and goes here; beside %s, or another "
			"port, a flow has records on both, and the second ones are marked as repeated",
			p->master, p->master);
	else
		doctor__find(
			d, DOCTOR_OK, "place", NULL,
			"a port of %s%s%s: watch all its ports; beside them %s counts the same packets again, "
			"in records that are marked as repeated",
			p->master, *p->master_kind ? ", a " : "", p->master_kind, p->master);
}

/* What a queue drops has been counted before. */
static void check__queue(struct doctor *d, const char *ifname, const struct place *p)
{
	char fix[96];

	snprintf(fix, sizeof(fix), "tc -s qdisc show dev %s", ifname);
	if (!strcmp(p->queue, "netem"))
		doctor__find(
			d, DOCTOR_NOTE, "queue", fix,
			"netem: what is sent is counted before it, so what netem drops is counted, and "
			"what it doubles is counted once");
}

void place__check(struct doctor *d, const char *ifname, const struct place *p)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp(p->kind, kinds[i].kind))
			kinds[i].check(d, ifname, p);
	if (*p->master)
		check__port(d, p);
	check__queue(d, ifname, p);
}
