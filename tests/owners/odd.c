// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets that come out of no TCP or UDP socket: raw, injected, and other protocols. */
#include "actor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLI4 "10.77.0.2"
#define LINK "ww-cli"
#define PAYLOAD 100

struct datagram {
	struct iphdr ip;
	struct udphdr udp;
	char data[PAYLOAD];
} __attribute__((packed));

static uint16_t ip_sum(const void *header)
{
	uint16_t word[10];
	uint32_t sum = 0;
	int i;

	memcpy(word, header, sizeof(word));
	for (i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static struct datagram datagram_from(int from)
{
	struct datagram d = {
		.ip = { .version = 4,
			.ihl = 5,
			.tot_len = htons(sizeof(d)),
			.ttl = 64,
			.protocol = IPPROTO_UDP,
			.saddr = inet_addr(CLI4),
			.daddr = inet_addr(SRV4) },
		.udp = { .source = htons(from), .dest = htons(port), .len = htons(8 + PAYLOAD) },
	};

	d.ip.check = ip_sum(&d.ip);
	return d;
}

static void sink(const struct scenario *s)
{
	int fd = udp_bind(AF_INET, false);
	char data[2048];

	(void)s;
	own_port("udp");
	ready();
	while (recv(fd, data, sizeof(data), 0) >= 0)
		;
}

/* UDP datagrams made by hand, headers and all, by a process that has a raw socket. */
static void raw_call(const struct scenario *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr(SRV4) };
	struct datagram d = datagram_from(port + 5);
	int fd = must(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), "make a raw socket"), i;

	say_line("noone %s udp %d %d %d", side, port + 5, port, getpid());
	for (i = 0; i < s->n; i++)
		must(sendto(fd, &d, sizeof(d), 0, (struct sockaddr *)&to, sizeof(to)), "send");
	say_line("sent %s udp %d %d %d", side, port + 5, port, s->n);
}

static void hardware_address(int index, int request, unsigned char *out)
{
	struct ifreq r = { .ifr_ifindex = index };
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "make a socket");

	strcpy(r.ifr_name, LINK);
	must(ioctl(fd, request, &r), "ask for the hardware address");
	memcpy(out, r.ifr_hwaddr.sa_data, 6);
	close(fd);
}

static void inject(int from, int n)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IP),
				  .sll_ifindex = if_nametoindex(LINK) };
	struct {
		struct ether_header eth;
		struct datagram d;
	} __attribute__((packed))
	frame = { .eth.ether_type = htons(ETH_P_IP), .d = datagram_from(from) };
	int fd = must(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), "make a packet socket"), i;

	memset(frame.eth.ether_dhost, 0xff, 6); /* to all: nobody has to be asked for an address */
	hardware_address(0, SIOCGIFHWADDR, frame.eth.ether_shost);
	for (i = 0; i < n; i++)
		must(sendto(fd, &frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)),
		     "inject");
	say_line("sent %s udp %d %d %d", side, from, port, n);
}

static void packet_call(const struct scenario *s)
{
	say_line("noone %s udp %d %d %d", side, port + 6, port, getpid());
	inject(port + 6, s->n);
}

/* The same in the name of a port that another process has: it is not that one's. */
static void forged_call(const struct scenario *s)
{
	int channel[2], mine;
	pid_t other;

	must(pipe(channel), "pipe");
	other = spawn();
	if (!other) {
		int fd, own_one = port;

		port += 7;
		fd = udp_bind(AF_INET, false);
		port = own_one;
		must(write(channel[1], &fd, sizeof(fd)), "say that it is bound");
		usleep(1500000);
		_exit(0);
	}
	must(read(channel[0], &mine, sizeof(mine)), "hear that it is bound");
	say_line("noone %s udp %d %d %d", side, port + 7, port, getpid());
	inject(port + 7, s->n);
	reap(other);
}

/* Counted by interface only: neither its ports nor its sockets are looked at. */
static int sctp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP);

	if (fd < 0)
		skip("this kernel has no SCTP");
	return fd;
}

static void sctp_serve(const struct scenario *s)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = sctp_socket();

	must(bind(fd, (struct sockaddr *)&any, sizeof(any)), "bind");
	must(listen(fd, 8), "listen");
	say_line("uncounted SCTP is counted without its ports");
	ready();
	receive_all(tcp_accept(fd), s->up);
}

static void sctp_call(const struct scenario *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(port),
				  .sin_addr.s_addr = inet_addr(SRV4) };
	int fd = sctp_socket();

	must(connect(fd, (struct sockaddr *)&to, sizeof(to)), "connect");
	send_all(fd, s->up);
}

const struct scenario odd_scenarios[] = { { "raw_socket", sink, raw_call, SRV4, .n = 500 },
					  { "packet_socket", sink, packet_call, SRV4, .n = 500 },
					  { "packet_socket_forged", sink, forged_call, SRV4,
					    .n = 500 },
					  { "sctp", sctp_serve, sctp_call, SRV4, .up = 100000 },
					  { 0 } };
