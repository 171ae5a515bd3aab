/* One process under several names, and several processes under one id. */
#include <linux/sched.h>

#include "workload.h"

static void on_a_new_connection(int bytes) {
  struct pair p = connect_pair(V4);
  transfer(&p.a, &p.b, bytes);
  close_pair(&p);
}

/* A process moves bytes on three connections, under another name each time, the last one after exec, and is renamed once more. */
static void renamed_between_connections(void) {
  ready();
  pid_t pid = spawn();
  if (pid == 0) {
    name_process("first-name");
    on_a_new_connection(1000);
    name_process("second-name");
    on_a_new_connection(200);
    struct pair p = connect_pair(V4);
    char table[16], fd[16];
    snprintf(table, sizeof table, "%d", table_fd());
    snprintf(fd, sizeof fd, "%d", p.a.fd);
    execl("/proc/self/exe", "workload", "after-exec", table, fd, "last-name", NULL);
    die("exec");
  }
  reap(pid);
}

/* A child that has the id of one that has ended. */
static void in_child(pid_t *pid, const char *name, int bytes) {
  struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = *pid ? (uintptr_t)pid : 0, .set_tid_size = *pid ? 1 : 0};
  fflush(NULL);
  long child = syscall(SYS_clone3, &args, sizeof args);
  if (child < 0 && (errno == ENOSYS || errno == EPERM)) skip("clone3 with an id: %s", strerror(errno));
  need(child >= 0);
  if (child == 0) {
    new_process(0);
    name_process(name);
    on_a_new_connection(bytes);
    _exit(0);
  }
  *pid = child;
  reap(child);
}

static void pid_reused(void) {
  ready();
  pid_t pid = 0;
  in_child(&pid, "the-same", 1000);
  in_child(&pid, "the-same", 200);
  in_child(&pid, "another", 30);
}

const struct workload name_cases[] = {
    {"renamed-between-connections", APART, PARTLY_READ, renamed_between_connections},
    {"pid-reused", APART, 0, pid_reused},
    {0},
};
