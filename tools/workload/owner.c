/* The right amount in the row of the wrong process: sockets that several use, processes that are soon gone. */
#include "workload.h"

#include <netinet/tcp.h>

/* Parent and child use one socket: bytes go to the row of who moved them. */
static void inherited_over_fork(void) {
  struct pair p = connect_pair(V4);
  transfer(&p.a, &p.b, 1111);
  int turn[2];
  need(pipe(turn) == 0);
  char c = 0;
  pid_t pid = spawn();
  if (pid == 0) {
    name_process("the-child");
    for (int i = 0; i < 10; i++) {
      transfer(&p.a, &p.b, 2000);
      transfer(&p.b, &p.a, 20);
    }
    need(write(turn[1], &c, 1) == 1);
    close_pair(&p);
    _exit(0);
  }
  need(read(turn[0], &c, 1) == 1);
  transfer(&p.a, &p.b, 3333);
  reap(pid);
  transfer(&p.b, &p.a, 4444);
  close_pair(&p);
}

/* Bytes that one process sends and only leave when another has taken over. */
static void passed_over_unix_socket(void) {
  struct pair p = connect_pair(V4);
  int channel[2];
  need(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == 0);
  pid_t pid = spawn(); /* before there is anything to inherit but p, which it closes */
  char control[CMSG_SPACE(sizeof(int))] = {0}, c = 0;
  struct iovec one = {&c, 1};
  struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  if (pid == 0) {
    name_process("the-heir");
    close_pair(&p);
    need(recvmsg(channel[1], &message, 0) == 1);
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    struct end e = end_of(fd);
    receive_all(&e, 6000);
    send_all(&e, 5000);
    _exit(0);
  }
  send_all(&p.b, 9000);
  receive_all(&p.a, 3000);
  set_option(p.a.fd, IPPROTO_TCP, TCP_CORK, 1);
  send_all(&p.a, 700);
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
  memcpy(CMSG_DATA(header), &p.a.fd, sizeof(int));
  need(sendmsg(channel[0], &message, 0) == 1);
  close(p.a.fd);
  receive_to_end(&p.b);
  reap(pid);
  close(p.b.fd);
}

/* 200 processes, each alive for a few milliseconds. */
static void short_lived_processes(void) {
  int listener = listen_on(V4);
  struct sockaddr_storage address;
  socklen_t size = address_of(listener, V4, &address);
  for (int i = 0; i < 200 * scale; i++) {
    pid_t pid = spawn();
    if (pid == 0) {
      char text[32];
      snprintf(text, sizeof text, "brief-%d", i);
      name_process(text);
      int fd = client_socket(V4);
      need(connect(fd, (struct sockaddr *)&address, size) == 0);
      struct end e = end_of(fd);
      send_all(&e, 100 + i);
      shutdown(fd, SHUT_WR);
      receive_to_end(&e);
      _exit(0);
    }
    struct end e = end_of(accept(listener, NULL, NULL));
    receive_to_end(&e);
    send_all(&e, 5000 + i);
    close(e.fd);
    reap(pid);
  }
  close(listener);
}

/* Its pid is 1 to itself; its row has the one by which everybody else knows it. */
static void pid_namespace(void) {
  struct pair p = connect_pair(V4);
  int tell[2], pid;
  need(pipe(tell) == 0);
  fflush(stdout);
  pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
  if (pid < 0) skip("no pid namespace of our own: %s", strerror(errno));
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int outside;
    need(read(tell[0], &outside, sizeof outside) == sizeof outside && syscall(SYS_getpid) == 1);
    new_process(outside);
    name_process("inside");
    close(p.b.fd);
    send_all(&p.a, 12345);
    shutdown(p.a.fd, SHUT_WR);
    receive_to_end(&p.a);
    _exit(0);
  }
  need(write(tell[1], &pid, sizeof pid) == sizeof pid);
  close(p.a.fd);
  receive_to_end(&p.b);
  send_all(&p.b, 54321);
  close(p.b.fd);
  reap(pid);
}

const struct workload owner_cases[] = {
    {"inherited-over-fork", AFTER, 0, inherited_over_fork},
    {"passed-over-unix-socket", AFTER, 0, passed_over_unix_socket},
    {"short-lived-processes", AFTER, 0, short_lived_processes},
    {"pid-namespace", AFTER, 0, pid_namespace},
    {0},
};
