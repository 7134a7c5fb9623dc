// For LD_PRELOAD: a group with a device, made of ordinary files, that writes down what is done to them at the end. It is no model of
// VFIO: it has what the shim asks when an environment ends. All else goes to the kernel.
//
// Files in $FAKE_VFIO stand for the nodes. "device", 2 pages, stands for BAR 0, with the configuration space in its second page.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

static char names[1024][16];
static void *bar;

static void note(const char *format, ...) {
  char line[128];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  char path[512];
  snprintf(path, sizeof path, "%s/log", getenv("FAKE_VFIO"));
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (write(fd, line, (size_t)length) != length) abort();
  syscall(SYS_close, fd);
}

static int open_as(const char *name) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", getenv("FAKE_VFIO"), name);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (fd >= 0 && fd < 1024) strcpy(names[fd], name);
  return fd;
}

static const char *name_of(int fd) { return fd >= 0 && fd < 1024 && names[fd][0] != 0 ? names[fd] : NULL; }

int close(int fd) {
  const char *name = name_of(fd);
  if (name != NULL) {
    note("close %s\n", name);
    names[fd][0] = 0;
  }
  return (int)syscall(SYS_close, fd);
}

static int opened(const char *path, int flags, int mode) {
  if (strcmp(path, "/dev/vfio/vfio") == 0) return open_as("container");
  if (strcmp(path, "/dev/vfio/26") == 0) return open_as("group");
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  int mode = va_arg(arguments, int);
  va_end(arguments);
  return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  int mode = va_arg(arguments, int);
  va_end(arguments);
  return opened(path, flags | O_LARGEFILE, mode);
}

static void *mapped(void *(*real)(void *, size_t, int, int, int, off_t), void *at, size_t length, int protection, int flags,
                    int fd, off_t offset) {
  void *address = real(at, length, protection, flags, fd, offset);
  const char *name = name_of(fd);
  if (name != NULL && strcmp(name, "device") == 0) bar = address;
  return address;
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
  return mapped(real, at, length, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
  void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap64");
  return mapped(real, at, length, protection, flags, fd, offset);
}

int munmap(void *at, size_t length) {
  if (bar != NULL && at == bar) {
    note("munmap\n");
    bar = NULL;
  }
  return (int)syscall(SYS_munmap, at, length);
}

static ssize_t written(int fd, const void *from, size_t length, off_t at) {
  const char *name = name_of(fd);
  if (name != NULL && length == 2) note("%s command 0x%x\n", name, *(const uint16_t *)from);
  return syscall(SYS_pwrite64, fd, from, length, at);
}

ssize_t pwrite(int fd, const void *from, size_t length, off_t at) { return written(fd, from, length, at); }
ssize_t pwrite64(int fd, const void *from, size_t length, off_t at) { return written(fd, from, length, at); }

int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (_IOC_TYPE(request) != VFIO_TYPE) return (int)syscall(SYS_ioctl, fd, request, argument);
  if (request == VFIO_GROUP_GET_DEVICE_FD) {
    if (getenv("FAKE_VFIO_SLOW") != NULL) usleep(100000);
    return open_as("device");
  }
  if (request == VFIO_DEVICE_GET_INFO) {
    ((struct vfio_device_info *)argument)->flags = VFIO_DEVICE_FLAGS_PCI;
    return 0;
  }
  if (request == VFIO_DEVICE_GET_REGION_INFO) {
    struct vfio_region_info *info = argument;
    info->offset = info->index == VFIO_PCI_CONFIG_REGION_INDEX ? PAGE : 0;
    return 0;
  }
  return 0;
}
