/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_GENERATOR_DRAWS_H
#define WIREWHO_GENERATOR_DRAWS_H
/* What the generator and its program agree on. Includes nothing. */

#define DRAWS (1 << 18) /* flow numbers drawn by Zipf's law, used over and over */

/* The "simple IMIX": frames without FCS, of IP packets of 40, 576 and 1500 bytes; the smallest is padded as Ethernet does. */
#define MIX_SMALL 60
#define MIX_MIDDLE 590
#define MIX_LARGE 1514
#endif
