/* What the threads of a random mix's processes are asked to do, one command at a time, and what they answer. */
#ifndef ACTOR_H
#define ACTOR_H

#include "workload.h"

enum op {
  HELLO,        /* answers with its thread id in `fd` */
  LISTEN,       /* on `net`: answers with the listener and its port in `key.lport` */
  CONNECT,      /* to `port`, with a new socket or `fd`; bound to `key.lport` first if `how` */
  ACCEPT,       /* on listener `fd`: answers with the socket */
  SEND,         /* `size` bytes by the call `how` with `flags` */
  RECEIVE,      /* up to `size` bytes, the same */
  SHUTDOWN,     /* `how` as of shutdown() */
  CLOSE,
  LINGER,       /* `size` seconds */
  OPTION,       /* setsockopt(level `how`, name `flags`, value `size`) */
  BLOCKING,     /* or not: `how` */
  DUPLICATE,    /* closes `fd` after dup(): answers with the new one */
  GIVE,         /* answers with the socket itself */
  TAKE,         /* the command comes with a socket: answers with its number here */
  FORK,         /* a child that has only `fd` and `other`: answers with its channel, and its pid in `result` */
  RENAME,       /* the process, with the number `how` in its name */
  DISCONNECT,   /* connect(AF_UNSPEC) */
  MEASURE,      /* answers with what the socket has moved so far, once that is at rest */
  WRITE_STREAM, /* `size` bytes by calls drawn from `seed` */
  READ_STREAM,  /* until the stream ends or `*stop` is set and nothing comes, by calls drawn from `seed` */
  SERVE,        /* an epoll server on listener `fd` that echoes for `size` connections */
  CLIENTS,      /* opens `size` connections to `port`, sends and reads the echo */
  QUIT,         /* a child of FORK ends */
  OPS
};
extern const char *const op_names[OPS];

enum send_how {
  BY_SEND, BY_SENDTO, BY_WRITE, BY_WRITEV, BY_SENDMSG, BY_SENDMMSG, BY_MORE, BY_ZEROCOPY, BY_BAD_BUFFER, BY_URING,
  BY_URING_WORKER, BY_SENDFILE, BY_SPLICE, BY_VMSPLICE, SEND_HOWS
};
extern const char *const send_names[SEND_HOWS];

enum receive_how {
  TO_RECV, TO_READ, TO_READV, TO_RECVMSG, TO_RECVMMSG, TO_WAITALL, TO_TRUNC, TO_PEEK, TO_URING, TO_URING_WORKER, TO_SPLICE,
  RECEIVE_HOWS
};
extern const char *const receive_names[RECEIVE_HOWS];

struct command {
  enum op op;
  enum net net;
  int how, flags, fd, other;
  uint32_t size;
  uint16_t port;
  uint64_t seed;
  struct key key; /* of the connection that `fd` is an end of */
};

struct reply {
  int64_t result; /* of the call: -1 with `error` */
  int error, fd;
  struct key key;
  uint64_t rx, tx;
};

/* Set while no stream is written any more: one for each lane, shared by all processes; `net` of READ_STREAM is its number. */
enum { LANES = 4 };
extern volatile int *stop;

/* The largest single send. */
enum { HUGE_SEND = 8 << 20 };

/* Makes what all processes share; called before there are others. */
void actor_prepare(void);
/* Carries out commands until the channel closes. */
void actor_serve(int channel);

/* One message with at most one descriptor (-1: none). `get` is false at the end of the stream. */
void put(int channel, const void *data, size_t size, int fd);
bool get(int channel, void *data, size_t size, int *fd);

int64_t now_ms(void);

/* A number below `limit`, from a generator of the caller's own. */
uint32_t draw(uint64_t *state, uint32_t limit);

#endif
