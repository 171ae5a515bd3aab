/* Other ways for bytes into and out of a socket than send and receive calls. */
#include "workload.h"

#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <linux/tls.h>
#include <sys/sendfile.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

/* A file in memory with `bytes` bytes. */
static int file_of(size_t bytes) {
  int fd = memfd_create("file", 0);
  need(fd >= 0);
  for (size_t done = 0; done < bytes; done += ROOM) {
    size_t n = bytes - done < ROOM ? bytes - done : ROOM;
    need(write(fd, payload, n) == (ssize_t)n);
  }
  return fd;
}

static void sendfile_blocking(void) {
  struct pair p = connect_pair(V4);
  size_t size = (8 << 20) + 123;
  int file = file_of(size);
  pthread_t reader = start_receiver(&p.b);
  off_t at = 0;
  while (at < (off_t)size) need(sent(&p.a, sendfile(p.a.fd, file, &at, size - at)) > 0);
  shutdown(p.a.fd, SHUT_WR);
  join(reader);
  close(file);
  close_pair(&p);
}

/* Each call takes what fits, and then none of what it is asked for. */
static void sendfile_nonblocking(void) {
  struct pair p = connect_pair(V4);
  size_t size = 64 << 20;
  int file = file_of(size);
  nonblocking(p.a.fd, true);
  off_t at = 0;
  for (int refused = 0; refused < 100;) {
    ssize_t n = sent(&p.a, sendfile(p.a.fd, file, &at, size));
    need(n > 0 || (n < 0 && errno == EAGAIN));
    refused += n < 0;
  }
  need(at > 0 && at < (off_t)size);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close(file);
  close_pair(&p);
}

/* Asked for more than the file has. */
static void sendfile_short(void) {
  struct pair p = connect_pair(V4);
  int file = file_of(10001);
  off_t at = 1;
  need(sent(&p.a, sendfile(p.a.fd, file, &at, 1 << 20)) == 10000);
  need(sent(&p.a, sendfile(p.a.fd, file, &at, 1 << 20)) == 0);
  receive_all(&p.b, 10000);
  close(file);
  close_pair(&p);
}

static void splice_into_socket(void) {
  struct pair p = connect_pair(V4);
  int pipes[2];
  need(pipe(pipes) == 0);
  for (int i = 0; i < 100; i++) {
    need(write(pipes[1], payload, 30000 + i) == 30000 + i);
    need(sent(&p.a, splice(pipes[0], NULL, p.a.fd, NULL, 1 << 20, i % 2 ? SPLICE_F_MORE : 0)) == 30000 + i);
    receive_all(&p.b, i % 2 ? 10000 : 30000);
  }
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

/* Out in pieces that are not those it came in, with empty-handed calls between. */
static void splice_out_of_socket(void) {
  struct pair p = connect_pair(V4);
  int pipes[2];
  need(pipe(pipes) == 0);
  for (int i = 0; i < 100; i++) {
    send_all(&p.a, 20000 + i);
    await_queued(p.b.fd, 20000 + i);
    for (int left = 20000 + i; left > 0;) {
      ssize_t n = received(&p.b, splice(p.b.fd, NULL, pipes[1], NULL, 7777, 0));
      need(n > 0 && read(pipes[0], room(), ROOM) == n);
      left -= n;
    }
    nonblocking(p.b.fd, true); /* the flag of splice() is about the pipe alone */
    need(received(&p.b, splice(p.b.fd, NULL, pipes[1], NULL, 7777, SPLICE_F_NONBLOCK)) == -1 && errno == EAGAIN);
    nonblocking(p.b.fd, false);
  }
  check_counters(&p.b, false);
  close_pair(&p);
}

/* A relay: what comes in on one connection goes out on another without passing through the process. */
static void splice_socket_to_socket(void) {
  struct pair in = connect_pair(V4), out = connect_pair(V6);
  int pipes[2];
  need(pipe(pipes) == 0);
  pthread_t reader = start_receiver(&out.b);
  for (int i = 0; i < 200; i++) {
    send_all(&in.a, 25000);
    for (int left = 25000; left > 0;) {
      ssize_t n = received(&in.b, splice(in.b.fd, NULL, pipes[1], NULL, left, SPLICE_F_MOVE));
      need(n > 0);
      left -= n;
      while (n > 0) {
        ssize_t m = sent(&out.a, splice(pipes[0], NULL, out.a.fd, NULL, n, SPLICE_F_MOVE));
        need(m > 0);
        n -= m;
      }
    }
  }
  shutdown(out.a.fd, SHUT_WR);
  join(reader);
  close_pair(&in);
  close_pair(&out);
}

static void vmsplice_into_socket(void) {
  struct pair p = connect_pair(V4);
  int pipes[2];
  need(pipe(pipes) == 0);
  struct iovec from = {payload, 40000};
  for (int i = 0; i < 50; i++) {
    need(vmsplice(pipes[1], &from, 1, 0) == 40000);
    for (int left = 40000; left > 0;) {
      ssize_t n = sent(&p.a, splice(pipes[0], NULL, p.a.fd, NULL, left, 0));
      need(n > 0);
      left -= n;
    }
    receive_all(&p.b, 40000);
  }
  close_pair(&p);
}

/* MSG_ZEROCOPY, whose notifications come through the error queue and are no data. */
static void zerocopy_send(void) {
  struct pair p = connect_pair(V4);
  set_option(p.a.fd, SOL_SOCKET, SO_ZEROCOPY, 1);
  int notified = 0;
  for (int i = 0; i < 100; i++) {
    ssize_t n = sent(&p.a, send(p.a.fd, payload, 50000, MSG_ZEROCOPY));
    need(n > 0);
    receive_all(&p.b, n);
    char control[256];
    struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
    while (recvmsg(p.a.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
      notified++;
      message.msg_controllen = sizeof control;
    }
  }
  need(notified > 0);
  check_counters(&p.a, false);
  check_counters(&p.b, false);
  close_pair(&p);
}

/* getsockopt(TCP_ZEROCOPY_RECEIVE): pages are mapped where they can be, the rest is copied or left for recv(). */
static void zerocopy_receive(void) {
  struct pair p = connect_pair(V4);
  size_t chunk = 1 << 20;
  char *window = mmap(NULL, chunk, PROT_READ, MAP_SHARED, p.b.fd, 0);
  if (window == MAP_FAILED) skip("no zero-copy receive");
  /* Sent without a copy, a page arrives as a page of its own, which can be mapped. */
  set_option(p.a.fd, SOL_SOCKET, SO_ZEROCOPY, 1);
  char *pages = mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  size_t mapped = 0, copied = 0;
  for (int i = 0; i < 50; i++) {
    size_t size = i % 2 ? 61440 : 40000 + i;
    need(sent(&p.a, send(p.a.fd, pages, size, MSG_ZEROCOPY)) == (ssize_t)size);
    await_queued(p.b.fd, size);
    for (size_t left = size; left > 0;) {
      struct tcp_zerocopy_receive zc = {.address = (uintptr_t)window, .length = chunk};
      zc.copybuf_address = (uintptr_t)room();
      zc.copybuf_len = i % 3 ? ROOM : 0;
      socklen_t length = sizeof zc;
      if (getsockopt(p.b.fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &zc, &length) != 0) skip("no zero-copy receive");
      need(zc.copybuf_len >= 0);
      received(&p.b, zc.length);
      received(&p.b, zc.copybuf_len);
      mapped += zc.length;
      copied += zc.copybuf_len;
      left -= zc.length + zc.copybuf_len;
      if (zc.length + zc.copybuf_len > 0) continue;
      ssize_t n = received(&p.b, recv(p.b.fd, room(), zc.recv_skip_hint ? zc.recv_skip_hint : left, 0));
      need(n > 0);
      left -= n;
    }
  }
  fprintf(stderr, "zerocopy-receive: %zu bytes mapped, %zu copied by the option\n", mapped, copied);
  need(mapped + copied > 0);
  check_counters(&p.b, false);
  close_pair(&p);
}

/* kTLS in software with keys made up by us. The truth is the plaintext: what the callers asked for and got. */
/* Of TLS 1.2 with AES-GCM: the bytes that a record, of at most 16 KiB, adds to what it carries (RFC 5288). */
enum { RECORD = 16384, RECORD_ADDS = 5 + 8 + 16 };

/* The connection carries ciphertext, and that is what counts. */
static void kernel_tls(void) {
  struct pair p = connect_pair(V4);
  struct tls12_crypto_info_aes_gcm_128 keys = {
      .info = {TLS_1_2_VERSION, TLS_CIPHER_AES_GCM_128}, .key = "0123456789abcde", .salt = "123", .iv = "1234567"};
  if (setsockopt(p.a.fd, IPPROTO_TCP, TCP_ULP, "tls", 4) != 0) skip("no kernel TLS: %s", strerror(errno));
  need(setsockopt(p.b.fd, IPPROTO_TCP, TCP_ULP, "tls", 4) == 0);
  need(setsockopt(p.a.fd, SOL_TLS, TLS_TX, &keys, sizeof keys) == 0);
  need(setsockopt(p.b.fd, SOL_TLS, TLS_RX, &keys, sizeof keys) == 0);
  enum { SENDS = 50, BYTES = 50000, ADDED = SENDS * ((BYTES + RECORD - 1) / RECORD) * RECORD_ADDS };
  for (int i = 0; i < SENDS; i++) {
    send_all(&p.a, BYTES);
    receive_all(&p.b, BYTES);
  }
  sent(&p.a, ADDED);
  received(&p.b, ADDED);
  check_counters(&p.a, false);
  check_counters(&p.b, false);
  close_pair(&p);
}

static int mptcp_socket(void) {
  int fd = socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
  if (fd < 0) skip("no MPTCP: %s", strerror(errno));
  return fd;
}

/* Where a socket listens from now on, with a queue of one. */
static struct sockaddr_in listen_at_loopback(int fd) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  need(bind(fd, (struct sockaddr *)&at, size) == 0 && listen(fd, 1) == 0);
  need(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
  return at;
}

/* Rows are those of the one subflow, which has the addresses of the socket. */
struct pair connect_mptcp(bool both) {
  int listener = both ? mptcp_socket() : socket(AF_INET, SOCK_STREAM, 0), fd = mptcp_socket();
  struct sockaddr_in at = listen_at_loopback(listener);
  need(connect(fd, (struct sockaddr *)&at, sizeof at) == 0);
  struct pair p = {end_of(fd), end_of(accept(listener, NULL, NULL))};
  close(listener);
  return p;
}

static void exchange(struct pair p) {
  for (int i = 0; i < 20; i++) {
    transfer(&p.a, &p.b, 100000 + i);
    transfer(&p.b, &p.a, 30000 + i);
  }
  close_pair(&p);
}

static void mptcp(void) { exchange(connect_mptcp(true)); }
static void mptcp_fallback(void) { exchange(connect_mptcp(false)); }

/* What is looked at stays, and what is dropped unread is nobody's; both ends end in both orders. */
static void mptcp_read_in_part(void) {
  for (int i = 0; i < 20; i++) {
    struct pair p = connect_mptcp(true);
    send_all(&p.a, 5000 + i);
    send_all(&p.b, 3000);
    wait_for(p.b.fd, POLLIN);
    for (int turn = 0; turn < 3; turn++) need(recv(p.b.fd, room(), 1000, MSG_PEEK) == 1000);
    receive_all(&p.b, 1234);
    need(recv(p.b.fd, room(), 10, MSG_PEEK) == 10);
    need(received(&p.b, recv(p.b.fd, NULL, 766, MSG_TRUNC)) == 766);
    receive_all(&p.a, i % 2 ? 3000 : 2999);
    if (i % 4 < 2) {
      receive_all(&p.b, 3000 + i);
      shutdown(p.b.fd, SHUT_WR);
      if (i % 2) receive_to_end(&p.a);
      send_all(&p.a, 77);
      receive_all(&p.b, 77);
    }
    if (i % 3) close(p.a.fd), pause_ms(5), close(p.b.fd);
    else close(p.b.fd), pause_ms(5), close(p.a.fd);
  }
}

/* The call after the connect that did not wait finds a connection, and its own bytes are the first. */
static void mptcp_nonblocking(void) {
  for (int i = 0; i < 20; i++) {
    int listener = mptcp_socket(), fd = mptcp_socket();
    struct sockaddr_in at = listen_at_loopback(listener);
    nonblocking(fd, true);
    need(connect(fd, (struct sockaddr *)&at, sizeof at) == 0 || errno == EINPROGRESS);
    wait_for(fd, POLLOUT);
    struct pair p = {end_of(fd), {0}};
    need(sent(&p.a, send(fd, payload, 4321, 0)) == 4321);
    p.b = end_of(accept(listener, NULL, NULL));
    receive_all(&p.b, 4321);
    nonblocking(fd, false);
    transfer(&p.b, &p.a, 100000);
    close(listener);
    close_pair(&p);
  }
}

/* Data in the SYN, which the subflow sends: in full, as the part that fits, and again when the connection stands. */
static void mptcp_fast_open(void) {
  own_network();
  FILE *f = fopen("/proc/sys/net/ipv4/tcp_fastopen", "w");
  if (!f || fprintf(f, "%d\n", 0x607) < 0 || fclose(f) != 0) skip("no fast open");
  static const size_t sizes[] = {1, 500, 100000};
  for (int i = 0; i < 6; i++) {
    int listener = mptcp_socket(), fd = mptcp_socket();
    struct sockaddr_in at = listen_at_loopback(listener);
    ssize_t n = sendto(fd, payload, sizes[i % 3], MSG_FASTOPEN, (struct sockaddr *)&at, sizeof at);
    if (n < 0 && errno == EOPNOTSUPP) skip("no fast open of MPTCP");
    need(n > 0);
    struct pair p = {end_of(fd), end_of(accept(listener, NULL, NULL))};
    sent(&p.a, n);
    if (i < 3) {
      struct tcp_info info;
      socklen_t length = sizeof info;
      need(getsockopt(p.a.fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0);
      fprintf(stderr, "mptcp-fast-open: %zd bytes, %s\n", n, info.tcpi_options & TCPI_OPT_SYN_DATA ? "acknowledged with the SYN" : "sent again");
    }
    receive_all(&p.b, n);
    transfer(&p.b, &p.a, 4321);
    transfer(&p.a, &p.b, 99);
    close(listener);
    close_pair(&p);
  }
}

/* Several processes on one socket. */
static void mptcp_shared(void) {
  struct pair p = connect_mptcp(true);
  transfer(&p.a, &p.b, 1111);
  pid_t pid = spawn();
  if (pid == 0) {
    name_process("mptcp-child");
    for (int i = 0; i < 10; i++) {
      transfer(&p.a, &p.b, 20000);
      transfer(&p.b, &p.a, 20);
    }
    close_pair(&p);
    _exit(0);
  }
  reap(pid);
  transfer(&p.b, &p.a, 4444);
  close_pair(&p);
}

/* There before the tool, with bytes moved, and some that wait. */
static void mptcp_older(void) {
  struct pair p = connect_mptcp(true);
  transfer(&p.a, &p.b, 100000);
  transfer(&p.b, &p.a, 30000);
  send_all(&p.a, 5000);
  receive_all(&p.b, 1000);
  wait_for(p.b.fd, POLLIN);
  ready();
  receive_all(&p.b, 4000);
  exchange(p);
}

const struct workload path_cases[] = {
    {"sendfile-blocking", AFTER, 0, sendfile_blocking},
    {"sendfile-nonblocking", AFTER, 0, sendfile_nonblocking},
    {"sendfile-short", AFTER, 0, sendfile_short},
    {"splice-into-socket", AFTER, 0, splice_into_socket},
    {"splice-out-of-socket", AFTER, 0, splice_out_of_socket},
    {"splice-socket-to-socket", AFTER, 0, splice_socket_to_socket},
    {"vmsplice-into-socket", AFTER, 0, vmsplice_into_socket},
    {"zerocopy-send", AFTER, 0, zerocopy_send},
    {"zerocopy-receive", AFTER, 0, zerocopy_receive},
    {"kernel-tls", AFTER, 0, kernel_tls},
    {"mptcp", AFTER, 0, mptcp},
    {"mptcp-fallback", AFTER, 0, mptcp_fallback},
    {"mptcp-read-in-part", AFTER, PARTLY_READ, mptcp_read_in_part},
    {"mptcp-nonblocking", AFTER, 0, mptcp_nonblocking},
    {"mptcp-fast-open", AFTER, 0, mptcp_fast_open},
    {"mptcp-shared", AFTER, 0, mptcp_shared},
    {"mptcp-older", BEFORE, PARTLY_READ, mptcp_older},
    {0},
};
