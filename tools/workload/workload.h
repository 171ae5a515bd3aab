/* Small programs whose own return values are the truth that tcptop is compared with.
 *
 * A case moves bytes over loopback connections and passes every return value through `sent` or `received`. They end
 * in a table that all processes of the case share, one row for each (process, connection end); `main` prints it.
 * Everything here ends the program on failure: a case never has to check what it did not set out to provoke. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- cases (main.c) ---- */

enum kind {
  AFTER,  /* started when the tool is attached */
  BEFORE, /* started before it: calls `ready` once its sockets exist */
  APART,  /* of a test of its own, not listed; calls `ready` */
};

enum flag {
  PARTLY_READ = 1, /* not every byte sent is received: the two ends do not balance */
  BY_PID = 2,      /* only the totals of each process are defined, not which socket they belong to */
};

struct workload {
  const char *name;
  enum kind kind;
  unsigned flags;
  void (*run)(void);
};

/* One list for each file of cases; each ends with an entry without a name. */
extern const struct workload amount_cases[], receive_cases[], path_cases[], uring_cases[], sockmap_cases[], row_cases[],
    owner_cases[], machinery_cases[], seed_cases[], flight_cases[], name_cases[];

/* Multiplies the length of the cases that can be made longer: the second argument of `run`, 1 without it. */
extern int scale;

/* Forgets what was counted, prints `ready` and waits for a line: what comes now is seen by the tool. */
void ready(void);

/* ---- truth (truth.c) ---- */

/* One end of a connection as the table knows it: IPv4-mapped addresses are IPv4. */
struct key {
  pid_t pid;
  uint16_t family, lport, rport;
  uint8_t laddr[16], raddr[16];
};

struct row {
  struct key key;
  char comm[16];
  uint64_t rx, tx;
};

/* A socket and the addresses it had when it was connected, which the kernel forgets after a reset. */
struct end {
  int fd;
  struct key key;
  struct row *row;
};

/* Maps the table: a new one for fd -1, else the one made before an exec. Returns its descriptor. */
int truth_open(int fd);
/* Empties the table. */
void truth_clear(void);
/* Subtracts what a call of process `pid` moved before the table was emptied: the call's result will include it. */
void truth_moved_before(const struct end *e, pid_t pid, uint64_t rx, uint64_t tx);
/* Prints the rows that moved bytes, after checking (unless told not to) that each byte sent was received. */
void truth_print(const struct workload *w);

/* Both pass `n`, the return value of a call that moved bytes on this end, through. Errors count nothing. */
ssize_t sent(struct end *e, ssize_t n);
ssize_t received(struct end *e, ssize_t n);
/* What this process moved on this end so far. */
uint64_t tx_of(struct end *e);
uint64_t rx_of(struct end *e);

/* Names the process; only the thread group leader may call it. */
void name_process(const char *name);
/* Reads the name back after something else (exec) changed it. */
void learn_name(void);
/* The descriptor that truth_open takes after an exec. */
int table_fd(void);
/* After fork or clone: rows are now those of this process. pid is 0 unless getpid() is not the initial namespace's. */
void new_process(pid_t pid);

_Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...);
_Noreturn __attribute__((format(printf, 1, 2))) void skip(const char *format, ...);
#define need(condition) ((condition) ? (void)0 : die("%s:%d: %s", __FILE__, __LINE__, #condition))

/* ---- loopback sockets (loop.c) ---- */

enum net {
  V4,
  V6,
  DUAL,   /* IPv4 client, IPv6 server */
  MAPPED, /* IPv6 client that connects to ::ffff:127.0.0.1, IPv4 server */
};

/* `a` connected, `b` accepted. */
struct pair {
  struct end a, b;
};

/* A listening socket on a free port. */
int listen_on(enum net net);
struct pair connect_pair(enum net net);
struct pair connect_mptcp(bool both);
struct pair connect_to(int listener, enum net net);
/* A client socket for `net` that is not connected, and where to connect it. */
int client_socket(enum net net);
socklen_t address_of(int listener, enum net net, struct sockaddr_storage *to);
/* Notes the addresses of a connected socket. */
struct end end_of(int fd);
/* The same of an accepted socket whose connection may be over: `peer` is what accept() returned. */
struct end accepted_end(int fd, const struct sockaddr_storage *peer);
void close_pair(struct pair *p);
/* What this process counted for the end must be what the kernel counted for the socket, all of which must be its own
 * and acknowledged. `ended`: the peer's FIN was received. */
void check_counters(struct end *e, bool ended);
/* Closes so that the peer gets a reset. */
void reset_close(struct end *e);

void set_option(int fd, int level, int name, int value);
int queued_in(int fd);  /* SIOCINQ: not yet read */
int queued_out(int fd); /* SIOCOUTQ: not yet acknowledged */
void nonblocking(int fd, bool on);
void wait_for(int fd, short events);
void await_queued(int fd, int bytes);
void pause_ms(int ms);
int patience_factor(void);    /* of a machine that is so much slower: TCPTOP_PATIENCE */
bool is_asleep(pid_t thread); /* now; between two calls it may be on its way into one */

/* Bytes to send, of no meaning, and room to receive: 1 MiB each. */
enum { ROOM = 1 << 20 };
extern char payload[ROOM];
extern char *room(void); /* of this thread */

/* Memory is mapped in pages of 4 KiB here and up to this elsewhere: arm64 also has kernels with 16 and 64 KiB. */
enum { LARGEST_PAGE = 1 << 16 };

void send_all(struct end *e, size_t bytes);
void receive_all(struct end *e, size_t bytes);
void receive_to_end(struct end *e);
/* Sends at one end and receives at the other without blocking, so that one thread can do both. */
void transfer(struct end *from, struct end *to, size_t bytes);
/* Receives at an end of its own thread until the stream ends. */
pthread_t start_receiver(struct end *e);
void join(pthread_t thread);
pthread_t start(void *(*body)(void *), void *argument);

/* ---- io_uring (uring.c) ---- */

/* Sends or receives once through a ring of this thread. Fails with ENOSYS where the kernel has no io_uring or does not
 * permit it. `workers`: a worker thread of the kernel does it. */
ssize_t uring_send(int fd, const char *from, size_t bytes, int flags, bool workers);
ssize_t uring_receive(int fd, char *to, size_t bytes, int flags, bool workers);

/* ---- random mixes (random.c) ---- */

/* Runs `workload random` with the arguments after that word. */
int random_main(int argc, char **argv);

/* ---- processes (loop.c) ---- */

/* A child that dies with its parent and counts for itself; 0 in the child. */
pid_t spawn(void);
/* Waits for a child, which must have succeeded. */
void reap(pid_t pid);
/* A network namespace of our own with loopback up; skips where it is not allowed. */
void own_network(void);

#endif
