export type {
  DeviceMessage,
  FailureMessage,
  MapMessage,
  Mapper,
  UnmapMessage,
  WindowMessage,
} from "./channels.ts";
export type { Container } from "./container/container.ts";
export { type OpenContainerOptions, openContainer } from "./container/open.ts";
export type {
  DmaRun,
  MappedRun,
  MapRequest,
  RequestRows,
  RunOptions,
  UnmapRequest,
  Window,
} from "./container/window.ts";
export type { Bar, BarBytesOptions, BarOptions } from "./device/bar.ts";
export type { PciCapability } from "./device/capabilities.ts";
export type { ConfigSpace } from "./device/config.ts";
export type { Device } from "./device/device.ts";
export type { DeviceInfo } from "./device/facts.ts";
export type { DeviceIrqs, InterruptMode, Interrupts } from "./device/interrupts.ts";
export type { PowerState } from "./device/power.ts";
export type { DeviceRegion, RegionArea } from "./device/regions.ts";
export type { IrqFacts } from "./device/structs.ts";
export type { Vector } from "./device/vector.ts";
export type { Vectors } from "./device/vectors.ts";
export type {
  Diagnosis,
  DoctorFacts,
  DoctorProblem,
  DoctorWay,
  ShimFacts,
  WayName,
} from "./doctor/diagnosis.ts";
export { type DoctorOptions, doctor } from "./doctor/doctor.ts";
export { DmaWindowError, type DmaWindowErrorOptions, type Residue } from "./errors.ts";
export type { DmaBuffer } from "./heap/buffer.ts";
export type { HeapDamage } from "./heap/damage.ts";
export { DmaHeap } from "./heap/heap.ts";
export type { HeapLeak } from "./heap/leaks.ts";
export type { HeapLoan } from "./heap/loans.ts";
export type {
  AidOptions,
  BlockOptions,
  GrowOptions,
  HeapOptions,
  PoolOptions,
  RemoteOptions,
  SharedPoolOptions,
} from "./heap/options.ts";
export type { DmaPool } from "./heap/pool.ts";
export type { RemoteStats } from "./heap/remote-frees.ts";
export type { PoolWorker, SharedPool } from "./heap/shared-pool.ts";
export type { HeapStats, TrimResult } from "./heap/stats.ts";
export { type OpenHeapOptions, openHeap, type WorkerHeap } from "./heap/worker-heap.ts";
export type { AddressRange, HugepageFacts, IommuInfo, NodeFacts, NoIommuInfo, SpaprInfo, Type1Info } from "./iommu.ts";
export type { Leak } from "./leaks.ts";
export { addressOf, type LinuxKernelOptions, linuxKernel } from "./linux/index.ts";
export type { LongWorkOptions, Progress, Signal } from "./long-work.ts";
export type { ListOptions, MemsegTableOptions, NewMemseg } from "./memory/options.ts";
export type { Segment } from "./memory/segment.ts";
export { MemsegTable } from "./memory/table.ts";
export type { Memseg, MemsegList } from "./memory/types.ts";
export {
  type Bus,
  edu,
  type ModelKernel,
  type ModelPciDevice,
  modelKernel,
  type NvmeCommand,
  type NvmeFault,
  type NvmeNamespaceOptions,
  type NvmeOptions,
  type Plugged,
  type PluggedDevice,
  type PluggedFacts,
  softwareNvme,
} from "./model/index.ts";
export type { PciBar } from "./pci/bars.ts";
export { type BindOptions, bindToVfio, type UnbindOptions, unbindFromVfio, type VfioBinding } from "./pci/bind.ts";
export { type PciDevice, pciDevice, pciDevices } from "./pci/devices.ts";
export type { PciOptions } from "./pci/look.ts";
export {
  type FullGrowth,
  type HugepageGrowth,
  type IovaMode,
  type ListFacts,
  type MappedFacts,
  type MemoryFacts,
  type PlanJson,
  type PlannedPiece,
  type PlanRequest,
  parsePlan,
  planToJson,
  planWindow,
  type Rejection,
  type StoredList,
  type WindowPlan,
} from "./plan/index.ts";
export { readPlan } from "./plan-file.ts";
export {
  type FileStatus,
  IommuType,
  type Listening,
  type LockedMemory,
  type MachineFiles,
  MapFlag,
  Protection,
  type Registers,
  type Sight,
  type Syscalls,
  VfioCall,
} from "./syscalls.ts";
export { type GroupDevice, groupProblems, type IommuGroup, readGroups } from "./system/groups.ts";
export { type HugepagePool, readHugepages } from "./system/hugepages.ts";
export { type Iomem, parseIomem, readIomem } from "./system/iomem.ts";
export { type NumaNode, numaNodeOf, readNodes } from "./system/nodes.ts";
export { type PagemapOptions, physicalAddresses } from "./system/pagemap.ts";
export type { ReservedRegion } from "./system/reserved-regions.ts";
export type { HeapToken } from "./worker/heap-token.ts";
export { type OpenSharedPoolOptions, openSharedPool, type WorkerPool } from "./worker/open.ts";
export { openRemoteFree, type RemoteFree, type RemoteFreeToken } from "./worker/remote-free.ts";
export type { SharedPoolToken } from "./worker/token.ts";
