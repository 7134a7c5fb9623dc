// What the seam relies on in <linux/vfio.h>: where the fields of its structs lie.
//
// Every number is the header's own, on the architecture that is compiled for. The numbers written here are the core's
// picture of the structs, and the compiler refuses to build a shim for headers that differ from it.

#ifndef DMA_WINDOW_SHIM_VFIO_LAYOUT_H_
#define DMA_WINDOW_SHIM_VFIO_LAYOUT_H_

#include <linux/vfio.h>

#include <cstddef>
#include <cstdint>

namespace {

// Addresses cross as u64, and a pointer takes all of it. The core lays structs out in wasm memory, which is
// little-endian; the kernel reads them in host byte order.
static_assert(sizeof(void*) == 8 && sizeof(unsigned long) == 8, "the shim is for 64-bit machines");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the core's structs are little-endian");

// One row of the drawing: a struct with its size, or (below it) a field with its offset and size.
struct Row {
  const char* structure;
  const char* field;  // null in the struct's own row
  size_t offset;
  size_t bytes;
  bool as_drawn;
};

#define STRUCT(type, drawn_bytes) \
  Row { #type, nullptr, 0, sizeof(struct type), sizeof(struct type) == (drawn_bytes) }
#define BYTES(type, name) sizeof(static_cast<struct type*>(nullptr)->name)
#define FIELD(type, name, drawn_offset, drawn_bytes)                  \
  Row { #type, #name, offsetof(struct type, name), BYTES(type, name), \
        offsetof(struct type, name) == (drawn_offset) && BYTES(type, name) == (drawn_bytes) }

// What the core and the model believe of <linux/vfio.h>; layout() gives it to the tests. A struct that the header is too
// old for is left out: nothing here needs it, the core draws its own.
constexpr Row kRows[] = {
    STRUCT(vfio_iommu_spapr_tce_info, 32),
    FIELD(vfio_iommu_spapr_tce_info, argsz, 0, 4),
    FIELD(vfio_iommu_spapr_tce_info, flags, 4, 4),
    FIELD(vfio_iommu_spapr_tce_info, dma32_window_start, 8, 4),
    FIELD(vfio_iommu_spapr_tce_info, dma32_window_size, 12, 4),
    FIELD(vfio_iommu_spapr_tce_info, ddw.pgsizes, 16, 8),
    FIELD(vfio_iommu_spapr_tce_info, ddw.max_dynamic_windows_supported, 24, 4),
    FIELD(vfio_iommu_spapr_tce_info, ddw.levels, 28, 4),
    STRUCT(vfio_iommu_spapr_register_memory, 24),
    FIELD(vfio_iommu_spapr_register_memory, argsz, 0, 4),
    FIELD(vfio_iommu_spapr_register_memory, flags, 4, 4),
    FIELD(vfio_iommu_spapr_register_memory, vaddr, 8, 8),
    FIELD(vfio_iommu_spapr_register_memory, size, 16, 8),
    STRUCT(vfio_iommu_spapr_tce_create, 40),
    FIELD(vfio_iommu_spapr_tce_create, argsz, 0, 4),
    FIELD(vfio_iommu_spapr_tce_create, flags, 4, 4),
    FIELD(vfio_iommu_spapr_tce_create, page_shift, 8, 4),
    FIELD(vfio_iommu_spapr_tce_create, window_size, 16, 8),
    FIELD(vfio_iommu_spapr_tce_create, levels, 24, 4),
    FIELD(vfio_iommu_spapr_tce_create, start_addr, 32, 8),
    STRUCT(vfio_iommu_spapr_tce_remove, 16),
    FIELD(vfio_iommu_spapr_tce_remove, argsz, 0, 4),
    FIELD(vfio_iommu_spapr_tce_remove, flags, 4, 4),
    FIELD(vfio_iommu_spapr_tce_remove, start_addr, 8, 8),
    STRUCT(vfio_iommu_type1_dma_map, 32),
    FIELD(vfio_iommu_type1_dma_map, argsz, 0, 4),
    FIELD(vfio_iommu_type1_dma_map, flags, 4, 4),
    FIELD(vfio_iommu_type1_dma_map, vaddr, 8, 8),
    FIELD(vfio_iommu_type1_dma_map, iova, 16, 8),
    FIELD(vfio_iommu_type1_dma_map, size, 24, 8),
    STRUCT(vfio_iommu_type1_dma_unmap, 24),
    FIELD(vfio_iommu_type1_dma_unmap, argsz, 0, 4),
    FIELD(vfio_iommu_type1_dma_unmap, flags, 4, 4),
    FIELD(vfio_iommu_type1_dma_unmap, iova, 8, 8),
    FIELD(vfio_iommu_type1_dma_unmap, size, 16, 8),
#ifdef VFIO_IOMMU_INFO_CAPS  // Linux 5.4; before, the struct has 16 bytes
    STRUCT(vfio_iommu_type1_info, 24),
    FIELD(vfio_iommu_type1_info, cap_offset, 16, 4),
#else
    STRUCT(vfio_iommu_type1_info, 16),
#endif
    FIELD(vfio_iommu_type1_info, argsz, 0, 4),
    FIELD(vfio_iommu_type1_info, flags, 4, 4),
    FIELD(vfio_iommu_type1_info, iova_pgsizes, 8, 8),
    // The capability chain behind vfio_iommu_type1_info. The ranges follow their capability's 16 bytes.
    STRUCT(vfio_info_cap_header, 8),
    FIELD(vfio_info_cap_header, id, 0, 2),
    FIELD(vfio_info_cap_header, version, 2, 2),
    FIELD(vfio_info_cap_header, next, 4, 4),
#ifdef VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE  // Linux 5.4
    STRUCT(vfio_iommu_type1_info_cap_iova_range, 16),
    FIELD(vfio_iommu_type1_info_cap_iova_range, header, 0, 8),
    FIELD(vfio_iommu_type1_info_cap_iova_range, nr_iovas, 8, 4),
    STRUCT(vfio_iova_range, 16),
    FIELD(vfio_iova_range, start, 0, 8),
    FIELD(vfio_iova_range, end, 8, 8),
#endif
#ifdef VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL  // Linux 5.10
    STRUCT(vfio_iommu_type1_info_dma_avail, 12),
    FIELD(vfio_iommu_type1_info_dma_avail, header, 0, 8),
    FIELD(vfio_iommu_type1_info_dma_avail, avail, 8, 4),
#endif
    STRUCT(vfio_group_status, 8),
    FIELD(vfio_group_status, argsz, 0, 4),
    FIELD(vfio_group_status, flags, 4, 4),
    STRUCT(vfio_eeh_pe_op, 40),
    FIELD(vfio_eeh_pe_op, argsz, 0, 4),
    FIELD(vfio_eeh_pe_op, flags, 4, 4),
    FIELD(vfio_eeh_pe_op, op, 8, 4),
    FIELD(vfio_eeh_pe_op, err, 16, 24),
    // 16 bytes before Linux 5.7, 20 before 6.6.
    Row{"vfio_device_info", nullptr, 0, sizeof(struct vfio_device_info), sizeof(struct vfio_device_info) <= 24},
    FIELD(vfio_device_info, argsz, 0, 4),
    FIELD(vfio_device_info, flags, 4, 4),
    FIELD(vfio_device_info, num_regions, 8, 4),
    FIELD(vfio_device_info, num_irqs, 12, 4),
#ifdef VFIO_DEVICE_FLAGS_CAPS
    FIELD(vfio_device_info, cap_offset, 16, 4),
#endif
    STRUCT(vfio_region_info, 32),
    FIELD(vfio_region_info, argsz, 0, 4),
    FIELD(vfio_region_info, flags, 4, 4),
    FIELD(vfio_region_info, index, 8, 4),
    FIELD(vfio_region_info, cap_offset, 12, 4),
    FIELD(vfio_region_info, size, 16, 8),
    FIELD(vfio_region_info, offset, 24, 8),
    STRUCT(vfio_region_info_cap_sparse_mmap, 16),
    FIELD(vfio_region_info_cap_sparse_mmap, header, 0, 8),
    FIELD(vfio_region_info_cap_sparse_mmap, nr_areas, 8, 4),
    STRUCT(vfio_region_sparse_mmap_area, 16),
    FIELD(vfio_region_sparse_mmap_area, offset, 0, 8),
    FIELD(vfio_region_sparse_mmap_area, size, 8, 8),
    STRUCT(vfio_irq_info, 16),
    FIELD(vfio_irq_info, argsz, 0, 4),
    FIELD(vfio_irq_info, flags, 4, 4),
    FIELD(vfio_irq_info, index, 8, 4),
    FIELD(vfio_irq_info, count, 12, 4),
    STRUCT(vfio_irq_set, 20),
    FIELD(vfio_irq_set, argsz, 0, 4),
    FIELD(vfio_irq_set, flags, 4, 4),
    FIELD(vfio_irq_set, index, 8, 4),
    FIELD(vfio_irq_set, start, 12, 4),
    FIELD(vfio_irq_set, count, 16, 4),
    STRUCT(vfio_pci_hot_reset_info, 12),
    FIELD(vfio_pci_hot_reset_info, argsz, 0, 4),
    FIELD(vfio_pci_hot_reset_info, flags, 4, 4),
    FIELD(vfio_pci_hot_reset_info, count, 8, 4),
    STRUCT(vfio_pci_dependent_device, 8),
    FIELD(vfio_pci_dependent_device, group_id, 0, 4),
    FIELD(vfio_pci_dependent_device, segment, 4, 2),
    FIELD(vfio_pci_dependent_device, bus, 6, 1),
    FIELD(vfio_pci_dependent_device, devfn, 7, 1),
    STRUCT(vfio_pci_hot_reset, 12),
    FIELD(vfio_pci_hot_reset, argsz, 0, 4),
    FIELD(vfio_pci_hot_reset, flags, 4, 4),
    FIELD(vfio_pci_hot_reset, count, 8, 4),
#ifdef VFIO_DEVICE_FEATURE_PROBE  // Linux 5.8
    STRUCT(vfio_device_feature, 8),
    FIELD(vfio_device_feature, argsz, 0, 4),
    FIELD(vfio_device_feature, flags, 4, 4),
#endif
};

constexpr bool EverythingIsAsDrawn() {
  for (const Row& row : kRows) {
    if (!row.as_drawn) return false;
  }
  return true;
}
static_assert(EverythingIsAsDrawn(), "a struct of <linux/vfio.h> is not laid out as the core lays it out");

}  // namespace

#endif  // DMA_WINDOW_SHIM_VFIO_LAYOUT_H_
