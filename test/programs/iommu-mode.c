// Which kind of container Linux's tests of VFIO use that have no variant for each: `DMA_WINDOW_IOMMU_MODE`. Theirs is iommufd.
#include <stdlib.h>

extern const char *default_iommu_mode;

__attribute__((constructor)) static void choose(void) {
  const char *mode = getenv("DMA_WINDOW_IOMMU_MODE");
  if (mode != NULL) default_iommu_mode = mode;
}
