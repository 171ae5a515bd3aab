/* How a lane commands its threads, and how nothing waits for ever. */
#include "lane.h"

#include <sys/stat.h>

static const char *how_name(const struct command *c) {
  if (c->op == SEND) return send_names[c->how];
  if (c->op == RECEIVE) return receive_names[c->how];
  return "";
}

static const char *side_name(const struct lane *l, int member, const struct command *c) {
  if (c->fd < 0) return "";
  for (int s = 0; s < 2; s++) {
    if (l->sides[s].open && l->sides[s].fd[member] == c->fd) return s ? "server" : "client";
  }
  return c->fd == l->listener ? "listener" : "";
}

static void trace(struct lane *l, int member, int slot, const struct command *c, const struct reply *r) {
  if (!l->traces || c->op == HELLO) return;
  char result[64] = "begins";
  if (r) snprintf(result, sizeof result, "%lld%s%s", (long long)r->result, r->result < 0 ? " " : "", r->result < 0 ? strerror(r->error) : "");
  fprintf(stderr, "lane %d step %d: %s[%d.%d] %s%s%s %s %u%s (how %d, flags %#x): %s\n", l->number, l->steps, l->members[member].name,
          l->members[member].pid, slot, op_names[c->op], *how_name(c) ? " by " : "", how_name(c), side_name(l, member, c), c->size,
          c->flags & MSG_DONTWAIT && (c->op == SEND || c->op == RECEIVE) ? " non-blocking" : "", c->how, c->flags, result);
}

static bool has_reply(const struct actor *a, int ms) {
  struct pollfd ready = {a->channel, POLLIN, 0};
  int n;
  while ((n = poll(&ready, 1, ms)) < 0 && errno == EINTR) continue;
  return n > 0;
}

static struct reply take(struct actor *a) {
  struct reply r;
  int fd;
  if (!get(a->channel, &r, sizeof r, &fd)) die("a process has ended");
  if (fd >= 0) r.fd = fd;
  return r;
}

/* Shuts a socket down that a call waits on, by another thread of that process or another process that has it. */
static void rescue(struct lane *l, int member, const struct command *c) {
  if (l->traces) fprintf(stderr, "lane %d step %d: rescues %s of %s\n", l->number, l->steps, op_names[c->op], l->members[member].name);
  struct command shut = {.op = SHUTDOWN, .how = SHUT_RDWR, .fd = c->fd};
  if (l->members[member].slots > RESCUES) {
    call(l, member, RESCUES, shut, -1);
    return;
  }
  for (int s = 0; s < 2; s++) {
    if (!l->sides[s].open || l->sides[s].fd[member] != c->fd) continue;
    for (int m = 0; m < l->processes; m++) {
      if (l->sides[s].fd[m] < 0) continue;
      shut.fd = l->sides[s].fd[m];
      call(l, m, RESCUES, shut, -1);
      return;
    }
    /* Only children have it: the other end can end the connection too. */
    for (int m = 0; m < l->processes; m++) {
      if (!l->sides[!s].open || l->sides[!s].fd[m] < 0) continue;
      shut.fd = l->sides[!s].fd[m];
      call(l, m, RESCUES, shut, -1);
      return;
    }
  }
}

static struct reply patient(struct lane *l, int member, int slot, const struct command *c) {
  struct actor *a = &l->members[member].actors[slot];
  if (!has_reply(a, 1500 * patience_factor()) && c->fd >= 0) rescue(l, member, c);
  if (!has_reply(a, 12000 * patience_factor())) die("lane %d step %d: %s hangs", l->number, l->steps, op_names[c->op]);
  return take(a);
}

struct reply call(struct lane *l, int member, int slot, struct command c, int given) {
  struct actor *a = &l->members[member].actors[slot];
  need(!a->busy);
  put(a->channel, &c, sizeof c, given);
  struct reply r = patient(l, member, slot, &c);
  trace(l, member, slot, &c, &r);
  return r;
}

void start_call(struct lane *l, int member, int slot, int side, struct command c) {
  struct actor *a = &l->members[member].actors[slot];
  need(!a->busy);
  a->busy = true;
  a->side = side;
  a->command = c;
  put(a->channel, &c, sizeof c, -1);
  trace(l, member, slot, &c, NULL);
}

static int64_t finish(struct lane *l, int member, int slot, struct reply r) {
  struct actor *a = &l->members[member].actors[slot];
  a->busy = false;
  trace(l, member, slot, &a->command, &r);
  if (r.result > 0 && (a->command.op == SEND || a->command.op == WRITE_STREAM)) l->sides[!a->side].queued += r.result;
  if (r.result > 0 && (a->command.op == RECEIVE || a->command.op == READ_STREAM)) l->sides[a->side].queued -= r.result;
  return r.result;
}

bool collect(struct lane *l, int member, int slot) {
  struct actor *a = &l->members[member].actors[slot];
  if (!a->busy || !has_reply(a, 0)) return false;
  finish(l, member, slot, take(a));
  return true;
}

int64_t await(struct lane *l, int member, int slot) {
  struct command c = l->members[member].actors[slot].command;
  return finish(l, member, slot, patient(l, member, slot, &c));
}

bool any_waiting(const struct lane *l, int side, enum op op) {
  for (int m = 0; m < l->members_count; m++) {
    for (int i = 0; i < l->members[m].slots; i++) {
      const struct actor *a = &l->members[m].actors[i];
      if (a->busy && a->side == side && a->command.op == op) return true;
    }
  }
  return false;
}

int holder(const struct lane *l, int side, uint32_t nth) {
  int found[MEMBERS], count = 0;
  if (!l->sides[side].open) return -1;
  for (int m = 0; m < l->members_count; m++) {
    if (l->sides[side].fd[m] >= 0 && !l->members[m].actors[IN_TURN].busy) found[count++] = m;
  }
  return count ? found[nth % count] : -1;
}

int waiting_slot(const struct lane *l, int member) {
  const struct member *m = &l->members[member];
  if (m->slots == 1) return m->actors[0].busy ? -1 : 0;
  for (int i = WAITS; i < RESCUES; i++) {
    if (!m->actors[i].busy) return i;
  }
  return -1;
}

struct command on(const struct lane *l, int member, int side, enum op op) {
  return (struct command){.op = op, .net = l->net, .fd = l->sides[side].fd[member], .other = -1, .key = l->sides[side].key};
}

/* Makes it possible for a call to end: what it sends is read, what it waits for is sent. */
static void help(struct lane *l, const struct actor *a, int round) {
  int s = a->side, peer = holder(l, !s, round);
  if (peer < 0 || round > 200) {
    if (l->traces) fprintf(stderr, "lane %d step %d: shuts down for a call that waits\n", l->number, l->steps);
    for (int m = 0; m < l->processes; m++) {
      struct command shut = on(l, m, s, SHUTDOWN);
      shut.how = SHUT_RDWR;
      if (l->sides[s].open && shut.fd >= 0) call(l, m, RESCUES, shut, -1);
      shut = on(l, m, !s, SHUTDOWN);
      shut.how = SHUT_RDWR;
      if (peer < 0 || !l->sides[!s].open || shut.fd < 0) continue;
      call(l, m, RESCUES, shut, -1);
    }
    return;
  }
  struct command c = on(l, peer, !s, a->command.op == SEND ? RECEIVE : SEND);
  c.how = c.op == SEND ? BY_SEND : TO_RECV;
  c.flags = MSG_DONTWAIT;
  c.size = c.op == SEND ? 16384 : ROOM;
  if (c.op == RECEIVE && l->sides[!s].lowat) pause_ms(1);
  int64_t n = call(l, peer, IN_TURN, c, -1).result;
  if (n > 0) l->sides[c.op == SEND ? s : !s].queued += c.op == SEND ? n : -n;
  /* The stream has ended or the connection was reset: the call must be shut down. */
  if (n == 0 || (n < 0 && c.op == SEND)) {
    struct command shut = on(l, peer, !s, SHUTDOWN);
    shut.how = SHUT_RDWR;
    if (round > 20) call(l, peer, IN_TURN, shut, -1);
  }
}

void settle(struct lane *l) {
  for (int round = 0;; round++) {
    struct actor *waits = NULL;
    for (int m = 0; m < l->members_count; m++) {
      for (int i = 0; i < l->members[m].slots; i++) {
        collect(l, m, i);
        if (l->members[m].actors[i].busy) waits = &l->members[m].actors[i];
      }
    }
    if (!waits) return;
    pause_ms(1);
    if (round > 3000) die("lane %d step %d: %s does not end", l->number, l->steps, op_names[waits->command.op]);
    help(l, waits, round);
  }
}

void await_asleep(struct lane *l, int member, int slot) {
  struct actor *a = &l->members[member].actors[slot];
  for (int asleep = 0; asleep < 20 && !has_reply(a, 0);) { /* for 20 ms on end: not merely on its way */
    asleep = is_asleep(a->thread) ? asleep + 1 : 0;
    pause_ms(1);
  }
}
