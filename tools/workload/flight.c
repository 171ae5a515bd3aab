/* Calls that are in the kernel already when the tool is attached, and return later: what they move then is counted, and not only at the end of
 * the connection, which is put off until the tool has ended. */
#include "workload.h"

#include <linux/tcp.h>
#include <linux/tls.h>
#include <sys/sendfile.h>

enum { BYTES = 6000000 };
static char bytes[BYTES];

struct call {
  struct end *end;
  ssize_t (*make)(int fd);
  ssize_t result;
};

static void *make(void *argument) {
  struct call *c = argument;
  c->result = c->make(c->end->fd);
  return NULL;
}

/* Keeps all sockets open for longer than the tool looks on. */
static void hold(void) {
  pid_t pid = fork();
  need(pid >= 0);
  if (pid > 0) return;
  for (int fd = 0; fd < 3; fd++) close(fd);
  sleep(10 * patience_factor());
  _exit(0);
}

/* All that this end was ever given to send. What is acknowledged between two looks would be in neither: then it looks again. */
static uint64_t queued_ever(int fd) {
  struct tcp_info now = {0};
  socklen_t size = sizeof now;
  for (;;) {
    need(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &now, &size) == 0);
    uint64_t acknowledged = now.tcpi_bytes_acked;
    uint64_t queued = queued_out(fd);
    need(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &now, &size) == 0);
    if (now.tcpi_bytes_acked == acknowledged) return acknowledged + queued - 1; /* the SYN is acknowledged too */
  }
}

/* Starts the call and waits until it makes no progress: also none that a window probe or a late acknowledgement would bring. */
static pthread_t start_call(struct call *c) {
  int enough = 30 * patience_factor();
  pthread_t thread = start(make, c);
  for (int still = 0, before = -1; still < enough; pause_ms(10)) {
    int now = queued_out(c->end->fd);
    still = now > 0 && now == before ? still + 1 : 0;
    before = now;
  }
  return thread;
}

static void blocked(struct pair pair, ssize_t (*how)(int fd)) {
  static struct pair p; /* the receiver goes on when this has returned */
  p = pair;
  struct call c = {.end = &p.a, .make = how};
  hold();
  pthread_t thread = start_call(&c);
  uint64_t before = queued_ever(p.a.fd);
  ready();
  pthread_t reader = start_receiver(&p.b);
  join(thread);
  need(c.result > 0);
  sent(&p.a, queued_ever(p.a.fd) - before);
  while (rx_of(&p.b) < queued_ever(p.a.fd)) pause_ms(1);
  (void)reader;
}

static ssize_t by_send(int fd) { return send(fd, bytes, BYTES, 0); }

static ssize_t by_sendmsg(int fd) {
  struct iovec parts[] = {{bytes, 1000}, {bytes, BYTES - 1000}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(fd, &message, 0);
}

static ssize_t by_zerocopy(int fd) {
  set_option(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
  return send(fd, bytes, BYTES, MSG_ZEROCOPY);
}

static ssize_t by_sendfile(int fd) {
  int file = memfd_create("file", 0);
  need(file >= 0 && write(file, bytes, BYTES) == BYTES);
  off_t at = 0;
  ssize_t n = sendfile(fd, file, &at, BYTES);
  close(file);
  return n;
}

static ssize_t by_splice(int fd) {
  int pipes[2];
  need(pipe(pipes) == 0);
  size_t size = fcntl(pipes[1], F_SETPIPE_SZ, 1 << 20);
  need(size >= 1 << 16);
  struct iovec from = {bytes, size};
  need(vmsplice(pipes[1], &from, 1, 0) > 0);
  return splice(pipes[0], NULL, fd, NULL, size, 0);
}

static struct pair narrow_pair(enum net net) {
  struct pair p = connect_pair(net);
  set_option(p.a.fd, SOL_SOCKET, SO_SNDBUF, 4096);
  return p;
}

static void blocked_send(void) { blocked(narrow_pair(V4), by_send); }
static void blocked_send_v6(void) { blocked(narrow_pair(V6), by_send); }
static void blocked_sendmsg(void) { blocked(narrow_pair(MAPPED), by_sendmsg); }
static void blocked_zerocopy(void) { blocked(narrow_pair(V4), by_zerocopy); }
static void blocked_sendfile(void) { blocked(narrow_pair(V4), by_sendfile); }
static void blocked_splice(void) { blocked(narrow_pair(V4), by_splice); }

static void blocked_tls(void) {
  struct pair p = narrow_pair(V4);
  struct tls12_crypto_info_aes_gcm_128 keys = {
      .info = {TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128}, .key = "0123456789abcde", .salt = "123", .iv = "1234567"};
  if (setsockopt(p.a.fd, IPPROTO_TCP, 31 /* TCP_ULP */, "tls", 4) != 0) skip("no kernel TLS: %s", strerror(errno));
  need(setsockopt(p.a.fd, 282 /* SOL_TLS */, TLS_TX, &keys, sizeof keys) == 0);
  blocked(p, by_send);
}

static void *receive_everything(void *end) {
  receive_all(end, BYTES);
  return NULL;
}

/* The socket connects once more: what its call moved on the connection before is still counted. */
static void blocked_again(void) {
  struct pair p = narrow_pair(V4);
  struct call c = {.end = &p.a, .make = by_send};
  pthread_t thread = start_call(&c);
  uint64_t before = queued_ever(p.a.fd);
  ready();
  pthread_t reader = start(receive_everything, &p.b);
  join(thread);
  join(reader);
  while (queued_out(p.a.fd) > 0) pause_ms(1);
  sent(&p.a, queued_ever(p.a.fd) - before);
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  need(connect(p.a.fd, &none, sizeof none) == 0);
  int listener = listen_on(V4);
  struct sockaddr_storage to;
  socklen_t size = address_of(listener, V4, &to);
  need(connect(p.a.fd, (struct sockaddr *)&to, size) == 0);
  struct pair again = {end_of(p.a.fd), end_of(accept(listener, NULL, NULL))};
  hold();
  transfer(&again.a, &again.b, 1000);
}

/* connect() with data, while the peer has no place in its queue: the data is taken when the connection is established. */
static struct sockaddr_storage waiting_at;
static socklen_t waiting_size;

static ssize_t by_connect(int fd) {
  return sendto(fd, bytes, BYTES, MSG_FASTOPEN, (struct sockaddr *)&waiting_at, waiting_size);
}

static void blocked_connect(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  need(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 0) == 0);
  waiting_size = sizeof waiting_at;
  need(getsockname(listener, (struct sockaddr *)&waiting_at, &waiting_size) == 0);
  int first = socket(AF_INET, SOCK_STREAM, 0);
  need(connect(first, (struct sockaddr *)&waiting_at, waiting_size) == 0);
  int waiting_fd = socket(AF_INET, SOCK_STREAM, 0);
  set_option(waiting_fd, SOL_SOCKET, SO_SNDBUF, 4096);
  struct end a = {.fd = waiting_fd};
  struct call c = {.end = &a, .make = by_connect};
  pthread_t thread = start(make, &c);
  pause_ms(300);
  ready();
  need(accept(listener, NULL, NULL) >= 0);
  static struct end b;
  b = end_of(accept(listener, NULL, NULL));
  pthread_t reader = start_receiver(&b);
  join(thread);
  if (c.result < 0 && (errno == EOPNOTSUPP || errno == EINPROGRESS)) skip("no fast open: %s", strerror(errno));
  need(c.result == BYTES);
  a = end_of(waiting_fd);
  sent(&a, c.result);
  hold();
  while (rx_of(&b) < BYTES) pause_ms(1);
  (void)reader;
}

/* All that an MPTCP socket was ever given to send, from some number on: `mptcpi_write_seq` of `MPTCP_INFO`. */
static uint64_t mptcp_queued_ever(int fd) {
  uint64_t info[32] = {0};
  socklen_t size = sizeof info;
  need(getsockopt(fd, 284 /* SOL_MPTCP */, 1 /* MPTCP_INFO */, info, &size) == 0 && size >= 3 * sizeof *info);
  return info[2];
}

static void blocked_mptcp_send(void) {
  static struct pair p; /* the receiver goes on when this has returned */
  p = connect_mptcp(true);
  set_option(p.a.fd, SOL_SOCKET, SO_SNDBUF, 4096);
  uint64_t first = mptcp_queued_ever(p.a.fd);
  struct call c = {.end = &p.a, .make = by_send};
  hold();
  pthread_t thread = start_call(&c);
  uint64_t before = mptcp_queued_ever(p.a.fd);
  ready();
  pthread_t reader = start_receiver(&p.b);
  join(thread);
  need(c.result == BYTES && mptcp_queued_ever(p.a.fd) - first == BYTES);
  sent(&p.a, BYTES - (before - first));
  while (rx_of(&p.b) < BYTES) pause_ms(1);
  (void)reader;
}

static void *wait_for_all(void *end) {
  struct end *e = end;
  received(e, recv(e->fd, room(), 100000, MSG_WAITALL));
  return NULL;
}

/* Of what a receive has taken before, the rest is counted alone. */
static void wait_for_more(struct pair p, int taken) {
  hold();
  pthread_t thread = start(wait_for_all, &p.b);
  if (taken > 0) send_all(&p.a, taken);
  while (queued_in(p.b.fd) > 0) pause_ms(1);
  pause_ms(50);
  ready();
  send_all(&p.a, 100000 - taken);
  join(thread);
  /* Its return value has what was taken before, which is not counted. */
  __atomic_fetch_sub(&p.b.row->rx, taken, __ATOMIC_RELAXED);
}

static void blocked_receive(void) { wait_for_more(connect_pair(V4), 30000); }
static void blocked_mptcp_receive(void) { wait_for_more(connect_mptcp(true), 0); }

const struct workload flight_cases[] = {
    {"blocked-send", BEFORE, PARTLY_READ, blocked_send},
    {"blocked-send-v6", BEFORE, PARTLY_READ, blocked_send_v6},
    {"blocked-sendmsg", BEFORE, PARTLY_READ, blocked_sendmsg},
    {"blocked-zerocopy", BEFORE, PARTLY_READ, blocked_zerocopy},
    {"blocked-sendfile", BEFORE, PARTLY_READ, blocked_sendfile},
    {"blocked-splice", BEFORE, PARTLY_READ, blocked_splice},
    {"blocked-tls", BEFORE, PARTLY_READ, blocked_tls},
    {"blocked-send-and-reconnect", BEFORE, PARTLY_READ, blocked_again},
    {"blocked-connect-with-data", BEFORE, PARTLY_READ, blocked_connect},
    {"blocked-receive", BEFORE, PARTLY_READ, blocked_receive},
    {"blocked-mptcp-send", BEFORE, PARTLY_READ, blocked_mptcp_send},
    {"blocked-mptcp-receive", BEFORE, PARTLY_READ, blocked_mptcp_receive},
    {0},
};
