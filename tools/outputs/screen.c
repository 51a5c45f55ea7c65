// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "screen.h"

#include <errno.h>
#include <fcntl.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include "xdp/say.h"

#define LINE_MAX_BYTES 2048
#define HELD_MAX (256 << 10)

struct screen {
	struct screen_state state;
	size_t most;
	bool live;
	SCREEN *terminal;
	int epoll, winch;
	int stderr_was; /* -1: stderr was left alone */
	int held;       /* what was written to it meanwhile */
	bool blocked;   /* SIGWINCH, by us */
};

/* The one whose terminal has to be given back at exit(). */
static struct screen *opened;

/* ---- stderr, while the screen has the terminal ---- */

static void stderr__hold(struct screen *s)
{
	s->stderr_was = -1;
	if (!isatty(STDERR_FILENO))
		return;
	s->held = memfd_create("stderr", MFD_CLOEXEC);
	if (s->held < 0)
		return;
	fcntl(s->held, F_SETFL, O_APPEND);
	s->stderr_was = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (s->stderr_was >= 0 && dup2(s->held, STDERR_FILENO) >= 0)
		return;
	close(s->held);
	if (s->stderr_was >= 0)
		close(s->stderr_was);
	s->stderr_was = -1;
}

/* The last line held back, "" if there is none. What is older than HELD_MAX bytes is dropped, and that is said. */
static void stderr__last(struct screen *s, char *text, size_t size)
{
	off_t end = s->stderr_was < 0 ? 0 : lseek(s->held, 0, SEEK_END);
	ssize_t n;
	char *at;

	text[0] = '\0';
	if (end <= 0)
		return;
	n = pread(s->held, text, size - 1, end > (off_t)size - 1 ? end - (off_t)size + 1 : 0);
	if (n <= 0)
		return;
	n -= text[n - 1] == '\n';
	text[n] = '\0';
	at = strrchr(text, '\n');
	if (at)
		memmove(text, at + 1, strlen(at + 1) + 1);
	if (end > HELD_MAX && !ftruncate(s->held, 0))
		fprintf(stderr,
			"wirewho: more than %d bytes of messages: the older ones dropped\n%s\n",
			HELD_MAX, text);
}

static void stderr__release(struct screen *s)
{
	char text[4096];
	off_t at = 0;
	ssize_t n;

	if (s->stderr_was < 0)
		return;
	fflush(stderr);
	dup2(s->stderr_was, STDERR_FILENO);
	close(s->stderr_was);
	s->stderr_was = -1;
	for (; (n = pread(s->held, text, sizeof(text), at)) > 0; at += n)
		if (write(STDERR_FILENO, text, (size_t)n) < 0)
			break;
	close(s->held);
}

/* ---- the terminal ---- */

static void give_back(void)
{
	struct screen *s = opened;

	if (!s)
		return;
	opened = NULL;
	endwin();
	delscreen(s->terminal);
	stderr__release(s);
}

/* A handler of ncurses' own would interrupt the caller's waiting without waking it. */
static int events__open(struct screen *s)
{
	struct epoll_event e = { .events = EPOLLIN };
	sigset_t set, was;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, &was);
	s->blocked = !sigismember(&was, SIGWINCH);
	s->winch = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->winch < 0 || s->epoll < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->winch, &e))
		return -errno;
	if (isatty(STDIN_FILENO) && epoll_ctl(s->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e))
		return -errno;
	return 0;
}

static void events__close(struct screen *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	if (s->winch >= 0)
		close(s->winch);
	if (s->epoll >= 0)
		close(s->epoll);
	s->winch = s->epoll = -1;
	if (s->blocked)
		sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static bool terminal__open(struct screen *s)
{
	static bool at_exit;

	s->terminal = newterm(NULL, stdout, stdin);
	if (!s->terminal)
		return false;
	opened = s;
	if (!at_exit)
		at_exit = !atexit(give_back);
	stderr__hold(s);
	cbreak();
	noecho();
	nonl();
	curs_set(0);
	set_escdelay(25);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	return true;
}

int screen__open(struct screen **out, const struct screen_opts *opts)
{
	struct screen *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return fail(-ENOMEM, NULL, "open the screen");
	s->state = opts->state;
	s->most = opts->most;
	s->epoll = s->winch = s->stderr_was = -1;
	*out = s;
	if (opts->plain || !isatty(STDOUT_FILENO))
		return 0;
	err = events__open(s);
	if (!err && terminal__open(s)) {
		s->live = true;
		return 0;
	}
	events__close(s);
	say(SAY_NOTE,
	    "no screen to draw on (%s): printing one table below the other; TERM names the kind of "
	    "terminal",
	    err ? strerror(-err) : "terminal unknown");
	return 0;
}

void screen__close(struct screen *s)
{
	if (!s)
		return;
	if (s->live) {
		give_back();
		events__close(s);
	}
	free(s);
}

int screen__fd(const struct screen *s)
{
	return s->live ? s->epoll : -1;
}

const struct screen_state *screen__state(const struct screen *s)
{
	return &s->state;
}

/* ---- keys ---- */

static const struct {
	int key;
	enum view_by by;
} groupings[] = {
	{ 'p', VIEW_PROCESS }, { 'f', VIEW_FLOW },      { 'u', VIEW_USER },
	{ 'o', VIEW_PORT },    { 'c', VIEW_CONTAINER },
};

static enum screen_event on_key(struct screen *s, int key)
{
	for (size_t i = 0; i < sizeof(groupings) / sizeof(*groupings); i++) {
		if (key != groupings[i].key)
			continue;
		s->state.by = groupings[i].by;
		return SCREEN_REDRAW;
	}
	switch (key) {
	case 'q':
	case 'Q':
		return SCREEN_QUIT;
	case 's':
	case '>':
	case KEY_RIGHT:
		s->state.sort = (s->state.sort + 1) % VIEW_SORT_N;
		break;
	case '<':
	case KEY_LEFT:
		s->state.sort = (s->state.sort + VIEW_SORT_N - 1) % VIEW_SORT_N;
		break;
	case ' ':
		s->state.paused = !s->state.paused;
		break;
	case 'L' & 0x1f: /* Ctrl-L: somebody else wrote on the terminal */
		clearok(curscr, TRUE);
		break;
	}
	return SCREEN_REDRAW;
}

static bool resized(struct screen *s)
{
	struct signalfd_siginfo info;
	struct winsize size;
	bool any = false;

	while (read(s->winch, &info, sizeof(info)) == sizeof(info))
		any = true;
	if (any && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col) {
		resizeterm(size.ws_row, size.ws_col);
		clearok(curscr, TRUE);
	}
	return any;
}

enum screen_event screen__key(struct screen *s)
{
	int key;

	if (!s->live)
		return SCREEN_NOTHING;
	if (resized(s))
		return SCREEN_REDRAW;
	if (!isatty(STDIN_FILENO))
		return SCREEN_NOTHING;
	key = getch();
	return key == ERR ? SCREEN_NOTHING : on_key(s, key);
}

/* ---- what stands above the table ---- */

static void clock_text(uint64_t now, char *text, size_t size)
{
	time_t seconds = (time_t)(now / 1000000000);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(text, size, "%H:%M:%S", &tm))
		snprintf(text, size, "--:--:--");
}

static void interfaces_text(const struct run_facts *facts, char *text, size_t size)
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < facts->links && at < size; i++)
		at += (size_t)snprintf(text + at, size - at, "%s%s", i ? "," : "",
				       facts->ifname[i]);
}

static void rate_text(const struct count *n, double seconds, char *text, size_t size)
{
	char packets[8], bits[8];

	if (seconds <= 0) {
		snprintf(text, size, "-");
		return;
	}
	view__human((uint64_t)((double)n->packets / seconds), packets);
	view__human((uint64_t)(8 * (double)n->bytes / seconds), bits);
	snprintf(text, size, "%s pkt/s %s bit/s", packets, bits);
}

static void title(const struct screen *s, const struct view_sum *sum, const struct ledger *ledger,
		  const struct run_facts *facts, char *text, size_t size)
{
	char clock[16], interfaces[128], rx[48], tx[48];

	clock_text(ledger->now, clock, sizeof(clock));
	interfaces_text(facts, interfaces, sizeof(interfaces));
	rate_text(&sum->received, sum->seconds, rx, sizeof(rx));
	rate_text(&sum->sent, sum->seconds, tx, sizeof(tx));
	snprintf(text, size, "%s  %s  RX %s  TX %s%s", clock, interfaces, rx, tx,
		 s->state.paused ? "  PAUSED" : "");
}

/* Packets since the start, of all lines: nothing that is missing hides in a sum. */
struct totals {
	uint64_t seen, flows, overflowed, lost, other;
};

static struct totals totals_of(const struct ledger *ledger)
{
	struct totals t = { 0 };

	for (unsigned i = 0; i < ledger->lines; i++) {
		const struct tally *tally = &ledger->line[i].tally;

		t.seen += tally->seen.packets;
		t.flows += tally->reason[REASON_FLOW].packets;
		t.overflowed += tally->reason[REASON_OVERFLOWED].packets;
		t.lost += tally->reason[REASON_LOST].packets;
		for (int r = 0; r < REASON_N; r++)
			if (r != REASON_FLOW && r != REASON_OVERFLOWED && r != REASON_LOST)
				t.other += tally->reason[r].packets;
	}
	t.lost += ledger->join_failed_packets;
	return t;
}

/* Nothing where there is none of it, so that 80 columns are enough. */
static size_t term_text(uint64_t n, const char *name, char *text, size_t size)
{
	char number[8];

	text[0] = '\0';
	return n ? (size_t)snprintf(text, size, " + %s %s", name, view__human(n, number)) : 0;
}

static void ledger_text(const struct view_sum *sum, const struct ledger *ledger, char *text,
			size_t size)
{
	struct totals t = totals_of(ledger);
	uint64_t named = t.flows + t.overflowed + t.lost + t.other;
	char seen[8], flows[8], lost[8];
	size_t at;

	at = (size_t)snprintf(text, size, "seen %s = flows %s", view__human(t.seen, seen),
			      view__human(t.flows, flows));
	/* What came since the tables were last read is in `seen` already. */
	at += term_text(t.seen > named ? t.seen - named : 0, "unread", text + at, size - at);
	at += term_text(t.overflowed, "overflowed", text + at, size - at);
	at += term_text(t.other, "other", text + at, size - at);
	snprintf(text + at, size - at, " + lost %s | unnamed %.2f%%", view__human(t.lost, lost),
		 100 * view_sum__unnamed(sum));
}

/* ---- drawing ---- */

static void put_line(int y, int attributes, const char *text)
{
	if (move(y, 0) == ERR)
		return;
	clrtoeol();
	attrset(attributes);
	addstr(text);
	/* A line that is too long goes on in the next one, which is drawn after it; a head is coloured to its end. */
	if (attributes & A_REVERSE && getcury(stdscr) == y)
		hline(' ' | A_REVERSE, COLS);
	attrset(A_NORMAL);
}

static void keys_text(const struct screen *s, const struct view_table *t, char *text, size_t size)
{
	snprintf(text, size,
		 "q quit  p f u o c by  s < > sort  space pause | %zu of %zu by %s, %s first", t->n,
		 t->all, view_by_names[s->state.by], view_sort_names[s->state.sort]);
}

static void draw_live(struct screen *s, struct view *v, const struct ledger *ledger,
		      const struct run_facts *facts)
{
	struct view_table t = { .by = s->state.by,
				.sort = s->state.sort,
				.width = COLS,
				.most = LINES > 5 ? (size_t)LINES - 5 : 1,
				.facts = facts };
	const struct view_sum *sum = view__sum(v);
	char text[LINE_MAX_BYTES];

	if (s->most && s->most < t.most)
		t.most = s->most;
	view_table__take(&t, v);
	erase();
	title(s, sum, ledger, facts, text, sizeof(text));
	put_line(0, A_BOLD, text);
	ledger_text(sum, ledger, text, sizeof(text));
	put_line(1, totals_of(ledger).lost ? A_STANDOUT : A_NORMAL, text);
	view_table__heads(&t, text, sizeof(text));
	put_line(2, A_REVERSE, text);
	for (size_t i = 0; i < t.n; i++) {
		view_table__line(&t, t.rows[i], text, sizeof(text));
		put_line(3 + (int)i, A_NORMAL, text);
	}
	stderr__last(s, text, sizeof(text));
	put_line(LINES - 2, A_BOLD, text);
	keys_text(s, &t, text, sizeof(text));
	put_line(LINES - 1, A_DIM, text);
	/* A terminal that shrinks cuts below the cursor first; what is above it would end up in the scrollback. */
	move(0, 0);
	refresh();
}

static int draw_plain(struct screen *s, struct view *v, const struct ledger *ledger,
		      const struct run_facts *facts)
{
	struct view_table t = {
		.by = s->state.by, .sort = s->state.sort, .most = s->most, .facts = facts
	};
	char text[LINE_MAX_BYTES];
	int err;

	title(s, view__sum(v), ledger, facts, text, sizeof(text));
	printf("%s\n", text);
	ledger_text(view__sum(v), ledger, text, sizeof(text));
	printf("%s\n", text);
	err = view__print(v, stdout, &t);
	printf("\n");
	if (fflush(stdout))
		err = -errno;
	return err ? fail(err, NULL, "write the table to standard output") : 0;
}

int screen__draw(struct screen *s, struct view *v, const struct ledger *ledger,
		 const struct run_facts *facts)
{
	if (!s->live)
		return draw_plain(s, v, ledger, facts);
	draw_live(s, v, ledger, facts);
	return 0;
}
