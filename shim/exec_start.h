// A program under a supervisor: begun with the filter of exec_filter.h, whose notifications the supervisor has.
//
//     supervisor                          reaper (exec_reaper.h)     program, with the supervisor's table of descriptors until its exec
//     pipe, clone(CLONE_FILES) ─────────> clone(CLONE_FILES) ──────> signals as a program expects them, no life without the reaper's
//     <── number and pidfd ───────────────┤                          the filter: its listener is the supervisor's too
//     <── listener, or which step failed ────────────────────────────┤
//     receive ... (exec_notify.h)                                    execve, of which the supervisor hears
//     <── why execve failed ─────────────────────────────────────────┤
//     <── how it ended ───────────────────┤
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
#include "exec_reaper.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace {

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
  ExecReport report = {step, error, 0};
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
  // As its supervisor's end is the reaper's.
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (syscall(SYS_getppid) != parent) FailInChild(pipe, ExecReport::kParent, ESRCH);
  long listener = PutFilter(filter);
  if (listener == -1 && errno == EACCES) {  // not CAP_SYS_ADMIN: whoever cannot gain privileges may have a filter too
    if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) FailInChild(pipe, ExecReport::kPrivileges, errno);
    listener = PutFilter(filter);
  }
  if (listener == -1) FailInChild(pipe, ExecReport::kFilter, errno);
  ExecReport report = {ExecReport::kFiltered, static_cast<int32_t>(listener), 0};
  syscall(SYS_write, pipe, &report, sizeof report);
  syscall(SYS_execve, path, argv, envp);
  FailInChild(pipe, ExecReport::kExec, errno);
}

// Begins the program, and waits for what ends.
[[noreturn]] void BeTheReaper(int pipe, pid_t supervisor, const struct sock_fprog* filter, const char* path, char* const* argv,
                              char* const* envp) {
  Reaper::BlockSignals();
  syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  pid_t own = static_cast<pid_t>(syscall(SYS_getpid));
  int pidfd = -1;
  long child = syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
  if (child == 0) BeTheProgram(pipe, own, filter, path, argv, envp);
  if (child < 0) FailInChild(pipe, ExecReport::kParent, errno);
  ExecReport report = {ExecReport::kBegun, static_cast<int32_t>(child), pidfd};
  syscall(SYS_write, pipe, &report, sizeof report);
  Reaper::Run(pipe, supervisor, static_cast<pid_t>(child));
}

// The next one, or nothing where nobody says any more. A reaper that was killed says no more, and takes the program with it.
bool NextReport(int pipe, int reaper, bool waits, ExecReport* report) {
  struct pollfd either[2] = {{pipe, POLLIN, 0}, {reaper, POLLIN, 0}};
  struct timespec at_once = {};
  while (syscall(SYS_ppoll, either, 2, waits ? nullptr : &at_once, nullptr, 0) == -1 && errno == EINTR) continue;
  if ((either[0].revents & POLLIN) != 0) return read(pipe, report, sizeof *report) == sizeof *report;
  if ((either[1].revents & POLLIN) == 0) return false;
  *report = {ExecReport::kEnded, CLD_KILLED, SIGKILL};
  return true;
}

// [pid, its pidfd, the listener, the pipe and the reaper that say how it ends], or [step, errno].
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
  pid_t own = static_cast<pid_t>(syscall(SYS_getpid));
  int reaper = -1;
  long child = syscall(SYS_clone, CLONE_FILES | CLONE_PIDFD | SIGCHLD, 0, &reaper, 0, 0);
  if (child == 0) BeTheReaper(ends[1], own, &program, path.get()[0], argv.get(), envp.get());
  ExecReport failed = {ExecReport::kParent, child < 0 ? errno : ESRCH, 0};
  ExecReport begun = {};
  ExecReport filtered = {};
  filtered.step = -1;
  while (child > 0 && (begun.step != ExecReport::kBegun || filtered.step != ExecReport::kFiltered)) {
    ExecReport report = {};
    if (!NextReport(ends[0], reaper, true, &report) || report.step == ExecReport::kEnded) break;
    if (report.step == ExecReport::kBegun) begun = report;
    else if (report.step == ExecReport::kFiltered) filtered = report;
    else failed = report;
  }
  if (begun.step == ExecReport::kBegun && filtered.step == ExecReport::kFiltered) {
    return answer({begun.value, begun.more, filtered.value, ends[0], reaper, ends[1]});
  }
  if (child > 0) {
    siginfo_t ended = {};
    syscall(SYS_waitid, P_PID, child, &ended, WEXITED, nullptr);
  }
  for (int fd : {ends[0], ends[1], reaper}) {
    if (fd >= 0) close(fd);
  }
  return answer({failed.step, failed.value});
}

// How a program has ended: [CLD_EXITED or another, status, step, errno]. Once. Nothing while it runs, unless this waits.
Napi::Value ExecEnd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int pipe = arguments.Fd(0);
  int reaper = arguments.Fd(1);
  uint64_t waits = arguments.Integer(2, "waits", 1);
  if (arguments.refused()) return Nothing();
  static ExecReport failed;  // its execve, before its end
  ExecReport report = {};
  do {
    if (!NextReport(pipe, reaper, waits == 1, &report)) return info.Env().Undefined();
    if (report.step == ExecReport::kExec) failed = report;
  } while (report.step != ExecReport::kEnded);
  Napi::Array array = Napi::Array::New(info.Env(), 4);
  int numbers[] = {report.value, report.more, failed.step, failed.value};
  for (uint32_t at = 0; at < 4; at++) array.Set(at, Napi::Number::New(info.Env(), numbers[at]));
  return array;
}

#endif  // DMA_WINDOW_NO_EXEC

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_START_H_
