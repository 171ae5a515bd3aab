/* The table of what was moved, shared by all processes of a case. */
#include "workload.h"

#include <arpa/inet.h>
#include <stdarg.h>

/* Open addressing; far more than the 40,000 rows of the largest case, and only what is touched takes memory. */
enum { SLOTS = 1 << 18 };

struct table {
  uint32_t lock; /* for making rows: 1 while one is made */
  struct row rows[SLOTS];
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
  for (struct row *r = table->rows; r < table->rows + SLOTS; r++) r->rx = r->tx = 0;
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

/* The row of a key, made when it is not there. A reader sees a row only once its key is complete. */
static struct row *find(const struct key *key, bool make) {
  for (uint32_t i = hash(key), n = 0; n < SLOTS; i++, n++) {
    struct row *r = &table->rows[i % SLOTS];
    if (!__atomic_load_n(&r->used, __ATOMIC_ACQUIRE)) {
      if (!make) return NULL;
      while (__atomic_exchange_n(&table->lock, 1, __ATOMIC_ACQUIRE)) sched_yield();
      if (!r->used) {
        r->key = *key;
        __atomic_store_n(&r->used, 1, __ATOMIC_RELEASE);
      }
      __atomic_store_n(&table->lock, 0, __ATOMIC_RELEASE);
    }
    if (memcmp(&r->key, key, sizeof *key) == 0) return r;
  }
  die("more rows than the table holds");
}

static struct row *row_of(struct end *e) {
  struct row *r = __atomic_load_n(&e->row, __ATOMIC_ACQUIRE);
  if (!r || r->key.pid != self) {
    struct key key = e->key;
    key.pid = self;
    r = find(&key, true);
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

/* Adds what all processes moved at the other end of `key` into `sums`, whose rows have pid 0. */
static struct row *sum_of(struct row *sums, const struct key *key) {
  struct key all = *key;
  all.pid = 0;
  for (uint32_t i = hash(&all);; i++) {
    struct row *s = &sums[i % SLOTS];
    if (!s->used) {
      s->used = 1;
      s->key = all;
    }
    if (memcmp(&s->key, &all, sizeof all) == 0) return s;
  }
}

/* Whatever all processes sent at one end must be what all received at the other. */
static void check_balance(void) {
  struct row *sums = mmap(NULL, sizeof table->rows, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(sums != MAP_FAILED);
  for (const struct row *r = table->rows; r < table->rows + SLOTS; r++) {
    if (!r->used) continue;
    sum_of(sums, &r->key)->tx += r->tx;
    struct key other = r->key;
    memcpy(other.laddr, r->key.raddr, 16);
    memcpy(other.raddr, r->key.laddr, 16);
    other.lport = r->key.rport;
    other.rport = r->key.lport;
    sum_of(sums, &other)->rx += r->rx;
  }
  for (const struct row *s = sums; s < sums + SLOTS; s++) {
    if (s->tx != s->rx) {
      die("port %u to %u: %llu bytes sent, %llu received", s->key.lport, s->key.rport, (unsigned long long)s->tx,
          (unsigned long long)s->rx);
    }
  }
  munmap(sums, sizeof table->rows);
}

void truth_print(const struct workload *w) {
  if (!(w->flags & PARTLY_READ)) check_balance();
  for (const struct row *r = table->rows; r < table->rows + SLOTS; r++) {
    if (r->used && (r->rx || r->tx)) print_row(w, r);
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
