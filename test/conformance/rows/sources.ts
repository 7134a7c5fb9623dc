/** File and function of Linux 6.12 for each rule: where a reader of the rows can look it up. */

const group = "drivers/vfio/group.c";
export const groupOpen = `${group}: vfio_group_fops_open`;
export const groupIoctl = `${group}: vfio_group_fops_unl_ioctl`;
export const getStatus = `${group}: vfio_group_ioctl_get_status`;
export const setContainer = `${group}: vfio_group_ioctl_set_container`;
export const unsetContainer = `${group}: vfio_group_ioctl_unset_container`;
export const deviceOpenFile = `${group}: vfio_device_open_file`;
export const getDevice = `${group}: vfio_group_ioctl_get_device_fd`;

const container = "drivers/vfio/container.c";
export const containerOpen = `${container}: vfio_fops_open`;
export const containerIoctl = `${container}: vfio_fops_unl_ioctl`;
export const checkExtension = `${container}: vfio_container_ioctl_check_extension`;
export const setIommu = `${container}: vfio_ioctl_set_iommu`;
export const detachGroup = `${container}: vfio_group_detach_container`;

const spapr = "drivers/vfio/vfio_iommu_spapr_tce.c";
export const tceOpen = `${spapr}: tce_iommu_open`;
export const tceIoctl = `${spapr}: tce_iommu_ioctl`;
export const tceRegister = `${spapr}: tce_iommu_register_pages`;
export const tceUnregister = `${spapr}: tce_iommu_unregister_pages`;
export const tcePreregFree = `${spapr}: tce_iommu_prereg_free`;
export const tceBuild = `${spapr}: tce_iommu_build_v2`;
export const tceClear = `${spapr}: tce_iommu_clear`;
export const tceFind = `${spapr}: tce_iommu_find_table`;
export const tceCreateWindow = `${spapr}: tce_iommu_create_window`;
export const tceCreateTable = `${spapr}: tce_iommu_create_table`;
export const tceDefault = `${spapr}: tce_iommu_create_default_window`;
export const tceRemove = `${spapr}: tce_iommu_remove_window`;
export const tceAttach = `${spapr}: tce_iommu_attach_group`;
export const tceDetach = `${spapr}: tce_iommu_detach_group`;
export const tceRelease = `${spapr}: tce_iommu_release`;
export const tceMm = `${spapr}: tce_iommu_mm_set`;

/** Whether an IOVA fits its table: the caller makes a truth value of the errno. */
export const checkIoba = "arch/powerpc/kernel/iommu.c: iommu_tce_check_ioba";

const registrations = "arch/powerpc/mm/book3s64/iommu_api.c";
export const mmAlloc = `${registrations}: mm_iommu_do_alloc`;
export const mmPut = `${registrations}: mm_iommu_put`;
export const mmLookup = `${registrations}: mm_iommu_lookup`;
export const mmToPhysical = `${registrations}: mm_iommu_ua_to_hpa`;

export const tceContained = `${spapr}: tce_page_is_contained`;
export const eehPeOp = `${spapr}: vfio_spapr_ioctl_eeh_pe_op`;
export const eehInject = "arch/powerpc/kernel/eeh.c: eeh_pe_inject_err";

export const pciMatch = "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_match";

export const accountLocked = "mm/util.c: __account_locked_vm";

export const pnvSize = "arch/powerpc/platforms/powernv/pci-ioda.c: pnv_pci_ioda2_get_table_size";
export const pnvCreate = "arch/powerpc/platforms/powernv/pci-ioda.c: pnv_pci_ioda2_create_table";
export const pnvAlloc = "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_pci_ioda2_table_alloc_pages";
export const pnvTce = "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_tce";
export const pnvBuild = "arch/powerpc/platforms/powernv/pci-ioda-tce.c: pnv_tce_xchg";

const pseries = "arch/powerpc/platforms/pseries/iommu.c";
export const psCreate = `${pseries}: spapr_tce_create_table`;
export const psSize = `${pseries}: spapr_tce_get_table_size`;
export const psSetWindow = `${pseries}: spapr_tce_set_window`;
export const psOwnership = `${pseries}: spapr_tce_take_ownership`;
export const psView = `${pseries}: pseries_tce_iommu_userspace_view_alloc`;
export const psBuild = `${pseries}: tce_exchange_pseries`;

const type1 = "drivers/vfio/vfio_iommu_type1.c";
export const type1Ioctl = `${type1}: vfio_iommu_type1_ioctl`;
export const type1Extension = `${type1}: vfio_iommu_type1_check_extension`;
export const type1Open = `${type1}: vfio_iommu_type1_open`;
export const type1Info = `${type1}: vfio_iommu_type1_get_info`;
export const type1Map = `${type1}: vfio_dma_do_map`;
export const type1Unmap = `${type1}: vfio_dma_do_unmap`;
export const type1Pin = `${type1}: vfio_pin_pages_remote`;
export const type1Attach = `${type1}: vfio_iommu_type1_attach_group`;
export const type1Detach = `${type1}: vfio_iommu_type1_detach_group`;
export const type1Ranges = `${type1}: vfio_iommu_iova_dma_valid`;

export const noIommuIoctl = `${container}: vfio_noiommu_ioctl`;
export const noIommuAttach = `${container}: vfio_noiommu_attach_group`;

const vfioMain = "drivers/vfio/vfio_main.c";
export const deviceIoctl = `${vfioMain}: vfio_device_fops_unl_ioctl`;
export const deviceFeature = `${vfioMain}: vfio_ioctl_device_feature`;
export const irqsValid = `${vfioMain}: vfio_set_irqs_validate_and_prepare`;

const pciCore = "drivers/vfio/pci/vfio_pci_core.c";
export const pciInfo = `${pciCore}: vfio_pci_ioctl_get_info`;
export const pciRegion = `${pciCore}: vfio_pci_ioctl_get_region_info`;
export const pciIrq = `${pciCore}: vfio_pci_ioctl_get_irq_info`;
export const pciIrqCount = `${pciCore}: vfio_pci_get_irq_count`;
export const pciReset = `${pciCore}: vfio_pci_ioctl_reset`;
export const pciHotInfo = `${pciCore}: vfio_pci_ioctl_get_pci_hot_reset_info`;
export const pciHotReset = `${pciCore}: vfio_pci_ioctl_pci_hot_reset_groups`;
export const pciIoctl = `${pciCore}: vfio_pci_core_ioctl`;
export const irqsIoctlCopy = `${pciCore}: vfio_pci_ioctl_set_irqs`;
export const pciReadWrite = `${pciCore}: vfio_pci_rw`;
export const pciMmap = `${pciCore}: vfio_pci_core_mmap`;
export const pciFault = `${pciCore}: vfio_pci_mmap_huge_fault`;
export const pciEnable = `${pciCore}: vfio_pci_core_enable`;
export const pciDisable = `${pciCore}: vfio_pci_core_disable`;
export const pciRequest = `${pciCore}: vfio_pci_core_request`;
export const pciTryReset = "drivers/pci/pci.c: pci_try_reset_function";
export const vfioUnregister = `${vfioMain}: vfio_unregister_group_dev`;
export const pciIoRw = "drivers/vfio/pci/vfio_pci_rdwr.c: vfio_pci_core_do_io_rw";
export const pciSysfs = "drivers/pci/pci-sysfs.c: pci_create_sysfs_dev_files";
export const pciResource = "drivers/pci/pci-sysfs.c: resource_show";
export const pciResetMethod = "drivers/pci/pci.c: reset_method_show";
export const pciMapRom = "drivers/pci/rom.c: pci_map_rom";
export const bridgeWait = "drivers/pci/pci.c: pci_bridge_wait_for_secondary_bus";
export const pciBarRw = "drivers/vfio/pci/vfio_pci_rdwr.c: vfio_pci_bar_rw";

const pciConfig = "drivers/vfio/pci/vfio_pci_config.c";
export const configRw = `${pciConfig}: vfio_pci_config_rw`;
export const configSingle = `${pciConfig}: vfio_config_do_rw`;
export const configBasic = `${pciConfig}: vfio_basic_config_write`;
export const configBars = `${pciConfig}: vfio_bar_fixup`;
export const configPm = `${pciConfig}: vfio_pm_config_write`;
export const configExpress = `${pciConfig}: vfio_exp_config_write`;
export const configMsix = `${pciConfig}: init_pci_cap_msix_perm`;
export const powerState = "drivers/pci/pci.c: pci_set_low_power_state";

const intrs = "drivers/vfio/pci/vfio_pci_intrs.c";
export const irqsIoctl = `${intrs}: vfio_pci_set_irqs_ioctl`;
export const msiTrigger = `${intrs}: vfio_pci_set_msi_trigger`;
export const msiEnable = `${intrs}: vfio_msi_enable`;
export const msiBlock = `${intrs}: vfio_msi_set_block`;
export const msiVector = `${intrs}: vfio_msi_set_vector_signal`;
export const intxTrigger = `${intrs}: vfio_pci_set_intx_trigger`;
export const intxMask = `${intrs}: vfio_pci_set_intx_mask`;
export const singleTrigger = `${intrs}: vfio_pci_set_ctx_trigger_single`;
