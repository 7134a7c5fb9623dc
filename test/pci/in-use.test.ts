/** What would be lost if a device went to VFIO. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { pciDevice } from "../../src/pci/devices.ts";
import { type Entry, withTree } from "../system/temp-tree.ts";

const ADDRESS = "0000:01:00.0";
const HOME = `sys/bus/pci/devices/${ADDRESS}`;

/** What is said of a device with these files in its directory, and others on its machine. */
function uses(own: Record<string, Entry>, machine: Record<string, Entry> = {}): readonly string[] {
  const entries: Record<string, Entry> = { ...machine };
  const usual = { vendor: "0x1b36\n", device: "0x0010\n", class: "0x010802\n" };
  for (const [name, entry] of Object.entries({ ...usual, ...own })) entries[`${HOME}/${name}`] = entry;
  let found: readonly string[] = [];
  withTree(entries, (root) => {
    found = pciDevice(ADDRESS, { root }).inUse;
  });
  return found;
}

const disk = {
  "nvme/nvme0/nvme0n1/dev": "259:0\n",
  "nvme/nvme0/nvme0n1/nvme0n1p1/dev": "259:1\n",
  "nvme/nvme0/nvme0n1/nvme0n1p1/partition": "1\n",
  "nvme/nvme0/nvme0n1/nvme0n1p2/dev": "259:2\n",
  "nvme/nvme0/nvme0n1/nvme0n1p2/partition": "2\n",
};

const mountinfo = (...lines: readonly string[]) => ({ "proc/self/mountinfo": `${lines.join("\n")}\n` });

const storage = suite("a disk");

storage("that nobody uses is not in use, whatever others do", () => {
  const others = {
    ...mountinfo("36 35 8:1 / / rw - ext4 /dev/sda1 rw"),
    "proc/swaps": "Filename\tType\n/dev/sda2 partition 1 0 -2\n",
    "proc/mdstat": "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda3[0]\n      1000 blocks\n",
    "proc/net/route":
      "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth9\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\n",
    "sys/class/tty/console/active": "tty0\n",
  };
  assert.equal(uses(disk, others), []);
});

storage(
  "is mounted: by its number, by its name where the file system has one of its own, with blanks in the place",
  () => {
    assert.equal(uses(disk, mountinfo("36 35 259:1 / /my\\040data rw shared:1 - ext4 /dev/nvme0n1p1 rw")), [
      "/dev/nvme0n1p1 is mounted at /my data",
    ]);
    assert.equal(uses(disk, mountinfo("40 1 0:35 /@ / rw - btrfs /dev/nvme0n1p2 rw,subvol=/@")), [
      "/dev/nvme0n1p2 is mounted at /",
    ]);
    assert.equal(uses(disk, { "proc/1/mountinfo": "36 35 259:0 / /srv rw - xfs /dev/nvme0n1 rw\n" }), [
      "/dev/nvme0n1 is mounted at /srv",
    ]);
  },
);

storage("of every kind is found: AHCI, SCSI, virtio, USB, MMC", () => {
  for (const [path, name] of [
    ["ata1/host0/target0:0:0/0:0:0:0/block/sda", "sda"],
    ["virtio1/block/vda", "vda"],
    ["usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb", "sdb"],
    ["mmc_host/mmc0/mmc0:0001/block/mmcblk0", "mmcblk0"],
    ["pci10000:e0/10000:e0:06.0/10000:e1:00.0/nvme/nvme3/nvme3n1", "nvme3n1"],
    ["host0/target0:0:0/0:0:0:0/block/cciss!c0d0", "cciss/c0d0"],
  ] as const) {
    assert.equal(uses({ [`${path}/dev`]: "8:0\n" }, mountinfo("1 0 8:0 / / rw - ext4 x rw")), [
      `/dev/${name} is mounted at /`,
    ]);
  }
});

storage("with several ways to it is found by its head", () => {
  const machine = {
    "sys/class/block/nvme0n1": { link: "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1" },
    "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/dev": "259:0\n",
    "sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/nvme0n1p1/dev": "259:1\n",
    ...mountinfo("1 0 259:1 / /home rw - ext4 /dev/nvme0n1p1 rw"),
  };
  assert.equal(uses({ "nvme/nvme0/nvme0c0n1/size": "100\n" }, machine), ["/dev/nvme0n1p1 is mounted at /home"]);
});

storage("is swap, or open in a program", () => {
  assert.equal(
    uses(disk, { "proc/swaps": "Filename\tType\tSize\n/dev/nvme0n1p2                partition\t8388604\t0\t-2\n" }),
    ["/dev/nvme0n1p2 is swap"],
  );
  const qemu = { "proc/4711/comm": "qemu\n", "proc/4711/fd/9": { link: "/dev/nvme0n1" } };
  assert.equal(uses(disk, qemu), ["process 4711 (qemu) has /dev/nvme0n1 open"]);
});

const dm = (name: string, uuid: string, dev: string, at: string) => ({
  [`sys/devices/virtual/block/${at}/dm/name`]: `${name}\n`,
  [`sys/devices/virtual/block/${at}/dm/uuid`]: `${uuid}\n`,
  [`sys/devices/virtual/block/${at}/dev`]: `${dev}\n`,
});

storage("is part of LVM, on an encrypted device, and what is mounted there", () => {
  const up = "../../../../../../../../../";
  const own = {
    ...disk,
    "nvme/nvme0/nvme0n1/nvme0n1p2/holders/dm-0": { link: `${up}devices/virtual/block/dm-0` },
  };
  const machine = {
    ...dm("cryptroot", "CRYPT-LUKS2-8f-cryptroot", "253:0", "dm-0"),
    ...dm("vg-root", "LVM-abc", "253:1", "dm-1"),
    "sys/devices/virtual/block/dm-0/holders/dm-1": { link: "../../dm-1" },
    ...mountinfo("1 0 253:1 / / rw - ext4 /dev/mapper/vg-root rw"),
  };
  assert.equal(uses(own, machine), [
    "/dev/nvme0n1p2 is part of the encrypted device cryptroot",
    "the encrypted device cryptroot on /dev/nvme0n1p2 is part of the LVM volume vg-root",
    "the LVM volume vg-root on the encrypted device cryptroot on /dev/nvme0n1p2 is mounted at /",
  ]);
});

storage("is part of a RAID that runs, and of one that does not", () => {
  const holder = { ...disk, "nvme/nvme0/nvme0n1/nvme0n1p1/holders/md0/dev": "9:0\n" };
  const running = {
    "proc/mdstat": "md0 : active raid1 nvme1n1p1[1] nvme0n1p1[0]\n",
    ...mountinfo("1 0 9:0 / /srv rw - xfs /dev/md0 rw"),
  };
  assert.equal(uses(holder, running), [
    "/dev/nvme0n1p1 is part of the RAID md0",
    "the RAID md0 on /dev/nvme0n1p1 is mounted at /srv",
  ]);
  assert.equal(uses(disk, { "proc/mdstat": "md127 : inactive nvme0n1[0](S)\n" }), [
    "/dev/nvme0n1 is part of the RAID md127",
  ]);
});

storage("may be in a pool of ZFS, which does not say which disks it has", () => {
  assert.equal(uses(disk, { "proc/spl/kstat/zfs/tank/state": "ONLINE\n" }), [
    "the ZFS pool tank is imported, and may have a disk of this device in it",
  ]);
});

storage("of links alone is none: they lead to others", () => {
  const own = { "subsystem/devices": { link: "../../../.." }, consumer: { link: "../0000:02:00.0" } };
  const other = {
    "sys/bus/pci/devices/0000:02:00.0/block/sda/dev": "8:0\n",
    ...mountinfo("1 0 8:0 / / rw - ext4 x rw"),
  };
  assert.equal(uses(own, other), []);
});

storage.run();

const network = suite("a network card");

const header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
const route4 = (name: string, destination = "00000000", flags = "0003", mask = "00000000") => ({
  "proc/net/route": `${header}${name}\t${destination}\t0101A8C0\t${flags}\t0\t0\t100\t${mask}\t0\t0\t0\n`,
});
const zeros = "0".repeat(32);
const route6 = (name: string, flags = "00450003", length = "00") => ({
  "proc/net/ipv6_route": `${zeros} ${length} ${zeros} 00 fe800000000000000000000000000001 00000064 00000001 00000000 ${flags} ${name.padStart(8)}\n`,
});
const card = { "net/eth0/ifindex": "2\n" };

network("has the default route, of either family", () => {
  assert.equal(uses(card, route4("eth0")), ["eth0 has the machine's default route (IPv4)"]);
  assert.equal(uses(card, route6("eth0")), ["eth0 has the machine's default route (IPv6)"]);
});

network("without it is not in use: another card's, another network's, one that is down or refuses", () => {
  assert.equal(uses(card, route4("eth1")), []);
  assert.equal(uses(card, route4("eth0", "0001A8C0", "0001", "00FFFFFF")), []);
  assert.equal(uses(card, route4("eth0", "00000000", "0002")), []);
  assert.equal(uses(card, route6("lo", "00200200")), []);
  assert.equal(uses(card, route6("eth0", "00450003", "40")), []);
});

network("is part of the interface that has it: a bond in a bridge", () => {
  const own = { "net/eth0/upper_bond0/upper_br0/ifindex": "4\n" };
  assert.equal(uses(own, route4("br0")), ["br0, over eth0, has the machine's default route (IPv4)"]);
});

network("would take its virtual functions along", () => {
  const own = { sriov_numvfs: "2\n", virtfn0: { link: "../0000:01:10.0" }, virtfn1: { link: "../0000:01:10.2" } };
  assert.equal(uses(own), ["its 2 virtual functions would go with it (0000:01:10.0, 0000:01:10.2)"]);
  assert.equal(uses({ sriov_numvfs: "0\n" }), []);
});

network.run();

const consoles = suite("the console");

consoles("is the screen that the machine booted with", () => {
  assert.equal(uses({ boot_vga: "1\n" }), ["it is the console: the screen that the machine booted with"]);
  assert.equal(uses({ boot_vga: "0\n" }), []);
});

consoles("is a serial port, or a frame buffer that the kernel draws on", () => {
  const active = { "sys/class/tty/console/active": "tty0 ttyS4\n" };
  assert.equal(uses({ "tty/ttyS4/dev": "4:68\n" }, active), ["the kernel's console is on its terminal ttyS4"]);
  assert.equal(uses({ "tty/ttyS5/dev": "4:69\n" }, active), []);
  assert.equal(uses({ "graphics/fb0/dev": "29:0\n" }, active), [
    "it is the console: the kernel draws on its frame buffer",
  ]);
  assert.equal(uses({ "graphics/fb0/dev": "29:0\n" }, { "sys/class/tty/console/active": "ttyS0\n" }), []);
});

consoles.run();
