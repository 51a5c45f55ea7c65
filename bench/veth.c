// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "veth.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* RTM_NEWLINK { IFLA_IFNAME, IFLA_LINKINFO { kind "veth", data { VETH_INFO_PEER { ifinfomsg, IFLA_IFNAME } } } } */
struct request {
	struct nlmsghdr head;
	struct ifinfomsg link;
	char attributes[256];
};

static struct rtattr *begin(struct request *r, unsigned short type, const void *data, size_t size)
{
	struct rtattr *a = (struct rtattr *)((char *)r + NLMSG_ALIGN(r->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(size);
	if (size)
		memcpy(RTA_DATA(a), data, size);
	r->head.nlmsg_len = NLMSG_ALIGN(r->head.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void end(struct request *r, struct rtattr *nest)
{
	nest->rta_len = (char *)r + r->head.nlmsg_len - (char *)nest;
}

static void fill(struct request *r, const char *name, const char *peer)
{
	static const struct ifinfomsg none;
	struct rtattr *info, *data, *other;

	r->head.nlmsg_len = NLMSG_LENGTH(sizeof(r->link));
	r->head.nlmsg_type = RTM_NEWLINK;
	r->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
	begin(r, IFLA_IFNAME, name, strlen(name) + 1);
	info = begin(r, IFLA_LINKINFO, NULL, 0);
	begin(r, IFLA_INFO_KIND, "veth", 5);
	data = begin(r, IFLA_INFO_DATA, NULL, 0);
	other = begin(r, VETH_INFO_PEER, &none, sizeof(none));
	begin(r, IFLA_IFNAME, peer, strlen(peer) + 1);
	end(r, other);
	end(r, data);
	end(r, info);
}

static int send_request(int fd, const struct request *r)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[512];
	} answer;
	ssize_t n;

	if (send(fd, r, r->head.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, &answer, sizeof(answer), 0);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(answer.error)) || answer.head.nlmsg_type != NLMSG_ERROR)
		return -EBADMSG;
	return answer.error.error;
}

int veth__make(const char *name, const char *peer)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err;
	struct request r = {};

	if (fd < 0)
		return -errno;
	fill(&r, name, peer);
	err = send_request(fd, &r);
	close(fd);
	return err;
}
