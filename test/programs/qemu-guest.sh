#!/bin/busybox sh
# The first process of a guest whose PCI devices are the software kernel's: what it says is compared by qemu.ts.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

begin() {
  for module in $(cat /lib/modules/disk); do insmod /lib/modules/$module.ko; done
  count=0
  while [ ! -b /dev/nvme0n1 ] && [ $count -lt 150 ]; do
    sleep 0.2
    count=$((count + 1))
  done
}

device=$(grep -l 0x11e8 /sys/bus/pci/devices/*/device)
if [ -n "$device" ]; then
  edu=$(dirname "$device")
  echo 1 > "$edu/enable"
  bar=$(cut -d ' ' -f 1 "$edu/resource" | head -n 1)
  echo "edu: $(devmem "$bar" 32)"
  devmem $((bar + 8)) 32 5
  echo "5!: $(devmem $((bar + 8)) 32)"
fi

begin
echo "blocks: $(cat /sys/block/nvme0n1/size)"
dd if=/pattern of=/dev/nvme0n1 bs=64k seek=3 conv=fsync 2> /dev/null
# The controller is reset, and nothing that was read or written stays in memory.
rmmod nvme
begin
dd if=/dev/nvme0n1 of=/tmp/read bs=64k skip=3 count=16 iflag=direct 2> /dev/null
echo "read: $(md5sum < /tmp/read)"
echo "before: $(dd if=/dev/nvme0n1 bs=64k count=3 iflag=direct 2> /dev/null | md5sum)"
echo "interrupts: $(grep -c 'MSI.*nvme0q' /proc/interrupts)"
poweroff -f
