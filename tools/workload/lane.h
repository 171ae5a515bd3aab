/* A lane of a random mix: one conversation after another, each step of which is a command to a thread of some process. */
#ifndef LANE_H
#define LANE_H

#include "actor.h"

enum {
  PROCESSES = 4,          /* at most */
  MEMBERS = PROCESSES + 2, /* and children */
  SLOTS = 4,
  IN_TURN = 0, /* the thread for calls that return soon */
  WAITS = 1,   /* those for calls that wait: two of them */
  RESCUES = 3, /* the one that ends a call that waits for ever */
};

/* A thread that this lane may command. */
struct actor {
  int channel;
  pid_t thread;
  bool busy; /* in a call whose reply was not taken yet */
  int side;  /* of that call */
  struct command command;
};

/* A process that this lane may use; a child has but one thread. */
struct member {
  pid_t pid;
  char name[16];
  struct actor actors[SLOTS];
  int slots;
};

/* One end of the conversation's connection. */
struct side {
  int fd[MEMBERS]; /* as each member calls it: -1 where it has none */
  struct key key;
  int64_t queued; /* accepted from the other side and not received here; too large where bytes were dropped */
  bool open, nonblock, shut, deaf, tight; /* `tight`: sends of this side may wait with little queued */
  int lowat;
};

struct lane {
  int number, processes, members_count;
  uint64_t state; /* of the generator */
  int steps, most_steps, pause_at;
  bool paused, shares, traces;
  bool moved_meanwhile; /* a call in flight moved more while the tool started */
  struct member members[MEMBERS];
  struct side sides[2];
  enum net net;
  int server, listener;
  uint16_t port;
  int left; /* steps of the conversation */
  /* What calls in flight moved before the pause. */
  struct moved {
    struct end e;
    pid_t pid;
    uint64_t rx, tx;
  } moved[4];
  int moved_count;
};

/* A command to a thread and its reply; `given` is a descriptor that goes with it. */
struct reply call(struct lane *l, int member, int slot, struct command c, int given);
/* Starts a call on `side` whose reply `collect`, `await` or `settle` takes. */
void start_call(struct lane *l, int member, int slot, int side, struct command c);
/* Takes the reply of a call that has ended. */
bool collect(struct lane *l, int member, int slot);
/* Waits for one: after a time its socket is shut down. */
int64_t await(struct lane *l, int member, int slot);
/* Lets all calls that wait come to an end. */
void settle(struct lane *l);
bool any_waiting(const struct lane *l, int side, enum op op);
/* A member that has this side, whose first thread is free: the `nth` in turn, or -1. */
int holder(const struct lane *l, int side, uint32_t nth);
/* A thread of the member for a call that waits, or -1. */
int waiting_slot(const struct lane *l, int member);
/* The command for this side as this member calls it. */
struct command on(const struct lane *l, int member, int side, enum op op);

/* Waits until a thread sleeps in its call, or the call has ended. */
void await_asleep(struct lane *l, int member, int slot);

/* Meets all lanes and the main thread, and goes on when that has done something: the first time it waits until all is at rest, the
 * second time it lets the tool start (random.c). */
void meet(struct lane *l);

/* Runs the lane to its end (mix.c). */
void run_lane(struct lane *l);

#endif
