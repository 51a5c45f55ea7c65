/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef TESTS_OWNERS_ACTOR_H
#define TESTS_OWNERS_ACTOR_H
/*
 * Programs whose sockets have known owners. A scenario is played by a server and a client, each a process in its own
 * network namespace; whoever owns a socket says so on stdout, one line a claim:
 *
 *     own SIDE PROTO LOCAL REMOTE PID COMM [PACKETS]   of that socket's packets, both directions; PACKETS of them, the
 *                                                      last owner's are the rest. LOCAL or REMOTE may be *
 *     listens SIDE PROTO LOCAL REMOTE PID              may be named "listener" for what came before its owner showed
 *     sent SIDE PROTO LOCAL REMOTE PACKETS             what that end sent, counted by the program itself
 *     payload SIDE PROTO LOCAL REMOTE BYTES            at least so many bytes passed, both directions
 *     noone SIDE PROTO LOCAL REMOTE PID                no TCP or UDP socket has these packets: nobody's, or PID's
 *     share SIDE PROTO LOCAL REMOTE PID PACKETS        of a socket that several use: so many are his, or nobody's;
 *                                                      below 0: all but so many
 *     uncounted REASON                                 no flow is made of these packets
 *     skip REASON                                      this host cannot play it
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SRV4 "10.77.0.1"
#define SRV6 "fd77::1"
#define SRV_MAPPED "::ffff:10.77.0.1"
#define LOOPBACK4 "127.0.0.1"

struct scenario {
	const char *name;
	void (*server)(const struct scenario *);
	void (*client)(const struct scenario *);
	const char *
		host; /* what the client calls; a server always listens on all addresses of its family */
	size_t up,
		down; /* bytes (TCP) a connection; bytes (UDP) a datagram and its answer, 0: none */
	int n;        /* connections, datagrams, exchanges or processes */
	bool near;    /* both ends in the server's namespace */
	bool older;   /* begins before the tool, goes on when it is told to */
};

/* Tables, each ending with a nameless one. */
extern const struct scenario plain_scenarios[], handed_scenarios[], calls_scenarios[],
	odd_scenarios[], uring_scenarios[];

/* Played for themselves: so many connections a second; and names that change all the time. */
struct scenario churn_scenario(int seconds, int rate);
struct scenario hostile_scenario(int seconds);
/* And so many sockets, half of them TCP, all of them older than the tool. */
struct scenario crowd_scenario(int sockets);

extern const char *side; /* "srv" or "cli": who we are */
extern int port;         /* the scenario's first of ten */

void say_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void die(const char *what); /* with errno */
_Noreturn void skip(const char *why);
int must(int result, const char *what);

/* What we are about to wait for: said by a process that hangs. */
void waits_for(const char *what);

/* The client begins when the server said ready(). gate__open() lets the other side pass gate__wait() once. */
void ready(void);
void gate__open(void);
void gate__wait(void);
void wait_for_tool(void); /* older scenarios: until the tool watches */

pid_t spawn(void);          /* fork(); the child dies with its parent */
void reap(pid_t child);     /* waits for it, and fails if it failed */
void enter(const char *ns); /* network namespace, by name */
const char *ns_of(const char *which);

/* ---- sockets ---- */

int family_of(const char *host);
const char *my_comm(void); /* letters, digits and '-'; others as '_' */
int local_port(int fd);
int remote_port(int fd);
int tcp_listen(int family, int backlog);
int udp_bind(int family, bool reuseport);
int tcp_accept(int listener);
int tcp_socket_to(const char *host, int to); /* connected */
int udp_socket_to(const char *host, int to);
/* Claims: all of our port's packets; or this one connection's. */
void own_port(const char *proto);
void own_listener(void); /* of a connection's handshake, until its owner shows */
void own(const char *proto, int fd);
void own_counted(const char *proto, int fd, long packets); /* below 0: the rest */

void send_all(int fd, size_t n);
void receive_all(int fd, size_t n);
void drain(int fd);                            /* until its end */
void duplex(int fd, size_t give, size_t take); /* both at once */
void asks(int fd, int n);                      /* sends 64 bytes, and reads 64 */
void answers(int fd, int n);                   /* the other way around; below 0: until the end */

/*
 * A datagram may be lost. Each is numbered, and asked again until its answer comes: how many were sent. The answer begins
 * with the same number.
 */
int udp_ask(int fd, uint32_t number, size_t size);

/* Counts the packets of our port in this namespace, by nftables. */
void witness__begin(const char *proto);
long witness__read(void);
long witness__rest(
	void); /* when it has come to rest: a last acknowledgement waits 40 ms for company, and longer */
#endif
