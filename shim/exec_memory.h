// What a supervisor does in and to the program's world: its memory, descriptors that it is given, and what it sees mounted.

#ifndef DMA_WINDOW_SHIM_EXEC_MEMORY_H_
#define DMA_WINDOW_SHIM_EXEC_MEMORY_H_

#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/memfd.h>
#include <napi.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "answers.h"
#include "arguments.h"

#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

namespace {

long CopyOfOther(long call, int pid, uint64_t address, void* data, uint64_t length) {
  struct iovec here = {data, length};
  struct iovec there = {reinterpret_cast<void*>(address), length};
  return syscall(call, pid, &here, 1, &there, 1, 0);
}

// How many bytes of a process's memory there were from an address on, or -errno.
template <long kCall>
Napi::Value ExecCopy(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int pid = arguments.Fd(0);
  uint64_t address = arguments.U64(1, "address");
  Memory memory = arguments.Bytes(2);
  if (arguments.refused()) return Nothing();
  long bytes = CopyOfOther(kCall, pid, address, memory.data, memory.length);
  return Napi::Number::New(info.Env(), static_cast<double>(bytes == -1 ? -errno : bytes));
}

// A file in memory, of a size, that stands for what the program opens:
//
//     descriptor 1 ─> open file, with a lock ─> inode     given to the program, and closed here: the program's alone from then on
//     descriptor 2 ─> another open file ──────> inode     kept: it tells whether the lock, and so any descriptor 1, is there still
//
// A lock of an open file (fcntl(2), F_OFD_SETLK) goes with the last descriptor and the last mmap that lead to it, in whichever process.
Napi::Value ExecFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  uint64_t size = arguments.FileOffset(0);
  if (arguments.refused()) return Nothing();
  int error = 0;
  int given = static_cast<int>(syscall(SYS_memfd_create, "vfio", MFD_CLOEXEC));
  int kept = -1;
  struct stat status = {};
  if (given == -1) error = errno;
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", given);
  if (error == 0 && (syscall(SYS_ftruncate, given, size) != 0 || fcntl(given, F_OFD_SETLK, &lock) != 0 ||
                     (kept = open(path, O_RDWR | O_CLOEXEC)) == -1 || fstat(given, &status) != 0)) {
    error = errno;
    close(given);
  }
  if (error != 0) return Napi::Number::New(info.Env(), -error);
  Napi::Array array = Napi::Array::New(info.Env(), 4);
  double numbers[] = {double(given), double(kept), double(status.st_dev), double(status.st_ino)};
  for (uint32_t at = 0; at < 4; at++) array.Set(at, Napi::Number::New(info.Env(), numbers[at]));
  return array;
}

// 1 while anybody has what was given of the file that is kept as `fd`, else 0, or -errno.
int IsHeld(int fd) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  return fcntl(fd, F_OFD_GETLK, &lock) == -1 ? -errno : lock.l_type != F_UNLCK;
}

Napi::Value ExecIsHeld(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int fd = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  return Napi::Number::New(info.Env(), IsHeld(fd));
}

// 0 where two threads have one memory; else another number, or -errno.
Napi::Value ExecCompareMemory(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int one = arguments.Fd(0);
  int other = arguments.Fd(1);
  if (arguments.refused()) return Nothing();
  long result = syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0);
  return Napi::Number::New(info.Env(), static_cast<double>(result == -1 ? -errno : result));
}

// RLIMIT_MEMLOCK (soft) of a process: 2^64 - 1 without a limit, and where it cannot be read.
Napi::Value ExecLockedLimit(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int pid = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  uint64_t limits[2] = {UINT64_MAX, UINT64_MAX};
  if (syscall(SYS_prlimit64, pid, RLIMIT_MEMLOCK, nullptr, limits) != 0) limits[0] = UINT64_MAX;
  return Napi::BigInt::New(info.Env(), limits[0]);
}

Napi::Value ExecProcessFile(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  int pid = arguments.Fd(0);
  if (arguments.refused()) return Nothing();
  return Answer(info, static_cast<int>(syscall(434 /* pidfd_open, everywhere */, pid, 0)));
}

// From now on what this thread, and whoever it begins, mounts is seen by nobody else.
Napi::Value ExecOwnMounts(const Napi::CallbackInfo& info) {
  int result = static_cast<int>(syscall(SYS_unshare, CLONE_NEWNS));
  if (result == 0) result = static_cast<int>(syscall(SYS_mount, "none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  return Answer(info, result);
}

// A file system of memory at a directory, or, with `source`, what is seen there.
Napi::Value ExecMount(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  char paths[2][4096];
  for (size_t index = 0; index < 2; index++) {
    size_t length = 0;
    if (napi_get_value_string_utf8(info.Env(), info[index], paths[index], sizeof paths[index], &length) != napi_ok) {
      arguments.RefuseType("source and target must be strings");
    } else if (length >= sizeof paths[index] - 1 || memchr(paths[index], 0, length) != nullptr) {
      arguments.RefuseRange("source and target must be shorter than %zu bytes, without NUL bytes", sizeof paths[index]);
    }
  }
  if (arguments.refused()) return Nothing();
  bool binds = paths[0][0] != 0;
  long result = binds ? syscall(SYS_mount, paths[0], paths[1], nullptr, MS_BIND | MS_REC, nullptr)
                      : syscall(SYS_mount, "tmpfs", paths[1], "tmpfs", MS_NOSUID, "mode=755");
  return Answer(info, static_cast<int>(result));
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_MEMORY_H_
