// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "users.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#define USERS_MAX 4096 /* uids remembered; more are shown by number */

struct user {
	uint32_t uid;
	char *name; /* NULL: it has none */
};

struct users {
	struct user *user;
	size_t n, room;
};

int users__open(struct users **out)
{
	struct users *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	*out = u;
	return 0;
}

void users__close(struct users *u)
{
	if (!u)
		return;
	while (u->n)
		free(u->user[--u->n].name);
	free(u->user);
	free(u);
}

static char *ask(uint32_t uid)
{
	struct passwd entry, *found = NULL;
	char text[4096];

	if (getpwuid_r(uid, &entry, text, sizeof(text), &found) || !found)
		return NULL;
	return strdup(found->pw_name);
}

static struct user *add(struct users *u, uint32_t uid)
{
	size_t room = u->room ? u->room * 2 : 16;
	struct user *more;

	if (u->n == USERS_MAX)
		return NULL;
	if (u->n == u->room) {
		more = realloc(u->user, room * sizeof(*more));
		if (!more)
			return NULL;
		u->user = more;
		u->room = room;
	}
	u->user[u->n] = (struct user){ .uid = uid, .name = ask(uid) };
	return &u->user[u->n++];
}

const char *users__name(struct users *u, uint32_t uid)
{
	struct user *found = NULL;
	size_t i;

	for (i = 0; i < u->n && !found; i++)
		if (u->user[i].uid == uid)
			found = &u->user[i];
	if (!found)
		found = add(u, uid);
	return found ? found->name : NULL;
}
