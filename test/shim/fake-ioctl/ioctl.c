// For LD_PRELOAD: an ioctl() that answers VFIO's requests itself, so that a batch can succeed on a machine without VFIO.
// It is no model of VFIO. A struct's own second u32 says the answer, and GET_INFO and UNMAP_DMA write where the real
// ones do. All other ioctls go to the kernel.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/vfio.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (_IOC_TYPE(request) != VFIO_TYPE) return (int)syscall(SYS_ioctl, fd, request, argument);
  // Integers come back as they were received.
  if (request == VFIO_CHECK_EXTENSION || request == VFIO_SET_IOMMU) return (int)(intptr_t)argument;
  // A reset takes its time.
  if (request == VFIO_DEVICE_RESET) usleep(50000);
  if (argument == 0) return 0;
  if (request == VFIO_GROUP_SET_CONTAINER) return *(int32_t *)argument;

  int32_t answer = ((int32_t *)argument)[1];
  if (answer < 0) {
    errno = -answer;
    return -1;
  }
  // The bytes that were really unmapped: here, the iova.
  if (request == VFIO_IOMMU_UNMAP_DMA) ((uint64_t *)argument)[2] = ((uint64_t *)argument)[1];
  if (request == VFIO_IOMMU_SPAPR_TCE_CREATE) ((uint64_t *)argument)[4] = UINT64_C(1) << 59;
  return answer;
}
