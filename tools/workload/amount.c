/* One call that sends, and what it is easily miscounted as. */
#include "workload.h"

#include <netinet/tcp.h>
#include <sys/time.h>

/* 1000 non-blocking sends of 64 KiB of which all but the first few fail: nothing reads before they are over. */
static void eagain_storm(void) {
  struct pair p = connect_pair(V4);
  set_option(p.a.fd, SOL_SOCKET, SO_SNDBUF, 65536);
  int refused = 0;
  for (int i = 0; i < 1000; i++) {
    if (sent(&p.a, send(p.a.fd, payload, 65536, MSG_DONTWAIT)) < 0) {
      need(errno == EAGAIN);
      refused++;
    }
  }
  need(refused > 500);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

/* Asked for 256 MiB, taken is what fits. */
static void one_huge_nonblocking_send(void) {
  struct pair p = connect_pair(V4);
  size_t size = 256 << 20;
  char *huge = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  need(huge != MAP_FAILED);
  ssize_t n = sent(&p.a, send(p.a.fd, huge, size, MSG_DONTWAIT));
  need(n > 0 && n < (ssize_t)size);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

/* ECONNRESET once, then EPIPE, none of which moves anything. */
static void send_after_reset(void) {
  struct pair p = connect_pair(V4);
  transfer(&p.a, &p.b, 3000);
  reset_close(&p.b);
  wait_for(p.a.fd, POLLERR);
  need(sent(&p.a, send(p.a.fd, payload, 1000, 0)) == -1 && errno == ECONNRESET);
  for (int i = 0; i < 100; i++) need(sent(&p.a, send(p.a.fd, payload, 1000, 0)) == -1 && errno == EPIPE);
  close(p.a.fd);
}

/* The kernel accepts the first send after the peer's close() and is told only then that nobody is there. */
static void send_after_peer_closed(void) {
  struct pair p = connect_pair(V4);
  transfer(&p.a, &p.b, 3000);
  close(p.b.fd);
  wait_for(p.a.fd, POLLIN);
  need(sent(&p.a, send(p.a.fd, payload, 700, 0)) == 700);
  wait_for(p.a.fd, POLLERR);
  for (int i = 0; i < 100; i++) need(sent(&p.a, send(p.a.fd, payload, 1000, 0)) == -1 && errno == EPIPE);
  close(p.a.fd);
}

static void send_after_shutdown(void) {
  struct pair p = connect_pair(V4);
  transfer(&p.a, &p.b, 3000);
  shutdown(p.a.fd, SHUT_WR);
  for (int i = 0; i < 100; i++) need(sent(&p.a, send(p.a.fd, payload, 1000, 0)) == -1 && errno == EPIPE);
  receive_to_end(&p.b);
  transfer(&p.b, &p.a, 2000);
  close_pair(&p);
}

/* A buffer that is not mapped at all (EFAULT), then one of which the first part is (that part is sent). */
static void send_unmapped_buffer(void) {
  struct pair p = connect_pair(V4);
  size_t mapped = 5 * LARGEST_PAGE;
  char *edge = mmap(NULL, mapped * 2, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(edge != MAP_FAILED && munmap(edge + mapped, mapped) == 0);
  transfer(&p.a, &p.b, 1234);
  for (int i = 0; i < 10; i++) {
    need(sent(&p.a, send(p.a.fd, edge + mapped, 10000, 0)) == -1 && errno == EFAULT);
  }
  ssize_t n = sent(&p.a, send(p.a.fd, edge, mapped * 2, MSG_DONTWAIT));
  need(n > 0 && n <= (ssize_t)mapped);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

static void send_cut_by_timeout(void) {
  struct pair p = connect_pair(V4);
  struct timeval soon = {0, 200000};
  need(setsockopt(p.a.fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof soon) == 0);
  ssize_t size = 64 << 20;
  char *huge = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ssize_t n = sent(&p.a, send(p.a.fd, huge, size, 0));
  need(n > 0 && n < size);
  need(sent(&p.a, send(p.a.fd, huge, size, 0)) < size); /* EAGAIN, or the little that fitted since */
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

static void on_signal(int number) {
  (void)number;
}

static void send_cut_by_signal(void) {
  struct pair p = connect_pair(V4);
  struct sigaction no_restart = {.sa_handler = on_signal};
  need(sigaction(SIGUSR1, &no_restart, NULL) == 0);
  /* Repeats, so that one that comes before the call blocks is not the only one. */
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
  struct itimerspec every = {{0, 200000000}, {0, 200000000}}, never = {0};
  need(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
  ssize_t size = 64 << 20;
  char *huge = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ssize_t n = sent(&p.a, send(p.a.fd, huge, size, 0));
  need(n > 0 && n < size);
  need(timer_settime(timer, 0, &never, NULL) == 0);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

static void *reset_soon(void *end) {
  await_queued(((struct end *)end)->fd, 1);
  pause_ms(200);
  reset_close(end);
  return NULL;
}

static void *shut_down_soon(void *end) {
  pause_ms(200);
  need(shutdown(((struct end *)end)->fd, SHUT_WR) == 0);
  return NULL;
}

/* The first call on a connection, which ends while it is blocked. */
static void cut_first_send(void *(*cut)(void *), bool by_peer) {
  struct pair p = connect_pair(V4);
  pthread_t thread = start(cut, by_peer ? &p.b : &p.a);
  ssize_t size = 64 << 20;
  char *huge = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ssize_t n = sent(&p.a, send(p.a.fd, huge, size, 0));
  need(n > 0 && n < size);
  join(thread);
  if (by_peer) {
    close(p.a.fd);
  } else {
    receive_to_end(&p.b);
    close_pair(&p);
  }
}

static void first_send_cut_by_reset(void) { cut_first_send(reset_soon, true); }
static void first_send_cut_by_shutdown(void) { cut_first_send(shut_down_soon, false); }

/* writev, readv, sendmmsg, recvmmsg, and calls for no bytes at all. */
static void vectored_calls(void) {
  struct pair p = connect_pair(V4);
  struct iovec out[4] = {{payload, 1}, {payload, 0}, {payload, 10000}, {payload, 333}};
  need(sent(&p.a, writev(p.a.fd, out, 4)) == 10334);
  struct mmsghdr messages[8] = {0};
  for (int i = 0; i < 8; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = out, .msg_iovlen = i % 5};
  int n = sendmmsg(p.a.fd, messages, 8, 0);
  need(n == 8);
  for (int i = 0; i < n; i++) sent(&p.a, messages[i].msg_len);
  for (int i = 0; i < 100; i++) {
    need(sent(&p.a, send(p.a.fd, payload, 0, 0)) == 0);
    need(sent(&p.a, write(p.a.fd, payload, 0)) == 0);
    need(received(&p.b, recv(p.b.fd, room(), 0, MSG_DONTWAIT)) == 0);
  }
  await_queued(p.b.fd, tx_of(&p.a));
  struct iovec in[2] = {{room(), 100}, {room() + 100, 1000}};
  need(received(&p.b, readv(p.b.fd, in, 2)) == 1100);
  for (int i = 0; i < 8; i++) messages[i].msg_hdr = (struct msghdr){.msg_iov = in, .msg_iovlen = 2};
  n = recvmmsg(p.b.fd, messages, 8, MSG_DONTWAIT, NULL);
  need(n == 8);
  for (int i = 0; i < n; i++) received(&p.b, messages[i].msg_len);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

static void *discard_all(void *end) {
  struct end *e = end;
  ssize_t n;
  /* WAITALL: one call takes all of 2 GiB. TRUNC: and copies nothing. */
  while ((n = received(e, recv(e->fd, NULL, 0x7ffff000, MSG_TRUNC | MSG_WAITALL))) != 0) need(n > 0);
  return NULL;
}

/* 4.5 GiB in three calls, of which two together are more than 31 bits can hold. */
static void more_than_4_gib(void) {
  struct pair p = connect_pair(V4);
  size_t size = 1536u << 20;
  char *huge = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  need(huge != MAP_FAILED);
  pthread_t reader = start(discard_all, &p.b);
  for (int i = 0; i < 3; i++) need(sent(&p.a, send(p.a.fd, huge, size, 0)) == (ssize_t)size);
  shutdown(p.a.fd, SHUT_WR);
  join(reader);
  close_pair(&p);
}

/* Data in the SYN, both in full and as the part that fits, without cookies so that the first connection has it. */
static void fast_open(void) {
  own_network();
  FILE *f = fopen("/proc/sys/net/ipv4/tcp_fastopen", "w");
  if (!f || fprintf(f, "%d\n", 0x607) < 0 || fclose(f) != 0) skip("no fast open");
  int listener = listen_on(V4);
  set_option(listener, IPPROTO_TCP, TCP_FASTOPEN, 100);
  struct sockaddr_storage address;
  socklen_t size = address_of(listener, V4, &address);
  static const size_t sizes[] = {1, 500, 100000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int fd = client_socket(V4);
    ssize_t n = sendto(fd, payload, sizes[i], MSG_FASTOPEN, (struct sockaddr *)&address, size);
    need(n > 0);
    struct pair p = {.b = end_of(accept(listener, NULL, NULL))};
    p.a = end_of(fd);
    sent(&p.a, n);
    if (i == 0) {
      struct tcp_info info;
      socklen_t length = sizeof info;
      need(getsockopt(p.a.fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0);
      need(info.tcpi_options & TCPI_OPT_SYN_DATA);
    }
    receive_all(&p.b, n);
    transfer(&p.b, &p.a, 4321);
    transfer(&p.a, &p.b, 99);
    close_pair(&p);
  }
  close(listener);
}

static void half_close(void) {
  struct pair p = connect_pair(V4);
  send_all(&p.a, 40000);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  send_all(&p.b, 30000);
  await_queued(p.a.fd, 30000);
  shutdown(p.a.fd, SHUT_RD); /* what is queued can still be read */
  receive_all(&p.a, 30000);
  close_pair(&p);
}

/* Of 50000 bytes 20000 are read; close() drops the rest and resets. */
static void unread_at_close(void) {
  struct pair p = connect_pair(V4);
  send_all(&p.a, 50000);
  await_queued(p.b.fd, 50000);
  receive_all(&p.b, 20000);
  close_pair(&(struct pair){p.b, p.a});
  p = connect_pair(V4); /* and with the FIN already behind them */
  send_all(&p.a, 50000);
  close(p.a.fd);
  await_queued(p.b.fd, 50000);
  receive_all(&p.b, 12345);
  close(p.b.fd);
}

/* One socket, disconnected with AF_UNSPEC and connected again: the kernel's counters start again, ours do not. */
static void reconnected_socket(void) {
  int fd = client_socket(V4);
  for (int i = 1; i <= 5; i++) {
    int listener = listen_on(V4);
    struct sockaddr_storage address;
    socklen_t size = address_of(listener, V4, &address);
    need(connect(fd, (struct sockaddr *)&address, size) == 0);
    struct pair p = {end_of(fd), end_of(accept(listener, NULL, NULL))};
    transfer(&p.a, &p.b, 10000 * i);
    transfer(&p.b, &p.a, 7000 * i);
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
    need(connect(fd, &nowhere, sizeof nowhere) == 0);
    close(p.b.fd);
    close(listener);
  }
  close(fd);
}

/* Small sends held back with MSG_MORE and TCP_CORK count when they are taken, not when they leave. */
static void corked_sends(void) {
  struct pair p = connect_pair(V4);
  for (int i = 0; i < 200; i++) need(sent(&p.a, send(p.a.fd, payload, 77, i % 10 == 9 ? 0 : MSG_MORE)) == 77);
  set_option(p.a.fd, IPPROTO_TCP, TCP_CORK, 1);
  for (int i = 0; i < 200; i++) need(sent(&p.a, send(p.a.fd, payload, 33, 0)) == 33);
  close(p.a.fd);
  receive_to_end(&p.b);
  close(p.b.fd);
}

const struct workload amount_cases[] = {
    {"eagain-storm", AFTER, 0, eagain_storm},
    {"one-huge-nonblocking-send", AFTER, 0, one_huge_nonblocking_send},
    {"send-after-reset", AFTER, 0, send_after_reset},
    {"send-after-peer-closed", AFTER, PARTLY_READ, send_after_peer_closed},
    {"send-after-shutdown", AFTER, 0, send_after_shutdown},
    {"send-unmapped-buffer", AFTER, 0, send_unmapped_buffer},
    {"send-cut-by-timeout", AFTER, 0, send_cut_by_timeout},
    {"send-cut-by-signal", AFTER, 0, send_cut_by_signal},
    {"first-send-cut-by-reset", AFTER, PARTLY_READ, first_send_cut_by_reset},
    {"first-send-cut-by-shutdown", AFTER, 0, first_send_cut_by_shutdown},
    {"vectored-calls", AFTER, 0, vectored_calls},
    {"more-than-4-gib", AFTER, 0, more_than_4_gib},
    {"fast-open", AFTER, 0, fast_open},
    {"half-close", AFTER, 0, half_close},
    {"unread-at-close", AFTER, PARTLY_READ, unread_at_close},
    {"reconnected-socket", AFTER, 0, reconnected_socket},
    {"corked-sends", AFTER, 0, corked_sends},
    {0},
};
