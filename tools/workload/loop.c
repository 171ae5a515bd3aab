/* Loopback connections, and threads and processes at their ends. */
#include "workload.h"

#include <linux/sockios.h>
#include <net/if.h>
#include <linux/tcp.h>

char payload[ROOM];

char *room(void) {
  static __thread char *mine;
  if (!mine) need((mine = malloc(ROOM)) != NULL);
  return mine;
}

static socklen_t loopback(bool v6, uint16_t port, struct sockaddr_storage *to) {
  memset(to, 0, sizeof *to);
  if (v6) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
    in6->sin6_family = AF_INET6;
    in6->sin6_addr = in6addr_loopback;
    in6->sin6_port = htons(port);
    return sizeof *in6;
  }
  struct sockaddr_in *in = (struct sockaddr_in *)to;
  in->sin_family = AF_INET;
  in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  in->sin_port = htons(port);
  return sizeof *in;
}

int listen_on(enum net net) {
  struct sockaddr_storage address;
  socklen_t size = loopback(net == V6 || net == DUAL, 0, &address);
  int fd = socket(address.ss_family, SOCK_STREAM, 0);
  if (fd < 0 && errno == EAFNOSUPPORT) skip("no IPv6");
  need(fd >= 0);
  if (net == DUAL) {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_any;
  }
  if (bind(fd, (struct sockaddr *)&address, size) != 0) {
    if (errno == EADDRNOTAVAIL) skip("no IPv6 loopback address");
    die("bind");
  }
  need(listen(fd, 4096) == 0);
  return fd;
}

int client_socket(enum net net) {
  int fd = socket(net == V6 || net == MAPPED ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
  need(fd >= 0);
  return fd;
}

socklen_t address_of(int listener, enum net net, struct sockaddr_storage *to) {
  struct sockaddr_in6 at;
  socklen_t size = sizeof at;
  need(getsockname(listener, (struct sockaddr *)&at, &size) == 0);
  /* The port is at the same place in both families. */
  size = loopback(net == V6 || net == MAPPED, ntohs(at.sin6_port), to);
  if (net == MAPPED) {
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
    memcpy(&((struct sockaddr_in6 *)to)->sin6_addr, mapped, 16);
  }
  return size;
}

static uint16_t note(const struct sockaddr_storage *from, uint8_t *addr, uint16_t *port) {
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;
    memcpy(addr, &in->sin_addr, 4);
    *port = ntohs(in->sin_port);
    return 4;
  }
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
  *port = ntohs(in6->sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
    memcpy(addr, in6->sin6_addr.s6_addr + 12, 4);
    return 4;
  }
  memcpy(addr, &in6->sin6_addr, 16);
  return 6;
}

struct end accepted_end(int fd, const struct sockaddr_storage *peer) {
  struct end e;
  memset(&e, 0, sizeof e); /* the key is compared as bytes */
  e.fd = fd;
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  need(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
  note(&address, e.key.laddr, &e.key.lport);
  e.key.family = note(peer, e.key.raddr, &e.key.rport);
  return e;
}

struct end end_of(int fd) {
  struct sockaddr_storage peer;
  socklen_t size = sizeof peer;
  need(getpeername(fd, (struct sockaddr *)&peer, &size) == 0);
  return accepted_end(fd, &peer);
}

struct pair connect_to(int listener, enum net net) {
  struct sockaddr_storage address;
  socklen_t size = address_of(listener, net, &address);
  int a = client_socket(net);
  need(connect(a, (struct sockaddr *)&address, size) == 0);
  int b = accept(listener, NULL, NULL);
  need(b >= 0);
  return (struct pair){end_of(a), end_of(b)};
}

struct pair connect_pair(enum net net) {
  int listener = listen_on(net);
  struct pair p = connect_to(listener, net);
  close(listener);
  return p;
}

void check_counters(struct end *e, bool ended) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  while (queued_out(e->fd) > 0) pause_ms(1);
  need(getsockopt(e->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
  uint64_t rx = info.tcpi_bytes_received - queued_in(e->fd) - ended; /* a FIN counts as a byte */
  uint64_t tx = info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
  if (size <= offsetof(struct tcp_info, tcpi_bytes_retrans)) tx = tx_of(e); /* older than Linux 4.19 */
  if (rx != rx_of(e) || tx != tx_of(e)) {
    die("the kernel counted rx %llu tx %llu, we %llu and %llu", (unsigned long long)rx, (unsigned long long)tx,
        (unsigned long long)rx_of(e), (unsigned long long)tx_of(e));
  }
}

void close_pair(struct pair *p) {
  need(close(p->a.fd) == 0 && close(p->b.fd) == 0);
}

void reset_close(struct end *e) {
  struct linger now = {1, 0};
  need(setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
  need(close(e->fd) == 0);
}

void set_option(int fd, int level, int option, int value) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) die("setsockopt(%d, %d, %d)", level, option, value);
}

int queued_in(int fd) {
  int n;
  need(ioctl(fd, SIOCINQ, &n) == 0);
  return n;
}

int queued_out(int fd) {
  int n;
  need(ioctl(fd, SIOCOUTQ, &n) == 0);
  return n;
}

void nonblocking(int fd, bool on) {
  int flags = fcntl(fd, F_GETFL);
  need(flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) == 0);
}

void wait_for(int fd, short events) {
  struct pollfd p = {fd, events, 0};
  int n;
  while ((n = poll(&p, 1, -1)) < 0 && errno == EINTR) continue;
  need(n == 1);
}

void await_queued(int fd, int bytes) {
  while (queued_in(fd) < bytes) pause_ms(1);
}

void pause_ms(int ms) {
  poll(NULL, 0, ms);
}

int patience_factor(void) {
  const char *text = getenv("TCPTOP_PATIENCE");
  return text ? atoi(text) : 1;
}

bool is_asleep(pid_t thread) {
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%d/stat", thread);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = read(fd, text, sizeof text - 1);
  need(n > 0);
  close(fd);
  text[n] = 0;
  return strrchr(text, ')')[2] == 'S';
}

void send_all(struct end *e, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = sent(e, send(e->fd, payload, bytes < ROOM ? bytes : ROOM, MSG_NOSIGNAL));
    if (n < 0 && errno == EINTR) continue;
    need(n > 0);
    bytes -= n;
  }
}

void receive_all(struct end *e, size_t bytes) {
  while (bytes > 0) {
    ssize_t n = received(e, recv(e->fd, room(), bytes < ROOM ? bytes : ROOM, 0));
    if (n < 0 && errno == EINTR) continue;
    need(n > 0);
    bytes -= n;
  }
}

void receive_to_end(struct end *e) {
  ssize_t n;
  while ((n = received(e, recv(e->fd, room(), ROOM, 0))) != 0) need(n > 0 || errno == EINTR);
}

void transfer(struct end *from, struct end *to, size_t bytes) {
  for (size_t out = 0, in = 0; in < bytes;) {
    if (out < bytes) {
      size_t left = bytes - out;
      ssize_t n = sent(from, send(from->fd, payload, left < ROOM ? left : ROOM, MSG_DONTWAIT | MSG_NOSIGNAL));
      need(n >= 0 || errno == EAGAIN);
      if (n > 0) out += n;
    }
    ssize_t n = received(to, recv(to->fd, room(), ROOM, MSG_DONTWAIT));
    need(n > 0 || (n < 0 && errno == EAGAIN));
    if (n > 0) in += n;
    else wait_for(to->fd, POLLIN);
  }
}

static void *receiver(void *end) {
  receive_to_end(end);
  return NULL;
}

pthread_t start(void *(*body)(void *), void *argument) {
  pthread_t thread;
  errno = pthread_create(&thread, NULL, body, argument);
  need(errno == 0);
  return thread;
}

pthread_t start_receiver(struct end *e) {
  return start(receiver, e);
}

void join(pthread_t thread) {
  errno = pthread_join(thread, NULL);
  need(errno == 0);
}

pid_t spawn(void) {
  fflush(NULL);
  pid_t parent = getpid(), pid = fork();
  need(pid >= 0);
  if (pid == 0) {
    need(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    if (getppid() != parent) _exit(1);
    new_process(0);
  }
  return pid;
}

void reap(pid_t pid) {
  int status;
  need(waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) _exit(77); /* it has printed why */
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die("process %d ended with status %#x", pid, status);
}

void own_network(void) {
  if (unshare(CLONE_NEWNET) != 0) skip("no network namespace of our own: %s", strerror(errno));
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq lo = {.ifr_name = "lo"};
  need(fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &lo) == 0);
  lo.ifr_flags |= IFF_UP;
  need(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
  close(fd);
}
