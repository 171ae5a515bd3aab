// Written by tools/uapi.ts from the kernel's uapi headers. Do not edit.

/** Commands of bpf(): `enum bpf_cmd`. */
export const command = {
  MAP_CREATE: 0,
  MAP_LOOKUP_ELEM: 1,
  MAP_UPDATE_ELEM: 2,
  MAP_DELETE_ELEM: 3,
  MAP_GET_NEXT_KEY: 4,
  PROG_LOAD: 5,
  OBJ_PIN: 6,
  OBJ_GET: 7,
  PROG_ATTACH: 8,
  PROG_DETACH: 9,
  PROG_TEST_RUN: 10,
  PROG_RUN: 10,
  PROG_GET_NEXT_ID: 11,
  MAP_GET_NEXT_ID: 12,
  PROG_GET_FD_BY_ID: 13,
  MAP_GET_FD_BY_ID: 14,
  OBJ_GET_INFO_BY_FD: 15,
  PROG_QUERY: 16,
  RAW_TRACEPOINT_OPEN: 17,
  BTF_LOAD: 18,
  BTF_GET_FD_BY_ID: 19,
  TASK_FD_QUERY: 20,
  MAP_LOOKUP_AND_DELETE_ELEM: 21,
  MAP_FREEZE: 22,
  BTF_GET_NEXT_ID: 23,
  MAP_LOOKUP_BATCH: 24,
  MAP_LOOKUP_AND_DELETE_BATCH: 25,
  MAP_UPDATE_BATCH: 26,
  MAP_DELETE_BATCH: 27,
  LINK_CREATE: 28,
  LINK_UPDATE: 29,
  LINK_GET_FD_BY_ID: 30,
  LINK_GET_NEXT_ID: 31,
  ENABLE_STATS: 32,
  ITER_CREATE: 33,
  LINK_DETACH: 34,
  PROG_BIND_MAP: 35,
} as const

/** Types of maps: `enum bpf_map_type`. */
export const mapType = {
  unspec: 0,
  hash: 1,
  array: 2,
  prog_array: 3,
  perf_event_array: 4,
  percpu_hash: 5,
  percpu_array: 6,
  stack_trace: 7,
  cgroup_array: 8,
  lru_hash: 9,
  lru_percpu_hash: 10,
  lpm_trie: 11,
  array_of_maps: 12,
  hash_of_maps: 13,
  devmap: 14,
  sockmap: 15,
  cpumap: 16,
  xskmap: 17,
  sockhash: 18,
  cgroup_storage: 19,
  reuseport_sockarray: 20,
  percpu_cgroup_storage: 21,
  queue: 22,
  stack: 23,
  sk_storage: 24,
  devmap_hash: 25,
  struct_ops: 26,
  ringbuf: 27,
  inode_storage: 28,
  task_storage: 29,
  bloom_filter: 30,
  user_ringbuf: 31,
} as const

/** Types of programs: `enum bpf_prog_type`. */
export const programType = {
  unspec: 0,
  socket_filter: 1,
  kprobe: 2,
  sched_cls: 3,
  sched_act: 4,
  tracepoint: 5,
  xdp: 6,
  perf_event: 7,
  cgroup_skb: 8,
  cgroup_sock: 9,
  lwt_in: 10,
  lwt_out: 11,
  lwt_xmit: 12,
  sock_ops: 13,
  sk_skb: 14,
  cgroup_device: 15,
  sk_msg: 16,
  raw_tracepoint: 17,
  cgroup_sock_addr: 18,
  lwt_seg6local: 19,
  lirc_mode2: 20,
  sk_reuseport: 21,
  flow_dissector: 22,
  cgroup_sysctl: 23,
  raw_tracepoint_writable: 24,
  cgroup_sockopt: 25,
  tracing: 26,
  struct_ops: 27,
  ext: 28,
  lsm: 29,
  sk_lookup: 30,
  syscall: 31,
} as const

/** What a program is attached to: `enum bpf_attach_type`. */
export const attachType = {
  cgroup_inet_ingress: 0,
  cgroup_inet_egress: 1,
  cgroup_inet_sock_create: 2,
  cgroup_sock_ops: 3,
  sk_skb_stream_parser: 4,
  sk_skb_stream_verdict: 5,
  cgroup_device: 6,
  sk_msg_verdict: 7,
  cgroup_inet4_bind: 8,
  cgroup_inet6_bind: 9,
  cgroup_inet4_connect: 10,
  cgroup_inet6_connect: 11,
  cgroup_inet4_post_bind: 12,
  cgroup_inet6_post_bind: 13,
  cgroup_udp4_sendmsg: 14,
  cgroup_udp6_sendmsg: 15,
  lirc_mode2: 16,
  flow_dissector: 17,
  cgroup_sysctl: 18,
  cgroup_udp4_recvmsg: 19,
  cgroup_udp6_recvmsg: 20,
  cgroup_getsockopt: 21,
  cgroup_setsockopt: 22,
  trace_raw_tp: 23,
  trace_fentry: 24,
  trace_fexit: 25,
  modify_return: 26,
  lsm_mac: 27,
  trace_iter: 28,
  cgroup_inet4_getpeername: 29,
  cgroup_inet6_getpeername: 30,
  cgroup_inet4_getsockname: 31,
  cgroup_inet6_getsockname: 32,
  xdp_devmap: 33,
  cgroup_inet_sock_release: 34,
  xdp_cpumap: 35,
  sk_lookup: 36,
  xdp: 37,
  sk_skb_verdict: 38,
  sk_reuseport_select: 39,
  sk_reuseport_select_or_migrate: 40,
  perf_event: 41,
  trace_kprobe_multi: 42,
  lsm_cgroup: 43,
} as const

/** Offset and size of fields of bpf_attr. */
export const mapCreate = {
  size: 64,
  fields: {
    map_type: [0, 4],
    key_size: [4, 4],
    value_size: [8, 4],
    max_entries: [12, 4],
    map_flags: [16, 4],
    map_name: [28, 16],
    btf_fd: [48, 4],
    btf_key_type_id: [52, 4],
    btf_value_type_id: [56, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const mapElem = {
  size: 32,
  fields: {
    map_fd: [0, 4],
    key: [8, 8],
    value: [16, 8],
    next_key: [16, 8],
    flags: [24, 8],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const batch = {
  size: 56,
  fields: {
    in_batch: [0, 8],
    out_batch: [8, 8],
    keys: [16, 8],
    values: [24, 8],
    count: [32, 4],
    map_fd: [36, 4],
    elem_flags: [40, 8],
    flags: [48, 8],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const progLoad = {
  size: 112,
  fields: {
    prog_type: [0, 4],
    insn_cnt: [4, 4],
    insns: [8, 8],
    license: [16, 8],
    log_level: [24, 4],
    log_size: [28, 4],
    log_buf: [32, 8],
    kern_version: [40, 4],
    prog_name: [48, 16],
    expected_attach_type: [68, 4],
    prog_btf_fd: [72, 4],
    func_info_rec_size: [76, 4],
    func_info: [80, 8],
    func_info_cnt: [88, 4],
    line_info_rec_size: [92, 4],
    line_info: [96, 8],
    line_info_cnt: [104, 4],
    attach_btf_id: [108, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const progTest = {
  size: 56,
  fields: {
    prog_fd: [0, 4],
    retval: [4, 4],
    data_size_in: [8, 4],
    data_in: [16, 8],
    data_size_out: [12, 4],
    data_out: [24, 8],
    ctx_size_in: [40, 4],
    ctx_in: [48, 8],
    repeat: [32, 4],
    duration: [36, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const object = {
  size: 16,
  fields: {
    pathname: [0, 8],
    bpf_fd: [8, 4],
    file_flags: [12, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const info = {
  size: 16,
  fields: {
    bpf_fd: [0, 4],
    info_len: [4, 4],
    info: [8, 8],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const rawTracepoint = {
  size: 16,
  fields: {
    name: [0, 8],
    prog_fd: [8, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const btfLoad = {
  size: 32,
  fields: {
    btf: [0, 8],
    btf_log_buf: [8, 8],
    btf_size: [16, 4],
    btf_log_size: [20, 4],
    btf_log_level: [24, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const linkCreate = {
  size: 32,
  fields: {
    prog_fd: [0, 4],
    target_fd: [4, 4],
    attach_type: [8, 4],
    flags: [12, 4],
    iter_info: [16, 8],
    iter_info_len: [24, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const iterCreate = {
  size: 8,
  fields: {
    link_fd: [0, 4],
    flags: [4, 4],
  },
} as const

/** Offset and size of fields of bpf_attr. */
export const enableStats = {
  size: 8,
  fields: {
    type: [0, 4],
  },
} as const

/** Offset and size of fields of bpf_map_info. */
export const mapInfo = {
  size: 40,
  fields: {
    type: [0, 4],
    id: [4, 4],
    key_size: [8, 4],
    value_size: [12, 4],
    max_entries: [16, 4],
    map_flags: [20, 4],
    name: [24, 16],
  },
} as const

/** Offset and size of fields of bpf_prog_info. */
export const progInfo = {
  size: 224,
  fields: {
    type: [0, 4],
    id: [4, 4],
    jited_prog_len: [16, 4],
    xlated_prog_len: [20, 4],
    jited_prog_insns: [24, 8],
    xlated_prog_insns: [32, 8],
    name: [64, 16],
    run_time_ns: [192, 8],
    run_cnt: [200, 8],
    recursion_misses: [208, 8],
    verified_insns: [216, 4],
    line_info: [152, 8],
    nr_line_info: [148, 4],
    line_info_rec_size: [172, 4],
  },
} as const

/** Offset and size of fields of perf_event_attr. */
export const perfAttr = {
  size: 72,
  fields: {
    type: [0, 4],
    size: [4, 4],
    config: [8, 8],
    sample_period: [16, 8],
    kprobe_func: [56, 8],
    probe_offset: [64, 8],
  },
} as const

export const BPF_OBJ_NAME_LEN = 16
export const BPF_F_NO_PREALLOC = 1
export const BPF_F_RDONLY_PROG = 128
export const PERF_TYPE_TRACEPOINT = 2
export const PERF_EVENT_IOC_ENABLE = 9216
export const PERF_EVENT_IOC_DISABLE = 9217
export const PERF_EVENT_IOC_SET_BPF = 1074013192
export const PERF_FLAG_FD_CLOEXEC = 8
