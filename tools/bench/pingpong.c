// One byte back and forth over many loopback connections, one after the other, between two threads of one process.
//
//   pingpong CONNECTIONS [steady]
//
// steady: every send and receive costs the same, but for what is said at `kept`. For a machine of its own: it changes the route to 127.0.0.1.
// Prints its pid when all are open. For every line with a number of round trips on stdin it makes them, and prints their nanoseconds.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int connections, *ours, *theirs;

static void check(int ok, const char *what) {
  if (ok) return;
  perror(what);
  exit(1);
}

static void move(int from, int to) {
  char byte = 0;
  if (from >= 0) check(recv(from, &byte, 1, 0) == 1, "recv");
  if (to >= 0) check(send(to, &byte, 1, 0) == 1, "send");
}

static void *echo(void *unused) {
  for (int at = 0;; at = (at + 1) % connections) move(theirs[at], theirs[at]);
  return unused;
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ull + time.tv_nsec;
}

// ip route change table local local 127.0.0.1 dev lo proto kernel scope host src 127.0.0.1 quickack 1 rto_min 100s
//
// Without it connections change between acknowledging a segment at once and with the answer, and a timer of one that has waited for 200 ms
// runs out: an event is 500 to 3,000 instructions dearer or cheaper for it.
static void acknowledgeAtOnce(void) {
  struct number {
    struct rtattr attribute;
    uint32_t value;
  };
#define NUMBER(TYPE, VALUE) {{sizeof(struct number), TYPE}, VALUE}
  struct {
    struct nlmsghdr header;
    struct rtmsg route;
    struct number destination, source, device;
    struct rtattr metrics;
    struct number quickack, rtoMin, lock;
  } request = {
    {sizeof(request), RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_REPLACE | NLM_F_ACK},
    {AF_INET, .rtm_dst_len = 32, .rtm_table = RT_TABLE_LOCAL, .rtm_protocol = RTPROT_KERNEL, .rtm_scope = RT_SCOPE_HOST, .rtm_type = RTN_LOCAL},
    NUMBER(RTA_DST, htonl(INADDR_LOOPBACK)),
    NUMBER(RTA_PREFSRC, htonl(INADDR_LOOPBACK)),
    NUMBER(RTA_OIF, if_nametoindex("lo")),
    {sizeof(struct rtattr) + 3 * sizeof(struct number), RTA_METRICS},
    NUMBER(RTAX_QUICKACK, 1),
    NUMBER(RTAX_RTO_MIN, 100000),
    NUMBER(RTAX_LOCK, 1 << RTAX_RTO_MIN),
  };
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
  } answer;
  int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  check(send(netlink, &request, sizeof(request), 0) > 0 && recv(netlink, &answer, sizeof(answer), 0) > 0, "rtnetlink");
  errno = -answer.error.error;
  check(errno == 0, "change the route to 127.0.0.1");
  close(netlink);
}

int main(int count, char **arguments) {
  struct sched_param priority = {.sched_priority = 1};
  int steady = count > 2;
  if (steady) {
    // What runs goes on until it waits: the scheduler decides nothing.
    check(sched_setscheduler(0, SCHED_FIFO, &priority) == 0, "sched_setscheduler");
    acknowledgeAtOnce();
  }
  connections = count > 1 ? atoi(arguments[1]) : 0;
  check(connections > 0, "usage: pingpong CONNECTIONS");
  ours = calloc(connections, sizeof(int));
  theirs = calloc(connections, sizeof(int));
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  check(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 128) == 0, "listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  for (int at = 0; at < connections; at++) {
    ours[at] = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(ours[at], (struct sockaddr *)&address, length) == 0, "connect");
    theirs[at] = accept(listener, NULL, NULL);
    check(theirs[at] >= 0, "accept");
  }
  pthread_t thread;
  check(pthread_create(&thread, NULL, echo, NULL) == 0, "pthread_create");
  printf("%d\n", getpid());
  fflush(stdout);
  // Packets that are never read, one more for each run. Where the memory of two packets comes from the last places of two pages, each packet
  // makes the kernel change pages, which is 140 instructions an event, until some place more or less is taken.
  int kept = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 24;
  char packet[200] = {0};
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  check(bind(kept, (struct sockaddr *)&own, length) == 0 && getsockname(kept, (struct sockaddr *)&own, &length) == 0, "bind");
  check(connect(kept, (struct sockaddr *)&own, length) == 0, "connect to itself");
  setsockopt(kept, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
  int at = 0;
  char line[32];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    check(!steady || send(kept, packet, sizeof(packet), 0) > 0, "keep a packet");
    uint64_t start = now();
    for (int left = atoi(line); left > 0; left--, at = (at + 1) % connections) {
      move(-1, ours[at]);
      move(ours[at], -1);
    }
    printf("%llu\n", (unsigned long long)(now() - start));
    fflush(stdout);
  }
  return 0;
}
