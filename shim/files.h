// Descriptors that an environment opened and has not closed: closed when it ends, since nobody else will. A descriptor is the
// process's, so without this the device of a worker that was terminated would stay open, and at work, until the process ends.
//
//     listening ends                              events.h
//     devices: bus master off                     here: the first hook, of those that are called the last that was added
//     BARs unmapped                               registers.h: one that is mapped keeps its device open
//     devices, eventfds, groups, containers       here, the last opened first: with its last file a device is reset by the kernel
//
// The main thread's environment ends so as the event loop runs dry. process.exit() and an exception that nobody caught end the process
// without: then devices are stopped as the shim's file is let go of. The kernel closes files after it took the memory away (kernel/exit.c: do_exit), which where
// no IOMMU has it pinned would be somebody else's while a device still writes to it. Of a signal nobody hears.

#ifndef DMA_WINDOW_SHIM_FILES_H_
#define DMA_WINDOW_SHIM_FILES_H_

#include <linux/vfio.h>
#include <node_api.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <mutex>
#include <set>
#include <vector>

#include "target.h"

namespace {

class Files {
 public:
  // Never destroyed: a thread may still end while the process does.
  static Files& Get() {
    static Files& files = *new Files;
    return files;
  }

  // From now on; added first, so that its end comes last.
  static void Begin(napi_env env) {
    Files& files = Get();
    std::lock_guard<std::mutex> hold(files.mutex_);
    files.environments_.insert(env);
    napi_add_env_cleanup_hook(env, [](void* ended) { Get().CloseAllOf(static_cast<napi_env>(ended)); }, env);
  }

  // Added last, so that it comes before registers are unmapped.
  static void StopAtEnd(napi_env env) {
    napi_add_env_cleanup_hook(env, [](void* ended) { Get().StopAllOf(static_cast<napi_env>(ended)); }, env);
  }

  // A descriptor is the environment's from now on. One that has ended by now cannot have it: it is closed.
  void Add(napi_env env, int fd, bool is_device = false) {
    if (fd < 0) return;
    Target target(fd);
    std::lock_guard<std::mutex> hold(mutex_);
    Forget(fd);
    if (environments_.count(env) != 0) files_.push_back({env, fd, is_device, target});
    else close(fd);
  }

  // Somebody is about to close it, in whichever thread.
  void Remove(int fd) {
    std::lock_guard<std::mutex> hold(mutex_);
    Forget(fd);
  }

  void StopAll() {
    std::lock_guard<std::mutex> hold(mutex_);
    for (const File& file : files_) {
      if (file.is_device && file.IsItself()) Stop(file.fd);
    }
  }

 private:
  struct File {
    napi_env env;
    int fd;
    bool is_device;
    Target target;

    // Not where it was closed without the shim's knowledge, and its number is another one's by now.
    bool IsItself() const { return target.Is(Target(fd)); }
  };

  void Forget(int fd) {
    for (size_t index = 0; index < files_.size(); index++) {
      if (files_[index].fd == fd) files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(index--));
    }
  }

  void StopAllOf(napi_env env) {
    std::lock_guard<std::mutex> hold(mutex_);
    for (const File& file : files_) {
      if (file.env == env && file.is_device && file.IsItself()) Stop(file.fd);
    }
  }

  static void Stop(int fd) {
    constexpr uint16_t kBusMaster = 4;
    vfio_device_info info = {};
    info.argsz = sizeof info;
    if (ioctl(fd, VFIO_DEVICE_GET_INFO, &info) != 0 || (info.flags & VFIO_DEVICE_FLAGS_PCI) == 0) return;
    vfio_region_info config = {};
    config.argsz = sizeof config;
    config.index = VFIO_PCI_CONFIG_REGION_INDEX;
    if (ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &config) != 0) return;
    auto at = static_cast<off_t>(config.offset + 4);
    uint16_t command = 0;
    if (pread(fd, &command, sizeof command, at) != sizeof command || (command & kBusMaster) == 0) return;
    command &= static_cast<uint16_t>(~kBusMaster);
    if (pwrite(fd, &command, sizeof command, at) != sizeof command) return;  // the kernel does as much when it is closed
  }

  void CloseAllOf(napi_env env) {
    std::lock_guard<std::mutex> hold(mutex_);
    environments_.erase(env);
    for (size_t index = files_.size(); index-- > 0;) {
      if (files_[index].env != env) continue;
      if (files_[index].IsItself()) close(files_[index].fd);
      files_.erase(files_.begin() + static_cast<std::ptrdiff_t>(index));
    }
  }

  std::mutex mutex_;
  std::set<napi_env> environments_;
  std::vector<File> files_;  // in the order in which they were opened; there are few
};

// The process ends. Not by atexit: glibc links that into each file anew, and a prebuilt shim finds it nowhere.
[[gnu::destructor]] void StopAllDevices() { Files::Get().StopAll(); }

}  // namespace

#endif  // DMA_WINDOW_SHIM_FILES_H_
