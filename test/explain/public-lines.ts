/**
 * Lines of the logs of other programs and of the kernel, as people asked about them in public, and the check that each thread found
 * to be the cause. The lines are the programs' own; no other text of the threads is here.
 */

export interface PublicLine {
  /** Below https://github.com/. */
  readonly thread: string;
  /** `CALL ANSWER check`. */
  readonly expected: string;
  readonly line: string;
}

export const publicLines: readonly PublicLine[] = [
  {
    thread: "cloud-hypervisor/cloud-hypervisor/issues/165",
    expected: "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    line: "[  365.159219] vfio_pin_pages_remote: RLIMIT_MEMLOCK (4194304) exceeded",
  },
  {
    thread: "kubevirt/kubevirt/issues/8472",
    expected: "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    line: "[  +0.001779] vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded",
  },
  {
    thread: "intel/gvt-linux/issues/78",
    expected: "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    line: " vfio_pin_page_external: Task qemu-system-x86 (2296) RLIMIT_MEMLOCK (65536) exceeded",
  },
  {
    thread: "intel/gvt-linux/issues/60",
    expected: "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    line: "Jul 28 16:14:53 s510u kernel: vfio_pin_page_external: Task qemu-system-x86 (575712) RLIMIT_MEMLOCK (1048576) exceeded",
  },
  {
    thread: "intel/gvt-linux/issues/69",
    expected: "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    line: "[ 3519.030647] vfio_pin_page_external: Task qemu-system-x86 (17861) RLIMIT_MEMLOCK (134217728) exceeded",
  },
  {
    thread: "seapath/meta-seapath/issues/166",
    expected: "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    line: "2024-02-07T09:02:08.235671Z qemu-system-x86_64: -device vfio-pci,host=0000:07:00.0,id=hostdev0,bus=pci.2,addr=0x0: VFIO_MAP_DMA failed: Cannot allocate memory",
  },
  {
    thread: "seapath/meta-seapath/issues/166",
    expected: "VFIO_IOMMU_MAP_DMA ENOMEM locked-memory",
    line: "2024-02-07T09:02:08.235790Z qemu-system-x86_64: -device vfio-pci,host=0000:07:00.0,id=hostdev0,bus=pci.2,addr=0x0: vfio 0000:07:00.0: failed to setup container for group 49: memory listener initialization failed: Region pc.ram: vfio_dma_map(0x648f08f946c0, 0x0, 0x80000000, 0x715dc0000000) = -12 (Cannot allocate memory)",
  },
  {
    thread: "spdk/spdk/issues/3061",
    expected: "VFIO_IOMMU_MAP_DMA EEXIST mapped",
    line: "memory.c: 801:_vfio_iommu_map_dma: *NOTICE*: Cannot set up DMA mapping, error 17, ignored",
  },
  {
    thread: "spdk/spdk/issues/1705",
    expected: "VFIO_IOMMU_MAP_DMA EEXIST not-unmapped",
    line: "DPDK dma_map vaddr: 0x20000a400000, iova: 0x20000a400000, size: 0x400000, ret=-1, errno was set to EEXIST",
  },
  {
    thread: "kata-containers/kata-containers/issues/10582",
    expected: "VFIO_IOMMU_MAP_DMA EEXIST mapped",
    line: 'time="2024-11-25T17:02:15.605214465Z" level=error msg="Failed to add device" error="Failed to hotplug device &{ID:vfio-a0d9d2f794dd731d0 BDF:0000:19:00.0 SysfsDev:/sys/bus/pci/devices/0000:19:00.0 VendorID:0x10de DeviceID:0x1eb8 Class:0x030200 Bus:rp1 GuestPciPath: Type:1 IsPCIe:true APDevices:[] Port:root-port HostPath:/dev/vfio/36} error: 500  reason: Error from device manager: VfioMapRegion(DmaMap(IommuDmaMap(Error(17))))" name=containerd-shim-v2 pid=6939 sandbox=test2 source=virtcontainers subsystem=device',
  },
  {
    thread: "MicronSSD/unvme/issues/4",
    expected: "VFIO_IOMMU_MAP_DMA EFAULT address-width",
    line: "[429200.701588] intel_iommu_map: iommu width (39) is not sufficient for the mapped address (8800001000)",
  },
  {
    thread: "kata-containers/kata-containers/issues/11721",
    expected: "VFIO_IOMMU_MAP_DMA ENOSPC entry-limit",
    line: "qemu-kvm: -device vfio-pci,host=0000:18:00.0: VFIO_MAP_DMA failed: No space left on device",
  },
  {
    thread: "NVIDIA/nvtrust/issues/46",
    expected: "VFIO_IOMMU_MAP_DMA ENOSPC entry-limit",
    line: "qemu-system-x86_64: -device vfio-pci,host=b0:00.0,bus=pci.1: warning: vfio_register_ram_discard_listener: possibly running out of DMA mappings. E.g., try increasing the 'block-size' of virtio-mem devies. Maximum possible DMA mappings: 65535, Maximum possible memslots: 32764",
  },
  {
    thread: "gnif/LookingGlass/issues/1184",
    expected: "VFIO_IOMMU_MAP_DMA EINVAL iova-range",
    line: "qemu-system-x86_64: VFIO_MAP_DMA failed: -22",
  },
  {
    thread: "bpg/terraform-provider-proxmox/issues/1353",
    expected: "VFIO_IOMMU_MAP_DMA EINVAL iova-range",
    line: "Jun 04 07:25:13 pve1 QEMU[3989106]: kvm: vfio_dma_map(0x5e043daea2f0, 0x380010000000, 0x2000000, 0x771a6ce00000) = -22 (Invalid argument)",
  },
  {
    thread: "kata-containers/kata-containers/issues/12861",
    expected: "VFIO_IOMMU_MAP_DMA EINVAL iova-range",
    line: "qemu-system-x86_64: vfio_container_dma_map(0x5555685b7190, 0xe0e00000000, 0x10000000, 0x714d50000000) = -22 (Invalid argument)",
  },
  {
    thread: "chimera-nas/libevpl/pull/86",
    expected: "VFIO_IOMMU_MAP_DMA EINVAL no-iommu",
    line: "Failed to MAP DMA memory: Invalid argument    src/core/vfio/vfio.c",
  },
  {
    thread: "kata-containers/kata-containers/issues/12549",
    expected: "VFIO_IOMMU_MAP_DMA EFAULT device-memory",
    line: "qemu-system-x86_64: vfio_container_dma_map(0x55558771a400, 0xfa800000, 0x4000, 0x7788e9d2c000) = -14 (Bad address)",
  },
  {
    thread: "kata-containers/kata-containers/issues/12549",
    expected: "IOMMU_IOAS_MAP EFAULT device-memory",
    line: "qemu-system-x86_64: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?",
  },
  {
    thread: "cloud-hypervisor/cloud-hypervisor/issues/8895",
    expected: "IOMMU_IOAS_MAP EFAULT device-memory",
    line: "Failed to map VFIO MMIO region: Failed to DMA map: failed to map an IOVA range to the IOAS: Bad address (os error 14)",
  },
  {
    thread: "spdk/spdk/issues/1705",
    expected: "VFIO_IOMMU_UNMAP_DMA success nothing-unmapped",
    line: "DPDK dma_unmap iova: 0x20000a400000, size: 0x0, ret: 0",
  },
  {
    thread: "spdk/spdk/issues/3193",
    expected: "VFIO_IOMMU_UNMAP_DMA success nothing-unmapped",
    line: "EAL: Unexpected size 0 of DMA remapping cleared instead of 2097152",
  },
  {
    thread: "kubevirt/kubevirt/pull/17805",
    expected: "prlimit EPERM hard-limit",
    line: "cannot limit locked memory of process to 18253611008: Operation not permitted",
  },
  {
    thread: "kubevirt/kubevirt/issues/17694",
    expected: "prlimit EPERM hard-limit",
    line: "internal error: Process exited prior to exec: libvirt: error : cannot limit locked memory of process 111 to 9007199254740991: Operation not permitted",
  },
  {
    thread: "kubevirt/kubevirt/issues/15952",
    expected: "prlimit EPERM hard-limit",
    line: "virError(Code=38, Domain=0, Message='cannot limit locked memory of process 96 to 5368709120: Operation not permitted')",
  },
  {
    thread: "cozystack/cozystack/issues/1367",
    expected: "prlimit EPERM hard-limit",
    line: "server error. command SyncVMI failed: \"LibvirtError(Code=1, Domain=10, Message='internal error: Process exited prior to exec: libvirt:  error : cannot limit locked memory of process 171 to 35433480192: Operation not permitted')\"",
  },
  {
    thread: "foxlet/macOS-Simple-KVM/issues/12",
    expected: "open group ENOENT not-bound",
    line: "qemu-system-x86_64: -device vfio-pci,host=00:02.0,bus=port.1,multifunction=on: vfio 0000:00:02.0: failed to open /dev/vfio/1: No such file or directory",
  },
  {
    thread: "ra1nstorm/ra1nstorm-helper/issues/19",
    expected: "open group ENOENT not-bound",
    line: "failed to open /dev/vfio/1: No such file or directory",
  },
  {
    thread: "VoltCyclone/PCILeechFWGenerator/issues/79",
    expected: "open group EBUSY other-opener",
    line: "08:10:12 ERROR   08:10:12 │ ERROR  │ Failed to open /dev/vfio/20: [Errno 16] Device or resource busy: '/dev/vfio/20'",
  },
  {
    thread: "kata-containers/runtime/issues/2774",
    expected: "open group EPERM device-cgroup",
    line: "qemu-system-x86_64: -device vfio-pci,host=0000:3b:00.4,x-pci-vendor-id=0x15b3,x-pci-device-id=0x1018,romfile=: vfio error: 0000:3b:00.4: failed to open /dev/vfio/84: Operation not permitted",
  },
  {
    thread: "foxlet/macOS-Simple-KVM/issues/579",
    expected: "open group ENOENT iommu-off",
    line: "qemu-system-x86_64: -device vfio-pci,host=08:00.0,bus=port.1,multifunction=on: vfio 0000:08:00.0: no iommu_group found: No such file or directory",
  },
  {
    thread: "vivekmiyani/OSX_GVT-D/issues/7",
    expected: "open group ENOENT iommu-off",
    line: "qemu-system-x86_64: -device vfio-pci,host=0000:00:02.0,id=hostdev0,bus=pcie.0,addr=0x2,romfile=./i915ovmf/i915ovmf.rom: vfio 0000:00:02.0: no iommu_group found: No such file or directory",
  },
  {
    thread: "cloud-hypervisor/cloud-hypervisor/pull/856",
    expected: "open group ENOENT iommu-off",
    line: 'VfioNoIommuGroup("/sys/bus/pci/devices/0000:03:00.0/iommu_group")',
  },
  {
    thread: "marty90/DPDK-Dump/issues/4",
    expected: "open /dev/vfio/vfio ENOENT module",
    line: "EAL:   cannot open VFIO container, error 2 (No such file or directory)",
  },
  {
    thread: "sipwise/rtpengine/issues/967",
    expected: "open /dev/vfio/vfio ENOENT module",
    line: "EAL: Module /sys/module/vfio not found! error 2 (No such file or directory)",
  },
  {
    thread: "spdk/spdk/issues/1344",
    expected: "VFIO_CHECK_EXTENSION success not-there",
    line: "EAL: no supported IOMMU extensions found!",
  },
  {
    thread: "intel/gvt-linux/issues/171",
    expected: "VFIO_SET_IOMMU EIO mediated-device",
    line: "vfio 34658867-146a-4656-9fa5-890fdbc37010: failed to setup container for group 11: Failed to set iommu for container: Input/output error",
  },
  {
    thread: "harvester/harvester/issues/7340",
    expected: "VFIO_SET_IOMMU EPERM reserved-regions",
    line: "Jan 09 10:03:12.035211 hp-129-tink-system kernel: vfio-pci 0000:04:00.1: DMAR: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.",
  },
  {
    thread: "AltraMayor/gatekeeper/issues/718",
    expected: "VFIO_GROUP_SET_CONTAINER EINVAL reserved-regions",
    line: "cannot add vfio group to container, error 22 (invalid argument)",
  },
  {
    thread: "AltraMayor/gatekeeper/issues/718",
    expected: "VFIO_GROUP_SET_CONTAINER EINVAL reserved-regions",
    line: "Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.",
  },
  {
    thread: "VoltCyclone/PCILeechFWGenerator/issues/428",
    expected: "VFIO_GROUP_SET_CONTAINER ENOTTY ioctl-number",
    line: "[VFIO] Failed to link group 21 to container: [Errno 25] Inappropriate ioctl for device",
  },
  {
    thread: "64kramsystem/vga-passthrough/issues/15",
    expected: "VFIO_GROUP_GET_STATUS success not-viable",
    line: "qemu-system-x86_64: -device vfio-pci,host=01:00.0,multifunction=on: vfio error: 0000:01:00.0: group 1 is not viable",
  },
  {
    thread: "kubevirt/kubevirt/issues/6718",
    expected: "VFIO_GROUP_GET_STATUS success not-viable",
    line: "qemu-kvm: -device vfio-pci,host=0000:01:00.0,id=ua-gpu1,bus=pci.5,addr=0x0: vfio 0000:01:00.0: group 1 is not viable\\nPlease ensure all devices within the iommu_group are bound to their vfio bus driver.')\"",
  },
  {
    thread: "pcengines/apu2-documentation/issues/236",
    expected: "VFIO_GROUP_GET_STATUS success not-viable",
    line: "qemu-system-x86_64: -device vfio-pci,host=04:00.0,id=hostdev0,bus=pci.0,addr=0x8,rombar=1: vfio error: 0000:04:00.0: group 1 is not viable",
  },
  {
    thread: "usnistgov/ndn-dpdk/issues/63",
    expected: "VFIO_GROUP_GET_STATUS success not-viable",
    line: '{"level":"error","ts":1654654667.4602826,"logger":"DPDK","msg":"EAL: 0000:44:00.3 VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or unbound"}',
  },
  {
    thread: "kubernetes-sigs/dra-driver-nvidia-gpu/issues/1191",
    expected: "VFIO_GROUP_GET_STATUS success not-viable",
    line: "vfio group X is not viable, please ensure all devices within the iommu group are bound to their vfio bus driver",
  },
  {
    thread: "VoltCyclone/PCILeechFWGenerator/issues/77",
    expected: "VFIO_GROUP_GET_STATUS success not-viable",
    line: "06:14:32 - WARNING - Failed to open VFIO device FD for region info: [Errno None] Failed to read IOMMU group for 0000:05:00.0: IOMMU group 15 has devices not bound to vfio-pci:",
  },
  {
    thread: "spdk/spdk/issues/1948",
    expected: "VFIO_GROUP_GET_STATUS success not-viable",
    line: "vfio group is not viable not all devices in iommu group bound to vfio or unbound",
  },
  {
    thread: "kata-containers/kata-containers/issues/10622",
    expected: "mmap of a region EBUSY claimed",
    line: "Dec 06 09:04:26 208 kernel: vfio-pci 0000:01:00.0: BAR 3: can't reserve [mem 0xa0000000-0xa1ffffff 64bit pref]",
  },
  {
    thread: "cloud-hypervisor/cloud-hypervisor/issues/5292",
    expected: "VFIO_DEVICE_GET_REGION_INFO EINVAL no-region",
    line: "cloud-hypervisor: 154.505510ms: <vmm> ERROR:crates/vfio-ioctls/src/vfio_device.rs:786 -- Could not get region #8 info",
  },
];
