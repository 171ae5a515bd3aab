// The shim: system calls that Node.js does not offer, and nothing else. Every function returns what the kernel returned, or -errno;
// none throws for what the kernel says, and none keeps anything but `contents`, whose mapping lasts as long as its array, `endOn`, whose
// handlers of signals stay, `restoreAtEnd`, and `relay`, whose process stays until its pipe ends.
#include <napi.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

// napi.h can allocate; with these it needs no libstdc++ for it.
void *operator new(size_t size) { return malloc(size); }
void *operator new[](size_t size) { return malloc(size); }
void operator delete(void *memory) noexcept { free(memory); }
void operator delete[](void *memory) noexcept { free(memory); }
void operator delete(void *memory, size_t) noexcept { free(memory); }
void operator delete[](void *memory, size_t) noexcept { free(memory); }

namespace {

struct Bytes {
  uint8_t *data = nullptr;
  size_t length = 0;
};

// The memory of a Uint8Array, as it is now: a view that WebAssembly's memory.grow has detached has none.
Bytes bytes_of(const Napi::Value &value) {
  Bytes bytes;
  napi_typedarray_type type;
  void *data = nullptr;
  size_t length = 0;
  if (napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr) == napi_ok && type == napi_uint8_array && data) {
    bytes.data = static_cast<uint8_t *>(data);
    bytes.length = length;
  }
  return bytes;
}

Napi::Value result(const Napi::CallbackInfo &info, long returned) {
  return Napi::Number::New(info.Env(), returned < 0 ? -errno : returned);
}

Napi::Value refuse(const Napi::CallbackInfo &info, int error) { return Napi::Number::New(info.Env(), -error); }

// Writes the addresses of buffers into attr: [offset in attr, buffer, bytes that the kernel may touch] each. A buffer that is
// shorter than that is refused here, for the kernel cannot know.
bool put_pointers(const Bytes &attr, const Napi::Value &list) {
  if (!list.IsArray()) return false;
  auto pointers = list.As<Napi::Array>();
  for (uint32_t index = 0; index < pointers.Length(); index++) {
    Napi::Value entry = pointers[index];
    if (!entry.IsArray()) return false;
    auto pointer = entry.As<Napi::Array>();
    Napi::Value offset = pointer[0u], buffer = pointer[1u], needed = pointer[2u];
    if (!offset.IsNumber() || !needed.IsNumber()) return false;
    uint32_t at = offset.As<Napi::Number>().Uint32Value();
    Bytes bytes = bytes_of(buffer);
    if (at > attr.length || attr.length - at < sizeof(uint64_t)) return false;
    if (bytes.length < needed.As<Napi::Number>().Uint32Value()) return false;
    uint64_t address = reinterpret_cast<uintptr_t>(bytes.data);
    memcpy(attr.data + at, &address, sizeof(address));
  }
  return true;
}

// bpf(cmd, attr, pointers)
Napi::Value bpf(const Napi::CallbackInfo &info) {
  Bytes attr = bytes_of(info[1]);
  if (!info[0].IsNumber() || !attr.data || !put_pointers(attr, info[2])) return refuse(info, EFAULT);
  return result(info, syscall(SYS_bpf, info[0].As<Napi::Number>().Int32Value(), attr.data, attr.length));
}

// perfEventOpen(attr, pid, cpu, group, flags, pointers)
Napi::Value perf_event_open(const Napi::CallbackInfo &info) {
  Bytes attr = bytes_of(info[0]);
  for (size_t index = 1; index < 5; index++) {
    if (!info[index].IsNumber()) return refuse(info, EINVAL);
  }
  if (!attr.data || !put_pointers(attr, info[5])) return refuse(info, EFAULT);
  auto number = [&](size_t index) { return info[index].As<Napi::Number>().Int32Value(); };
  return result(info, syscall(SYS_perf_event_open, attr.data, number(1), number(2), number(3), static_cast<unsigned long>(number(4))));
}

// perfEventIoctl(fd, request, argument): the requests of a perf event take a number
Napi::Value perf_event_ioctl(const Napi::CallbackInfo &info) {
  for (size_t index = 0; index < 3; index++) {
    if (!info[index].IsNumber()) return refuse(info, EINVAL);
  }
  auto number = [&](size_t index) { return info[index].As<Napi::Number>().Uint32Value(); };
  return result(info, ioctl(static_cast<int>(number(0)), number(1), static_cast<unsigned long>(number(2))));
}

// raiseMemlock(): as much locked memory as this process may allow itself. libc's functions have other names where files are large.
Napi::Value raise_memlock(const Napi::CallbackInfo &info) {
  rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  if (syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &limit, nullptr) == 0) return result(info, 0);
  if (syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, nullptr, &limit) != 0) return result(info, -1);
  limit.rlim_cur = limit.rlim_max;
  return result(info, syscall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, &limit, nullptr));
}

// libc's function has another name where files are large.
void *map(size_t length, long access, long flags, long fd) {
  return reinterpret_cast<void *>(syscall(SYS_mmap, nullptr, length, access, MAP_PRIVATE | flags, fd, 0L));
}

// contents(fd, length): a Uint8Array of so many bytes of a file, mapped, or read where that file cannot be. Nobody may write there.
Napi::Value contents(const Napi::CallbackInfo &info) {
  if (!info[0].IsNumber() || !info[1].IsNumber()) return refuse(info, EINVAL);
  int fd = info[0].As<Napi::Number>().Int32Value();
  size_t length = info[1].As<Napi::Number>().Uint32Value();
  void *data = map(length, PROT_READ, 0, fd);
  if (data == MAP_FAILED) {
    data = map(length, PROT_READ | PROT_WRITE, MAP_ANONYMOUS, -1);
    if (data == MAP_FAILED) return result(info, -1);
    for (size_t done = 0; done < length;) {
      ssize_t count = read(fd, static_cast<char *>(data) + done, length - done);
      if (count > 0) {
        done += count;
        continue;
      }
      int error = count < 0 ? errno : ENODATA;
      munmap(data, length);
      return refuse(info, error);
    }
  }
  auto unmap = [](Napi::Env, void *mapped, size_t *size) {
    munmap(mapped, *size);
    delete size;
  };
  auto memory = Napi::ArrayBuffer::New(info.Env(), data, length, unmap, new size_t(length));
  return Napi::Uint8Array::New(info.Env(), length, memory, 0);
}

// socketCall(name, arguments, pointers): a call on a socket; the arguments are words of 8 bytes, so that addresses can be written into them
Napi::Value socket_call(const Napi::CallbackInfo &info) {
  static const struct {
    const char *name;
    long number;
  } calls[] = {
    {"socket", SYS_socket}, {"bind", SYS_bind}, {"listen", SYS_listen}, {"connect", SYS_connect}, {"accept", SYS_accept4},
    {"send", SYS_sendto}, {"receive", SYS_recvfrom}, {"shutdown", SYS_shutdown}, {"localAddress", SYS_getsockname},
    {"setOption", SYS_setsockopt}, {"option", SYS_getsockopt},
  };
  char name[16];
  if (napi_get_value_string_utf8(info.Env(), info[0], name, sizeof(name), nullptr) != napi_ok) return refuse(info, EINVAL);
  Bytes words = bytes_of(info[1]);
  if (words.length != 6 * sizeof(uint64_t) || !put_pointers(words, info[2])) return refuse(info, EFAULT);
  uint64_t word[6];
  memcpy(word, words.data, sizeof(word));
  for (const auto &call : calls) {
    if (!strcmp(call.name, name)) return result(info, syscall(call.number, word[0], word[1], word[2], word[3], word[4], word[5]));
  }
  return refuse(info, ENOSYS);
}

// What setCapabilities gives to whom it asks. A thread can do it for itself only, and has to be interrupted for it.
__user_cap_data_struct capabilities[2];
int answers;

long set_own_capabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return syscall(SYS_capset, &header, capabilities);
}

void on_asked(int) {
  int before = errno;
  if (set_own_capabilities() == 0) __atomic_add_fetch(&answers, 1, __ATOMIC_SEQ_CST);
  errno = before;
}

// One of the signals that libc keeps for itself (SIGSETXID of glibc, SIGCANCEL of musl), and therefore the only one that no thread blocks: Node.js
// has a thread that blocks all others and waits to start the debugger.
constexpr int own_signal = 33;

// The kernel's own struct sigaction; libc's call refuses that signal.
struct KernelAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

long swap_action(int signal, const KernelAction *next, KernelAction *before) {
  return syscall(SYS_rt_sigaction, signal, next, before, sizeof(next->mask));
}

// Lets `handler` take that signal. libc knows how a handler returns on this machine: that is copied from another signal, set for a moment.
bool take_own_signal(void (*handler)(int), KernelAction *before) {
  struct sigaction action = {}, other;
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  KernelAction taken;
  if (sigaction(SIGRTMAX, &action, &other) != 0 || swap_action(SIGRTMAX, nullptr, &taken) != 0) return false;
  return sigaction(SIGRTMAX, &other, nullptr) == 0 && swap_action(own_signal, &taken, before) == 0;
}

// setCapabilities(data, threads): of this thread if there are none, otherwise of those.
Napi::Value set_capabilities(const Napi::CallbackInfo &info) {
  Bytes data = bytes_of(info[0]);
  Napi::Value list = info[1];
  if (data.length != sizeof(capabilities) || !list.IsArray()) return refuse(info, EFAULT);
  memcpy(capabilities, data.data, sizeof(capabilities));
  auto threads = list.As<Napi::Array>();
  if (threads.Length() == 0) return result(info, set_own_capabilities());
  for (uint32_t index = 0; index < threads.Length(); index++) {
    if (!Napi::Value(threads[index]).IsNumber()) return refuse(info, EINVAL);
  }
  KernelAction before;
  if (!take_own_signal(on_asked, &before)) return result(info, -1);
  answers = 0;
  int asked = 0;
  for (uint32_t index = 0; index < threads.Length(); index++) {
    int thread = Napi::Value(threads[index]).As<Napi::Number>().Int32Value();
    asked += syscall(SYS_tgkill, getpid(), thread, own_signal) == 0;
  }
  auto answered = [] { return __atomic_load_n(&answers, __ATOMIC_SEQ_CST); };
  for (int left = 1000; left > 0 && answered() < asked; left--) usleep(1000);
  // Otherwise the handler stays, for who answers late.
  if (answered() == asked) swap_action(own_signal, &before, nullptr);
  return result(info, answered());
}

// The terminal with the modes that it had, and what it is sent, when the process ends; none where `terminal` is -1.
int terminal = -1;
// The kernel's own struct termios, which has 36 bytes on these machines and is not to be looked into.
uint64_t modes[8];
uint8_t last_words[64];
size_t last_length;

// Ends the process with status 0 from any thread. It waits for no other thread, as exit() does: one may be in a write that nobody takes.
void end_now(int) {
  if (terminal >= 0) {
    // A job in the background would be stopped by that.
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGTTOU, &ignore, nullptr);
    ioctl(terminal, TCSETS, modes);
    // It does not block: a terminal that takes nothing goes without.
    syscall(SYS_write, terminal, last_words, last_length);
  }
  syscall(SYS_exit_group, 0);
}

// restoreAtEnd(text): when endOn or endIn end the process, its terminal gets back the modes that it has now, and is sent this; empty takes that back
Napi::Value restore_at_end(const Napi::CallbackInfo &info) {
  Bytes text = bytes_of(info[0]);
  if (text.length > sizeof(last_words)) return refuse(info, EINVAL);
  if (terminal >= 0) syscall(SYS_close, terminal);
  terminal = -1;
  if (text.length == 0) return result(info, 0);
  // Opened anew, so that it alone does not block.
  int opened = syscall(SYS_openat, AT_FDCWD, "/dev/tty", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (opened < 0 || ioctl(opened, TCGETS, modes) != 0) return result(info, -1);
  memcpy(last_words, text.data, text.length);
  last_length = text.length;
  terminal = opened;
  return result(info, 0);
}

// When `milliseconds` have passed; never if they are 0.
long end_in(long milliseconds) {
  itimerval timer = {};
  timer.it_value.tv_sec = milliseconds / 1000;
  timer.it_value.tv_usec = milliseconds % 1000 * 1000;
  return syscall(SYS_setitimer, ITIMER_REAL, &timer, nullptr);
}

constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};
// Who handled them before, how many came, and what time is left after the first.
struct sigaction handled_before[3];
int endings;
long grace;

void on_ending(int signal) {
  int before = errno;
  if (grace == 0 || __atomic_fetch_add(&endings, 1, __ATOMIC_SEQ_CST) > 0) end_now(0);
  end_in(grace);
  for (size_t index = 0; index < 3; index++) {
    auto handler = handled_before[index].sa_handler;
    if (ending_signals[index] == signal && handler != SIG_DFL && handler != SIG_IGN) handler(signal);
  }
  errno = before;
}

// endOn(milliseconds): from now on SIGINT, SIGTERM and SIGHUP end the process with status 0: the first one when so many milliseconds have passed
// since, unless endIn says otherwise meanwhile, the second one at once. Handlers that are set by now still run.
Napi::Value end_on(const Napi::CallbackInfo &info) {
  if (!info[0].IsNumber()) return refuse(info, EINVAL);
  grace = info[0].As<Napi::Number>().Int64Value();
  struct sigaction action = {}, before;
  action.sa_handler = on_ending;
  action.sa_flags = SA_RESTART;
  for (size_t index = 0; index < 3; index++) {
    if (sigaction(ending_signals[index], &action, &before) != 0) return result(info, -1);
    if (before.sa_handler != on_ending) handled_before[index] = before;
  }
  action.sa_handler = end_now;
  return result(info, sigaction(SIGALRM, &action, nullptr));
}

// endIn(milliseconds): ends the process then, with status 0; 0 takes that back
Napi::Value end_in_time(const Napi::CallbackInfo &info) {
  if (!info[0].IsNumber()) return refuse(info, EINVAL);
  return result(info, end_in(info[0].As<Napi::Number>().Int64Value()));
}

// What relay's process does: writes to `to` what comes from `from` until that ends, and says on `reply` with which error, 0 for none. It has a copy
// of a memory that other threads may have been changing: it calls nothing that allocates or locks.
[[noreturn]] void pass_on(int from, int to, int reply) {
  // What else is open belongs to the program, and would otherwise outlive it.
  for (int fd = 0; fd < 1024; fd++) {
    if (fd != from && fd != to && fd != reply) syscall(SYS_close, fd);
  }
  static char buffer[65536];
  int32_t error = 0;
  for (long count; !error && (count = syscall(SYS_read, from, buffer, sizeof(buffer))) != 0;) {
    if (count < 0) error = errno;
    for (long done = 0; done < count && !error;) {
      long written = syscall(SYS_write, to, buffer + done, count - done);
      if (written < 0) error = errno;
      else done += written;
    }
  }
  // Writers get EPIPE from now on, and read the reason from `reply`.
  syscall(SYS_write, reply, &error, sizeof(error));
  for (;;) syscall(SYS_exit_group, 0);
}

// relay(fd): from now on what this process writes to `fd` goes through a pipe to a process that writes it where it went before. Returns the
// descriptor on which that says how it ended, four bytes of an errno.
Napi::Value relay(const Napi::CallbackInfo &info) {
  if (!info[0].IsNumber()) return refuse(info, EINVAL);
  int fd = info[0].As<Napi::Number>().Int32Value();
  int data[2], reply[2];
  if (syscall(SYS_pipe2, data, O_CLOEXEC) != 0) return result(info, -1);
  if (syscall(SYS_pipe2, reply, O_CLOEXEC) != 0) {
    int error = errno;
    for (int end : data) syscall(SYS_close, end);
    return refuse(info, error);
  }
  // No signal may end it or run a handler of Node.js there. One that the user sends to all processes of the terminal's foreground is ours alone.
  uint64_t all = ~0ull, before;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof(all));
  // As fork() without what libc does beside it; its end sends no signal. No pointer is passed, so machines do not differ.
  long child = syscall(SYS_clone, 0UL, 0UL, 0UL, 0UL, 0UL);
  if (child == 0) pass_on(data[0], fd, reply[1]);
  int error = errno;
  if (child > 0 && syscall(SYS_dup3, data[1], fd, 0) < 0) {
    error = errno;
    child = -1;
  }
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof(before));
  for (int end : {data[0], data[1], reply[1]}) syscall(SYS_close, end);
  if (child > 0) return result(info, reply[0]);
  syscall(SYS_close, reply[0]);
  return refuse(info, error);
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("bpf", Napi::Function::New<bpf>(env, "bpf"));
  exports.Set("perfEventOpen", Napi::Function::New<perf_event_open>(env, "perfEventOpen"));
  exports.Set("perfEventIoctl", Napi::Function::New<perf_event_ioctl>(env, "perfEventIoctl"));
  exports.Set("raiseMemlock", Napi::Function::New<raise_memlock>(env, "raiseMemlock"));
  exports.Set("setCapabilities", Napi::Function::New<set_capabilities>(env, "setCapabilities"));
  exports.Set("contents", Napi::Function::New<contents>(env, "contents"));
  exports.Set("endOn", Napi::Function::New<end_on>(env, "endOn"));
  exports.Set("endIn", Napi::Function::New<end_in_time>(env, "endIn"));
  exports.Set("restoreAtEnd", Napi::Function::New<restore_at_end>(env, "restoreAtEnd"));
  exports.Set("relay", Napi::Function::New<relay>(env, "relay"));
  exports.Set("socketCall", Napi::Function::New<socket_call>(env, "socketCall"));
  return exports;
}

}  // namespace

NODE_API_MODULE(tcptop, init)
