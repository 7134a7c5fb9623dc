// What a descriptor leads to, as /proc says. All anonymous files (eventfds, VFIO's devices, epolls, inotifies) have one inode, so fstat
// does not tell one from another.

#ifndef DMA_WINDOW_SHIM_TARGET_H_
#define DMA_WINDOW_SHIM_TARGET_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace {

class Target {
 public:
  explicit Target(int fd) {
    struct stat status = {};
    is_open_ = fstat(fd, &status) == 0;
    device_ = status.st_dev;
    inode_ = status.st_ino;
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, name_, sizeof name_ - 1);
    if (length < 0) length = 0;
    name_[length] = 0;
    // A file with a name may get another one.
    if (memcmp(name_, "anon_inode:", 11) != 0) name_[0] = 0;
    is_known_ = length > 0;
    if (is_eventfd()) ReadCounter(fd);
  }

  // Where /proc does not say what it is.
  bool is_known() const { return is_known_; }

  bool is_eventfd() const { return strcmp(name_, "anon_inode:[eventfd]") == 0; }

  // Whether both are one open file, as far as that can be known: two devices of VFIO have the same name, and before Linux 5.2 two
  // eventfds too.
  bool Is(const Target& other) const {
    return is_open_ && other.is_open_ && device_ == other.device_ && inode_ == other.inode_ &&
           MayBeOne(name_, other.name_) && MayBeOne(counter_, other.counter_);
  }

 private:
  // What could not be read, for there may be no /proc and no descriptor left to read it by, says nothing.
  static bool MayBeOne(const char* text, const char* other) {
    return text[0] == 0 || other[0] == 0 || strcmp(text, other) == 0;
  }

  // "eventfd-id: 12", which no other one has while it is there (fs/eventfd.c: eventfd_show_fdinfo, since Linux 5.2).
  void ReadCounter(int fd) {
    char text[512] = {};
    snprintf(text, sizeof text, "/proc/self/fdinfo/%d", fd);
    int info = open(text, O_RDONLY | O_CLOEXEC);
    if (info < 0) return;
    ssize_t length = read(info, text, sizeof text - 1);
    close(info);
    text[length < 0 ? 0 : length] = 0;
    const char* line = strstr(text, "eventfd-id:");
    if (line == nullptr) return;
    size_t bytes = strlen(line);
    const void* end = memchr(line, '\n', bytes);
    if (end != nullptr) bytes = static_cast<size_t>(static_cast<const char*>(end) - line);
    if (bytes < sizeof counter_) memcpy(counter_, line, bytes);
  }

  dev_t device_ = 0;
  ino_t inode_ = 0;
  bool is_open_ = false;
  bool is_known_ = false;
  char name_[32] = {};
  char counter_[32] = {};
};

}  // namespace

#endif  // DMA_WINDOW_SHIM_TARGET_H_
