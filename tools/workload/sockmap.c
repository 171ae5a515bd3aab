/* Sockets that BPF programs connect with one another: bytes that take another way than the calls say. */
#include "workload.h"

#include <linux/bpf.h>

enum { SLOTS = 2, TARGET = 1 };

static int bpf(int command, union bpf_attr *attr) {
  return syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int sockmap(void) {
  union bpf_attr attr = {.map_type = BPF_MAP_TYPE_SOCKMAP, .key_size = 4, .value_size = 4, .max_entries = SLOTS};
  int map = bpf(BPF_MAP_CREATE, &attr);
  if (map < 0) skip("no sockmap: %s", strerror(errno));
  return map;
}

static void put(int map, uint32_t slot, int fd) {
  union bpf_attr attr = {.map_fd = map, .key = (uintptr_t)&slot, .value = (uintptr_t)&fd};
  need(bpf(BPF_MAP_UPDATE_ELEM, &attr) == 0);
}

/* Attaches to the map: `return redirect(ctx, map, TARGET, flags)`. */
static void attach(int map, enum bpf_prog_type type, enum bpf_attach_type where, int redirect, int flags) {
  struct bpf_insn program[] = {
      {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_2, .src_reg = BPF_PSEUDO_MAP_FD, .imm = map},
      {0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = TARGET},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_4, .imm = flags},
      {.code = BPF_JMP | BPF_CALL, .imm = redirect},
      {.code = BPF_JMP | BPF_EXIT},
  };
  union bpf_attr load = {
      .prog_type = type,
      .insns = (uintptr_t)program,
      .insn_cnt = sizeof program / sizeof *program,
      .license = (uintptr_t)"GPL",
      .expected_attach_type = where,
  };
  int fd = bpf(BPF_PROG_LOAD, &load);
  if (fd < 0) skip("no redirecting program: %s", strerror(errno));
  union bpf_attr attr = {.target_fd = map, .attach_bpf_fd = fd, .attach_type = where};
  if (bpf(BPF_PROG_ATTACH, &attr) != 0) skip("cannot attach to a sockmap: %s", strerror(errno));
}

/* What is sent on `from` leaves through `through.a`: which of the two sockets has sent it is a matter of view, that
 * this process has is not. */
static void message_to_egress(void) {
  int map = sockmap();
  struct pair from = connect_pair(V4), through = connect_pair(V4);
  attach(map, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, BPF_FUNC_msg_redirect_map, 0);
  put(map, 0, from.a.fd);
  put(map, TARGET, through.a.fd);
  for (int i = 0; i < 50; i++) {
    send_all(&from.a, 10000 + i);
    receive_all(&through.b, 10000 + i);
  }
  close_pair(&from);
  close_pair(&through);
}

/* What is sent on `from.a` is received on `to.a`, without a TCP segment. */
static void message_to_ingress(void) {
  int map = sockmap();
  struct pair from = connect_pair(V4), to = connect_pair(V4);
  attach(map, BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT, BPF_FUNC_msg_redirect_map, BPF_F_INGRESS);
  put(map, 0, from.a.fd);
  put(map, TARGET, to.a.fd);
  for (int i = 0; i < 50; i++) {
    send_all(&from.a, 10000 + i);
    receive_all(&to.a, 10000 + i);
  }
  close_pair(&from);
  close_pair(&to);
}

/* A relay in the kernel. Its process moves no byte, and what softirqs and workers move for it, while they may well
 * interrupt ours, must not be charged to us: our rows are the client's and the server's. */
static void stream_relay(void) {
  int entrance = listen_on(V4), server = listen_on(V4), tell[2];
  struct sockaddr_storage address;
  socklen_t size;
  need(pipe(tell) == 0);
  pid_t pid = spawn();
  if (pid == 0) {
    int in = accept(entrance, NULL, NULL), out = client_socket(V4), map = sockmap();
    size = address_of(server, V4, &address);
    need(in >= 0 && connect(out, (struct sockaddr *)&address, size) == 0);
    attach(map, BPF_PROG_TYPE_SK_SKB, BPF_SK_SKB_STREAM_VERDICT, BPF_FUNC_sk_redirect_map, 0);
    put(map, 0, in);
    put(map, TARGET, out);
    char c = 0;
    need(write(tell[1], &c, 1) == 1);
    wait_for(in, POLLRDHUP);
    pause_ms(200);
    _exit(0);
  }
  size = address_of(entrance, V4, &address);
  int fd = client_socket(V4);
  need(connect(fd, (struct sockaddr *)&address, size) == 0);
  close(tell[1]);
  struct pair p = {end_of(fd), end_of(accept(server, NULL, NULL))};
  char c;
  if (read(tell[0], &c, 1) != 1) reap(pid); /* skips as the relay does */
  for (int i = 0; i < 50; i++) {
    send_all(&p.a, 10000 + i);
    receive_all(&p.b, 10000 + i);
  }
  close(p.a.fd);
  reap(pid);
  close(p.b.fd);
}

const struct workload sockmap_cases[] = {
    {"sockmap-message-to-egress", AFTER, PARTLY_READ | BY_PID, message_to_egress},
    {"sockmap-message-to-ingress", AFTER, PARTLY_READ, message_to_ingress},
    {"sockmap-stream-relay", AFTER, PARTLY_READ, stream_relay},
    {0},
};
