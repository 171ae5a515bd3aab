/* The table of what was moved, shared by all processes of a case. */
#include "workload.h"

#include <arpa/inet.h>
#include <stdarg.h>

/* Rows in the order they were made, found through an index with open addressing. Far larger than the 60,000 rows of
 * the largest case: only what is touched takes memory. */
enum { SLOTS = 1 << 18, ROWS = SLOTS / 2 };

struct table {
  uint32_t lock; /* for making rows: 1 while one is made */
  uint32_t count;
  uint32_t index[SLOTS]; /* 1 + the row's number, 0 for none */
  struct row rows[ROWS];
};

static struct table *table;
static pid_t self;
static char name[16];

int truth_open(int fd) {
  if (fd < 0) {
    fd = memfd_create("truth", 0);
    need(fd >= 0 && ftruncate(fd, sizeof *table) == 0);
  }
  table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  need(table != MAP_FAILED);
  new_process(0);
  learn_name();
  return fd;
}

void truth_clear(void) {
  for (struct row *r = table->rows; r < table->rows + table->count; r++) r->rx = r->tx = 0;
}

void new_process(pid_t pid) {
  self = pid ? pid : getpid();
}

void name_process(const char *to) {
  need(prctl(PR_SET_NAME, to) == 0);
  learn_name();
}

void learn_name(void) {
  /* Of the thread group leader, unlike prctl(PR_GET_NAME). */
  int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
  char text[17] = "";
  ssize_t n = read(fd, text, 16);
  need(n > 0);
  text[n - 1] = 0;
  memset(name, 0, sizeof name);
  memcpy(name, text, n);
  close(fd);
}

static uint32_t hash(const struct key *key) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < sizeof *key; i++) h = (h ^ ((const uint8_t *)key)[i]) * 16777619u;
  return h;
}

/* The row of a key, made when it is not there. Others see a row only once its key is complete. */
static struct row *find(struct table *t, const struct key *key) {
  for (uint32_t i = hash(key);; i++) {
    uint32_t *slot = &t->index[i % SLOTS];
    if (!__atomic_load_n(slot, __ATOMIC_ACQUIRE)) {
      while (__atomic_exchange_n(&t->lock, 1, __ATOMIC_ACQUIRE)) sched_yield();
      if (!*slot) {
        if (t->count == ROWS) die("more rows than the table holds");
        t->rows[t->count].key = *key;
        __atomic_store_n(slot, ++t->count, __ATOMIC_RELEASE);
      }
      __atomic_store_n(&t->lock, 0, __ATOMIC_RELEASE);
    }
    struct row *r = &t->rows[*slot - 1];
    if (memcmp(&r->key, key, sizeof *key) == 0) return r;
  }
}

static struct row *row_of(struct end *e) {
  struct row *r = __atomic_load_n(&e->row, __ATOMIC_ACQUIRE);
  if (!r || r->key.pid != self) {
    struct key key = e->key;
    key.pid = self;
    r = find(table, &key);
    __atomic_store_n(&e->row, r, __ATOMIC_RELEASE);
  }
  if (memcmp(r->comm, name, sizeof name) != 0) memcpy(r->comm, name, sizeof name);
  return r;
}

ssize_t sent(struct end *e, ssize_t n) {
  if (n > 0) __atomic_fetch_add(&row_of(e)->tx, n, __ATOMIC_RELAXED);
  return n;
}

ssize_t received(struct end *e, ssize_t n) {
  if (n > 0) __atomic_fetch_add(&row_of(e)->rx, n, __ATOMIC_RELAXED);
  return n;
}

void truth_moved_before(const struct end *e, pid_t pid, uint64_t rx, uint64_t tx) {
  struct key key = e->key;
  key.pid = pid;
  struct row *r = find(table, &key);
  __atomic_fetch_sub(&r->rx, rx, __ATOMIC_RELAXED);
  __atomic_fetch_sub(&r->tx, tx, __ATOMIC_RELAXED);
}

uint64_t tx_of(struct end *e) { return row_of(e)->tx; }
uint64_t rx_of(struct end *e) { return row_of(e)->rx; }

static void text_of(const struct key *key, const uint8_t *addr, char *to) {
  inet_ntop(key->family == 4 ? AF_INET : AF_INET6, addr, to, INET6_ADDRSTRLEN);
}

static void print_row(const struct workload *w, const struct row *r) {
  char laddr[INET6_ADDRSTRLEN], raddr[INET6_ADDRSTRLEN];
  text_of(&r->key, r->key.laddr, laddr);
  text_of(&r->key, r->key.raddr, raddr);
  printf("{\"case\":\"%s\",\"pid\":%d,\"comm\":\"%s\",\"family\":%u,\"laddr\":\"%s\",\"lport\":%u,\"raddr\":\"%s\","
         "\"rport\":%u,\"rx\":%llu,\"tx\":%llu%s}\n",
         w->name, r->key.pid, r->comm, r->key.family, laddr, r->key.lport, raddr, r->key.rport,
         (unsigned long long)r->rx, (unsigned long long)r->tx, w->flags & BY_PID ? ",\"rows\":\"pid\"" : "");
}

int table_fd(void) {
  for (int fd = 3; fd < 100; fd++) {
    char path[64], target[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (readlink(path, target, sizeof target - 1) > 0 && strncmp(target, "/memfd:truth", 12) == 0) return fd;
  }
  die("no table");
}

/* Whatever all processes sent at one end must be what all received at the other. */
static void check_balance(void) {
  struct table *sums = mmap(NULL, sizeof *sums, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(sums != MAP_FAILED);
  for (const struct row *r = table->rows; r < table->rows + table->count; r++) {
    struct key sender = r->key, receiver = r->key;
    sender.pid = receiver.pid = 0;
    memcpy(receiver.laddr, r->key.raddr, sizeof receiver.laddr);
    memcpy(receiver.raddr, r->key.laddr, sizeof receiver.raddr);
    receiver.lport = r->key.rport;
    receiver.rport = r->key.lport;
    find(sums, &sender)->tx += r->tx;
    find(sums, &receiver)->rx += r->rx;
  }
  for (const struct row *s = sums->rows; s < sums->rows + sums->count; s++) {
    if (s->tx != s->rx) {
      die("port %u to %u: %llu bytes sent, %llu received", s->key.lport, s->key.rport, (unsigned long long)s->tx,
          (unsigned long long)s->rx);
    }
  }
  munmap(sums, sizeof *sums);
}

void truth_print(const struct workload *w) {
  if (!(w->flags & PARTLY_READ)) check_balance();
  for (const struct row *r = table->rows; r < table->rows + table->count; r++) {
    if (r->rx || r->tx) print_row(w, r);
  }
  printf("{\"case\":\"%s\",\"done\":true}\n", w->name);
  need(fflush(stdout) == 0);
}

void die(const char *format, ...) {
  int error = errno;
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "workload[%d]: ", getpid());
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " (errno: %s)\n", strerror(error));
  va_end(arguments);
  _exit(1);
}

void skip(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  printf("{\"skip\":\"");
  vprintf(format, arguments);
  printf("\"}\n");
  va_end(arguments);
  fflush(stdout);
  _exit(77);
}
