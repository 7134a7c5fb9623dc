#!/bin/busybox sh
# The guest's first process: what Linux needs to be used, VFIO's modules, then the program, part by part, and the power off.
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin HOME=/root DMA_WINDOW_SHIM=/app/vfio_shim.node
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# Long lines are the program's, and not to be wrapped or echoed.
stty -echo -onlcr 2> /dev/null

# Twice, because firmware may speak in the middle of a line.
report() {
  echo "@dma-window {\"id\":\"init $1 $2\",\"kind\":\"$1\"$3}"
  echo "@dma-window {\"id\":\"init $1 $2\",\"kind\":\"$1\"$3}"
}

report up
for module in $(cat /lib/modules/order); do
  insmod /lib/modules/$module.ko || echo "insmod $module: failed"
done

[ -f /app/shell.sh ] && . /app/shell.sh
cat /app/parts | while read -r part seconds; do
  timeout -s KILL "$seconds" node /app/src/guest.mjs "$part" < /dev/null
  report ended "$part" ",\"part\":\"$part\",\"status\":$?"
done

report off "" ",\"tainted\":$(cat /proc/sys/kernel/tainted)"
poweroff -f
