/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_LEDGER_JSON_H
#define WIREWHO_LEDGER_JSON_H
/* The last record of a run: event.kind "state", and the ledger with every counter by name. NULL without memory. */
#include <jansson.h>
#include "output.h"

json_t *ledger__json(const struct run_facts *facts, const struct ledger *l);
#endif
