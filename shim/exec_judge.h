// Whose business a call of the program is: nobody's, as a file that has nothing to do with VFIO, or memory that no device knows; or
// JavaScript's, which sees it as an event. Policy is there: here a call is held against the lists that it keeps here.

#ifndef DMA_WINDOW_SHIM_EXEC_JUDGE_H_
#define DMA_WINDOW_SHIM_EXEC_JUDGE_H_

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "exec_event.h"
#include "exec_memory.h"
#include "exec_threads.h"

namespace {

#ifndef DMA_WINDOW_NO_EXEC

struct ExecRange {
  uint64_t start;
  uint64_t end;
  uint64_t kept;  // of a file that was given: our own descriptor of it
};

class Judge {
 public:
  static constexpr int kContinue = 1;
  static constexpr int kAsk = 2;

  // Three numbers for each entry: see WatchList of src/supervision.ts.
  void Watch(std::vector<ExecRange>* ranges, const uint64_t* numbers, size_t count) {
    ranges->clear();
    for (size_t at = 0; at + 2 < count; at += 3) ranges->push_back({numbers[at], numbers[at + 1], numbers[at + 2]});
  }
  std::vector<ExecRange> memory;
  std::vector<ExecRange> heaps;
  std::vector<ExecRange> nodes;  // device and inode
  bool judges_all = false;       // nothing is mounted in front of the real nodes: paths that lead nowhere are judged too
  // Files that were given to the program.
  std::vector<ExecRange> files;
  // Numbers of devices that are the real VFIO's: major, and minor or all.
  std::vector<ExecRange> real;

  // An answer to the call: 0 or an errno; or that it goes on, or that JavaScript is asked, for which the event is filled in then.
  int Of(ExecEvent* event, int call) {
    event->kind = KindOf(call);
    switch (event->kind) {
      case ExecEvent::kIoctl:
        return JudgeIoctl(event);
      case ExecEvent::kOpen:
        return JudgeOpen(event, call);
      case ExecEvent::kMemory:
        return JudgeMemory(event, call);
      case ExecEvent::kTransfer:
        return JudgeTransfer(event, call);
      default:
        return kAsk;
    }
  }

  // How many files the program was given, and has not any more.
  uint32_t Released() const {
    uint32_t count = 0;
    for (const ExecRange& file : files) count += IsHeld(static_cast<int>(file.kept)) == 0;
    return count;
  }

  bool IsVfio(const struct stat& status) const {
    if (!S_ISCHR(status.st_mode)) return false;
    // As the kernel puts them into the 64 bits of a C library's dev_t; the functions for it are the library's, and not in all of them.
    uint64_t number = status.st_rdev;
    uint64_t major = ((number >> 8) & 0xfff) | ((number >> 32) & 0xfffff000);
    uint64_t minor = (number & 0xff) | ((number >> 12) & 0xffffff00);
    for (const ExecRange& one : real) {
      if (major == one.start && (one.end == UINT64_MAX || minor == one.end)) return true;
    }
    return false;
  }

  static int StatusOf(uint32_t thread, int directory, const char* path, uint64_t flags, struct stat* status) {
    char base[64] = "";
    int base_fd = AT_FDCWD;
    if (path[0] != '/') {
      if (directory == AT_FDCWD) snprintf(base, sizeof base, "/proc/%u/cwd", thread);
      else snprintf(base, sizeof base, "/proc/%u/fd/%d", thread, directory);
      base_fd = static_cast<int>(syscall(SYS_openat, AT_FDCWD, base, O_PATH | O_CLOEXEC, 0));
      if (base_fd < 0) return errno;
    }
    long result = syscall(SYS_newfstatat, base_fd, path, status, (flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0);
    int error = result == 0 ? 0 : errno;
    if (base_fd >= 0) close(base_fd);
    return error;
  }

 private:
  static constexpr uint64_t kVectorMax = 1024;  // UIO_MAXIOV
  // As much as the structs of a container have; more is read where argsz says so.
  static constexpr size_t kRead = 64;
  static constexpr size_t kShortPath = 256;

  static uint32_t KindOf(int call) {
    switch (call) {
      case SYS_ioctl:
        return ExecEvent::kIoctl;
      case SYS_execve:
      case SYS_execveat:
        return ExecEvent::kExec;
      case SYS_openat:
      case SYS_openat2:
#ifdef SYS_open
      case SYS_open:
      case SYS_creat:
#endif
        return ExecEvent::kOpen;
      case SYS_pread64:
      case SYS_pwrite64:
      case SYS_preadv:
      case SYS_pwritev:
      case SYS_preadv2:
      case SYS_pwritev2:
        return ExecEvent::kTransfer;
      default:
        return ExecEvent::kMemory;
    }
  }

  // Of VFIO's type: answered by the supervisor where it is made on a file of its own, and else as by a file that knows no such call.
  int JudgeIoctl(ExecEvent* event) {
    int answer = JudgeFile(event, event->arguments[0]);
    if (answer != kAsk) return answer;
    long bytes = CopyOfOther(SYS_process_vm_readv, static_cast<int>(event->thread), event->arguments[2], event->data, kRead);
    event->bytes = bytes < 0 ? 0 : static_cast<uint32_t>(bytes);
    return kAsk;
  }

  // Whether a descriptor leads to a file that the program was given: EBADF where it leads nowhere, ENOTTY where elsewhere.
  int JudgeFile(ExecEvent* event, uint64_t descriptor) {
    struct stat status = {};
    int error = threads_.StatusOf(event->thread, static_cast<uint32_t>(descriptor), &status);
    if (error != 0) return -error;
    event->device = status.st_dev;
    event->inode = status.st_ino;
    return Finds(files, status) ? kAsk : -ENOTTY;
  }

  // A place of a file of the supervisor's own, read or written: the kernel would find nothing there.
  int JudgeTransfer(ExecEvent* event, int call) {
    if (files.empty() || JudgeFile(event, event->arguments[0]) != kAsk) return kContinue;
    bool reads = call == SYS_pread64 || call == SYS_preadv || call == SYS_preadv2;
    if (call == SYS_pread64 || call == SYS_pwrite64) {
      event->detail = reads ? ExecEvent::kRead : ExecEvent::kWrite;
      return kAsk;
    }
    event->detail = reads ? ExecEvent::kReadVector : ExecEvent::kWriteVector;
    if (event->arguments[2] > kVectorMax) return -EINVAL;
    uint64_t length = event->arguments[2] * sizeof(struct iovec);
    if (length > sizeof event->data) length = sizeof event->data;  // the rest is asked for anew: the answer is short
    if (length == 0) return 0;
    long bytes = CopyOfOther(SYS_process_vm_readv, static_cast<int>(event->thread), event->arguments[1], event->data, length);
    if (bytes != static_cast<long>(length)) return -EFAULT;
    event->bytes = static_cast<uint32_t>(bytes);
    return kAsk;
  }

  int JudgeMemory(ExecEvent* event, int call) {
    const uint64_t* given = event->arguments;
    uint64_t start = given[0];
    uint64_t length = given[1];
    switch (call) {
      case SYS_munmap:
        event->detail = ExecEvent::kUnmap;
        break;
      case SYS_mmap:
        if ((given[3] & MAP_ANONYMOUS) == 0 && !files.empty() && JudgeFile(event, given[4]) == kAsk) {
          event->kind = ExecEvent::kTransfer;
          event->detail = ExecEvent::kMap;
          return kAsk;
        }
        if ((given[3] & MAP_FIXED) == 0) return kContinue;
        event->detail = ExecEvent::kReplace;
        break;
      case SYS_mremap:
        event->detail = ExecEvent::kMove;
        // Where it goes, too: with MREMAP_FIXED that is replaced.
        if ((given[3] & MREMAP_FIXED) != 0 && Overlaps(memory, given[4], given[2])) return kAsk;
        break;
      case SYS_madvise:
        event->detail = ExecEvent::kDrop;
        break;
      case SYS_brk:
        event->detail = ExecEvent::kBreak;
        return start != 0 && Overlaps(heaps, start, UINT64_MAX - start) ? kAsk : kContinue;
      case SYS_shmdt:
        event->detail = ExecEvent::kDetach;
        length = 1;
        break;
      default:
        event->detail = ExecEvent::kProtect;
    }
    return Overlaps(memory, start, length) ? kAsk : kContinue;
  }

  // What the path leads to is looked at, and not opened. A file that the kernel opens afterwards may be another one, if the program
  // changes the path meanwhile: what it could find there is hidden (src/exec/world.ts), and its ioctls are answered here anyway.
  int JudgeOpen(ExecEvent* event, int call) {
    bool has_directory = call == SYS_openat || call == SYS_openat2;
    event->has_directory = has_directory;
    int directory = has_directory ? static_cast<int>(event->arguments[0]) : AT_FDCWD;
    uint64_t name = event->arguments[has_directory ? 1 : 0];
    uint64_t flags = event->arguments[has_directory ? 2 : 1];
    auto* path = reinterpret_cast<char*>(event->data);
    if (call == SYS_openat2) {
      uint64_t at = flags;
      flags = 0;
      if (CopyOfOther(SYS_process_vm_readv, static_cast<int>(event->thread), at, &flags, sizeof flags) < 0) return kContinue;
    }
#ifdef SYS_creat
    if (call == SYS_creat) flags = O_CREAT | O_WRONLY | O_TRUNC;
#endif
    // The kernel answers EFAULT and ENAMETOOLONG itself where the path does not end.
    if (!ReadPath(event->thread, name, path, sizeof event->data)) return kContinue;
    event->bytes = static_cast<uint32_t>(strlen(path));
    event->detail = static_cast<uint32_t>(flags);
    event->device = 0;
    event->inode = 0;
    // Links of the supervisor's own: /proc/self, and /dev/fd, which leads there.
    if (memcmp(path, "/proc/", 6) == 0 || memcmp(path, "/dev/fd", 7) == 0) return kAsk;
    struct stat status = {};
    int error = StatusOf(event->thread, directory, path, flags, &status);
    if (error != 0) return judges_all ? kAsk : kContinue;
    event->device = status.st_dev;
    event->inode = status.st_ino;
    return IsVfio(status) || Finds(nodes, status) || Finds(files, status) ? kAsk : kContinue;
  }

  // False where the program has no path there that ends in so many bytes. Few are long: of the rest of a page is read only for those.
  static bool ReadPath(uint32_t thread, uint64_t address, char* path, size_t room) {
    for (size_t read = 0, wanted = kShortPath; read < room; wanted = room) {
      // As much as lies before a page that is not there.
      long bytes = CopyOfOther(SYS_process_vm_readv, static_cast<int>(thread), address + read, path + read, wanted - read);
      if (bytes <= 0) return false;
      if (memchr(path + read, 0, static_cast<size_t>(bytes)) != nullptr) return true;
      if (static_cast<size_t>(bytes) < wanted - read) return false;
      read = wanted;
    }
    return false;
  }

  static bool Overlaps(const std::vector<ExecRange>& ranges, uint64_t start, uint64_t length) {
    for (const ExecRange& range : ranges) {
      if (start < range.end && length > 0 && (length > UINT64_MAX - start || start + length > range.start)) return true;
    }
    return false;
  }

  static bool Finds(const std::vector<ExecRange>& pairs, const struct stat& status) {
    for (const ExecRange& pair : pairs) {
      if (pair.start == status.st_dev && pair.end == status.st_ino) return true;
    }
    return false;
  }

  ThreadFiles threads_;
};

#endif  // DMA_WINDOW_NO_EXEC

}  // namespace

#endif  // DMA_WINDOW_SHIM_EXEC_JUDGE_H_
