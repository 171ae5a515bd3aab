/* What gets lost between the kernel's map and the output: many edges, many CPUs, many connections, many threads. */
#include "workload.h"

#include <sys/resource.h>
#include <time.h>

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

/* A generator of its own for each user, so that a seed gives the same sequence whatever runs beside it. */
static uint32_t random_below(uint64_t *state, uint32_t limit) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33) % limit;
}

/* ---- time ---- */

static void *stream(void *end) {
  uint64_t state = 1;
  for (double until = seconds() + 3 * scale; seconds() < until;) send_all(end, 1 + random_below(&state, 20000));
  return NULL;
}

/* One connection that never rests and one that moves a little every millisecond, over many interval edges. */
static void steady_sends(void) {
  struct pair busy = connect_pair(V4), calm = connect_pair(V6);
  pthread_t reader = start_receiver(&busy.b), writer = start(stream, &busy.a);
  for (double until = seconds() + 3 * scale; seconds() < until; pause_ms(1)) {
    transfer(&calm.a, &calm.b, 1000);
    transfer(&calm.b, &calm.a, 10);
  }
  join(writer);
  shutdown(busy.a.fd, SHUT_WR);
  join(reader);
  close_pair(&busy);
  close_pair(&calm);
}

/* ---- CPUs ---- */

static void pin(int number) {
  cpu_set_t allowed, one;
  need(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  int nth = number % CPU_COUNT(&allowed), cpu = 0;
  while (!CPU_ISSET(cpu, &allowed) || nth-- > 0) cpu++;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  need(sched_setaffinity(0, sizeof one, &one) == 0);
}

/* Each is charged for its own bytes, though all go through one socket at once. */
static void four_senders_one_socket(void) {
  struct pair p = connect_pair(V4);
  pid_t pids[4];
  for (int i = 0; i < 4; i++) {
    if ((pids[i] = spawn())) continue;
    char text[16];
    snprintf(text, sizeof text, "sender-%d", i);
    name_process(text);
    pin(i);
    uint64_t state = i;
    for (int n = 0; n < 3000; n++) send_all(&p.a, 1 + random_below(&state, 8000));
    _exit(0);
  }
  close(p.a.fd);
  receive_to_end(&p.b);
  for (int i = 0; i < 4; i++) reap(pids[i]);
  close(p.b.fd);
}

static void four_receivers_one_socket(void) {
  struct pair p = connect_pair(V4);
  pid_t pids[4];
  for (int i = 0; i < 4; i++) {
    if ((pids[i] = spawn())) continue;
    char text[16];
    snprintf(text, sizeof text, "receiver-%d", i);
    name_process(text);
    pin(i);
    close(p.a.fd);
    ssize_t n;
    uint64_t state = i;
    while ((n = received(&p.b, recv(p.b.fd, room(), 1 + random_below(&state, 8000), 0))) != 0) need(n > 0);
    _exit(0);
  }
  uint64_t state = 7;
  for (int n = 0; n < 8000; n++) send_all(&p.a, 1 + random_below(&state, 8000));
  close_pair(&p);
  for (int i = 0; i < 4; i++) reap(pids[i]);
}

/* ---- connections ---- */

/* 5000 connections, one after the other, each of two rows. */
static void short_connections(void) {
  int listener = listen_on(V4);
  for (int i = 0; i < 5000 * scale; i++) {
    struct pair p = connect_to(listener, V4);
    send_all(&p.a, 100 + i % 1000);
    receive_all(&p.b, 100 + i % 1000);
    send_all(&p.b, 50);
    receive_all(&p.a, 50);
    if (i % 2) reset_close(&p.a); /* else TIME_WAIT */
    else close(p.a.fd);
    close(p.b.fd);
  }
  close(listener);
}

/* 3000 connections that are open, and move bytes, together: 6000 flows at once. */
static void many_open_connections(void) {
  enum { MANY = 3000 };
  struct rlimit files;
  need(getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = 2 * MANY + 100;
  if (files.rlim_max < files.rlim_cur) files.rlim_max = files.rlim_cur;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) skip("cannot open %d files", 2 * MANY + 100);
  struct pair *pairs = calloc(MANY, sizeof *pairs);
  int listener = listen_on(V4);
  for (int i = 0; i < MANY; i++) pairs[i] = connect_to(listener, V4);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < MANY; i++) {
      transfer(&pairs[i].a, &pairs[i].b, 100 + i);
      transfer(&pairs[i].b, &pairs[i].a, 10 + i % 100);
    }
    pause_ms(300);
  }
  /* Some bytes stay unread, so that in all more is sent than received. */
  for (int i = 0; i < MANY; i++) need(sent(&pairs[i].a, send(pairs[i].a.fd, "unread", 6, 0)) == 6);
  for (int i = 0; i < MANY; i++) close_pair(&pairs[i]);
  close(listener);
  free(pairs);
}

/* ---- threads ---- */

static void *read_the_end(void *end) {
  struct end *e = end;
  need(received(e, recv(e->fd, room(), 100, 0)) == 0);
  free(room());
  return NULL;
}

static void *move_a_little(void *pair) {
  struct pair *p = pair;
  transfer(&p->a, &p->b, 4000);
  transfer(&p->b, &p->a, 3000);
  return NULL;
}

/* 12000 threads whose last call returns 0 leave nothing behind that keeps a later one from being seen. */
static void threads_that_receive_nothing(void) {
  struct pair p = connect_pair(V4), later = connect_pair(V4);
  shutdown(p.a.fd, SHUT_WR);
  for (int i = 0; i < 12000; i += 40) {
    pthread_t threads[40];
    for (int n = 0; n < 40; n++) threads[n] = start(read_the_end, &p.b);
    for (int n = 0; n < 40; n++) join(threads[n]);
  }
  join(start(move_a_little, &later));
  struct pair last = connect_pair(V4);
  join(start(move_a_little, &last));
  close_pair(&p);
  close_pair(&later);
  close_pair(&last);
}

/* ---- everything at once ---- */

struct side {
  struct end *end;
  uint64_t state;
};

static void *random_writer(void *argument) {
  struct side *side = argument;
  struct end *e = side->end;
  for (int64_t left = 4 << 20; left > 0;) {
    uint32_t size = 1 + random_below(&side->state, random_below(&side->state, 8) ? 5000 : 300000);
    struct iovec parts[2] = {{payload, size / 2}, {payload, size - size / 2}};
    ssize_t n;
    switch (random_below(&side->state, 5)) {
      case 0: n = send(e->fd, payload, size, MSG_DONTWAIT); break;
      case 1: n = send(e->fd, payload, size, MSG_MORE); break;
      case 2: n = writev(e->fd, parts, 2); break;
      case 3: n = write(e->fd, payload, size); break;
      default: n = sendto(e->fd, payload, size, 0, NULL, 0); break;
    }
    sent(e, n);
    need(n > 0 || errno == EAGAIN);
    if (n > 0) left -= n;
  }
  shutdown(e->fd, SHUT_WR);
  return NULL;
}

static void *random_reader(void *argument) {
  struct side *side = argument;
  struct end *e = side->end;
  for (ssize_t n = 1; n != 0;) {
    uint32_t size = 1 + random_below(&side->state, random_below(&side->state, 8) ? 5000 : 300000);
    struct iovec parts[2] = {{room(), size / 2}, {room() + size / 2, size - size / 2}};
    switch (random_below(&side->state, 6)) {
      case 0: n = received(e, recv(e->fd, room(), size, MSG_DONTWAIT)); break;
      case 1: n = received(e, recv(e->fd, room(), size, MSG_WAITALL)); break;
      case 2: n = received(e, recv(e->fd, NULL, size, MSG_TRUNC)); break;
      case 3: n = received(e, readv(e->fd, parts, 2)); break;
      case 4: n = recv(e->fd, room(), size, MSG_PEEK); break;
      default: n = received(e, read(e->fd, room(), size)); break;
    }
    if (n < 0 && errno == EAGAIN) wait_for(e->fd, POLLIN);
    else need(n >= 0);
  }
  return NULL;
}

/* 8 connections, both directions of each at once, with calls and sizes drawn from a seed. */
static void random_stress(void) {
  enum { PAIRS = 8 };
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  const char *given = getenv("SEED");
  uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec;
  fprintf(stderr, "random-stress: SEED=%llu\n", (unsigned long long)seed);
  struct pair pairs[PAIRS];
  struct side sides[PAIRS][4];
  pthread_t threads[PAIRS][4];
  for (int i = 0; i < PAIRS; i++) {
    pairs[i] = connect_pair(i % 4);
    for (int n = 0; n < 4; n++) {
      sides[i][n] = (struct side){n % 2 ? &pairs[i].b : &pairs[i].a, seed * 97 + i * 4 + n};
      threads[i][n] = start(n < 2 ? random_writer : random_reader, &sides[i][n]);
    }
  }
  for (int i = 0; i < PAIRS; i++) {
    for (int n = 0; n < 4; n++) join(threads[i][n]);
    check_counters(&pairs[i].a, true);
    check_counters(&pairs[i].b, true);
    close_pair(&pairs[i]);
  }
}

const struct workload machinery_cases[] = {
    {"steady-sends", AFTER, 0, steady_sends},
    {"four-senders-one-socket", AFTER, 0, four_senders_one_socket},
    {"four-receivers-one-socket", AFTER, 0, four_receivers_one_socket},
    {"short-connections", AFTER, 0, short_connections},
    {"many-open-connections", AFTER, PARTLY_READ, many_open_connections},
    {"threads-that-receive-nothing", AFTER, 0, threads_that_receive_nothing},
    {"random-stress", AFTER, 0, random_stress},
    {0},
};
