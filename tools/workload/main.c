/* workload list                  one line for each case: its name and when it is started, `after` or `before` the tool
 * workload run <case> [scale]    prints what each process moved on each connection end, a JSON object a line:
 *     {"case","pid","comm","family","laddr","lport","raddr","rport","rx","tx"[,"rows":"pid"]}
 *   and last {"case","done":true}. A `before` case prints the line `ready` first and waits for a line.
 * workload random <seed> [options]   a random mix of calls by several processes; see random.c
 *   Exits with 77 after {"skip":"reason"} if this kernel cannot run it, with 1 if the case itself failed.
 */
#include "workload.h"

int scale = 1;

static const struct workload *const lists[] = {
    amount_cases, receive_cases, path_cases,      uring_cases, sockmap_cases,
    row_cases,    owner_cases,   machinery_cases, seed_cases,
    flight_cases, name_cases,
};
enum { LISTS = sizeof lists / sizeof *lists };

static const struct workload *find(const char *name) {
  for (int i = 0; i < LISTS; i++) {
    for (const struct workload *w = lists[i]; w->name; w++) {
      if (strcmp(w->name, name) == 0) return w;
    }
  }
  die("no case %s", name);
}

void ready(void) {
  printf("ready\n");
  need(fflush(stdout) == 0);
  char c;
  do need(read(0, &c, 1) == 1);
  while (c != '\n');
  truth_clear();
}

/* What a process does after exec: argv is the table's descriptor, the socket and a name to have in the end, if any. */
static int after_exec(char **argv) {
  truth_open(atoi(argv[0]));
  struct end e = end_of(atoi(argv[1]));
  send_all(&e, 5000);
  if (argv[2]) name_process(argv[2]);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 2 && strcmp(argv[1], "list") == 0) {
    for (int i = 0; i < LISTS; i++) {
      for (const struct workload *w = lists[i]; w->name; w++) {
        if (w->kind != APART) printf("%s %s\n", w->name, w->kind == BEFORE ? "before" : "after");
      }
    }
    return 0;
  }
  if (argc >= 4 && strcmp(argv[1], "after-exec") == 0) return after_exec(argv + 2);
  if (argc >= 3 && strcmp(argv[1], "random") == 0) return random_main(argc - 2, argv + 2);
  if (argc < 3 || argc > 4 || strcmp(argv[1], "run") != 0) {
    fprintf(stderr, "usage: workload list | run <case> [scale] | random <seed> [options]\n");
    return 2;
  }
  if (argc == 4) need((scale = atoi(argv[3])) > 0);
  const struct workload *w = find(argv[2]);
  truth_open(-1);
  alarm(120 * scale * patience_factor()); /* children die with us */
  w->run();
  truth_print(w);
  return 0;
}
