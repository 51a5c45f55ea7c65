// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "own_address.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MOST 8 /* what the kernel allows interfaces to be stacked */

static bool address__text(const struct sockaddr *a, char *text, size_t size)
{
	const struct sockaddr_in6 *six = (const void *)a;
	const struct sockaddr_in *four = (const void *)a;

	if (a && a->sa_family == AF_INET)
		return inet_ntop(AF_INET, &four->sin_addr, text, size);
	if (a && a->sa_family == AF_INET6 && !IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr))
		return inet_ntop(AF_INET6, &six->sin6_addr, text, size);
	return false;
}

static bool find_on(const struct ifaddrs *all, const char *ifname, char *text, size_t size)
{
	const struct ifaddrs *a;

	for (a = all; a; a = a->ifa_next)
		if (!strcmp(a->ifa_name, ifname) && address__text(a->ifa_addr, text, size))
			return true;
	return false;
}

/* On the interface itself, then on those above it; *where is the one that has it. */
static bool find_above(const struct ifaddrs *all, const char *ifname, int depth, char *text,
		       size_t size, char where[256])
{
	char path[300];
	struct dirent *e;
	bool found = find_on(all, ifname, text, size);
	DIR *dir;

	if (found)
		snprintf(where, 256, "%s", ifname);
	if (found || !depth)
		return found;
	snprintf(path, sizeof(path), "/sys/class/net/%s", ifname);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir)))
		if (!strncmp(e->d_name, "upper_", 6))
			found = find_above(all, e->d_name + 6, depth - 1, text, size, where);
	if (dir)
		closedir(dir);
	return found;
}

bool own_address__find(const char *ifname, char *text, size_t size)
{
	char where[256], address[INET6_ADDRSTRLEN];
	struct ifaddrs *all;
	bool found;

	if (getifaddrs(&all))
		return false;
	found = find_above(all, ifname, DEPTH_MOST, address, sizeof(address), where);
	freeifaddrs(all);
	if (found && !strcmp(where, ifname))
		snprintf(text, size, "%s", address);
	else if (found)
		snprintf(text, size, "%s (on %s)", address, where);
	return found;
}
