// A call whose answer nobody has seen, or one that is known. not-modelled TYPE right|wrong
#include "vfio.h"

int main(int argc, char **argv) {
  (void)argc;
  int type = type_of(argv[1]);
  int right = strcmp(argv[2], "right") == 0;
  int answer;
  if (type == VFIO_SPAPR_TCE_v2_IOMMU && !right) {
    int container = open("/dev/vfio/vfio", O_RDWR), group = open("/dev/vfio/26", O_RDWR);
    expect(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) == 0, "SET_CONTAINER");
    answer = ioctl(container, VFIO_SET_IOMMU, VFIO_SPAPR_TCE_IOMMU);
  } else {
    int container = open_container(type);
    char *memory = pages(1);
    give(container, type, memory, 0x10000, PAGE);
    struct vfio_iommu_type1_dirty_bitmap dirty = {
        .argsz = sizeof dirty, .flags = right ? VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP : VFIO_IOMMU_DIRTY_PAGES_FLAG_START};
    answer = type == VFIO_SPAPR_TCE_v2_IOMMU ? 0 : ioctl(container, VFIO_IOMMU_DIRTY_PAGES, &dirty);
    int error = errno;
    take(container, type, memory, 0x10000, PAGE);
    errno = error;
  }
  if (!right) printf("%s\n", answer == 0 ? "0" : strerror(errno));
  return 0;
}
