/* io_uring: the thread that moves the bytes need not be the one that asked for it. Raw system calls, Linux 5.6. */
#include "workload.h"

#include <linux/io_uring.h>

struct ring {
  int fd;
  unsigned setup;
  uint32_t *sq_tail, *sq_flags, sq_mask, *cq_head, *cq_tail, cq_mask;
  struct io_uring_sqe *sqes;
  struct io_uring_cqe *cqes;
};

/* A ring without a descriptor, and errno, where there is no io_uring. */
static struct ring ring_try(unsigned setup) {
  struct io_uring_params params = {.flags = setup, .sq_thread_idle = 50};
  struct ring r = {.fd = syscall(SYS_io_uring_setup, 64, &params), .setup = setup};
  if (r.fd < 0) return r;
  need(params.features & IORING_FEAT_SINGLE_MMAP); /* Linux 5.4 */
  size_t sq = params.sq_off.array + params.sq_entries * sizeof(uint32_t);
  size_t cq = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  char *at = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd, IORING_OFF_SQ_RING);
  need(at != MAP_FAILED);
  r.sqes = mmap(NULL, params.sq_entries * sizeof *r.sqes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r.fd,
                IORING_OFF_SQES);
  need(r.sqes != MAP_FAILED);
  r.sq_tail = (uint32_t *)(at + params.sq_off.tail);
  r.sq_flags = (uint32_t *)(at + params.sq_off.flags);
  r.sq_mask = *(uint32_t *)(at + params.sq_off.ring_mask);
  r.cq_head = (uint32_t *)(at + params.cq_off.head);
  r.cq_tail = (uint32_t *)(at + params.cq_off.tail);
  r.cq_mask = *(uint32_t *)(at + params.cq_off.ring_mask);
  r.cqes = (struct io_uring_cqe *)(at + params.cq_off.cqes);
  uint32_t *array = (uint32_t *)(at + params.sq_off.array);
  for (uint32_t i = 0; i <= r.sq_mask; i++) array[i] = i;
  return r;
}

static struct ring ring_open(unsigned setup) {
  struct ring r = ring_try(setup);
  if (r.fd < 0) skip("no io_uring: %s", strerror(errno));
  return r;
}

static void ring_submit(struct ring *r, struct io_uring_sqe sqe) {
  uint32_t tail = *r->sq_tail;
  r->sqes[tail & r->sq_mask] = sqe;
  __atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_SEQ_CST);
  if (!(r->setup & IORING_SETUP_SQPOLL)) {
    need(syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) == 1);
  } else if (__atomic_load_n(r->sq_flags, __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP) {
    need(syscall(SYS_io_uring_enter, r->fd, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0) >= 0);
  }
}

/* Takes the next completion; it stays readable until the ring has gone round. */
static const struct io_uring_cqe *ring_wait(struct ring *r) {
  while (__atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE) == *r->cq_head) {
    int n = syscall(SYS_io_uring_enter, r->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    need(n >= 0 || errno == EINTR);
  }
  const struct io_uring_cqe *cqe = &r->cqes[*r->cq_head & r->cq_mask];
  __atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
  return cqe;
}

enum { SEND = 1, RECEIVE = 2 };

static struct io_uring_sqe operation(int opcode, int fd, const char *buffer, unsigned size, int data) {
  return (struct io_uring_sqe){.opcode = opcode, .fd = fd, .addr = (uintptr_t)buffer, .len = size, .user_data = data};
}

/* ---- one call at a time ---- */

static ssize_t once(struct io_uring_sqe sqe, int flags, bool workers) {
  static __thread struct ring mine;
  static __thread pid_t owner; /* a child of fork() needs a ring of its own */
  if (owner != getpid()) {
    mine = ring_try(0);
    owner = getpid();
  }
  if (mine.fd < 0) return errno = ENOSYS, -1;
  sqe.msg_flags = flags;
  sqe.flags = workers ? IOSQE_ASYNC : 0;
  ring_submit(&mine, sqe);
  int result = ring_wait(&mine)->res;
  if (result < 0) return errno = -result, -1;
  return result;
}

ssize_t uring_send(int fd, const char *from, size_t bytes, int flags, bool workers) {
  return once(operation(IORING_OP_SEND, fd, from, bytes, SEND), flags, workers);
}

ssize_t uring_receive(int fd, char *to, size_t bytes, int flags, bool workers) {
  return once(operation(IORING_OP_RECV, fd, to, bytes, RECEIVE), flags, workers);
}

/* ---- cases ---- */

/* Receives that wait before there is anything, then sends; each result counts for the end it belongs to. */
static void exchange(unsigned setup, int send_opcode, unsigned sqe_flags) {
  struct ring r = ring_open(setup);
  struct pair p = connect_pair(V4);
  for (int i = 0; i < 200; i++) {
    struct io_uring_sqe in = operation(IORING_OP_RECV, p.b.fd, room(), 40000 + i, RECEIVE);
    struct io_uring_sqe out = operation(send_opcode, p.a.fd, payload, 30000 + i, SEND);
    in.flags = out.flags = sqe_flags;
    ring_submit(&r, in);
    ring_submit(&r, out);
    for (int awaited = 2; awaited > 0; awaited--) {
      const struct io_uring_cqe *cqe = ring_wait(&r);
      if (cqe->flags & IORING_CQE_F_NOTIF) continue; /* that the buffer is free again: not a result */
      if (cqe->flags & IORING_CQE_F_MORE) awaited++; /* of which that is still to come */
      if (cqe->user_data == SEND && cqe->res == -EINVAL && i == 0) skip("no such io_uring operation");
      need(cqe->res > 0);
      if (cqe->user_data == SEND) sent(&p.a, cqe->res);
      else received(&p.b, cqe->res);
    }
  }
  shutdown(p.a.fd, SHUT_WR);
  receive_to_end(&p.b);
  close_pair(&p);
  close(r.fd);
}

static void uring(void) { exchange(0, IORING_OP_SEND, 0); }
/* Done by worker threads, which have names of their own. */
static void uring_workers(void) { exchange(0, IORING_OP_SEND, IOSQE_ASYNC); }
/* Done by the thread that polls the ring. */
static void uring_polled(void) { exchange(IORING_SETUP_SQPOLL, IORING_OP_SEND, 0); }
static void uring_zerocopy_send(void) { exchange(0, IORING_OP_SEND_ZC, 0); }

/* One receive that goes on giving, into buffers provided before (Linux 6.0). */
static void uring_multishot(void) {
  enum { BUFFERS = 16, SIZE = 4096, GROUP = 1 };
  struct ring r = ring_open(0);
  struct pair p = connect_pair(V4);
  struct io_uring_sqe provide = operation(IORING_OP_PROVIDE_BUFFERS, BUFFERS, room(), SIZE, 0);
  provide.buf_group = GROUP;
  ring_submit(&r, provide);
  if (ring_wait(&r)->res < 0) skip("io_uring takes no buffers");
  struct io_uring_sqe in = operation(IORING_OP_RECV, p.b.fd, NULL, 0, RECEIVE);
  in.ioprio = IORING_RECV_MULTISHOT;
  in.flags = IOSQE_BUFFER_SELECT;
  in.buf_group = GROUP;
  ring_submit(&r, in);
  for (int i = 0; i < 200; i++) {
    send_all(&p.a, 3000 + i);
    for (int left = 3000 + i; left > 0;) {
      const struct io_uring_cqe *cqe = ring_wait(&r);
      if (cqe->user_data != RECEIVE) continue;
      if (cqe->res == -EINVAL && i == 0) skip("no multishot receive");
      need(cqe->res > 0 && (cqe->flags & IORING_CQE_F_BUFFER));
      left -= received(&p.b, cqe->res);
      struct io_uring_sqe back = operation(IORING_OP_PROVIDE_BUFFERS, 1, room(), SIZE, 0);
      back.off = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
      back.addr += back.off * SIZE;
      back.buf_group = GROUP;
      ring_submit(&r, back);
      if (!(cqe->flags & IORING_CQE_F_MORE)) ring_submit(&r, in);
    }
  }
  close(p.a.fd);
  close(p.b.fd);
  close(r.fd);
}

const struct workload uring_cases[] = {
    {"uring", AFTER, 0, uring},
    {"uring-workers", AFTER, 0, uring_workers},
    {"uring-polled", AFTER, 0, uring_polled},
    {"uring-zerocopy-send", AFTER, 0, uring_zerocopy_send},
    {"uring-multishot", AFTER, 0, uring_multishot},
    {0},
};
