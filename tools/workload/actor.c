/* What one thread of a random mix does: the calls. Each counts what it returned for the process that made it. */
#include "actor.h"

#include <arpa/inet.h>

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <time.h>

const char *const op_names[OPS] = {
    "hello", "listen", "connect", "accept", "send", "receive", "shutdown", "close", "linger", "option", "blocking", "dup",
    "give", "take", "fork", "rename", "disconnect", "measure", "write-stream", "read-stream", "serve", "clients", "quit",
};
const char *const send_names[SEND_HOWS] = {
    "send", "sendto", "write", "writev", "sendmsg", "sendmmsg", "more", "zerocopy", "bad-buffer", "uring", "uring-worker",
    "sendfile", "splice", "vmsplice",
};
const char *const receive_names[RECEIVE_HOWS] = {
    "recv", "read", "readv", "recvmsg", "recvmmsg", "waitall", "trunc", "peek", "uring", "uring-worker", "splice",
};

volatile int *stop;
static char *source; /* HUGE_SEND bytes to send */
static char *edge;   /* the last bytes before memory that cannot be read */
static int file;

enum { BEFORE_EDGE = 3000, PIPE = 1 << 20 };

void actor_prepare(void) {
  stop = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  source = mmap(NULL, HUGE_SEND, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  char *pages = mmap(NULL, 2 * LARGEST_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(stop != MAP_FAILED && source != MAP_FAILED && pages != MAP_FAILED);
  need(munmap(pages + LARGEST_PAGE, LARGEST_PAGE) == 0);
  edge = pages + LARGEST_PAGE - BEFORE_EDGE;
  file = memfd_create("file", 0);
  need(file >= 0 && ftruncate(file, HUGE_SEND) == 0);
}

uint32_t draw(uint64_t *state, uint32_t limit) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33) % limit;
}

/* ---- channels ---- */

void put(int channel, const void *data, size_t size, int fd) {
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {(void *)data, size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  need(sendmsg(channel, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

bool get(int channel, void *data, size_t size, int *fd) {
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {data, size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t n;
  while ((n = recvmsg(channel, &message, 0)) < 0 && errno == EINTR) continue;
  if (n == 0) return false;
  need(n == (ssize_t)size);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *fd = -1;
  if (header) memcpy(fd, CMSG_DATA(header), sizeof *fd);
  return true;
}

/* ---- sends and receives ---- */

static ssize_t send_messages(int fd, size_t size, int flags, int count) {
  struct iovec parts[3];
  struct mmsghdr messages[3];
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){source, i < count - 1 ? size / count : size - size / count * (count - 1)};
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
  }
  if (count == 1) return sendmsg(fd, &messages[0].msg_hdr, flags);
  int n = sendmmsg(fd, messages, count, flags);
  if (n < 0) return -1;
  ssize_t sum = 0;
  for (int i = 0; i < n; i++) sum += messages[i].msg_len;
  return sum;
}

/* One splice() into the socket, of a pipe filled before; what is left in the pipe is dropped. */
static ssize_t splice_in(int fd, size_t size, bool mapped) {
  int ends[2];
  need(pipe2(ends, O_CLOEXEC) == 0);
  fcntl(ends[1], F_SETPIPE_SZ, PIPE);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  struct iovec part = {source, size};
  ssize_t n = mapped ? vmsplice(ends[1], &part, 1, 0) : write(ends[1], source, size);
  if (n > 0) n = splice(ends[0], NULL, fd, NULL, n, size % 2 ? SPLICE_F_MORE : 0);
  int error = errno;
  close(ends[0]);
  close(ends[1]);
  errno = error;
  return n;
}

static ssize_t splice_out(int fd, size_t size) {
  int ends[2];
  need(pipe2(ends, O_CLOEXEC) == 0);
  fcntl(ends[1], F_SETPIPE_SZ, PIPE);
  ssize_t n = splice(fd, NULL, ends[1], NULL, size, 0);
  int error = errno;
  close(ends[0]);
  close(ends[1]);
  errno = error;
  return n;
}

static ssize_t send_how(const struct command *c) {
  size_t size = c->size;
  int fd = c->fd, flags = c->flags | MSG_NOSIGNAL;
  struct iovec parts[2] = {{source, size / 3}, {source, size - size / 3}};
  off_t at = 0;
  switch ((enum send_how)c->how) {
    case BY_SEND: return send(fd, source, size, flags);
    case BY_SENDTO: return sendto(fd, source, size, flags, NULL, 0);
    case BY_WRITE: return write(fd, source, size);
    case BY_WRITEV: return writev(fd, parts, 2);
    case BY_SENDMSG: return send_messages(fd, size, flags, 1);
    case BY_SENDMMSG: return send_messages(fd, size, flags, 3);
    case BY_MORE: return send(fd, source, size, flags | MSG_MORE);
    case BY_ZEROCOPY:
      set_option(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
      return send(fd, source, size, flags | MSG_ZEROCOPY);
    case BY_BAD_BUFFER: return send(fd, edge, size, flags);
    case BY_URING: return uring_send(fd, source, size, flags, false);
    case BY_URING_WORKER: return uring_send(fd, source, size, flags, true);
    case BY_SENDFILE: return sendfile(fd, file, &at, size);
    case BY_SPLICE: return splice_in(fd, size, false);
    case BY_VMSPLICE: return splice_in(fd, size, true);
    case SEND_HOWS: break;
  }
  die("no such send");
}

static ssize_t receive_messages(int fd, size_t size, int flags, int count) {
  struct iovec parts[3];
  struct mmsghdr messages[3];
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){room(), size / count + 1};
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
  }
  if (count == 1) return recvmsg(fd, &messages[0].msg_hdr, flags);
  int n = recvmmsg(fd, messages, count, flags | MSG_WAITFORONE, NULL);
  if (n < 0) return -1;
  ssize_t sum = 0;
  for (int i = 0; i < n; i++) sum += messages[i].msg_len;
  return sum;
}

/* `counts` says whether the bytes left the socket. */
static ssize_t receive_how(const struct command *c, bool *counts) {
  size_t size = c->size;
  int fd = c->fd, flags = c->flags;
  struct iovec parts[2] = {{room(), size / 3}, {room() + size / 3, size - size / 3}};
  *counts = c->how != TO_PEEK;
  switch ((enum receive_how)c->how) {
    case TO_RECV: return recv(fd, room(), size, flags);
    case TO_READ: return read(fd, room(), size);
    case TO_READV: return readv(fd, parts, 2);
    case TO_RECVMSG: return receive_messages(fd, size, flags, 1);
    case TO_RECVMMSG: return receive_messages(fd, size, flags, 3);
    case TO_WAITALL: return recv(fd, room(), size, flags | MSG_WAITALL);
    case TO_TRUNC: return recv(fd, NULL, size, flags | MSG_TRUNC);
    case TO_PEEK: return recv(fd, room(), size, flags | MSG_PEEK);
    case TO_URING: return uring_receive(fd, room(), size, flags, false);
    case TO_URING_WORKER: return uring_receive(fd, room(), size, flags, true);
    case TO_SPLICE: return splice_out(fd, size);
    case RECEIVE_HOWS: break;
  }
  die("no such receive");
}

static uint32_t draw_size(uint64_t *state) {
  uint32_t most[] = {3, 1500, 1500, 9000, 40000, 300000};
  return 1 + draw(state, most[draw(state, sizeof most / sizeof *most)]);
}

static int64_t write_stream(const struct command *c, struct end *e) {
  uint64_t state = c->seed;
  int64_t done = 0;
  while (done < c->size) {
    uint32_t left = c->size - done, size = draw_size(&state);
    struct command one = {.fd = c->fd, .how = draw(&state, SEND_HOWS), .flags = draw(&state, 4) ? 0 : MSG_DONTWAIT};
    one.size = size < left ? size : left;
    ssize_t n = sent(e, send_how(&one));
    if (n > 0) done += n;
    else if (errno == EAGAIN) pause_ms(1);
    else if (n < 0 && errno != EFAULT && errno != ENOSYS && errno != EINTR) break;
  }
  return done;
}

/* Several may read one stream, so a receive that waits for more than there is has a limit (SO_RCVTIMEO, by the conductor). */
static int64_t read_stream(const struct command *c, struct end *e) {
  uint64_t state = c->seed;
  int64_t done = 0;
  for (;;) {
    struct command one = {.fd = c->fd, .how = draw(&state, RECEIVE_HOWS), .flags = draw(&state, 2) ? 0 : MSG_DONTWAIT};
    /* The limit is none of io_uring's. */
    if (one.how == TO_URING || one.how == TO_URING_WORKER) one.flags = MSG_DONTWAIT;
    one.size = draw_size(&state);
    struct pollfd ready = {c->fd, POLLIN, 0};
    bool ends = stop[c->net], counts;
    poll(&ready, 1, 5);
    if (!(ready.revents & (POLLIN | POLLHUP))) { /* notifications of zero-copy sends alone are POLLERR */
      if (ends) return done;
      if (ready.revents) pause_ms(1);
      continue;
    }
    ssize_t n = receive_how(&one, &counts);
    if (counts && n > 0) done += received(e, n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != ENOSYS && errno != EINTR)) return done;
  }
}

/* ---- connections ---- */

static void limit(int fd, int option, int ms) {
  struct timeval time = {ms / 1000, ms % 1000 * 1000};
  need(setsockopt(fd, SOL_SOCKET, option, &time, sizeof time) == 0);
}

static int listen_here(enum net net, struct key *key) {
  int fd = listen_on(net);
  struct sockaddr_storage address;
  address_of(fd, net, &address);
  key->lport = ntohs(((struct sockaddr_in *)&address)->sin_port);
  return fd;
}

static int connect_how(const struct command *c, struct reply *r) {
  struct sockaddr_in6 to = {0}, from = {0};
  socklen_t size = sizeof(struct sockaddr_in);
  bool v6 = c->net == V6 || c->net == MAPPED;
  int fd = c->fd >= 0 ? c->fd : client_socket(c->net);
  if (v6) {
    to = from = (struct sockaddr_in6){.sin6_family = AF_INET6};
    to.sin6_addr = in6addr_loopback;
    if (c->net == MAPPED) inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
    size = sizeof to;
  } else {
    struct sockaddr_in *in = (struct sockaddr_in *)&to;
    *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ((struct sockaddr_in *)&from)->sin_family = AF_INET;
  }
  to.sin6_port = htons(c->port); /* at the same place in both families */
  if (c->how) {
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    from.sin6_port = htons(c->key.lport);
    bind(fd, (struct sockaddr *)&from, size); /* if it can be: else another port */
  }
  limit(fd, SO_SNDTIMEO, 500 * patience_factor());
  int result = connect(fd, (struct sockaddr *)&to, size), error = errno;
  limit(fd, SO_SNDTIMEO, 0);
  if (result == 0) r->key = end_of(fd).key;
  r->fd = fd;
  errno = error;
  return result;
}

static int accept_one(int listener, int flags, struct end *e) {
  struct sockaddr_storage peer;
  socklen_t size = sizeof peer;
  int fd = accept4(listener, (struct sockaddr *)&peer, &size, flags);
  if (fd >= 0) *e = accepted_end(fd, &peer);
  return fd;
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct served {
  struct end e;
  uint32_t owed;
};

static void want(int poller, int how, struct served *s) {
  struct epoll_event event = {.events = (s->owed < 1 << 16 ? EPOLLIN : 0) | (s->owed ? EPOLLOUT : 0), .data.ptr = s};
  need(epoll_ctl(poller, how, s->e.fd, &event) == 0);
}

/* Returns false when the connection is over. */
static bool serve_one(struct served *s, uint64_t *state) {
  if (s->owed < 1 << 16) {
    ssize_t n = received(&s->e, recv(s->e.fd, room(), draw_size(state), 0));
    if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
    if (n > 0) s->owed += n;
  }
  if (s->owed > 0) {
    uint32_t size = draw_size(state);
    ssize_t n = sent(&s->e, send(s->e.fd, source, size < s->owed ? size : s->owed, MSG_NOSIGNAL));
    if (n < 0 && errno != EAGAIN) return false;
    if (n > 0) s->owed -= n;
  }
  return true;
}

static int64_t serve_clients(const struct command *c) {
  struct served *all = calloc(c->size, sizeof *all);
  struct epoll_event events[64] = {{.events = EPOLLIN}};
  uint64_t state = c->seed;
  int poller = epoll_create1(EPOLL_CLOEXEC);
  uint32_t accepted = 0, closed = 0;
  need(poller >= 0 && all && epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, events) == 0);
  nonblocking(c->fd, true);
  for (int64_t until = now_ms() + 10000 * patience_factor(); closed < c->size && now_ms() < until;) {
    int n = epoll_wait(poller, events, 64, 100);
    for (int i = 0; i < n; i++) {
      struct served *s = events[i].data.ptr;
      if (!s) {
        while (accepted < c->size && accept_one(c->fd, SOCK_NONBLOCK | SOCK_CLOEXEC, &all[accepted].e) >= 0) {
          set_option(all[accepted].e.fd, IPPROTO_TCP, TCP_NODELAY, 1); /* else small sends wait for delayed acknowledgements */
          want(poller, EPOLL_CTL_ADD, &all[accepted++]);
        }
      } else if (serve_one(s, &state)) {
        want(poller, EPOLL_CTL_MOD, s);
      } else {
        /* A child forked meanwhile may hold the socket for a moment, and epoll would go on to report it. */
        need(epoll_ctl(poller, EPOLL_CTL_DEL, s->e.fd, NULL) == 0);
        close(s->e.fd);
        closed++;
      }
    }
  }
  close(poller);
  free(all);
  return closed;
}

/* Sends to a server that echoes and receives all of it, unless it leaves early. */
static void talk(struct end *e, uint32_t bytes, uint32_t leaves_after) {
  for (uint32_t out = 0, in = 0; in < bytes && in < leaves_after;) {
    if (out < bytes) {
      ssize_t n = sent(e, send(e->fd, source, bytes - out, MSG_DONTWAIT | MSG_NOSIGNAL));
      if (n < 0 && errno != EAGAIN) return;
      if (n > 0) out += n;
    }
    struct pollfd ready = {e->fd, POLLIN | (out < bytes ? POLLOUT : 0), 0};
    if (poll(&ready, 1, 5000 * patience_factor()) == 0) return;
    ssize_t n = received(e, recv(e->fd, room(), ROOM, MSG_DONTWAIT));
    if (n == 0 || (n < 0 && errno != EAGAIN)) return;
    if (n > 0) in += n;
  }
}

static int64_t open_clients(const struct command *c) {
  uint64_t state = c->seed;
  struct end *all = calloc(c->size, sizeof *all);
  int64_t open = 0;
  need(all);
  for (uint32_t i = 0; i < c->size; i++) {
    struct command one = {.net = c->net, .port = c->port, .fd = -1};
    struct reply r = {0};
    if (connect_how(&one, &r) != 0) {
      close(r.fd);
      break;
    }
    set_option(r.fd, IPPROTO_TCP, TCP_NODELAY, 1);
    all[open].key = r.key;
    all[open++].fd = r.fd;
  }
  for (int64_t i = 0; i < open; i++) {
    uint32_t bytes = draw_size(&state) % 50000, kind = draw(&state, 6);
    talk(&all[i], bytes, kind == 0 ? bytes / 2 : bytes);
    if (kind == 1) {
      shutdown(all[i].fd, SHUT_WR);
      while (received(&all[i], recv(all[i].fd, room(), ROOM, 0)) > 0) continue;
    }
    if (kind == 2) reset_close(&all[i]);
    else close(all[i].fd);
  }
  free(all);
  return open;
}

/* ---- the rest ---- */

static int fork_child(const struct command *c, struct reply *r) {
  int ends[2];
  need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  signal(SIGCHLD, SIG_IGN); /* nobody waits for it */
  pid_t pid = spawn();
  if (pid == 0) {
    /* All but what it is for, so that others' connections end when others close them. */
    int kept[] = {0, 1, 2, file, ends[1], c->fd, c->other};
    for (unsigned from = 0; from < ~0u;) {
      unsigned next = ~0u;
      for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        if (kept[i] >= 0 && (unsigned)kept[i] >= from && (unsigned)kept[i] < next) next = kept[i];
      }
      if (next > from) need(syscall(SYS_close_range, from, next - (next != ~0u), 0) == 0);
      from = next == ~0u ? next : next + 1;
    }
    char name[16] = "";
    prctl(PR_GET_NAME, name); /* `mix…` of the thread that forked */
    snprintf(name + strcspn(name, "-"), 8, "-child");
    name_process(name);
    actor_serve(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  r->fd = ends[0];
  return pid;
}

static void rename_self(int number) {
  char text[32], name[16] = "";
  int fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
  need(fd >= 0 && read(fd, name, sizeof name - 1) > 0);
  name[strcspn(name, "-\n")] = 0;
  int size = snprintf(text, sizeof text, "%s-%d", name, number);
  need(write(fd, text, size) == size); /* the leader's: prctl() would rename this thread */
  close(fd);
  learn_name();
}

static int disconnect(int fd) {
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  return connect(fd, &none, sizeof none);
}

/* What the socket took to send and gave to readers so far: exact only at rest, so it waits until it has not changed for 20 ms. */
static void measure(int fd, struct reply *r) {
  int64_t since = now_ms();
  for (uint64_t rx = 0, tx = 0; now_ms() < since + 20 * patience_factor(); pause_ms(2)) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    need(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
    int out = 0, in = 0;
    ioctl(fd, SIOCOUTQ, &out);
    ioctl(fd, SIOCINQ, &in);
    rx = info.tcpi_bytes_received - in;
    tx = info.tcpi_bytes_acked + out;
    if (rx != r->rx || tx != r->tx) since = now_ms();
    r->rx = rx;
    r->tx = tx;
  }
}

static int64_t carry_out(const struct command *c, int given, struct reply *r) {
  struct end e = {.fd = c->fd, .key = c->key};
  struct linger linger = {1, c->size};
  bool counts = true;
  ssize_t n;
  switch (c->op) {
    case HELLO: return r->fd = syscall(SYS_gettid), 0;
    case LISTEN: return r->fd = listen_here(c->net, &r->key);
    case CONNECT: return connect_how(c, r);
    case ACCEPT:
      limit(c->fd, SO_RCVTIMEO, 1000 * patience_factor());
      r->fd = accept_one(c->fd, 0, &e);
      if (r->fd >= 0) limit(r->fd, SO_RCVTIMEO, 0); /* which it has from its listener */
      r->key = e.key;
      return r->fd;
    case SEND: return sent(&e, send_how(c));
    case RECEIVE:
      n = receive_how(c, &counts);
      if (counts) received(&e, n);
      return n;
    case SHUTDOWN: return shutdown(c->fd, c->how);
    case CLOSE: return close(c->fd);
    case LINGER: return setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    case OPTION:
      if (c->how == SOL_SOCKET && c->flags == SO_RCVTIMEO) return limit(c->fd, SO_RCVTIMEO, c->size), 0;
      return setsockopt(c->fd, c->how, c->flags, &c->size, sizeof c->size);
    case BLOCKING: return nonblocking(c->fd, !c->how), 0;
    case DUPLICATE: return r->fd = dup(c->fd), close(c->fd), r->fd;
    case GIVE: return r->fd = c->fd;
    case TAKE: return r->fd = given;
    case FORK: return fork_child(c, r);
    case RENAME: return rename_self(c->how), 0;
    case DISCONNECT: return disconnect(c->fd);
    case MEASURE: return measure(c->fd, r), 0;
    case WRITE_STREAM: return write_stream(c, &e);
    case READ_STREAM: return read_stream(c, &e);
    case SERVE: return serve_clients(c);
    case CLIENTS: return open_clients(c);
    case QUIT: return 0;
    case OPS: break;
  }
  die("no such command");
}

void actor_serve(int channel) {
  struct command c;
  int given;
  while (get(channel, &c, sizeof c, &given)) {
    struct reply r = {.fd = -1};
    errno = 0;
    r.result = carry_out(&c, given, &r);
    r.error = errno;
    put(channel, &r, sizeof r, c.op == GIVE || c.op == FORK ? r.fd : -1);
    if (c.op == FORK) close(r.fd);
    if (c.op == QUIT) _exit(0);
  }
}
