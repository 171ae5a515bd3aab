/* The right amount in the wrong row: names, addresses and owners that change or look alike. */
#include "workload.h"

/* ---- names ---- */

static struct pair shared;

static void *named_sender(void *number) {
  char text[16];
  snprintf(text, sizeof text, "thread-%d", (int)(intptr_t)number);
  prctl(PR_SET_NAME, text);
  for (int i = 0; i < 500; i++) send_all(&shared.a, 100 + (intptr_t)number);
  return NULL;
}

static void *named_receiver(void *end) {
  prctl(PR_SET_NAME, "a-receiver");
  receive_to_end(end);
  return NULL;
}

/* One row with the name of the process, whatever its threads are called. */
static void named_threads_one_socket(void) {
  name_process("the-leader");
  shared = connect_pair(V4);
  pthread_t reader = start(named_receiver, &shared.b), senders[8];
  for (int i = 0; i < 8; i++) senders[i] = start(named_sender, (void *)(intptr_t)i);
  for (int i = 0; i < 8; i++) join(senders[i]);
  shutdown(shared.a.fd, SHUT_WR);
  join(reader);
  close_pair(&shared);
}

static void renamed_process(void) {
  struct pair p = connect_pair(V4);
  name_process("first-name");
  for (int i = 0; i < 4; i++) {
    transfer(&p.a, &p.b, 250);
    // Long enough for a tool to rely on the name.
    usleep(20000);
  }
  name_process("second-name");
  transfer(&p.a, &p.b, 2000);
  name_process("last-name");
  transfer(&p.b, &p.a, 3000);
  transfer(&p.a, &p.b, 1);
  close_pair(&p);
}

/* The process sends, becomes another program (named `exe`, after the path it is run by) and sends on. */
static void renamed_by_exec(void) {
  struct pair p = connect_pair(V4);
  pid_t pid = spawn();
  if (pid == 0) {
    name_process("before-exec");
    send_all(&p.a, 3000);
    char table[16], fd[16];
    snprintf(table, sizeof table, "%d", table_fd());
    snprintf(fd, sizeof fd, "%d", p.a.fd);
    execl("/proc/self/exe", "workload", "after-exec", table, fd, NULL);
    die("exec");
  }
  close(p.a.fd);
  receive_to_end(&p.b);
  reap(pid);
}

/* ---- addresses ---- */

static void both_ways(enum net net) {
  struct pair p = connect_pair(net);
  transfer(&p.a, &p.b, 123456);
  transfer(&p.b, &p.a, 654321);
  check_counters(&p.a, false);
  check_counters(&p.b, false);
  close_pair(&p);
}

static void ipv6(void) { both_ways(V6); }
static void dual_stack_server(void) { both_ways(DUAL); }
static void mapped_client(void) { both_ways(MAPPED); }

/* After a reset the kernel has forgotten the local port, but the data it holds can still be read. */
static void queued_data_after_reset(void) {
  for (int i = 0; i < 2; i++) { /* the resetting end is the accepted, then the connected one */
    struct pair p = connect_pair(i ? V6 : V4);
    struct end *from = i ? &p.a : &p.b, *to = i ? &p.b : &p.a;
    send_all(from, 5000);
    await_queued(to->fd, 5000);
    reset_close(from);
    wait_for(to->fd, POLLERR);
    receive_all(to, 2000);
    receive_all(to, 3000);
    close(to->fd);
  }
}

static void queued_data_after_close(void) {
  struct pair p = connect_pair(V4);
  send_all(&p.b, 50000);
  close(p.b.fd);
  await_queued(p.a.fd, 50000);
  pause_ms(50);
  receive_to_end(&p.a);
  close(p.a.fd);
}

/* A client socket bound to `port` (0: to any) that leaves nothing behind which would keep the port. */
static int bound_client(uint16_t port) {
  int fd = client_socket(V4);
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  need(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
  return fd;
}

static struct pair connect_bound(uint16_t port, int listener) {
  struct sockaddr_storage address;
  socklen_t size = address_of(listener, V4, &address);
  int fd = bound_client(port);
  need(connect(fd, (struct sockaddr *)&address, size) == 0);
  int accepted = accept(listener, NULL, NULL);
  need(accepted >= 0);
  return (struct pair){end_of(fd), end_of(accepted)};
}

static void reset_pair(struct pair *p) {
  reset_close(&p->a);
  wait_for(p->b.fd, POLLERR);
  close(p->b.fd);
}

/* One local port, peer after peer. */
static void port_reused_for_other_peer(void) {
  uint16_t port = 0;
  for (int i = 0; i < 20; i++) {
    int listener = listen_on(V4);
    struct pair p = connect_bound(port, listener);
    port = p.a.key.lport;
    transfer(&p.a, &p.b, 1000 + i);
    transfer(&p.b, &p.a, 500 + i);
    reset_pair(&p);
    close(listener);
  }
}

/* The same four numbers again and again, each time by a process of its own. */
static void addresses_reused_by_other_process(void) {
  int listener = listen_on(V4);
  uint16_t port = 0;
  for (int i = 0; i < 10; i++) {
    struct pair p = connect_bound(port, listener);
    port = p.a.key.lport;
    pid_t pid = spawn();
    if (pid == 0) {
      char text[16];
      snprintf(text, sizeof text, "owner-%d", i);
      name_process(text);
      send_all(&p.a, 1000 * (i + 1));
      receive_all(&p.a, 10 + i);
      _exit(0);
    }
    receive_all(&p.b, 1000 * (i + 1));
    send_all(&p.b, 10 + i);
    reap(pid);
    reset_pair(&p);
  }
  close(listener);
}

/* A pair with these ports, to be made in a network namespace where nobody else has them. */
static struct pair fixed_pair(void) {
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5000)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  need(bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 1) == 0);
  struct pair p = connect_bound(6000, listener);
  close(listener);
  return p;
}

static void same_addresses_in_two_namespaces(void) {
  pid_t pids[2];
  int gate[2][2]; /* each child tells the other when its connection exists */
  need(pipe(gate[0]) == 0 && pipe(gate[1]) == 0);
  for (int i = 0; i < 2; i++) {
    if ((pids[i] = spawn())) continue;
    char text[16], c = 0;
    snprintf(text, sizeof text, "namespace-%d", i);
    name_process(text);
    close(gate[1 - i][1]); /* the other's alone, so that its end ends our waiting */
    own_network();
    struct pair p = fixed_pair();
    need(write(gate[i][1], &c, 1) == 1 && read(gate[1 - i][0], &c, 1) == 1);
    for (int n = 0; n < 50; n++) {
      transfer(&p.a, &p.b, 1000 * (i + 1));
      transfer(&p.b, &p.a, 300 * (i + 1));
    }
    close_pair(&p);
    _exit(0);
  }
  close(gate[0][1]);
  close(gate[1][1]);
  reap(pids[0]);
  reap(pids[1]);
}

/* The same by one process, which has no way to be told apart but the sum of its rows. */
static void same_addresses_in_one_process(void) {
  own_network();
  struct pair first = fixed_pair();
  own_network();
  struct pair second = fixed_pair();
  for (int i = 0; i < 50; i++) {
    transfer(&first.a, &first.b, 1000);
    transfer(&second.b, &second.a, 3000);
    transfer(&second.a, &second.b, 10);
  }
  close_pair(&first);
  transfer(&second.a, &second.b, 77);
  close_pair(&second);
}

/* One socket that is both ends. */
static void self_connect(void) {
  int fd = bound_client(0);
  struct sockaddr_storage address;
  socklen_t size = address_of(fd, V4, &address);
  need(connect(fd, (struct sockaddr *)&address, size) == 0);
  struct end e = end_of(fd);
  transfer(&e, &e, 100000);
  close(fd);
}

const struct workload row_cases[] = {
    {"named-threads-one-socket", AFTER, 0, named_threads_one_socket},
    {"renamed-process", AFTER, 0, renamed_process},
    {"renamed-by-exec", AFTER, 0, renamed_by_exec},
    {"ipv6", AFTER, 0, ipv6},
    {"dual-stack-server", AFTER, 0, dual_stack_server},
    {"mapped-client", AFTER, 0, mapped_client},
    {"queued-data-after-reset", AFTER, 0, queued_data_after_reset},
    {"queued-data-after-close", AFTER, 0, queued_data_after_close},
    {"port-reused-for-other-peer", AFTER, 0, port_reused_for_other_peer},
    {"addresses-reused-by-other-process", AFTER, 0, addresses_reused_by_other_process},
    {"same-addresses-in-two-namespaces", AFTER, 0, same_addresses_in_two_namespaces},
    {"same-addresses-in-one-process", AFTER, 0, same_addresses_in_one_process},
    {"self-connect", AFTER, 0, self_connect},
    {0},
};
