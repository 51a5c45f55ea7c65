/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_VERBS_H
#define WIREWHO_VERBS_H
/*
 * The verbs, one file each (NAME.c here). argv[0] is the verb. Each returns the exit code: 0 done, 1 failed
 * (the reason was said), 2 wrong usage.
 */
int verb_top(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_capture(int argc, char **argv);
int verb_read(int argc, char **argv);
int verb_trace(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_cleanup(int argc, char **argv);
#endif
