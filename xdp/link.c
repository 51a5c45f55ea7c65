// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "link.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "say.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static struct ifreq request(const char *ifname)
{
	struct ifreq r = {};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", ifname);
	return r;
}

static unsigned count_queues(int fd, const char *ifname)
{
	struct ethtool_channels c = { .cmd = ETHTOOL_GCHANNELS };
	struct ifreq r = request(ifname);

	r.ifr_data = (void *)&c;
	if (ioctl(fd, SIOCETHTOOL, &r) || !(c.rx_count + c.combined_count))
		return 1;
	return c.rx_count + c.combined_count;
}

static void name_driver(int fd, const char *ifname, char *driver, size_t size)
{
	struct ethtool_drvinfo d = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq r = request(ifname);

	r.ifr_data = (void *)&d;
	if (!ioctl(fd, SIOCETHTOOL, &r))
		snprintf(driver, size, "%.31s", d.driver);
}

/* IFF_RUNNING follows the carrier by up to a second: the kernel's link watch is in no hurry. */
static bool has_carrier(int fd, const char *ifname, int flags)
{
	struct ethtool_value v = { .cmd = ETHTOOL_GLINK };
	struct ifreq r = request(ifname);

	r.ifr_data = (void *)&v;
	return (flags & IFF_RUNNING) || (!ioctl(fd, SIOCETHTOOL, &r) && v.data);
}

static int ask(int fd, const char *ifname, struct link_facts *f)
{
	struct ifreq r = request(ifname);

	if (ioctl(fd, SIOCGIFFLAGS, &r))
		return -errno;
	f->up = r.ifr_flags & IFF_UP;
	f->carrier = f->up && has_carrier(fd, ifname, r.ifr_flags);
	r = request(ifname);
	if (!ioctl(fd, SIOCGIFHWADDR, &r))
		f->raw = r.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
			 r.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK;
	r = request(ifname);
	if (!ioctl(fd, SIOCGIFMTU, &r))
		f->mtu = r.ifr_mtu;
	f->queues = count_queues(fd, ifname);
	name_driver(fd, ifname, f->driver, sizeof(f->driver));
	return 0;
}

int link__facts(const char *ifname, struct link_facts *out)
{
	struct link_facts f = { .ifindex = if_nametoindex(ifname) };
	int fd, err;

	if (!f.ifindex)
		return -ENODEV;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	err = ask(fd, ifname, &f);
	close(fd);
	if (!err)
		*out = f;
	return err;
}

int link__usable(const char *ifname, struct link_facts *out)
{
	struct link_facts f;
	char hint[128];
	int err = link__facts(ifname, &f);

	if (err)
		return fail(err, "`ip link` lists the interfaces of this network namespace",
			    "find interface %s", ifname);
	snprintf(hint, sizeof(hint),
		 f.up ? "%s is up but has no carrier: check the cable or the peer"
		      : "%s is down: `ip link set dev %s up` first",
		 ifname, ifname);
	if (!f.up || !f.carrier)
		return fail(-ENETDOWN, hint, "watch interface %s", ifname);
	*out = f;
	return 0;
}

uint64_t link__netns(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie = 0;

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size))
		cookie = 0;
	close(fd);
	return cookie;
}
