/* workload random <seed> [options]: a random mix, in lanes that go on at the same time, each with conversations between several processes.
 * The seed decides who does what; how much each call moves is the kernel's business, and what the call returned is the truth.
 *
 *   --steps N         at most N steps in each lane, so that the cause of a difference can be narrowed down
 *   --lanes A,B,…     only these lanes, which do the same as beside the others
 *   --pause N         after N steps of each lane prints {"process":0,"id":PID} for each process and `ready`, with calls in flight, and
 *                     waits for a line: what is printed at the end was moved after it
 *   --cgroup PATH:M   processes whose bit in M is set join that cgroup
 *   --alone           no socket is shared by several processes
 *   --trace           prints each step on stderr
 */
#include "lane.h"

#include <getopt.h>
#include <sys/resource.h>

static pthread_barrier_t barrier;

void meet(struct lane *l) {
  (void)l;
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
}

static void *lane_thread(void *lane) {
  run_lane(lane);
  return NULL;
}

static void *actor_thread(void *channel) {
  char name[16] = "", text[32];
  prctl(PR_GET_NAME, name);
  snprintf(text, sizeof text, "%s-thread", name);
  prctl(PR_SET_NAME, text);
  actor_serve((int)(intptr_t)channel);
  return NULL;
}

/* A child that has ended by itself has failed, and has said why. */
static void on_child(int signal) {
  (void)signal;
  int status;
  while (waitpid(-1, &status, WNOHANG) > 0) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    static const char text[] = "workload: a process of the mix has failed\n";
    if (!WIFEXITED(status) && write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(1);
    _exit(WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77 : 1);
  }
}

static void join_cgroup(const char *folder) {
  char path[4096];
  snprintf(path, sizeof path, "%s/cgroup.procs", folder);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "0", 1) != 1) die("cannot join %s", folder);
  close(fd);
}

struct options {
  uint64_t seed;
  int steps, pause;
  unsigned lanes, members; /* bits */
  char *cgroup;
  bool alone, trace;
};

static struct options parse(int argc, char **argv) {
  static const struct option names[] = {
      {"steps", required_argument, 0, 's'}, {"lanes", required_argument, 0, 'l'}, {"pause", required_argument, 0, 'p'},
      {"cgroup", required_argument, 0, 'c'}, {"alone", no_argument, 0, 'a'},      {"trace", no_argument, 0, 't'}, {0},
  };
  struct options o = {.seed = strtoull(argv[0], NULL, 0), .steps = 1 << 30, .pause = -1, .lanes = ~0u};
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (c) {
      case 's': o.steps = atoi(optarg); break;
      case 'l':
        o.lanes = 0;
        for (char *at = strtok(optarg, ","); at; at = strtok(NULL, ",")) o.lanes |= 1u << atoi(at);
        break;
      case 'p': o.pause = atoi(optarg); break;
      case 'c':
        o.cgroup = optarg;
        o.members = strtoul(strrchr(optarg, ':') + 1, NULL, 0);
        *strrchr(optarg, ':') = 0;
        break;
      case 'a': o.alone = true; break;
      case 't': o.trace = true; break;
      default: exit(2);
    }
  }
  return o;
}

int random_main(int argc, char **argv) {
  static struct lane lanes[LANES];
  struct options o = parse(argc, argv);
  uint64_t state = o.seed * 2654435761u + 1;
  for (int i = 0; i < 4; i++) draw(&state, 2); /* small seeds look alike */
  int lane_count = 2 + draw(&state, LANES - 1), processes = 1 + draw(&state, PROCESSES), ends[PROCESSES][LANES][SLOTS][2];
  bool apart = draw(&state, 2);
  truth_open(-1);
  alarm(60 * patience_factor()); /* children die with us */
  struct rlimit files;
  need(getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (apart) own_network();
  actor_prepare();

  for (int i = 0; i < lane_count; i++) {
    lanes[i] = (struct lane){.number = i, .processes = processes, .members_count = processes, .shares = !o.alone, .traces = o.trace};
    lanes[i].state = o.seed * 1000003 + i * 7919 + 17;
    for (int n = 0; n < 4; n++) draw(&lanes[i].state, 2);
    lanes[i].most_steps = 40 + draw(&lanes[i].state, 100);
    if (lanes[i].most_steps > o.steps) lanes[i].most_steps = o.steps;
    lanes[i].pause_at = o.pause;
  }
  for (int p = 0; p < processes; p++) {
    for (int i = 0; i < lane_count * SLOTS; i++) {
      need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends[p][i / SLOTS][i % SLOTS]) == 0);
    }
    char name[16];
    snprintf(name, sizeof name, "mix%d", p);
    pid_t pid = spawn();
    if (pid == 0) {
      name_process(name);
      if (o.cgroup && o.members & 1u << p) join_cgroup(o.cgroup);
      pthread_t threads[LANES * SLOTS];
      for (int i = 0; i < lane_count * SLOTS; i++) {
        for (int q = 0; q <= p; q++) close(ends[q][i / SLOTS][i % SLOTS][0]);
        threads[i] = start(actor_thread, (void *)(intptr_t)ends[p][i / SLOTS][i % SLOTS][1]);
      }
      for (int i = 0; i < lane_count * SLOTS; i++) join(threads[i]);
      _exit(0);
    }
    for (int i = 0; i < lane_count; i++) {
      struct member *m = &lanes[i].members[p];
      *m = (struct member){.pid = pid, .slots = SLOTS};
      memcpy(m->name, name, sizeof name);
      for (int n = 0; n < SLOTS; n++) {
        m->actors[n].channel = ends[p][i][n][0];
        close(ends[p][i][n][1]);
        m->actors[n].thread = call(&lanes[i], p, n, (struct command){.op = HELLO, .fd = -1, .other = -1}, -1).fd;
      }
    }
  }
  signal(SIGCHLD, on_child);

  pthread_t threads[LANES];
  int running = 0;
  for (int i = 0; i < lane_count; i++) running += o.lanes >> i & 1;
  if (running == 0) die("no such lane");
  need(pthread_barrier_init(&barrier, NULL, running + 1) == 0);
  for (int i = 0; i < lane_count; i++) {
    if (o.lanes >> i & 1) threads[i] = start(lane_thread, &lanes[i]);
  }
  if (o.pause >= 0) {
    pthread_barrier_wait(&barrier);
    if (o.pause > 0) pause_ms(700); /* the first probes of a closed window may find space for a call in flight */
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    for (int p = 0; p < processes; p++) printf("{\"process\":%d,\"id\":%d}\n", p, lanes[0].members[p].pid);
    ready();
    for (int i = 0; i < lane_count; i++) {
      for (struct moved *m = lanes[i].moved; m < lanes[i].moved + lanes[i].moved_count; m++) truth_moved_before(&m->e, m->pid, m->rx, m->tx);
    }
    pthread_barrier_wait(&barrier);
  }
  for (int i = 0; i < lane_count; i++) {
    if (o.lanes >> i & 1) join(threads[i]);
  }
  for (int i = 0; i < lane_count; i++) {
    /* The kernel may find space later, when it probes a window: nobody knows whether that was before the tool. */
    if (lanes[i].moved_meanwhile) skip("calls in flight went on while the tool started");
  }
  signal(SIGCHLD, SIG_DFL);
  for (int p = 0; p < processes; p++) {
    for (int i = 0; i < lane_count * SLOTS; i++) close(ends[p][i / SLOTS][i % SLOTS][0]);
  }
  for (int p = 0; p < processes; p++) reap(lanes[0].members[p].pid);
  char name[32];
  snprintf(name, sizeof name, "random-%llu", (unsigned long long)o.seed);
  truth_print(&(struct workload){.name = name, .flags = PARTLY_READ});
  return 0;
}
