// A program under a supervisor: begun with the filter of exec_filter.h, whose notifications the supervisor has.
//
//     parent                              child, with the parent's table of descriptors until its exec
//     pipe, clone(CLONE_FILES) ─────────> signals as a program expects them, no death without the parent's
//                                         the filter: its listener is the parent's too
//     <── listener, or which step failed ─┤
//     receive ... (exec_notify.h)         execve, of which the supervisor hears; ── why it failed ──> looked at when it has ended
//
// Between clone and execve there are bare system calls and nothing else: other threads may have held any lock.

#ifndef DMA_WINDOW_SHIM_EXEC_START_H_
#define DMA_WINDOW_SHIM_EXEC_START_H_

#include <fcntl.h>
#include <linux/sched.h>
#include <napi.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "answers.h"
#include "arguments.h"
#include "exec_filter.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace {

// What the child says of itself.
struct ExecReport {
  enum Step : int32_t { kFiltered = 0, kPrivileges = 1, kFilter = 2, kExec = 3, kParent = 4 };
  int32_t step;
  int32_t value;  // the listener, or an errno
};

// Words for execve: pointers into one block, which the child only reads.
class Words {
 public:
  // Of an array of strings; false where it is none.
  bool Take(napi_env env, napi_value array) {
    uint32_t count = 0;
    if (napi_get_array_length(env, array, &count) != napi_ok) return false;
    for (uint32_t index = 0; index < count; index++) {
      napi_value word = nullptr;
      size_t length = 0;
      if (napi_get_element(env, array, index, &word) != napi_ok ||
          napi_get_value_string_utf8(env, word, nullptr, 0, &length) != napi_ok) {
        return false;
      }
      auto* text = static_cast<char*>(malloc(length + 1));
      if (text == nullptr) return false;
      words_.push_back(text);
      if (napi_get_value_string_utf8(env, word, text, length + 1, &length) != napi_ok) return false;
    }
    words_.push_back(nullptr);
    return true;
  }
  ~Words() {
    for (char* word : words_) free(word);
  }
  char* const* get() const { return words_.data(); }

 private:
  std::vector<char*> words_;
};

#ifndef DMA_WINDOW_NO_EXEC

[[noreturn]] void FailInChild(int pipe, ExecReport::Step step, int error) {
  ExecReport report = {step, error};
  syscall(SYS_write, pipe, &report, sizeof report);
  syscall(SYS_exit_group, 127);
  __builtin_unreachable();
}

// The filter, for this process and whoever it begins: its listener, or -1.
long PutFilter(const struct sock_fprog* filter) {
  unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, filter);
  if (listener != -1 || errno != EINVAL) return listener;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, filter);  // before Linux 5.19
}

[[noreturn]] void BeTheProgram(int pipe, pid_t parent, const struct sock_fprog* filter, const char* path, char* const* argv,
                               char* const* envp) {
  // Node ignores SIGPIPE, and blocks what it likes: a program begins without.
  struct sigaction usual = {};
  usual.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 32; signal++) {
    if (signal != SIGKILL && signal != SIGSTOP) sigaction(signal, &usual, nullptr);
  }
  uint64_t none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  // Node has its own closed by exec (uv_disable_stdio_inheritance).
  for (int fd = 0; fd < 3; fd++) syscall(SYS_fcntl, fd, F_SETFD, 0);
  // Without its supervisor its calls would have no answers.
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (syscall(SYS_getppid) != parent) FailInChild(pipe, ExecReport::kParent, ESRCH);
  long listener = PutFilter(filter);
  if (listener == -1 && errno == EACCES) {  // not CAP_SYS_ADMIN: whoever cannot gain privileges may have a filter too
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) FailInChild(pipe, ExecReport::kPrivileges, errno);
    listener = PutFilter(filter);
  }
  if (listener == -1) FailInChild(pipe, ExecReport::kFilter, errno);
  ExecReport report = {ExecReport::kFiltered, static_cast<int32_t>(listener)};
  syscall(SYS_write, pipe, &report, sizeof report);
  syscall(SYS_execve, path, argv, envp);
  FailInChild(pipe, ExecReport::kExec, errno);
}

// [pid, its pidfd, the listener, the pipe on which it says why execve failed], or [step, errno].
Napi::Value ExecStart(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Arguments arguments(info);
  Words path;
  Words argv;
  Words envp;
  Napi::Array first = Napi::Array::New(env, 1);
  first.Set(0u, info[0]);
  if (!path.Take(env, first) || !argv.Take(env, info[1]) || !envp.Take(env, info[2])) {
    arguments.RefuseType("a program must be a path, an array of strings and another one");
  }
  if (arguments.refused()) return Nothing();
  auto answer = [&](std::initializer_list<int64_t> numbers) {
    Napi::Array array = Napi::Array::New(env, numbers.size());
    uint32_t at = 0;
    for (int64_t number : numbers) array.Set(at++, Napi::Number::New(env, static_cast<double>(number)));
    return array;
  };
  int ends[2];
  if (syscall(SYS_pipe2, ends, O_CLOEXEC) != 0) return answer({ExecReport::kParent, errno});
  static Filter filter;
  struct sock_fprog program = filter.program();
  pid_t parent = static_cast<pid_t>(syscall(SYS_getpid));
  int pidfd = -1;
  long child = syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
  if (child == 0) BeTheProgram(ends[1], parent, &program, path.get()[0], argv.get(), envp.get());
  int error = errno;
  ExecReport report = {ExecReport::kParent, child < 0 ? error : ESRCH};
  struct pollfd either[2] = {{ends[0], POLLIN, 0}, {pidfd, POLLIN, 0}};
  if (child > 0) {
    while (syscall(SYS_ppoll, either, 2, nullptr, nullptr, 0) == -1 && errno == EINTR) continue;
    if ((either[0].revents & POLLIN) != 0 && read(ends[0], &report, sizeof report) != sizeof report) report.value = EIO;
  }
  if (report.step == ExecReport::kFiltered && child > 0) {
    return answer({child, pidfd, report.value, ends[0], ends[1]});
  }
  if (child > 0) {
    siginfo_t ended = {};
    syscall(SYS_waitid, P_PID, child, &ended, WEXITED, nullptr);
  }
  for (int fd : {ends[0], ends[1], pidfd}) {
    if (fd >= 0) close(fd);
  }
  return answer({report.step, report.value});
}

// How a child that has ended did: [CLD_EXITED or another, status, step, errno]. Once. Nothing while it runs, unless this waits.
Napi::Value ExecEnd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int pid = arguments.Fd(0);
  int pipe = arguments.Fd(1);
  uint64_t waits = arguments.Integer(2, "waits", 1);
  if (arguments.refused()) return Nothing();
  siginfo_t ended = {};
  int how = waits == 1 ? WEXITED : WEXITED | WNOHANG;
  long answer = 0;
  while ((answer = syscall(SYS_waitid, P_PID, pid, &ended, how, nullptr)) != 0 && errno == EINTR) continue;
  if (answer != 0 || ended.si_pid == 0) {
    return info.Env().Undefined();
  }
  ExecReport report = {ExecReport::kFiltered, 0};
  struct pollfd said = {pipe, POLLIN, 0};
  struct timespec at_once = {};
  if (syscall(SYS_ppoll, &said, 1, &at_once, nullptr, 0) == 1 && read(pipe, &report, sizeof report) != sizeof report) {
    report = {ExecReport::kParent, EIO};
  }
  Napi::Array array = Napi::Array::New(info.Env(), 4);
  int numbers[] = {ended.si_code, ended.si_status, report.step, report.value};
  for (uint32_t at = 0; at < 4; at++) array.Set(at, Napi::Number::New(info.Env(), numbers[at]));
  return array;
}

#endif  // DMA_WINDOW_NO_EXEC

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_START_H_
