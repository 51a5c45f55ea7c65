// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "senders.h"
#include "xdp/say.h"

#define BATCH 64

/* Frames to send over and over. */
struct frames {
	struct iovec *item;
	size_t n, next;
	uint32_t flow; /* the next one's number, where frames are made */
};

struct packets {
	const struct sending *s;
	struct frames frames;
	int fd;
};

static double now_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- what is sent ---- */

static int append(struct frames *f, const void *data, size_t length)
{
	struct iovec *more = reallocarray(f->item, f->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	f->item = more;
	more[f->n].iov_base = calloc(1, length);
	more[f->n].iov_len = length;
	if (!more[f->n].iov_base)
		return -ENOMEM;
	if (data)
		memcpy(more[f->n].iov_base, data, length);
	f->n++;
	return 0;
}

static void frames__free(struct frames *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		free(f->item[i].iov_base);
	free(f->item);
}

static int read_capture(struct frames *f, const char *path)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, text);
	struct pcap_pkthdr *head;
	const unsigned char *data;
	int got = 0, err = 0;

	if (!pcap || pcap_datalink(pcap) != DLT_EN10MB) {
		say(SAY_ERROR, "replay %s: %s", path, pcap ? "it holds no Ethernet frames" : text);
		err = -EINVAL;
	}
	while (!err && (got = pcap_next_ex(pcap, &head, &data)) == 1)
		err = append(f, data, head->caplen);
	if (pcap)
		pcap_close(pcap);
	if (!err && (got == PCAP_ERROR || !f->n)) {
		say(SAY_ERROR, "replay %s: %s", path, f->n ? "it is cut off" : "it is empty");
		err = -EINVAL;
	}
	return err;
}

static int make_frames(struct frames *f, const struct generator_opts *o)
{
	int i, err = 0;

	for (i = 0; i < BATCH && !err; i++) {
		err = append(f, NULL, o->size);
		if (!err)
			generator__frame(f->item[i].iov_base, o);
	}
	return err;
}

static void next_flow(struct frames *f, const struct generator_opts *o, unsigned char *frame)
{
	uint32_t address = htonl(GENERATOR_FIRST_FLOW + f->flow);

	memcpy(frame + generator__place(o), &address, sizeof(address));
	f->flow = f->flow + 1 < o->flows ? f->flow + 1 : 0;
}

/* ---- sending ---- */

static int open_socket(struct packets *p, const char *ifname)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(ifname) };
	int one = 1;

	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || bind(p->fd, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		return fail(-errno, "run as root", "send packets out of %s", ifname);
	return 0;
}

/* One batch; how many went, or -errno. */
static int send_batch(struct packets *p, unsigned n, struct generated *out)
{
	struct mmsghdr message[BATCH] = { 0 };
	struct frames *f = &p->frames;
	unsigned i;
	int went;

	for (i = 0; i < n; i++) {
		struct iovec *item = &f->item[(f->next + i) % f->n];

		if (!p->s->replay)
			next_flow(f, &p->s->opts, item->iov_base);
		message[i].msg_hdr.msg_iov = item;
		message[i].msg_hdr.msg_iovlen = 1;
	}
	went = sendmmsg(p->fd, message, n, 0);
	/* A veth whose other end is full says so, and the frame is gone. */
	if (went < 0 && errno == ENOBUFS) {
		out->refused++;
		out->made++;
		f->next = (f->next + 1) % f->n;
		return 0;
	}
	if (went < 0)
		return -errno;
	for (i = 0; i < (unsigned)went; i++)
		out->bytes += f->item[(f->next + i) % f->n].iov_len;
	f->next = (f->next + went) % f->n;
	out->made += went;
	out->sent += went;
	return went;
}

static int keep_pace(const struct sending *s, double start, uint64_t made)
{
	double due = start + (double)made / s->opts.rate;
	struct timespec t = { .tv_sec = due, .tv_nsec = (due - (time_t)due) * 1e9 };

	return s->opts.rate ? -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) : 0;
}

static int send_all(struct packets *p, struct generated *out)
{
	const struct sending *s = p->s;
	double start = now_seconds();
	uint64_t most;
	int err;

	do {
		most = s->frames && s->frames - out->made < BATCH ? s->frames - out->made : BATCH;
		err = keep_pace(s, start, out->made);
		if (!err)
			err = send_batch(p, most, out);
		out->seconds = now_seconds() - start;
	} while (err >= 0 && (!s->frames || out->made < s->frames) &&
		 (s->seconds <= 0 || out->seconds < s->seconds));
	if (err >= 0 || err == -EINTR)
		return 0;
	return fail(err, "frames may be as long as the interface's MTU and 14 bytes",
		    "send out of %s", s->opts.ifname);
}

int packets__send(const struct sending *s, struct generated *out)
{
	struct packets p = { .s = s, .fd = -1 };
	int err = s->replay ? read_capture(&p.frames, s->replay) : make_frames(&p.frames, &s->opts);

	*out = (struct generated){ 0 };
	if (!err)
		err = open_socket(&p, s->opts.ifname);
	if (!err)
		err = send_all(&p, out);
	if (p.fd >= 0)
		close(p.fd);
	frames__free(&p.frames);
	return err;
}
