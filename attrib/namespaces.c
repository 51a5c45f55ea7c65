// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "namespaces.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "join.h"
#include "xdp/link.h"
#include "xdp/netlink.h"
#include "xdp/say.h"

#define NOT_SOONER (500 * 1000000ull) /* ns between two looks */
#define SHARE 20                      /* and at least so many times as long as the last look took */
#define LOOPBACK 1                    /* its ifindex in every namespace */
#define MASTERS 65536                 /* ifindexes below this are known with their bridge */
#define SOUGHT 64                     /* namespaces that were looked for and not found */

/* A growing array. */
struct list {
	void *at;
	size_t n, room;
};

struct namespaces {
	uint64_t home;
	int home_fd;
	int changes;                     /* netlink: links and addresses of this namespace */
	struct list link, address, door; /* behind_link, behind_address, uint32_t */
	struct list known;               /* uint64_t: cookies found in the last look */
	struct list inode;               /* uint64_t: namespaces met in this look */
	uint32_t *master;                /* by ifindex; 0: none */
	uint64_t sought[SOUGHT];
	unsigned sought_n;
	uint64_t last, took;
	uint64_t saw; /* cookie, the latest */
	bool stale, refused;
	int err;
};

static void *list__add(struct list *l, const void *what, size_t size)
{
	size_t room = l->room ? l->room * 2 : 32;
	void *more;

	if (l->n == l->room) {
		more = realloc(l->at, room * size);
		if (!more)
			return NULL;
		l->at = more;
		l->room = room;
	}
	return memcpy((char *)l->at + l->n++ * size, what, size);
}

static bool list__has(const struct list *l, uint64_t what)
{
	const uint64_t *at = l->at;
	size_t i;

	for (i = 0; i < l->n; i++)
		if (at[i] == what)
			return true;
	return false;
}

static int subscribe(void)
{
	struct sockaddr_nl to = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&to, sizeof(to)))
		return fd;
	if (fd >= 0)
		close(fd);
	return -errno;
}

int namespaces__open(struct namespaces **out, uint64_t home)
{
	struct namespaces *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->home = home;
	n->stale = true;
	n->home_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	n->changes = subscribe();
	n->master = calloc(MASTERS, sizeof(*n->master));
	err = !n->master ? -ENOMEM : n->home_fd < 0 ? -EIO : n->changes < 0 ? n->changes : 0;
	if (err) {
		namespaces__close(n);
		return fail(err, NULL, "learn of other network namespaces");
	}
	*out = n;
	return 0;
}

void namespaces__close(struct namespaces *n)
{
	if (!n)
		return;
	if (n->home_fd >= 0)
		close(n->home_fd);
	if (n->changes >= 0)
		close(n->changes);
	free(n->link.at);
	free(n->address.at);
	free(n->door.at);
	free(n->known.at);
	free(n->inode.at);
	free(n->master);
	free(n);
}

static void add_link(struct namespaces *n, uint32_t ifindex, uint64_t netns)
{
	struct behind_link l = { .ifindex = ifindex, .netns = netns };

	if (!list__add(&n->link, &l, sizeof(l)))
		n->err = -ENOMEM;
}

static void add_door(struct namespaces *n, uint32_t ifindex)
{
	if (!list__add(&n->door, &ifindex, sizeof(ifindex)))
		n->err = -ENOMEM;
}

/* ---- this namespace's interfaces ---- */

static void on_own_link(void *to, const struct nlmsghdr *answer)
{
	struct namespaces *n = to;
	const struct ifinfomsg *info = NLMSG_DATA(answer);
	size_t body = sizeof(*info);
	uint32_t master, ifindex;

	if (answer->nlmsg_type != RTM_NEWLINK)
		return;
	ifindex = info->ifi_index;
	master = netlink__number(netlink__find(answer, body, IFLA_MASTER));
	if (ifindex < MASTERS)
		n->master[ifindex] = master;
	if (!netlink__find(answer, body, IFLA_LINK_NETNSID))
		return;
	add_door(n, ifindex);
	if (master)
		add_door(n, master);
}

static int dump(int type, size_t body, netlink_fn fn, void *to)
{
	struct netlink_request r = {
		.head = { .nlmsg_type = type, .nlmsg_flags = NLM_F_DUMP },
	};

	return netlink__ask(NETLINK_ROUTE, &r, body, fn, to);
}

/* ---- inside another one ---- */

struct visit {
	struct namespaces *n;
	uint64_t cookie;
	struct list link; /* struct half */
	int home;         /* our number there; -1: it has none */
};

/* An interface there that has its other half elsewhere. */
struct half {
	uint32_t ifindex; /* of the other half */
	int netns;        /* number of the namespace that is in */
};

static void on_link(void *to, const struct nlmsghdr *answer)
{
	const size_t body = sizeof(struct ifinfomsg);
	const struct nlattr *netns = netlink__find(answer, body, IFLA_LINK_NETNSID);
	struct visit *v = to;
	struct half h = { .ifindex = netlink__number(netlink__find(answer, body, IFLA_LINK)),
			  .netns = (int)netlink__number(netns) };

	if (answer->nlmsg_type == RTM_NEWLINK && netns && h.ifindex &&
	    !list__add(&v->link, &h, sizeof(h)))
		v->n->err = -ENOMEM;
}

static void add_address(struct visit *v, const struct nlattr *a)
{
	struct behind_address out = { .netns = v->cookie };

	if (a && a->nla_len == NLA_HDRLEN + 4) {
		out.address[10] = out.address[11] = 0xff;
		memcpy(out.address + 12, (const char *)a + NLA_HDRLEN, 4);
	} else if (a && a->nla_len == NLA_HDRLEN + 16) {
		memcpy(out.address, (const char *)a + NLA_HDRLEN, 16);
	} else {
		return;
	}
	if (!list__add(&v->n->address, &out, sizeof(out)))
		v->n->err = -ENOMEM;
}

/* At home also what it shares with its network: a broadcast is for it, too. */
static void on_address(void *to, const struct nlmsghdr *answer)
{
	const struct ifaddrmsg *info = NLMSG_DATA(answer);
	const struct nlattr *a = netlink__find(answer, sizeof(*info), IFA_LOCAL);
	struct visit *v = to;
	bool home = v->cookie == v->n->home;

	if (answer->nlmsg_type != RTM_NEWADDR || (info->ifa_index == LOOPBACK && !home))
		return;
	add_address(v, a ? a : netlink__find(answer, sizeof(*info), IFA_ADDRESS));
	if (home)
		add_address(v, netlink__find(answer, sizeof(*info), IFA_BROADCAST));
}

static void on_number(void *to, const struct nlmsghdr *answer)
{
	struct visit *v = to;

	if (answer->nlmsg_type == RTM_NEWNSID)
		v->home = (int)netlink__number(
			netlink__find(answer, sizeof(struct rtgenmsg), NETNSA_NSID));
}

/* Numbers are given out when an interface that has its other half there is looked at: so this comes after. */
static void ask_home_number(struct visit *v)
{
	struct netlink_request r = { .head = { .nlmsg_type = RTM_GETNSID } };
	__u32 fd = v->n->home_fd;

	v->home = -1;
	netlink__put(&r, sizeof(r.any), NETNSA_FD, &fd, sizeof(fd));
	netlink__ask(NETLINK_ROUTE, &r, sizeof(r.any), on_number, v);
}

static void learn_addresses(struct namespaces *n, uint64_t cookie)
{
	struct visit v = { .n = n, .cookie = cookie };

	dump(RTM_GETADDR, sizeof(struct ifaddrmsg), on_address, &v);
}

static void look_around(struct visit *v)
{
	size_t before = v->n->link.n, i;

	dump(RTM_GETLINK, sizeof(struct ifinfomsg), on_link, v);
	if (!v->link.n)
		return;
	ask_home_number(v);
	for (i = 0; i < v->link.n && v->home >= 0; i++) {
		struct half h = ((struct half *)v->link.at)[i];

		if (h.netns != v->home)
			continue;
		add_link(v->n, h.ifindex, v->cookie);
		if (h.ifindex < MASTERS && v->n->master[h.ifindex])
			add_link(v->n, v->n->master[h.ifindex], v->cookie);
	}
	if (v->n->link.n > before)
		learn_addresses(v->n, v->cookie);
}

static void visit(struct namespaces *n, int fd)
{
	struct visit v = { .n = n };

	if (setns(fd, CLONE_NEWNET)) {
		n->refused = errno == EPERM;
		return;
	}
	v.cookie = link__netns();
	if (!list__add(&n->known, &v.cookie, sizeof(v.cookie)))
		n->err = -ENOMEM;
	if (v.cookie != n->home)
		look_around(&v);
	free(v.link.at);
}

/* ---- all there are ---- */

static void meet(struct namespaces *n, const char *path)
{
	struct stat s;
	uint64_t inode;
	int fd;

	if (stat(path, &s))
		return;
	inode = s.st_ino;
	if (list__has(&n->inode, inode))
		return;
	if (!list__add(&n->inode, &inode, sizeof(inode)))
		n->err = -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	visit(n, fd);
	close(fd);
}

static void meet_all(struct namespaces *n, const char *folder, const char *rest)
{
	char path[320];
	struct dirent *e;
	DIR *d = opendir(folder);

	while (d && (e = readdir(d))) {
		if (*e->d_name == '.' || (*rest && !isdigit((unsigned char)*e->d_name)))
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", folder, e->d_name, rest);
		meet(n, path);
	}
	if (d)
		closedir(d);
}

/* A thread of its own: which namespace the others are in does not change. */
static void *look(void *to)
{
	struct namespaces *n = to;

	meet_all(n, "/run/netns", "");
	meet_all(n, "/run/docker/netns", "");
	meet_all(n, "/proc", "/ns/net");
	return NULL;
}

static void say_refused(const struct namespaces *n)
{
	static bool said;

	if (!n->refused || said)
		return;
	said = true;
	say(SAY_NOTE,
	    "look into other network namespaces: Operation not permitted; containers' flows that pass through here have no owner; it takes CAP_SYS_ADMIN");
}

static void look_again(struct namespaces *n)
{
	pthread_t thread;

	n->link.n = n->address.n = n->door.n = n->known.n = n->inode.n = 0;
	n->refused = false;
	n->err = 0;
	add_link(n, LOOPBACK, n->home);
	memset(n->master, 0, MASTERS * sizeof(*n->master));
	dump(RTM_GETLINK, sizeof(struct ifinfomsg), on_own_link, n);
	learn_addresses(n, n->home);
	if (!n->door.n)
		return;
	if (pthread_create(&thread, NULL, look, n)) {
		n->err = -EAGAIN;
		return;
	}
	pthread_join(thread, NULL);
	say_refused(n);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A namespace that is not found now is gone already, or not behind anything of ours: it is no reason to look again. */
static bool was_sought(const struct namespaces *n, uint64_t netns)
{
	unsigned i;

	for (i = 0; i < SOUGHT && i < n->sought_n; i++)
		if (n->sought[i] == netns)
			return true;
	return false;
}

void namespaces__saw(struct namespaces *n, uint64_t netns)
{
	if (netns == n->home || netns == n->saw)
		return;
	n->saw = netns;
	if (n->stale || !n->door.n || list__has(&n->known, netns) || was_sought(n, netns))
		return;
	n->sought[n->sought_n++ % SOUGHT] = netns;
	n->stale = true;
}

/* What has changed is looked up; here it is enough that something has. */
static void take_changes(struct namespaces *n)
{
	char message[4096];
	ssize_t got;

	while ((got = recv(n->changes, message, sizeof(message), MSG_TRUNC)) > 0 ||
	       (got < 0 && errno == ENOBUFS))
		n->stale = true;
}

bool namespaces__renew(struct namespaces *n, uint64_t now, struct join *j)
{
	uint64_t begun;

	take_changes(n);
	if (!n->stale || (n->last && now - n->last < NOT_SOONER + SHARE * n->took))
		return false;
	begun = now_ns();
	look_again(n);
	n->took = now_ns() - begun;
	n->last = now;
	n->stale = n->err;
	if (!n->err)
		join__set_behind(j, n->link.at, n->link.n, n->address.at, n->address.n);
	return !n->err;
}

const uint32_t *namespaces__doors(const struct namespaces *n, size_t *count)
{
	*count = n->door.n;
	return n->door.at;
}
