// The process between a supervisor and its program. Where the supervisor is killed, nothing of the program stays, however far from it that is:
// without answers it could do nothing right.
//
//     supervisor ── reaper ── program ── child ── its children
//                     └─────────────────────────── whose parent has ended (PR_SET_CHILD_SUBREAPER), in whichever session or group
//
// It waits, and takes off who has ended; says how the program did; ends itself after the last one. When the supervisor has ended it kills its
// children, and what comes to it thereby, until there is none. In a session of its own no signal of a terminal or to a group reaches it.
//
// A copy of Node's process, in which other threads may have held any lock: bare system calls, and nothing else.

#ifndef DMA_WINDOW_SHIM_EXEC_REAPER_H_
#define DMA_WINDOW_SHIM_EXEC_REAPER_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace {

// What the processes that a supervisor begins say to it, each in one write.
struct ExecReport {
  enum Step : int32_t { kFiltered = 0, kPrivileges = 1, kFilter = 2, kExec = 3, kParent = 4, kBegun = 5, kEnded = 6 };
  int32_t step;
  int32_t value;  // the listener; an errno; of a program that was begun its number, and of one that has ended si_code
  int32_t more;   // its pidfd; si_status
};

class Reaper {
 public:
  // Waits for `program`, for the supervisor's end, and for everybody else's.
  [[noreturn]] static void Run(int pipe, pid_t supervisor, pid_t program) {
    // From here on no descriptor of Node's stays open because of this one.
    syscall(SYS_unshare, CLONE_FILES);
    int said = KeepOnly(pipe);
    syscall(SYS_setsid);
    syscall(SYS_prctl, PR_SET_NAME, "dma-window exec", 0, 0, 0);
    int of_supervisor = static_cast<int>(syscall(434 /* pidfd_open, everywhere */, supervisor, 0));
    struct sigaction heard = {};
    heard.sa_handler = [](int) {};
    sigaction(SIGCHLD, &heard, nullptr);
    uint64_t while_waiting = ~(uint64_t{1} << (SIGCHLD - 1));
    for (;;) {
      // Its number is nobody else's while it is the parent.
      if (of_supervisor < 0 || syscall(SYS_getppid) != supervisor) EndAll();
      struct pollfd ends = {of_supervisor, POLLIN, 0};
      long ready = syscall(SYS_ppoll, &ends, 1, nullptr, &while_waiting, sizeof while_waiting);
      if (ready > 0) EndAll();
      TakeOff(said, program);
    }
  }

  // All signals wait from here on, but those that cannot.
  static void BlockSignals() {
    uint64_t all = ~uint64_t{0};
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
  }

 private:
  // Who has ended.
  static void TakeOff(int pipe, pid_t program) {
    for (;;) {
      siginfo_t ended = {};
      if (syscall(SYS_waitid, P_ALL, 0, &ended, WEXITED | WNOHANG, nullptr) != 0) {
        if (errno == ECHILD) Exit();
        return;
      }
      if (ended.si_pid == 0) return;
      if (ended.si_pid != program) continue;
      ExecReport report = {ExecReport::kEnded, ended.si_code, ended.si_status};
      syscall(SYS_write, pipe, &report, sizeof report);
    }
  }

  // Children of a child that is killed become this one's, so there is an end only where there are none.
  [[noreturn]] static void EndAll() {
    for (;;) {
      KillChildren();
      siginfo_t ended = {};
      if (syscall(SYS_waitid, P_ALL, 0, &ended, WEXITED, nullptr) != 0 && errno == ECHILD) Exit();
    }
  }

  // Its own number is no other process's as long as a child was not waited for.
  static void KillChildren() {
    int all = static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    if (all < 0) return;
    long own = syscall(SYS_getpid);
    alignas(8) static char names[8192];
    for (long bytes = 0; (bytes = syscall(SYS_getdents64, all, names, sizeof names)) > 0;) {
      for (long at = 0; at < bytes;) {
        uint16_t length = 0;
        memcpy(&length, names + at + kEntryLength, sizeof length);
        const char* name = names + at + kEntryName;
        if (name[0] >= '1' && name[0] <= '9' && ParentOf(all, name) == own) syscall(SYS_kill, Number(name), SIGKILL);
        at += length;
      }
    }
    syscall(SYS_close, all);
  }

  // Behind the name, which may have any bytes: `4711 (the program) S 4710 ...`; 0 where it has gone.
  static long ParentOf(int all, const char* process) {
    static char text[512];
    size_t length = strlen(process);
    if (length > 16) return 0;
    memcpy(text, process, length);
    memcpy(text + length, "/stat", sizeof "/stat");
    int file = static_cast<int>(syscall(SYS_openat, all, text, O_RDONLY | O_CLOEXEC, 0));
    if (file < 0) return 0;
    long bytes = syscall(SYS_read, file, text, sizeof text - 1);
    syscall(SYS_close, file);
    if (bytes <= 0) return 0;
    text[bytes] = 0;
    const char* end = strrchr(text, ')');
    return end == nullptr || strlen(end) < 5 ? 0 : Number(end + 4);
  }

  static long Number(const char* text) {
    long number = 0;
    for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (*text - '0');
    return number;
  }

  // Under the number 0; all others are closed.
  static int KeepOnly(int pipe) {
    syscall(SYS_dup3, pipe, 0, O_CLOEXEC);
    if (syscall(436 /* close_range, everywhere */, 1, ~0U, 0) == 0) return 0;
    for (int fd = 1; fd < kDescriptors; fd++) syscall(SYS_close, fd);  // before Linux 5.9
    return 0;
  }

  [[noreturn]] static void Exit() {
    syscall(SYS_exit_group, 0);
    __builtin_unreachable();
  }

  // struct linux_dirent64.
  static constexpr size_t kEntryLength = 16;
  static constexpr size_t kEntryName = 19;
  static constexpr int kDescriptors = 4096;
};

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_REAPER_H_
