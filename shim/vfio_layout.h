// What the seam relies on in <linux/vfio.h>: where the fields of its structs lie, and which ioctl takes what.
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
};

constexpr bool EverythingIsAsDrawn() {
  for (const Row& row : kRows) {
    if (!row.as_drawn) return false;
  }
  return true;
}
static_assert(EverythingIsAsDrawn(), "a struct of <linux/vfio.h> is not laid out as the core lays it out");

// One entry of a batch, as src/syscalls.ts draws it.
struct BatchEntry {
  uint32_t call;
  uint32_t argument;
  int32_t result;
  uint32_t unused;
};
static_assert(sizeof(BatchEntry) == 16 && offsetof(BatchEntry, argument) == 4 && offsetof(BatchEntry, result) == 8,
              "BATCH_ENTRY_BYTES");

// kName is a struct to the caller: bytes in its memory, with a 0 at the end.
enum class Argument : uint8_t { kNone, kInteger, kStruct, kName };

struct Call {
  const char* name;       // as in VfioCall of src/syscalls.ts; null where VFIO has no call, or one that we do not make
  unsigned long request;  // what ioctl() wants: differs between architectures
  Argument argument;
  uint32_t bytes;         // of the struct, at least
  bool has_argsz;         // its first u32 says how many bytes the kernel may read and write
  bool in_batch;          // a call on a container, with a struct

  bool in_memory() const { return argument == Argument::kStruct || argument == Argument::kName; }
};

constexpr Call None(const char* name, unsigned long request) {
  return {name, request, Argument::kNone, 0, false, false};
}
constexpr Call Integer(const char* name, unsigned long request) {
  return {name, request, Argument::kInteger, 0, false, false};
}
constexpr Call OnGroup(const char* name, unsigned long request, size_t bytes, bool has_argsz) {
  return {name, request, Argument::kStruct, static_cast<uint32_t>(bytes), has_argsz, false};
}
constexpr Call WithName(const char* name, unsigned long request) {
  return {name, request, Argument::kName, 1, false, false};
}
constexpr Call OnContainer(const char* name, unsigned long request, size_t bytes) {
  return {name, request, Argument::kStruct, static_cast<uint32_t>(bytes), true, true};
}
constexpr Call Absent() { return {nullptr, 0, Argument::kNone, 0, false, false}; }

constexpr size_t Larger(size_t a, size_t b) { return a > b ? a : b; }

// A call's place here is its distance from VFIO_BASE.
constexpr Call kCalls[] = {
    None("GET_API_VERSION", VFIO_GET_API_VERSION),
    Integer("CHECK_EXTENSION", VFIO_CHECK_EXTENSION),
    Integer("SET_IOMMU", VFIO_SET_IOMMU),
    OnGroup("GROUP_GET_STATUS", VFIO_GROUP_GET_STATUS, sizeof(struct vfio_group_status), true),
    // An int*: the container's file descriptor. There is no argsz.
    OnGroup("GROUP_SET_CONTAINER", VFIO_GROUP_SET_CONTAINER, sizeof(int32_t), false),
    None("GROUP_UNSET_CONTAINER", VFIO_GROUP_UNSET_CONTAINER),
    WithName("GROUP_GET_DEVICE_FD", VFIO_GROUP_GET_DEVICE_FD),
    // 7 to 11 are calls on a device: not on the seam.
    Absent(), Absent(), Absent(), Absent(), Absent(),
    // The same request is type1's VFIO_IOMMU_GET_INFO: which struct the kernel fills depends on the container.
    OnContainer("IOMMU_SPAPR_TCE_GET_INFO", VFIO_IOMMU_SPAPR_TCE_GET_INFO,
                Larger(sizeof(struct vfio_iommu_spapr_tce_info), sizeof(struct vfio_iommu_type1_info))),
    OnContainer("IOMMU_MAP_DMA", VFIO_IOMMU_MAP_DMA, sizeof(struct vfio_iommu_type1_dma_map)),
    OnContainer("IOMMU_UNMAP_DMA", VFIO_IOMMU_UNMAP_DMA, sizeof(struct vfio_iommu_type1_dma_unmap)),
    None("IOMMU_ENABLE", VFIO_IOMMU_ENABLE),
    None("IOMMU_DISABLE", VFIO_IOMMU_DISABLE),
    OnContainer("IOMMU_SPAPR_REGISTER_MEMORY", VFIO_IOMMU_SPAPR_REGISTER_MEMORY,
                sizeof(struct vfio_iommu_spapr_register_memory)),
    OnContainer("IOMMU_SPAPR_UNREGISTER_MEMORY", VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY,
                sizeof(struct vfio_iommu_spapr_register_memory)),
    OnContainer("IOMMU_SPAPR_TCE_CREATE", VFIO_IOMMU_SPAPR_TCE_CREATE, sizeof(struct vfio_iommu_spapr_tce_create)),
    OnContainer("IOMMU_SPAPR_TCE_REMOVE", VFIO_IOMMU_SPAPR_TCE_REMOVE, sizeof(struct vfio_iommu_spapr_tce_remove)),
    OnContainer("EEH_PE_OP", VFIO_EEH_PE_OP, sizeof(struct vfio_eeh_pe_op)),
};
constexpr uint32_t kCallCount = sizeof(kCalls) / sizeof(kCalls[0]);

constexpr bool EveryCallIsInItsPlace() {
  for (uint32_t distance = 0; distance < kCallCount; distance++) {
    if (kCalls[distance].name == nullptr) continue;
    if (kCalls[distance].request != _IO(VFIO_TYPE, VFIO_BASE + distance)) return false;
  }
  return true;
}
static_assert(EveryCallIsInItsPlace(), "kCalls is indexed by the distance from VFIO_BASE");
static_assert(VFIO_IOMMU_GET_INFO == VFIO_IOMMU_SPAPR_TCE_GET_INFO, "one request, two structs");

}  // namespace

#endif  // DMA_WINDOW_SHIM_VFIO_LAYOUT_H_
