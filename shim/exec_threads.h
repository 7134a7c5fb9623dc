// Which file a descriptor of another thread leads to.
//
//     /proc/TID/fd/N                    looks four names up, and the thread by its number
//     pidfd of TID, pidfd_getfd         the thread is held, so its number is nobody else's; each thread has a table of its own, if it likes, so
//                                       that it is the thread's (Linux 6.9)

#ifndef DMA_WINDOW_SHIM_EXEC_THREADS_H_
#define DMA_WINDOW_SHIM_EXEC_THREADS_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

namespace {

class ThreadFiles {
 public:
  // 0, or an errno.
  int StatusOf(uint32_t thread, uint32_t fd, struct stat* status) {
    int error = has_pidfds_ ? ByPidfd(thread, fd, status) : ENOSYS;
    if (error == 0 || error == EBADF) return error;
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/fd/%u", thread, fd);
    return syscall(SYS_newfstatat, AT_FDCWD, path, status, 0) == 0 ? 0 : EBADF;
  }

 private:
  // The same numbers everywhere.
  static constexpr long kPidfdOpen = 434;
  static constexpr long kPidfdGetfd = 438;
  static constexpr unsigned kOfThread = O_EXCL;  // PIDFD_THREAD
  static constexpr size_t kKept = 64;

  int ByPidfd(uint32_t thread, uint32_t fd, struct stat* status) {
    Kept& kept = kept_[thread % kKept];
    if (kept.pidfd >= 0 && kept.thread == thread) {
      int error = Through(kept.pidfd, fd, status);
      if (error != ESRCH) return error;
    }
    // Another thread's place; or that one has ended, and its number is another's.
    if (kept.pidfd >= 0) close(kept.pidfd);
    kept.thread = thread;
    kept.pidfd = static_cast<int>(syscall(kPidfdOpen, thread, kOfThread));
    if (kept.pidfd >= 0) return Through(kept.pidfd, fd, status);
    if (errno == EINVAL || errno == ENOSYS || errno == EPERM) has_pidfds_ = false;
    return errno;
  }

  int Through(int pidfd, uint32_t fd, struct stat* status) {
    int here = static_cast<int>(syscall(kPidfdGetfd, pidfd, fd, 0));
    if (here == -1) {
      int error = errno;
      if (error == EPERM || error == ENOSYS) has_pidfds_ = false;
      return error;
    }
    int error = syscall(SYS_fstat, here, status) == 0 ? 0 : errno;
    close(here);
    return error;
  }

  struct Kept {
    uint32_t thread = 0;
    int pidfd = -1;
  };
  Kept kept_[kKept];
  bool has_pidfds_ = true;
};

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_THREADS_H_
