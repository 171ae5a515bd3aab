/* One call that receives, and what it is easily miscounted as. */
#include "workload.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <sys/time.h>

struct feed {
  struct end *end;
  int parts, size;
};

/* Sends in parts, with pauses in which the receiver can take them one by one. */
static void *feed_parts(void *argument) {
  struct feed *feed = argument;
  for (int i = 0; i < feed->parts; i++) {
    send_all(feed->end, feed->size);
    pause_ms(10);
  }
  return NULL;
}

/* The call's running total must not be added up: 10 parts of 10 KiB are 100 KiB, not 550. */
static void waitall_in_parts(void) {
  struct pair p = connect_pair(V4);
  struct feed feed = {&p.a, 10, 10240};
  pthread_t feeder = start(feed_parts, &feed);
  need(received(&p.b, recv(p.b.fd, room(), 102400, MSG_WAITALL)) == 102400);
  join(feeder);
  close_pair(&p);
}

/* WAITALL that is cut short by SO_RCVTIMEO, once with what came and once with nothing. */
static void waitall_cut_by_timeout(void) {
  struct pair p = connect_pair(V4);
  struct timeval soon = {0, 100000};
  need(setsockopt(p.b.fd, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
  send_all(&p.a, 7000);
  need(received(&p.b, recv(p.b.fd, room(), 20000, MSG_WAITALL)) == 7000);
  need(received(&p.b, recv(p.b.fd, room(), 20000, MSG_WAITALL)) == -1 && errno == EAGAIN);
  close_pair(&p);
}

static void receive_low_water_mark(void) {
  struct pair p = connect_pair(V4);
  set_option(p.b.fd, SOL_SOCKET, SO_RCVLOWAT, 5000);
  struct feed feed = {&p.a, 12, 1000};
  pthread_t feeder = start(feed_parts, &feed);
  need(received(&p.b, recv(p.b.fd, room(), ROOM, 0)) >= 5000);
  join(feeder);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

static void peek(void) {
  struct pair p = connect_pair(V4);
  send_all(&p.a, 10000);
  await_queued(p.b.fd, 10000);
  for (int i = 0; i < 50; i++) need(recv(p.b.fd, room(), 10000, MSG_PEEK) == 10000);
  need(recv(p.b.fd, room(), 10000, MSG_PEEK | MSG_WAITALL) == 10000);
  need(recv(p.b.fd, NULL, 10000, MSG_PEEK | MSG_TRUNC) == 10000);
  receive_all(&p.b, 4000);
  need(recv(p.b.fd, room(), 10000, MSG_PEEK) == 6000);
  receive_all(&p.b, 6000);
  close_pair(&p);
}

/* Since Linux 6.9 (05ea491641d3, "tcp: add support for SO_PEEK_OFF"). */
static void peek_offset(void) {
  struct pair p = connect_pair(V4);
  int from = 0;
  if (setsockopt(p.b.fd, SOL_SOCKET, SO_PEEK_OFF, &from, sizeof from) != 0) skip("no SO_PEEK_OFF for TCP");
  send_all(&p.a, 10000);
  await_queued(p.b.fd, 10000);
  for (int i = 0; i < 4; i++) need(recv(p.b.fd, room(), 2000, MSG_PEEK) == 2000);
  receive_all(&p.b, 3000);
  need(recv(p.b.fd, room(), 1000, MSG_PEEK) == 1000);
  receive_all(&p.b, 7000);
  close_pair(&p);
}

/* Bytes thrown away in the kernel were taken out of the queue. */
static void truncating_receive(void) {
  struct pair p = connect_pair(V4);
  send_all(&p.a, 50000);
  await_queued(p.b.fd, 50000);
  need(received(&p.b, recv(p.b.fd, NULL, 20000, MSG_TRUNC)) == 20000);
  need(received(&p.b, recv(p.b.fd, room(), 10000, 0)) == 10000);
  need(received(&p.b, recv(p.b.fd, NULL, 20000, MSG_TRUNC | MSG_WAITALL)) == 20000);
  close_pair(&p);
}

/* recv() into memory that is not there takes nothing out of the queue. */
static void receive_unmapped_buffer(void) {
  struct pair p = connect_pair(V4);
  char *mapped = mmap(NULL, 2 * LARGEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(mapped != MAP_FAILED && munmap(mapped + LARGEST_PAGE, LARGEST_PAGE) == 0);
  char *edge = mapped + LARGEST_PAGE - 4096;
  send_all(&p.a, 8192);
  await_queued(p.b.fd, 8192);
  for (int i = 0; i < 10; i++) need(received(&p.b, recv(p.b.fd, edge + 4096, 4096, 0)) == -1 && errno == EFAULT);
  received(&p.b, recv(p.b.fd, edge, 8192, 0));
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

/* The urgent byte comes out once, by a call of its own; the stream before and after it without it. */
static void out_of_band(void) {
  struct pair p = connect_pair(V4);
  for (int i = 1; i <= 3; i++) {
    send_all(&p.a, 1000 * i);
    need(sent(&p.a, send(p.a.fd, payload, 8, MSG_OOB)) == 8); /* the last of the 8 is urgent */
    send_all(&p.a, 500);
    await_queued(p.b.fd, 1000 * i + 7); /* SIOCINQ stops at the urgent byte */
    wait_for(p.b.fd, POLLPRI);
    need(recv(p.b.fd, room(), 1, MSG_OOB | MSG_PEEK) == 1);
    need(received(&p.b, recv(p.b.fd, room(), 1, MSG_OOB)) == 1);
    need(received(&p.b, recv(p.b.fd, room(), 1, MSG_OOB)) == -1 && errno == EINVAL);
    receive_all(&p.b, 1000 * i + 7);
    receive_all(&p.b, 500);
  }
  check_counters(&p.a, false);
  check_counters(&p.b, false);
  close_pair(&p);
}

/* The only byte that is received comes before the stream does. */
static void urgent_byte_alone(void) {
  struct pair p = connect_pair(V4);
  need(sent(&p.a, send(p.a.fd, payload, 8, MSG_OOB)) == 8);
  wait_for(p.b.fd, POLLPRI);
  need(received(&p.b, recv(p.b.fd, room(), 1, MSG_OOB)) == 1);
  close_pair(&p);
}

static void out_of_band_inline(void) {
  struct pair p = connect_pair(V4);
  set_option(p.b.fd, SOL_SOCKET, SO_OOBINLINE, 1);
  send_all(&p.a, 1000);
  need(sent(&p.a, send(p.a.fd, payload, 8, MSG_OOB)) == 8);
  send_all(&p.a, 500);
  receive_all(&p.b, 1508);
  close_pair(&p);
}

/* Takes what waits in the error queue; returns how many bytes of payload came with it, none of which is received. */
static size_t drain_errors(int fd) {
  size_t bytes = 0;
  for (;;) {
    char control[512];
    struct iovec to = {room(), ROOM};
    struct msghdr message = {.msg_iov = &to, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (n < 0) return bytes;
    bytes += n;
  }
}

/* Timestamps of sends come back through recvmsg(MSG_ERRQUEUE) with a copy of the bytes that were sent. */
static void error_queue_timestamps(void) {
  struct pair p = connect_pair(V4);
  set_option(p.a.fd, SOL_SOCKET, SO_TIMESTAMPING,
             SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_TX_ACK |
                 SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID);
  size_t echoed = 0;
  for (int i = 0; i < 20; i++) {
    transfer(&p.a, &p.b, 3000);
    wait_for(p.a.fd, POLLERR);
    echoed += drain_errors(p.a.fd);
  }
  need(echoed > 0);
  transfer(&p.b, &p.a, 1000);
  close_pair(&p);
}

/* Each of these setsockopt() calls may run the code that follows a receive. */
static void quickack_loop(void) {
  struct pair p = connect_pair(V4);
  for (int i = 0; i < 2000; i++) {
    send_all(&p.a, 1000);
    set_option(p.b.fd, IPPROTO_TCP, TCP_QUICKACK, 1);
    receive_all(&p.b, 1000);
    set_option(p.b.fd, IPPROTO_TCP, TCP_QUICKACK, i % 2);
  }
  close_pair(&p);
}

/* The stream's FIN takes a sequence number but is no byte, however often its end is read. */
static void end_of_stream(void) {
  struct pair p = connect_pair(V4);
  send_all(&p.a, 10);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  for (int i = 0; i < 1000; i++) need(received(&p.b, recv(p.b.fd, room(), ROOM, 0)) == 0);
  close_pair(&p);
}

const struct workload receive_cases[] = {
    {"waitall-in-parts", AFTER, 0, waitall_in_parts},
    {"waitall-cut-by-timeout", AFTER, 0, waitall_cut_by_timeout},
    {"receive-low-water-mark", AFTER, 0, receive_low_water_mark},
    {"peek", AFTER, 0, peek},
    {"peek-offset", AFTER, 0, peek_offset},
    {"truncating-receive", AFTER, 0, truncating_receive},
    {"receive-unmapped-buffer", AFTER, 0, receive_unmapped_buffer},
    {"out-of-band", AFTER, 0, out_of_band},
    {"urgent-byte-alone", AFTER, PARTLY_READ, urgent_byte_alone},
    {"out-of-band-inline", AFTER, 0, out_of_band_inline},
    {"error-queue-timestamps", AFTER, 0, error_queue_timestamps},
    {"quickack-loop", AFTER, 0, quickack_loop},
    {"end-of-stream", AFTER, 0, end_of_stream},
    {0},
};
