/** What would be lost if a device went to VFIO now, in sentences. */
import type { Child } from "./children.ts";
import { childrenOf, isFrameBuffer, isInterface, isTerminal } from "./children.ts";
import type { Look } from "./look.ts";
import { openerWords } from "./openers.ts";
import { storageUses } from "./storage.ts";

/** `node` is that of the device's group, where VFIO has it already. */
export function inUse(look: Look, address: string, node: string | undefined): string[] {
  const path = look.at(address);
  const children = childrenOf(look, path);
  return [
    ...storageUses(look, children),
    ...routeUses(look, children),
    ...consoleUses(look, path, children),
    ...virtualFunctionUses(look, path),
    ...(node === undefined ? [] : look.openers.of(node).map((opener) => `${openerWords(opener)} has ${node} open`)),
  ];
}

/** The interface of the default route, or one that it is made of: a bridge's, a bond's, a VLAN's. */
function routeUses(look: Look, children: readonly Child[]): string[] {
  const routes = new Map([...defaultRoutes4(look), ...defaultRoutes6(look)].reverse());
  return children.filter(isInterface).flatMap(({ name, path }) =>
    [name, ...interfacesAbove(look, path)].flatMap((one) => {
      const family = routes.get(one);
      if (family === undefined) return [];
      return [`${one}${one === name ? "" : `, over ${name},`} has the machine's default route (${family})`];
    }),
  );
}

/** What is built on an interface: `upper_br0` is a link to br0 (`net/core/dev.c: netdev_adjacent_sysfs_add`). */
function interfacesAbove(look: Look, path: string, seen: ReadonlySet<string> = new Set()): string[] {
  const uppers = look.names(path)?.filter((name) => name.startsWith("upper_") && !seen.has(name)) ?? [];
  const now = new Set([...seen, ...uppers]);
  return uppers.flatMap((upper) => [upper.slice("upper_".length), ...interfacesAbove(look, `${path}/${upper}`, now)]);
}

/** `include/uapi/linux/route.h`: RTF_UP, RTF_REJECT. */
const UP = 1;
const REJECT = 0x200;

/** `Iface Destination Gateway Flags RefCnt Use Metric Mask ...` (`net/ipv4/fib_trie.c: fib_route_seq_show`). */
function defaultRoutes4(look: Look): [string, string][] {
  const lines = look.text("/proc/net/route")?.split("\n").slice(1) ?? [];
  return lines.flatMap((line): [string, string][] => {
    const [name = "", destination, , flags = "0", , , , mask] = line.trim().split(/\s+/);
    const bits = Number.parseInt(flags, 16);
    const isDefault = /^0{8}$/.test(destination ?? "") && /^0{8}$/.test(mask ?? "");
    return isDefault && (bits & UP) !== 0 && (bits & REJECT) === 0 ? [[name, "IPv4"]] : [];
  });
}

/** `destination length source length gateway metric references use flags name` (`net/ipv6/route.c: rt6_info_route`, all hex). */
function defaultRoutes6(look: Look): [string, string][] {
  const lines = look.text("/proc/net/ipv6_route")?.split("\n") ?? [];
  return lines.flatMap((line): [string, string][] => {
    const [destination = "", length, , , , , , , flags = "0", name = ""] = line.trim().split(/\s+/);
    const bits = Number.parseInt(flags, 16);
    const isDefault = /^0{32}$/.test(destination) && length === "00" && name !== "lo";
    return isDefault && (bits & UP) !== 0 && (bits & REJECT) === 0 ? [[name, "IPv6"]] : [];
  });
}

/**
 * The screen that firmware began with (`drivers/pci/pci-sysfs.c: boot_vga_show`), one that the kernel draws a console on, or a
 * terminal that it writes to (`drivers/tty/tty_io.c: show_cons_active`).
 */
function consoleUses(look: Look, path: string, children: readonly Child[]): string[] {
  const active = look.text("/sys/class/tty/console/active")?.trim().split(/\s+/) ?? [];
  const terminals = children.filter(isTerminal).filter(({ name }) => active.includes(name));
  const drawn = active.some((name) => /^tty\d+$/.test(name)) && children.some(isFrameBuffer);
  const isBootScreen = look.text(`${path}/boot_vga`)?.trim() === "1";
  return [
    ...(isBootScreen ? ["it is the console: the screen that the machine booted with"] : []),
    ...(drawn && !isBootScreen ? ["it is the console: the kernel draws on its frame buffer"] : []),
    ...terminals.map(({ name }) => `the kernel's console is on its terminal ${name}`),
  ];
}

/** Virtual functions end when the driver of the physical one goes (`drivers/pci/iov.c: sriov_disable`). */
function virtualFunctionUses(look: Look, path: string): string[] {
  const count = look.number(`${path}/sriov_numvfs`) ?? 0;
  if (count === 0) return [];
  const names = look.names(path)?.filter((name) => /^virtfn\d+$/.test(name)) ?? [];
  const which = names.map((name) => look.target(`${path}/${name}`)).filter((one) => one !== undefined);
  const list = which.length > 8 ? `${which.slice(0, 8).join(", ")}, ...` : which.join(", ");
  return [`its ${count} virtual function${count === 1 ? "" : "s"} would go with it${list === "" ? "" : ` (${list})`}`];
}
