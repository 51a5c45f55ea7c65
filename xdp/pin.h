/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PIN_H
#define WIREWHO_PIN_H
/*
 * --pin DIR: every program and map of a run under names that a person understands, for bpftool:
 *
 *     DIR/wirewho/NAME/programs/PROGRAM
 *     DIR/wirewho/NAME/maps/MAP
 *
 * (DIR itself, if it is called wirewho.) A bpffs allows no dots in names: they become underscores. Links are not pinned:
 * what is attached still goes with us. `wirewho cleanup` removes what a killed run leaves.
 */
struct bpf_object;

#define PIN_DIRECTORY "wirewho"

/*
 * From now on pins__add() pins below DIR, which must be there and lie on a bpffs. One DIR a process, as there is one level
 * of verbosity: whoever loads programs need not be told. 0 or -errno (said).
 */
int pins__open(const char *dir);
/* Removes what was pinned, and no more. */
void pins__close(void);
/*
 * Pins what is loaded of `obj`. What this run pinned by that name before gives way. Nothing, if pins__open() was not called.
 * 0 or -errno (said): -EEXIST, if another run has pinned by that name.
 */
int pins__add(const char *name, const struct bpf_object *obj);
#endif
