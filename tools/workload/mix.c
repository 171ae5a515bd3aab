/* What a lane does: which step comes next, drawn from its seed. Draws never depend on what a call returned, so a seed makes the
 * same choices again; a step that is not possible is left out. */
#include "lane.h"

#include <netinet/tcp.h>

static uint32_t next(struct lane *l, uint32_t limit) { return draw(&l->state, limit); }

static uint32_t next_size(struct lane *l) {
  static const uint32_t most[] = {3, 100, 1500, 1500, 9000, 20000, 120000, ROOM};
  uint32_t limit = most[next(l, sizeof most / sizeof *most)];
  return next(l, limit);
}

static bool is_over(const struct lane *l, int side) {
  return !l->sides[side].open || l->sides[side].shut;
}

/* ---- connections ---- */

static void reset_side(struct side *s) {
  memset(s, 0, sizeof *s);
  for (int m = 0; m < MEMBERS; m++) s->fd[m] = -1;
}

static bool open_side(struct lane *l, int side, int member, int fd, struct key key) {
  reset_side(&l->sides[side]);
  l->sides[side].fd[member] = fd;
  l->sides[side].key = key;
  return l->sides[side].open = true;
}

static bool accept_side(struct lane *l, int side) {
  struct command c = {.op = ACCEPT, .net = l->net, .fd = l->listener, .other = -1};
  struct reply r = call(l, l->server, IN_TURN, c, -1);
  return r.result >= 0 && open_side(l, side, l->server, r.fd, r.key);
}

static void close_side(struct lane *l, int side, int linger) {
  struct side *s = &l->sides[side];
  for (int m = 0; m < l->members_count; m++) {
    if (s->fd[m] < 0) continue;
    struct command c = on(l, m, side, LINGER);
    c.size = linger;
    if (linger >= 0) call(l, m, IN_TURN, c, -1);
    c.op = CLOSE;
    call(l, m, IN_TURN, c, -1);
    s->fd[m] = -1;
  }
  s->open = false;
}

/* A listener and one connection to it. */
static void begin_conversation(struct lane *l) {
  uint32_t net = next(l, 4), server = next(l, l->processes), client = next(l, l->processes), bound = next(l, 3), left = next(l, 50);
  l->net = net;
  l->server = server;
  l->left = 8 + left;
  struct command c = {.op = LISTEN, .net = l->net, .fd = -1, .other = -1};
  struct reply r = call(l, l->server, IN_TURN, c, -1);
  l->listener = r.fd;
  l->port = r.key.lport;
  c = (struct command){.op = CONNECT, .net = l->net, .port = l->port, .fd = -1, .other = -1, .how = bound == 0};
  r = call(l, client, IN_TURN, c, -1);
  need(open_side(l, 0, client, r.fd, r.key));
  if (r.result != 0 || !accept_side(l, 1)) l->left = 0;
}

/* An epoll server and processes with clients: a conversation of its own. */
static void serve(struct lane *l) {
  uint32_t net = next(l, 4), server = next(l, l->processes), some = 1 + next(l, 25), many = next(l, 6), seed = next(l, 1u << 31);
  if (many == 0) some *= 16;
  struct command c = {.op = LISTEN, .net = net, .fd = -1, .other = -1, .seed = seed};
  struct reply r = call(l, server, IN_TURN, c, -1);
  c.port = r.key.lport;
  int listener = r.fd;
  c.op = SERVE;
  c.fd = listener;
  c.size = some * l->processes;
  start_call(l, server, WAITS, 0, c);
  for (int m = 0; m < l->processes; m++) {
    c.op = CLIENTS;
    c.fd = -1;
    c.size = some;
    c.seed += m + 1;
    start_call(l, m, WAITS + 1, 0, c);
  }
  for (int m = 0; m < l->processes; m++) await(l, m, WAITS + 1);
  await(l, server, WAITS);
  c.op = CLOSE;
  c.fd = listener;
  call(l, server, IN_TURN, c, -1);
}

static void quit_children(struct lane *l) {
  while (l->members_count > l->processes) {
    int m = --l->members_count;
    struct command c = {.op = QUIT, .fd = -1, .other = -1};
    call(l, m, IN_TURN, c, -1);
    close(l->members[m].actors[0].channel);
    l->sides[0].fd[m] = l->sides[1].fd[m] = -1;
  }
}

static void drain(struct lane *l, int side) {
  int m = holder(l, side, 0);
  if (m < 0) return;
  struct command c = on(l, m, side, RECEIVE);
  c.how = TO_RECV;
  c.size = ROOM;
  c.flags = l->sides[side].nonblock ? MSG_DONTWAIT : 0;
  /* A small buffer may fill only every 200 ms, by probes of its window. */
  for (int64_t until = now_ms() + 200 * patience_factor(); now_ms() < until && call(l, m, IN_TURN, c, -1).result > 0;) continue;
}

static void shut(struct lane *l, int side, uint32_t nth, int how) {
  int m = holder(l, side, nth);
  if (m < 0) return;
  struct command c = on(l, m, side, SHUTDOWN);
  c.how = how;
  call(l, m, IN_TURN, c, -1);
  l->sides[side].shut |= how != SHUT_RD;
  l->sides[side].deaf |= how != SHUT_WR;
}

static void end_conversation(struct lane *l) {
  uint32_t how = next(l, 5), first = next(l, 2);
  settle(l);
  if (how >= 3 && l->sides[0].open && l->sides[1].open) {
    shut(l, first, 0, SHUT_WR);
    drain(l, !first);
    shut(l, !first, 0, SHUT_WR);
    drain(l, first);
  }
  for (int i = 0; i < 2; i++) {
    int side = i ? !first : (int)first;
    if (l->sides[side].open) close_side(l, side, how == 0 ? 0 : -1);
  }
  quit_children(l);
  struct command c = {.op = CLOSE, .fd = l->listener, .other = -1};
  if (l->listener >= 0) call(l, l->server, IN_TURN, c, -1);
  l->listener = -1;
}

/* ---- steps ---- */

static void account(struct lane *l, int side, enum op op, int64_t n) {
  if (n > 0) l->sides[op == SEND ? !side : side].queued += op == SEND ? n : -n;
}

static void step_send(struct lane *l, int side) {
  uint32_t nth = next(l, 60), how = next(l, SEND_HOWS + 4), size = next_size(l), more = next(l, 4);
  int m = holder(l, side, nth);
  if (m < 0) return;
  struct side *s = &l->sides[side];
  struct command c = on(l, m, side, SEND);
  c.how = how < SEND_HOWS ? how : BY_SEND;
  c.size = size;
  c.flags = more ? 0 : MSG_DONTWAIT;
  int64_t fits = s->tight || any_waiting(l, side, SEND) ? 0 : 40000 - l->sides[!side].queued;
  if (!s->nonblock && (int64_t)size > fits && l->sides[!side].open && !is_over(l, side)) {
    c.flags = MSG_DONTWAIT; /* it would wait for a reader */
    if (c.how == BY_WRITE || c.how == BY_WRITEV) c.how = BY_SEND;
    if (c.how >= BY_SENDFILE) {
      if (fits > 1000) c.size = fits;
      else c.how = BY_SEND;
    }
  }
  account(l, side, SEND, call(l, m, IN_TURN, c, -1).result);
}

static void step_receive(struct lane *l, int side) {
  uint32_t nth = next(l, 60), how = next(l, RECEIVE_HOWS + 3), size = 1 + next_size(l), more = next(l, 4);
  int m = holder(l, side, nth);
  if (m < 0) return;
  struct side *s = &l->sides[side];
  struct command c = on(l, m, side, RECEIVE);
  c.how = how < RECEIVE_HOWS ? how : TO_RECV;
  c.size = size < ROOM ? size : ROOM;
  c.flags = more ? 0 : MSG_DONTWAIT;
  bool ends = is_over(l, !side) || s->deaf;
  if (!ends && (s->queued <= s->lowat || any_waiting(l, side, RECEIVE))) {
    c.flags = MSG_DONTWAIT; /* it would wait for a sender */
    if (c.how == TO_READ || c.how == TO_READV || c.how == TO_SPLICE) c.how = s->nonblock ? c.how : TO_RECV;
  } else if (c.how == TO_WAITALL && c.size > s->queued && !ends) {
    c.size = s->queued;
  }
  int64_t n = call(l, m, IN_TURN, c, -1).result;
  if (c.how != TO_PEEK) account(l, side, RECEIVE, n);
}

/* A call that waits until something is done about it by others. */
static struct command waiting_send(struct lane *l, int m, int side) {
  static const int hows[] = {BY_SEND, BY_WRITEV, BY_SENDMSG, BY_SENDMMSG, BY_MORE, BY_URING, BY_URING_WORKER, BY_SENDFILE, BY_SPLICE};
  struct command c = on(l, m < 0 ? 0 : m, side, SEND);
  c.how = hows[next(l, sizeof hows / sizeof *hows)];
  c.size = 100000 + next(l, next(l, 2) ? 500000 : 6000000);
  return c;
}

static struct command waiting_receive(struct lane *l, int m, int side) {
  static const int hows[] = {TO_RECV, TO_READV, TO_RECVMSG, TO_WAITALL, TO_WAITALL, TO_URING, TO_SPLICE, TO_TRUNC, TO_PEEK};
  struct command c = on(l, m < 0 ? 0 : m, side, RECEIVE);
  c.how = hows[next(l, sizeof hows / sizeof *hows)];
  c.size = 1 + next(l, 40000);
  return c;
}

static bool peeks(const struct command *c) { return c->op == RECEIVE && c->how == TO_PEEK; }

static bool start_waiting(struct lane *l, int side, bool sends) {
  uint32_t nth = next(l, 60);
  int m = holder(l, side, nth);
  struct command c = sends ? waiting_send(l, m, side) : waiting_receive(l, m, side);
  int slot = m < 0 ? -1 : waiting_slot(l, m);
  if (slot < 0 || any_waiting(l, side, c.op)) return false;
  /* A child has one thread: another process must be able to look after its socket. */
  bool others = false;
  for (int n = 0; n < l->processes; n++) others |= l->sides[side].fd[n] >= 0;
  if (!others) return false;
  start_call(l, m, slot, side, c);
  return true;
}

static void step_option(struct lane *l, int side) {
  static const struct {
    int level, name, least, range;
  } options[] = {
      {IPPROTO_TCP, TCP_NODELAY, 0, 2}, {IPPROTO_TCP, TCP_CORK, 0, 2},       {IPPROTO_TCP, TCP_QUICKACK, 0, 2},
      {SOL_SOCKET, SO_SNDBUF, 1, 20000}, {SOL_SOCKET, SO_RCVBUF, 10000, 30000}, {SOL_SOCKET, SO_RCVLOWAT, 1, 2000},
  };
  uint32_t nth = next(l, 60), which = next(l, sizeof options / sizeof *options), value = options[which].least + next(l, options[which].range);
  int m = holder(l, side, nth);
  if (m < 0) return;
  struct command c = on(l, m, side, OPTION);
  c.how = options[which].level;
  c.flags = options[which].name;
  c.size = value;
  call(l, m, IN_TURN, c, -1);
  if (c.how != SOL_SOCKET) return;
  if (c.flags == SO_RCVLOWAT) l->sides[side].lowat = value;
  else l->sides[c.flags == SO_SNDBUF ? side : !side].tight = true;
}

static void step_blocking(struct lane *l, int side) {
  uint32_t nth = next(l, 60), on_ = next(l, 2);
  int m = holder(l, side, nth);
  if (m < 0) return;
  struct command c = on(l, m, side, BLOCKING);
  c.how = on_;
  call(l, m, IN_TURN, c, -1);
  l->sides[side].nonblock = !on_;
}

/* Whether one of its threads is in a call: then none of its descriptors may be closed, whose number could be another's next. */
static bool is_waiting(const struct lane *l, int m) {
  for (int i = 0; i < l->members[m].slots; i++) {
    if (l->members[m].actors[i].busy) return true;
  }
  return false;
}

static void step_duplicate(struct lane *l, int side) {
  uint32_t nth = next(l, 60);
  int m = holder(l, side, nth);
  if (m >= 0 && !is_waiting(l, m)) l->sides[side].fd[m] = call(l, m, IN_TURN, on(l, m, side, DUPLICATE), -1).fd;
}

/* To a process that does not have it yet; the giver may close its own. */
static void step_give(struct lane *l, int side) {
  uint32_t nth = next(l, 60), to = next(l, l->processes), keeps = next(l, 2);
  int m = holder(l, side, nth);
  if (m < 0 || l->sides[side].fd[to] >= 0 || !l->shares) return;
  int fd = call(l, m, IN_TURN, on(l, m, side, GIVE), -1).fd;
  struct command c = {.op = TAKE, .fd = -1, .other = -1};
  l->sides[side].fd[to] = call(l, to, IN_TURN, c, fd).fd;
  close(fd);
  if (keeps || is_waiting(l, m)) return;
  call(l, m, IN_TURN, on(l, m, side, CLOSE), -1);
  l->sides[side].fd[m] = -1;
}

static void step_fork(struct lane *l, int side) {
  uint32_t nth = next(l, 60), both = next(l, 2);
  int m = holder(l, side, nth);
  if (m < 0 || m >= l->processes || l->members_count == MEMBERS || !l->shares) return;
  struct command c = on(l, m, side, FORK);
  c.other = both ? l->sides[!side].fd[m] : -1;
  struct reply r = call(l, m, IN_TURN, c, -1);
  int child = l->members_count++;
  l->members[child] = (struct member){.pid = r.result, .slots = 1, .actors = {{.channel = r.fd, .thread = r.result}}};
  snprintf(l->members[child].name, sizeof l->members[child].name, "mix%u-child", (unsigned char)m);
  l->sides[side].fd[child] = l->sides[side].fd[m];
  l->sides[!side].fd[child] = both ? l->sides[!side].fd[m] : -1;
}

static void step_rename(struct lane *l) {
  uint32_t m = next(l, l->processes);
  struct command c = {.op = RENAME, .fd = -1, .other = -1, .how = next(l, 100)};
  call(l, m, IN_TURN, c, -1);
}

/* The socket connects once more, from its port or another; what the other end still has it may read first. */
static void step_reconnect(struct lane *l, int side) {
  uint32_t nth = next(l, 60), same = next(l, 2), reads = next(l, 3), writes = next(l, 2);
  settle(l);
  int m = holder(l, side, nth), peer = holder(l, !side, nth);
  if (m < 0) return;
  struct side old = l->sides[side];
  struct command c = on(l, m, side, DISCONNECT);
  if (call(l, m, IN_TURN, c, -1).result != 0) return;
  for (uint32_t i = 0; peer >= 0 && i < reads; i++) {
    struct command read = on(l, peer, !side, RECEIVE);
    read.how = TO_RECV;
    read.size = 5000;
    read.flags = MSG_DONTWAIT;
    call(l, peer, IN_TURN, read, -1);
  }
  if (writes && peer >= 0) {
    struct command write = on(l, peer, !side, SEND);
    write.how = BY_SEND;
    write.size = 700;
    write.flags = MSG_DONTWAIT;
    call(l, peer, IN_TURN, write, -1);
  }
  if (l->sides[!side].open) close_side(l, !side, -1);
  /* The listener's address must be one that this socket can reach. */
  c.op = CONNECT;
  c.port = l->port;
  c.how = same;
  c.net = side == 1 && l->net == DUAL ? V6 : side == 1 && l->net == MAPPED ? V4 : l->net;
  c.key = old.key;
  call(l, m, IN_TURN, (struct command){.op = BLOCKING, .how = 1, .fd = c.fd, .other = -1}, -1);
  struct reply r = call(l, m, IN_TURN, c, -1);
  l->sides[side].nonblock = l->sides[side].shut = l->sides[side].deaf = false;
  l->sides[side].queued = 0;
  if (r.result == 0) l->sides[side].key = r.key;
  if (r.result != 0 || !accept_side(l, !side)) l->left = 0;
}

static void step_close(struct lane *l, int side, bool resets) {
  uint32_t lingers = next(l, 4), left = next(l, 8);
  settle(l);
  if (!l->sides[side].open) return;
  close_side(l, side, resets ? 0 : lingers == 0 && l->sides[!side].queued < 20000 && !l->sides[side].tight ? 1 : -1);
  if ((uint32_t)l->left > left) l->left = left;
}

/* Several write and several read at once. */
static void step_burst(struct lane *l, int side) {
  uint32_t both = next(l, 2), size = 1 + next(l, next(l, 3) ? 60000 : 400000), seed = next(l, 1u << 31);
  settle(l);
  if (!l->sides[0].open || !l->sides[1].open) return;
  bool flows[2] = {side == 0 || both, side == 1 || both}; /* from that side */
  struct command c;
  for (int s = 0; s < 2; s++) {
    bool reads = false;
    for (int m = 0; m < l->processes; m++) reads |= l->sides[!s].fd[m] >= 0;
    flows[s] &= reads && !l->sides[!s].deaf && !l->sides[s].shut;
    int m = holder(l, !s, 0);
    c = on(l, m, !s, OPTION);
    c.how = SOL_SOCKET;
    c.flags = SO_RCVTIMEO;
    c.size = 30;
    call(l, m, IN_TURN, c, -1);
  }
  stop[l->number] = 0;
  for (int s = 0; s < 2; s++) {
    for (int m = 0; flows[s] && m < l->members_count; m++) {
      c = on(l, m, s, WRITE_STREAM);
      c.seed = seed + m * 2 + s;
      c.size = size;
      if (c.fd >= 0 && waiting_slot(l, m) >= 0) start_call(l, m, waiting_slot(l, m), s, c);
      c = on(l, m, !s, READ_STREAM);
      c.seed = seed + m * 2 + s + 1000;
      c.net = l->number;
      if (c.fd >= 0 && m < l->processes && waiting_slot(l, m) >= 0) start_call(l, m, waiting_slot(l, m), !s, c);
    }
  }
  for (int writing = 1; writing >= 0; writing--) {
    for (int m = 0; m < l->members_count; m++) {
      for (int i = 0; i < l->members[m].slots; i++) {
        struct actor *a = &l->members[m].actors[i];
        if (a->busy && (a->command.op == WRITE_STREAM) == writing) await(l, m, i);
      }
    }
    stop[l->number] = 1;
  }
  for (int s = 0; s < 2; s++) {
    int m = holder(l, s, 0);
    c = on(l, m, s, OPTION);
    c.how = SOL_SOCKET;
    c.flags = SO_RCVTIMEO;
    call(l, m, IN_TURN, c, -1);
  }
}

/* ---- the lane ---- */

/* What a side has moved so far; a child that waits has no free thread, so a process does it. */
static bool measure(struct lane *l, int side, struct reply *r) {
  for (int m = 0; m < l->processes; m++) {
    if (!l->sides[side].open || l->sides[side].fd[m] < 0) continue;
    *r = call(l, m, IN_TURN, on(l, m, side, MEASURE), -1);
    return true;
  }
  return false;
}

/* Calls that wait, and would give bytes to the process that made them. */
static int waiting(struct lane *l) {
  int count = 0;
  for (int m = 0; m < l->members_count; m++) {
    for (int i = 0; i < l->members[m].slots; i++) {
      struct actor *a = &l->members[m].actors[i];
      count += !collect(l, m, i) && a->busy && !peeks(&a->command);
    }
  }
  return count;
}

/* Leaves calls in flight for the tool to find, and notes what they moved before it starts. */
static void wait_for_tool(struct lane *l) {
  struct reply before[2] = {{0}, {0}}, at[2], after;
  settle(l);
  for (int s = 0; s < 2; s++) measure(l, s, &before[s]);
  for (int s = 0; s < 2; s++) {
    if (next(l, 2)) start_waiting(l, s, true);
    if (next(l, 2)) start_waiting(l, s, false);
  }
  for (int m = 0; m < l->members_count; m++) {
    for (int i = 0; i < l->members[m].slots; i++) {
      if (l->members[m].actors[i].busy) await_asleep(l, m, i);
    }
  }
  meet(l);
  bool measured[2];
  for (int s = 0; s < 2; s++) {
    measured[s] = measure(l, s, &at[s]);
    for (int m = 0; measured[s] && m < l->members_count; m++) {
      for (int i = 0; i < l->members[m].slots; i++) {
        struct actor *a = &l->members[m].actors[i];
        if (collect(l, m, i) || !a->busy || a->side != s || peeks(&a->command)) continue;
        struct moved *moved = &l->moved[l->moved_count++];
        *moved = (struct moved){.e = {.key = l->sides[s].key}, .pid = l->members[m].pid};
        if (a->command.op == SEND) moved->tx = at[s].tx - before[s].tx;
        else moved->rx = at[s].rx - before[s].rx;
      }
    }
  }
  l->paused = true;
  int before_tool = waiting(l);
  meet(l);
  /* Nobody knows whether a call that ended meanwhile, by its time limit perhaps, did so before the tool was there. */
  l->moved_meanwhile |= waiting(l) != before_tool;
  for (int s = 0; s < 2; s++) {
    if (measured[s] && measure(l, s, &after)) l->moved_meanwhile |= after.tx != at[s].tx || after.rx != at[s].rx;
  }
}

static void step(struct lane *l) {
  uint32_t what = next(l, 100), side = next(l, 2), time = next(l, 5);
  for (int m = 0; m < l->members_count; m++) {
    for (int i = 0; i < l->members[m].slots; i++) collect(l, m, i);
  }
  if (!l->sides[side].open) side = !side;
  if (what < 30) step_send(l, side);
  else if (what < 60) step_receive(l, side);
  else if (what < 65) start_waiting(l, side, true);
  else if (what < 68) start_waiting(l, side, false);
  else if (what < 70) shut(l, side, time, time == 0 ? SHUT_RD : time == 1 ? SHUT_RDWR : SHUT_WR);
  else if (what < 75) step_option(l, side);
  else if (what < 77) pause_ms(time);
  else if (what < 79) step_duplicate(l, side);
  else if (what < 83) step_give(l, side);
  else if (what < 85) step_fork(l, side);
  else if (what < 86) step_rename(l);
  else if (what < 90) step_reconnect(l, side);
  else if (what < 93) step_close(l, side, true);
  else if (what < 95) step_close(l, side, false);
  else if (what < 98) step_burst(l, side);
  else step_blocking(l, side);
}

void run_lane(struct lane *l) {
  bool talks = false;
  l->listener = -1;
  reset_side(&l->sides[0]);
  reset_side(&l->sides[1]);
  for (; l->steps < l->most_steps; l->steps++) {
    if (l->steps == l->pause_at) wait_for_tool(l);
    if (!talks) {
      if (next(l, 12) == 0) serve(l);
      else begin_conversation(l), talks = true;
    } else if (l->left-- > 0 && (l->sides[0].open || l->sides[1].open)) {
      step(l);
    } else {
      end_conversation(l);
      talks = false;
    }
  }
  if (l->pause_at >= 0 && !l->paused) wait_for_tool(l);
  if (talks) end_conversation(l);
}
