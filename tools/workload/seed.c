/* Sockets that are there before the tool: what they moved until `ready` is not counted, what they move after it is. */
#include "workload.h"

#include <netinet/tcp.h>

/* Established connections of each kind that have moved bytes before and go on. */
static void existing_connections(void) {
  struct pair pairs[4];
  for (int i = 0; i < 4; i++) {
    pairs[i] = connect_pair(i);
    transfer(&pairs[i].a, &pairs[i].b, 100000);
    transfer(&pairs[i].b, &pairs[i].a, 77);
  }
  ready();
  for (int i = 0; i < 4; i++) {
    transfer(&pairs[i].a, &pairs[i].b, 5000 + i);
    transfer(&pairs[i].b, &pairs[i].a, 200000 + i);
    close_pair(&pairs[i]);
  }
}

/* What was queued before is received after: it is the receive that counts. */
static void existing_queue(void) {
  struct pair p = connect_pair(V4), reset = connect_pair(V4), closed = connect_pair(V4);
  send_all(&p.a, 30000);
  send_all(&reset.a, 5000);
  send_all(&closed.a, 6000);
  close(closed.a.fd);
  await_queued(p.b.fd, 30000);
  await_queued(reset.b.fd, 5000);
  await_queued(closed.b.fd, 6000);
  pause_ms(50);
  ready();
  receive_all(&p.b, 10000);
  send_all(&p.a, 1);
  receive_all(&p.b, 20001);
  close_pair(&p);
  reset_close(&reset.a);
  wait_for(reset.b.fd, POLLERR);
  receive_all(&reset.b, 5000);
  close(reset.b.fd);
  receive_to_end(&closed.b);
  send_all(&closed.b, 900); /* answered with a reset, but taken */
  close(closed.b.fd);
}

/* Bytes that were taken before and leave after are not sent again. */
static void existing_unsent(void) {
  struct pair p = connect_pair(V4);
  nonblocking(p.a.fd, true);
  while (send(p.a.fd, payload, ROOM, 0) > 0) continue;
  need(errno == EAGAIN);
  int queued = queued_out(p.a.fd) + queued_in(p.b.fd);
  need(queued > 0);
  ready();
  while (queued_out(p.a.fd) > 0) {
    if (received(&p.b, recv(p.b.fd, room(), ROOM, MSG_DONTWAIT)) < 0) pause_ms(1); /* for the acknowledgement */
  }
  transfer(&p.a, &p.b, 1234); /* may leave some of what was before unread: the end takes all */
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
}

/* Connections of which one direction had ended before. */
static void existing_half_closed(void) {
  struct pair p = connect_pair(V4), unread = connect_pair(V4);
  transfer(&p.a, &p.b, 1000);
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  send_all(&unread.a, 4000);
  shutdown(unread.a.fd, SHUT_WR);
  await_queued(unread.b.fd, 4000);
  pause_ms(50);
  ready();
  transfer(&p.b, &p.a, 7000);
  receive_to_end(&unread.b);
  transfer(&unread.b, &unread.a, 8000);
  close_pair(&p);
  close_pair(&unread);
}

/* Reset before the tool, and connected once more beside it: a disconnect adds to the sequence numbers, and moves no byte. */
static void existing_reset(void) {
  struct pair p = connect_pair(V4);
  send_all(&p.a, 355);
  receive_all(&p.b, 355);
  reset_close(&p.a);
  wait_for(p.b.fd, POLLERR);
  ready();
  struct sockaddr none = {.sa_family = AF_UNSPEC};
  need(connect(p.b.fd, &none, sizeof none) == 0);
  int listener = listen_on(V4);
  struct sockaddr_storage to;
  socklen_t size = address_of(listener, V4, &to);
  need(connect(p.b.fd, (struct sockaddr *)&to, size) == 0);
  struct pair again = {end_of(p.b.fd), end_of(accept(listener, NULL, NULL))};
  transfer(&again.a, &again.b, 100);
  close_pair(&again);
}

/* Connected, and sent to, before; accepted after. */
static void existing_unaccepted(void) {
  int listener = listen_on(V4);
  struct sockaddr_storage address;
  socklen_t size = address_of(listener, V4, &address);
  int fd = client_socket(V4);
  need(connect(fd, (struct sockaddr *)&address, size) == 0);
  struct pair p = {.a = end_of(fd)};
  send_all(&p.a, 3000);
  pause_ms(50);
  ready();
  p.b = end_of(accept(listener, NULL, NULL));
  receive_all(&p.b, 3000);
  transfer(&p.a, &p.b, 2000);
  transfer(&p.b, &p.a, 1500);
  close_pair(&p);
  close(listener);
}

/* A listener from before accepts as any other. */
static void existing_listener(void) {
  int listener = listen_on(DUAL);
  ready();
  for (int i = 0; i < 10; i++) {
    struct pair p = connect_to(listener, i % 2 ? V6 : DUAL);
    transfer(&p.a, &p.b, 1000 + i);
    transfer(&p.b, &p.a, 2000 + i);
    close_pair(&p);
  }
  close(listener);
}

static void existing_in_namespace(void) {
  own_network();
  struct pair p = connect_pair(V4);
  transfer(&p.a, &p.b, 100000);
  send_all(&p.b, 500);
  await_queued(p.a.fd, 500);
  ready();
  receive_all(&p.a, 500);
  transfer(&p.a, &p.b, 1000);
  transfer(&p.b, &p.a, 2000);
  close_pair(&p);
}

/* Used by one process before and by its child after. */
static void existing_inherited(void) {
  struct pair p = connect_pair(V4);
  transfer(&p.a, &p.b, 1000);
  ready();
  pid_t pid = spawn();
  if (pid == 0) {
    name_process("the-child");
    transfer(&p.a, &p.b, 6000);
    _exit(0);
  }
  reap(pid);
  transfer(&p.b, &p.a, 400);
  close_pair(&p);
}

/* ---- calls that wait when the tool comes ---- */

struct call {
  struct end *end;
  pid_t thread; /* 0 until it is about to call */
  ssize_t result;
};

static void *blocked_receive(void *argument) {
  struct call *call = argument;
  room();
  __atomic_store_n(&call->thread, syscall(SYS_gettid), __ATOMIC_RELEASE);
  call->result = recv(call->end->fd, room(), 10000, MSG_WAITALL);
  return NULL;
}

enum { BLOCKED = 32 << 20 };

static void *blocked_send(void *argument) {
  struct call *call = argument;
  char *huge = mmap(NULL, BLOCKED, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  need(huge != MAP_FAILED);
  __atomic_store_n(&call->thread, syscall(SYS_gettid), __ATOMIC_RELEASE);
  call->result = send(call->end->fd, huge, BLOCKED, 0);
  return NULL;
}

/* Waits until the thread sleeps in its call. */
static void await_blocked(struct call *call) {
  pid_t thread;
  while (!(thread = __atomic_load_n(&call->thread, __ATOMIC_ACQUIRE))) pause_ms(1);
  for (int asleep = 0; asleep < 50;) { /* for 50 ms on end: not merely on its way */
    asleep = is_asleep(thread) ? asleep + 1 : 0;
    pause_ms(1);
  }
}

/* Before, of one call: what its socket took for it. Nothing was received yet, so all of it is in the two queues. */
static int64_t accepted(struct pair *p) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  int before = -1, now;
  while ((now = queued_out(p->a.fd) + queued_in(p->b.fd)) != before) {
    before = now;
    pause_ms(50);
  }
  need(getsockopt(p->a.fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
  return now;
}

/* A recv() and a send() that began before the tool and return after it; of the send only the rest counts. */
static void blocked_calls(void) {
  struct pair in = connect_pair(V4), out = connect_pair(V4);
  struct call receive = {.end = &in.b}, send = {.end = &out.a};
  pthread_t receiver = start(blocked_receive, &receive), sender = start(blocked_send, &send);
  await_blocked(&receive);
  await_blocked(&send);
  int64_t before = accepted(&out);
  ready();
  need(accepted(&out) == before);
  send_all(&in.a, 4000);
  pause_ms(20);
  send_all(&in.a, 6000);
  join(receiver);
  need(received(&in.b, receive.result) == 10000);
  receive_all(&out.b, BLOCKED);
  join(sender);
  need(send.result == BLOCKED);
  sent(&out.a, BLOCKED - before);
  close_pair(&in);
  close_pair(&out);
}

static void *blocked_accept(void *argument) {
  struct call *call = argument;
  __atomic_store_n(&call->thread, syscall(SYS_gettid), __ATOMIC_RELEASE);
  call->result = accept(call->end->fd, NULL, NULL);
  return NULL;
}

/* An accept() that began before the tool: of its connection all is new. */
static void blocked_accept_call(void) {
  struct end listener = {.fd = listen_on(V4)};
  struct call call = {.end = &listener};
  pthread_t thread = start(blocked_accept, &call);
  await_blocked(&call);
  struct sockaddr_storage address;
  socklen_t size = address_of(listener.fd, V4, &address);
  ready();
  int fd = client_socket(V4);
  need(connect(fd, (struct sockaddr *)&address, size) == 0);
  join(thread);
  need(call.result >= 0);
  struct pair p = {end_of(fd), end_of(call.result)};
  transfer(&p.a, &p.b, 3000);
  transfer(&p.b, &p.a, 4000);
  close_pair(&p);
  close(listener.fd);
}

const struct workload seed_cases[] = {
    {"existing-connections", BEFORE, 0, existing_connections},
    {"existing-queue", BEFORE, PARTLY_READ, existing_queue},
    {"existing-unsent", BEFORE, PARTLY_READ, existing_unsent},
    {"existing-half-closed", BEFORE, PARTLY_READ, existing_half_closed},
    {"existing-reset", BEFORE, 0, existing_reset},
    {"existing-unaccepted", BEFORE, PARTLY_READ, existing_unaccepted},
    {"existing-listener", BEFORE, 0, existing_listener},
    {"existing-in-namespace", BEFORE, PARTLY_READ, existing_in_namespace},
    {"existing-inherited", BEFORE, 0, existing_inherited},
    {"blocked-calls", BEFORE, PARTLY_READ, blocked_calls},
    {"blocked-accept", BEFORE, 0, blocked_accept_call},
    {0},
};
