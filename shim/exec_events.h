// Eventfds of the program's, which a device of the supervisor's signals: a descriptor of the very same file, and what a kernel's
// eventfd_signal does with it.

#ifndef DMA_WINDOW_SHIM_EXEC_EVENTS_H_
#define DMA_WINDOW_SHIM_EXEC_EVENTS_H_

#include <fcntl.h>
#include <napi.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "answers.h"
#include "arguments.h"

namespace {

bool IsEventfd(int fd) {
  char path[64];
  char target[64] = "";
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return readlink(path, target, sizeof target - 1) > 0 && strcmp(target, "anon_inode:[eventfd]") == 0;
}

// A descriptor here of a process's eventfd: EBADF where it has none of that number, EINVAL where that is another file, ENOSYS before
// Linux 5.6.
Napi::Value ExecTakeEventfd(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int process = arguments.Fd(0);
  int fd = arguments.Fd(1);
  if (arguments.refused()) return Nothing();
  long taken = syscall(438 /* pidfd_getfd, everywhere */, process, fd, 0);
  if (taken == -1) return Napi::Number::New(info.Env(), -errno);
  if (IsEventfd(static_cast<int>(taken))) return Napi::Number::New(info.Env(), static_cast<double>(taken));
  close(static_cast<int>(taken));
  return Napi::Number::New(info.Env(), -EINVAL);
}

// Adds to an eventfd's count. One that is full stays so: the kernel's own signals do not wait either. (fs/eventfd.c: eventfd_signal)
Napi::Value ExecSignal(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  uint64_t count = arguments.Integer(1, "count", UINT32_MAX);
  if (arguments.refused()) return Nothing();
  struct pollfd room = {fd, POLLOUT, 0};
  struct timespec at_once = {};
  if (syscall(SYS_ppoll, &room, 1, &at_once, nullptr, 0) != 1 || (room.revents & POLLOUT) == 0) return Answer(info, 0);
  return Answer(info, write(fd, &count, sizeof count) == sizeof count ? 0 : -1);
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_EVENTS_H_
