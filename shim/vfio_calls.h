// Which ioctl of <linux/vfio.h> takes what.

#ifndef DMA_WINDOW_SHIM_VFIO_CALLS_H_
#define DMA_WINDOW_SHIM_VFIO_CALLS_H_

#include <linux/vfio.h>

#include <cstddef>
#include <cstdint>

namespace {

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

// Of a struct that ends with an array whose length the kernel takes from a u32 of it, whatever argsz says.
struct Counted {
  uint32_t at;    // where that u32 is; 0: there is no such array
  uint32_t each;  // bytes of an element
};

struct Call {
  const char* name;       // as in VfioCall of src/syscalls.ts; null where VFIO has no call, or one that we do not make
  unsigned long request;  // what ioctl() wants: differs between architectures
  Argument argument;
  uint32_t bytes;         // of the struct, at least
  bool has_argsz;         // its first u32 says how many bytes the kernel may read and write
  bool in_batch;          // a call on a container, with a struct
  Counted counted;

  bool in_memory() const { return argument == Argument::kStruct || argument == Argument::kName; }
  bool gives_device() const { return argument == Argument::kName; }
};

constexpr Call None(const char* name, unsigned long request) {
  return {name, request, Argument::kNone, 0, false, false, {0, 0}};
}
constexpr Call Integer(const char* name, unsigned long request) {
  return {name, request, Argument::kInteger, 0, false, false, {0, 0}};
}
constexpr Call OnGroup(const char* name, unsigned long request, size_t bytes, bool has_argsz) {
  return {name, request, Argument::kStruct, static_cast<uint32_t>(bytes), has_argsz, false, {0, 0}};
}
constexpr Call WithName(const char* name, unsigned long request) {
  return {name, request, Argument::kName, 1, false, false, {0, 0}};
}
constexpr Call OnContainer(const char* name, unsigned long request, size_t bytes) {
  return {name, request, Argument::kStruct, static_cast<uint32_t>(bytes), true, true, {0, 0}};
}
// `bytes`: the least that the kernel takes, which it reads and writes whatever argsz says.
constexpr Call OnDevice(const char* name, unsigned long request, size_t bytes, Counted counted = {0, 0}) {
  return {name, request, Argument::kStruct, static_cast<uint32_t>(bytes), true, false, counted};
}
constexpr Call Absent() { return {nullptr, 0, Argument::kNone, 0, false, false, {0, 0}}; }

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
    // 7 to 11 are calls on a device.
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

// On the seam a call on a device is this far from its distance: the kernel uses numbers twice.
constexpr uint32_t kOnDevice = 0x100;

// What lies behind the last field that the kernel asks for, as its own code says it.
#define END_OF(type, field) (offsetof(struct type, field) + sizeof(static_cast<struct type*>(nullptr)->field))

// A call's place here is its distance from VFIO_BASE + kFirstOnDevice. The structs that have grown since Linux 4.19 are as short
// as they were: what is more the kernel reads and writes where argsz has room for it.
constexpr uint32_t kFirstOnDevice = 7;
constexpr Call kDeviceCalls[] = {
    OnDevice("DEVICE_GET_INFO", VFIO_DEVICE_GET_INFO, END_OF(vfio_device_info, num_irqs)),
    // The chain of capabilities goes as far as argsz.
    OnDevice("DEVICE_GET_REGION_INFO", VFIO_DEVICE_GET_REGION_INFO, END_OF(vfio_region_info, offset)),
    OnDevice("DEVICE_GET_IRQ_INFO", VFIO_DEVICE_GET_IRQ_INFO, END_OF(vfio_irq_info, count)),
    // The data behind count are read where argsz has room for all of them (vfio_set_irqs_validate_and_prepare).
    OnDevice("DEVICE_SET_IRQS", VFIO_DEVICE_SET_IRQS, END_OF(vfio_irq_set, count)),
    None("DEVICE_RESET", VFIO_DEVICE_RESET),
    OnDevice("DEVICE_GET_PCI_HOT_RESET_INFO", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
             END_OF(vfio_pci_hot_reset_info, count)),
    // Here count alone says how many descriptors are read (vfio_pci_core.c: vfio_pci_ioctl_pci_hot_reset_groups).
    OnDevice("DEVICE_PCI_HOT_RESET", VFIO_DEVICE_PCI_HOT_RESET, END_OF(vfio_pci_hot_reset, count),
             {offsetof(struct vfio_pci_hot_reset, count), sizeof(int32_t)}),
    Absent(), Absent(), Absent(),
    // argsz and flags; the headers have it from Linux 5.8 on.
    OnDevice("DEVICE_FEATURE", _IO(VFIO_TYPE, VFIO_BASE + 17), 2 * sizeof(uint32_t)),
};
constexpr uint32_t kDeviceCallCount = sizeof(kDeviceCalls) / sizeof(kDeviceCalls[0]);
constexpr uint32_t kFirstDeviceNumber = kOnDevice + kFirstOnDevice;

constexpr bool AreInPlace(const Call* calls, uint32_t count, uint32_t first) {
  for (uint32_t index = 0; index < count; index++) {
    if (calls[index].name != nullptr && calls[index].request != _IO(VFIO_TYPE, VFIO_BASE + first + index)) return false;
  }
  return true;
}
static_assert(AreInPlace(kCalls, kCallCount, 0), "kCalls is indexed by the distance from VFIO_BASE");
static_assert(AreInPlace(kDeviceCalls, kDeviceCallCount, kFirstOnDevice), "kDeviceCalls likewise");
static_assert(VFIO_IOMMU_GET_INFO == VFIO_IOMMU_SPAPR_TCE_GET_INFO, "one request, two structs");

// A call by its number on the seam; null where that is none.
const Call* FindCall(uint64_t number) {
  const Call* found = nullptr;
  if (number < kCallCount) found = &kCalls[number];
  if (number >= kFirstDeviceNumber && number - kFirstDeviceNumber < kDeviceCallCount) {
    found = &kDeviceCalls[number - kFirstDeviceNumber];
  }
  return found != nullptr && found->name != nullptr ? found : nullptr;
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_VFIO_CALLS_H_
