// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_MAX (64 << 10)

void netlink__put(struct netlink_request *r, size_t body, unsigned short type, const void *data,
		  size_t size)
{
	struct nlattr *a;
	size_t at = r->head.nlmsg_len ? r->head.nlmsg_len : NLMSG_LENGTH(body);

	a = (struct nlattr *)((char *)r + NLMSG_ALIGN(at));
	if ((char *)a + NLA_HDRLEN + size > (char *)(r + 1))
		return;
	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + size;
	memcpy((char *)a + NLA_HDRLEN, data, size);
	r->head.nlmsg_len = NLMSG_ALIGN(at) + NLA_ALIGN(a->nla_len);
}

static int send_request(int fd, struct netlink_request *r, size_t body)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int ack = r->head.nlmsg_flags & NLM_F_DUMP ? 0 : NLM_F_ACK;

	if (!r->head.nlmsg_len)
		r->head.nlmsg_len = NLMSG_LENGTH(body);
	r->head.nlmsg_flags |= NLM_F_REQUEST | ack;
	r->head.nlmsg_seq = 1;
	if (sendto(fd, r, r->head.nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

/* 1: more to come; 0 or -errno: the end. */
static int take_answer(const struct nlmsghdr *answer, netlink_fn fn, void *to)
{
	const struct nlmsgerr *error = NLMSG_DATA(answer);

	if (answer->nlmsg_type == NLMSG_DONE)
		return 0;
	if (answer->nlmsg_type == NLMSG_ERROR)
		return answer->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) ? -EBADMSG : error->error;
	fn(to, answer);
	return 1;
}

static int take_answers(int fd, netlink_fn fn, void *to)
{
	static char buffer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	int more = 1;

	while (more == 1) {
		ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_TRUNC);
		struct nlmsghdr *h = (struct nlmsghdr *)buffer;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if ((size_t)n > sizeof(buffer))
			return -EMSGSIZE;
		for (; more == 1 && NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n))
			more = take_answer(h, fn, to);
	}
	return more;
}

int netlink__open(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct timeval patience = { .tv_sec = 5 };

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

int netlink__ask_on(int fd, struct netlink_request *r, size_t body, netlink_fn fn, void *to)
{
	int err = send_request(fd, r, body);

	return err ? err : take_answers(fd, fn, to);
}

int netlink__ask(int protocol, struct netlink_request *r, size_t body, netlink_fn fn, void *to)
{
	int fd = netlink__open(protocol), err;

	if (fd < 0)
		return fd;
	err = netlink__ask_on(fd, r, body, fn, to);
	close(fd);
	return err;
}

static const struct nlattr *find(const char *at, size_t left, unsigned type)
{
	while (left >= NLA_HDRLEN) {
		const struct nlattr *a = (const struct nlattr *)at;
		size_t whole = NLA_ALIGN(a->nla_len);

		if (a->nla_len < NLA_HDRLEN || a->nla_len > left)
			return NULL;
		if ((a->nla_type & NLA_TYPE_MASK) == type)
			return a;
		if (whole >= left)
			return NULL;
		at += whole;
		left -= whole;
	}
	return NULL;
}

const struct nlattr *netlink__find(const struct nlmsghdr *answer, size_t body, unsigned type)
{
	size_t before = NLMSG_LENGTH(NLMSG_ALIGN(body));

	if (answer->nlmsg_len < before)
		return NULL;
	return find((const char *)answer + before, answer->nlmsg_len - before, type);
}

const struct nlattr *netlink__within(const struct nlattr *outer, unsigned type)
{
	if (!outer)
		return NULL;
	return find((const char *)outer + NLA_HDRLEN, outer->nla_len - NLA_HDRLEN, type);
}

unsigned long long netlink__number(const struct nlattr *a)
{
	const char *value;
	__u64 u64 = 0;
	__u32 u32 = 0;
	__u16 u16 = 0;

	if (!a)
		return 0;
	value = (const char *)a + NLA_HDRLEN;
	switch (a->nla_len - NLA_HDRLEN) {
	case sizeof(u64):
		memcpy(&u64, value, sizeof(u64));
		return u64;
	case sizeof(u32):
		memcpy(&u32, value, sizeof(u32));
		return u32;
	case sizeof(u16):
		memcpy(&u16, value, sizeof(u16));
		return u16;
	default:
		return 0;
	}
}

const char *netlink__text(const struct nlattr *a)
{
	size_t size = a ? a->nla_len - NLA_HDRLEN : 0;

	if (!size || ((const char *)a)[NLA_HDRLEN + size - 1])
		return "";
	return (const char *)a + NLA_HDRLEN;
}
