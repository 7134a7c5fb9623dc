// What the headers said that the shim was compiled with, for the tests.

#ifndef DMA_WINDOW_SHIM_LAYOUT_H_
#define DMA_WINDOW_SHIM_LAYOUT_H_

#include <napi.h>

#include <cstdint>

#include "vfio_calls.h"
#include "vfio_layout.h"

namespace {

Napi::Object Pair(Napi::Env env, const char* first, double a, const char* second, double b) {
  Napi::Object object = Napi::Object::New(env);
  object.Set(first, a);
  object.Set(second, b);
  return object;
}

Napi::Value Layout(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();

  Napi::Object structs = Napi::Object::New(env);
  Napi::Object fields = Napi::Object::New(env);
  for (const Row& row : kRows) {
    double bytes = static_cast<double>(row.bytes);
    if (row.field != nullptr) {
      fields.Set(row.field, Pair(env, "offset", static_cast<double>(row.offset), "size", bytes));
      continue;
    }
    Napi::Object structure = Napi::Object::New(env);
    fields = Napi::Object::New(env);
    structure.Set("size", bytes);
    structure.Set("fields", fields);
    structs.Set(row.structure, structure);
  }

  Napi::Object calls = Napi::Object::New(env);
  for (uint32_t number = 0; number < kFirstDeviceNumber + kDeviceCallCount; number++) {
    const Call* call = FindCall(number);
    if (call == nullptr) continue;
    calls.Set(call->name, Pair(env, "request", static_cast<double>(call->request), "distance", number));
  }

  Napi::Object constants = Napi::Object::New(env);
#define CONSTANT(name) constants.Set(#name, static_cast<double>(name))
  CONSTANT(VFIO_API_VERSION);
  CONSTANT(VFIO_BASE);
  CONSTANT(VFIO_TYPE1_IOMMU);
  CONSTANT(VFIO_SPAPR_TCE_IOMMU);
  CONSTANT(VFIO_TYPE1v2_IOMMU);
  CONSTANT(VFIO_SPAPR_TCE_v2_IOMMU);
  CONSTANT(VFIO_NOIOMMU_IOMMU);
  CONSTANT(VFIO_GROUP_FLAGS_VIABLE);
  CONSTANT(VFIO_GROUP_FLAGS_CONTAINER_SET);
  CONSTANT(VFIO_IOMMU_SPAPR_INFO_DDW);
  CONSTANT(VFIO_DMA_MAP_FLAG_READ);
  CONSTANT(VFIO_DMA_MAP_FLAG_WRITE);
  // What came with a later Linux than 4.19 is there if the header knows it: nothing here needs it.
#ifdef VFIO_DMA_UNMAP_FLAG_ALL  // Linux 5.12
  CONSTANT(VFIO_DMA_UNMAP_FLAG_ALL);
#endif
  CONSTANT(VFIO_IOMMU_INFO_PGSIZES);
#ifdef VFIO_IOMMU_INFO_CAPS  // Linux 5.4
  CONSTANT(VFIO_IOMMU_INFO_CAPS);
#endif
#ifdef VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE  // Linux 5.4
  CONSTANT(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
#endif
#ifdef VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL  // Linux 5.10
  CONSTANT(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
#endif
  CONSTANT(VFIO_DEVICE_FLAGS_RESET);
  CONSTANT(VFIO_DEVICE_FLAGS_PCI);
  CONSTANT(VFIO_REGION_INFO_FLAG_READ);
  CONSTANT(VFIO_REGION_INFO_FLAG_WRITE);
  CONSTANT(VFIO_REGION_INFO_FLAG_MMAP);
  CONSTANT(VFIO_REGION_INFO_FLAG_CAPS);
  CONSTANT(VFIO_REGION_INFO_CAP_SPARSE_MMAP);
  CONSTANT(VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
  CONSTANT(VFIO_IRQ_INFO_EVENTFD);
  CONSTANT(VFIO_IRQ_INFO_MASKABLE);
  CONSTANT(VFIO_IRQ_INFO_AUTOMASKED);
  CONSTANT(VFIO_IRQ_INFO_NORESIZE);
  CONSTANT(VFIO_IRQ_SET_DATA_NONE);
  CONSTANT(VFIO_IRQ_SET_DATA_BOOL);
  CONSTANT(VFIO_IRQ_SET_DATA_EVENTFD);
  CONSTANT(VFIO_IRQ_SET_ACTION_MASK);
  CONSTANT(VFIO_IRQ_SET_ACTION_UNMASK);
  CONSTANT(VFIO_IRQ_SET_ACTION_TRIGGER);
  CONSTANT(VFIO_PCI_BAR0_REGION_INDEX);
  CONSTANT(VFIO_PCI_ROM_REGION_INDEX);
  CONSTANT(VFIO_PCI_CONFIG_REGION_INDEX);
  CONSTANT(VFIO_PCI_VGA_REGION_INDEX);
  CONSTANT(VFIO_PCI_INTX_IRQ_INDEX);
  CONSTANT(VFIO_PCI_MSI_IRQ_INDEX);
  CONSTANT(VFIO_PCI_MSIX_IRQ_INDEX);
  CONSTANT(VFIO_PCI_ERR_IRQ_INDEX);
  CONSTANT(VFIO_PCI_REQ_IRQ_INDEX);
#ifdef VFIO_DEVICE_FEATURE_PROBE  // Linux 5.8
  CONSTANT(VFIO_DEVICE_FEATURE_GET);
  CONSTANT(VFIO_DEVICE_FEATURE_SET);
  CONSTANT(VFIO_DEVICE_FEATURE_PROBE);
#endif
#undef CONSTANT

  Napi::Object layout = Napi::Object::New(env);
  layout.Set("structs", structs);
  layout.Set("calls", calls);
  layout.Set("constants", constants);
  return layout;
}

}  // namespace

#endif  // DMA_WINDOW_SHIM_LAYOUT_H_
