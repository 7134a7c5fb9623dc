// What the programs of this folder have in common that drive a device: its descriptor, its regions by pread and pwrite, its interrupts.
#ifndef TEST_EXEC_DEVICE_H_
#define TEST_EXEC_DEVICE_H_

#include "vfio.h"

#include <poll.h>
#include <sys/eventfd.h>

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define COMMAND 4
#define MEMORY 2
#define BUS_MASTER 4

static int group_fd, device_fd;

// A container with a group in it, the IOMMU of a type, and the device that is called so.
static inline int open_device(int type, const char *group, const char *device) {
  char path[64];
  snprintf(path, sizeof path, "/dev/vfio/%s", group);
  int container = open("/dev/vfio/vfio", O_RDWR);
  expect(container >= 0, "open the container");
  group_fd = open(path, O_RDWR);
  expect(group_fd >= 0, "open the group");
  expect(ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &container) == 0, "SET_CONTAINER");
  expect(ioctl(container, VFIO_SET_IOMMU, (unsigned long)type) == 0, "SET_IOMMU");
  device_fd = ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, device);
  expect(device_fd >= 0, "GET_DEVICE_FD");
  return container;
}

static inline struct vfio_region_info region(unsigned index) {
  struct vfio_region_info info = {.argsz = sizeof info, .index = index};
  expect(ioctl(device_fd, VFIO_DEVICE_GET_REGION_INFO, &info) == 0, "GET_REGION_INFO");
  return info;
}

static inline uint64_t get(unsigned index, uint64_t at, size_t bytes) {
  uint64_t value = 0;
  expect(pread(device_fd, &value, bytes, (off_t)(region(index).offset + at)) == (ssize_t)bytes, "pread");
  return value;
}

static inline void set(unsigned index, uint64_t at, size_t bytes, uint64_t value) {
  expect(pwrite(device_fd, &value, bytes, (off_t)(region(index).offset + at)) == (ssize_t)bytes, "pwrite");
}

static inline void be_bus_master(void) { set(CONFIG, COMMAND, 2, get(CONFIG, COMMAND, 2) | MEMORY | BUS_MASTER); }

// The answer of SET_IRQS with so many eventfds, from a vector on; an errno below 0.
static inline int set_irqs(unsigned index, unsigned flags, unsigned start, unsigned count, const int *fds) {
  char room[256] = {0};
  struct vfio_irq_set *irqs = (struct vfio_irq_set *)room;
  int has_fds = (flags & VFIO_IRQ_SET_DATA_EVENTFD) != 0;
  *irqs = (struct vfio_irq_set){.argsz = sizeof *irqs + (has_fds ? count * 4 : 0), .flags = flags, .index = index, .start = start, .count = count};
  if (has_fds) memcpy(irqs->data, fds, count * 4);
  int answer = ioctl(device_fd, VFIO_DEVICE_SET_IRQS, irqs);
  if (has_fds && memcmp(irqs->data, fds, count * 4) != 0) puts("SET_IRQS changed the program's struct");
  return answer == 0 ? 0 : -errno;
}

// What an eventfd has counted, in so many milliseconds at most.
static inline unsigned long long heard(int fd, int milliseconds) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  unsigned long long count = 0;
  if (poll(&poll_fd, 1, milliseconds) == 1) expect(read(fd, &count, sizeof count) == sizeof count, "read an eventfd");
  return count;
}

#endif
