/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_OWN_ADDRESS_H
#define WIREWHO_OWN_ADDRESS_H
/*
 * Does this host receive through an interface? It does where the interface, or one that stands on it (bridge, bond,
 * VLAN, macvlan), carries an address. Link-local IPv6 does not count: every interface gives itself one.
 */
#include <stdbool.h>
#include <stddef.h>

/* True with "10.0.0.1" or "10.0.0.1 (on br0)" in text. Where the kernel does not tell, false. */
bool own_address__find(const char *ifname, char *text, size_t size);
#endif
