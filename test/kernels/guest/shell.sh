# What init.sh does instead of the parts when a person wants a shell: devices that are bound, and a terminal.
for device in /sys/bus/pci/devices/*; do
  [ "$(cat "$device/vendor") $(cat "$device/device")" = "0x1234 0x11e8" ] || continue
  echo vfio-pci > "$device/driver_override"
  echo "${device##*/}" > /sys/bus/pci/drivers_probe
  group=$(readlink "$device/iommu_group")
  echo "${device##*/} does DMA where it is told, and is alone with /dev/vfio/${group##*/}"
done
for device in /sys/bus/pci/devices/*; do
  [ "$(cat "$device/vendor") $(cat "$device/device")" = "0x1b36 0x0010" ] || continue
  echo vfio-pci > "$device/driver_override"
  echo "${device##*/}" > /sys/bus/pci/drivers_probe
  group=$(readlink "$device/iommu_group")
  echo "${device##*/} is an NVMe controller, alone with /dev/vfio/${group##*/}"
done
cat << 'END'

  node /app/src/guest.mjs dma      a part of the suite; the others: flight, heap, ends, library, random, nvme, device, conformance
  node /app/src/conformance.mjs --platform PLATFORM --groups /dev/vfio/N --devices ADDRESS --call MAP_DMA
                                   rows of the conformance suite; PLATFORM: pseries, powernv, "type1 v2", "type1 v1"
  dmesg | tail                     what the kernel says
  exit                             turns the machine off

END
stty echo onlcr 2> /dev/null
cd /root && setsid cttyhack sh
