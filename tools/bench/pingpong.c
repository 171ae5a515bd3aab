// One byte back and forth over many loopback connections, one after the other, between two threads of one process.
//
//   pingpong CONNECTIONS [fifo]
//
// fifo: what runs goes on until it waits, so that the scheduler decides nothing (SCHED_FIFO).
// Prints its pid when all are open. For every line with a number of round trips on stdin it makes them, and prints their nanoseconds.
#include <arpa/inet.h>
#include <netinet/tcp.h>
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

int main(int count, char **arguments) {
  struct sched_param priority = {.sched_priority = 1};
  check(count < 3 || sched_setscheduler(0, SCHED_FIFO, &priority) == 0, "sched_setscheduler");
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
  int at = 0;
  char line[32];
  while (fgets(line, sizeof(line), stdin) != NULL) {
    // Acknowledgements go with the answers, from the first one on: a connection finds out by itself, but not always.
    for (int each = 0, off = 0; each < connections; each++) {
      setsockopt(ours[each], IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
      setsockopt(theirs[each], IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
    }
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
