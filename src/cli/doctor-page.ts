/** One page about a machine, for people: 80 columns, no colour. */
import type { Diagnosis, DoctorFacts, DoctorProblem, DoctorWay } from "../doctor/diagnosis.ts";
import type { GroupFacts } from "../doctor/groups.ts";
import type { PoolFacts } from "../doctor/memory.ts";
import { CAPABILITIES, type CapabilityName } from "../doctor/process.ts";
import { bytes, hex, roughly } from "../hex.ts";
import { openerWords } from "../pci/openers.ts";

const WIDTH = 80;
const LABEL = 14;

export function pageOf({ ways, facts }: Diagnosis): string[] {
  const closed = ways.filter(({ verdict }) => verdict !== "never");
  return [
    ...ways.map(verdictLine),
    ...closed.flatMap((way, i) => problemLines(way, closed.slice(0, i))),
    "",
    ...factLines(facts),
  ].flat();
}

const VERDICTS = { now: "ready", "after a fix": "not yet", never: "never here" } as const;

/** The reason of what can never be stands beside it; the others' stand below. */
function verdictLine({ way, verdict, problems }: DoctorWay): string[] {
  const [first] = problems;
  const blocking = problems.filter(({ blocks }) => blocks).length;
  const more = problems.length - blocking;
  const counts = [...(blocking === 0 ? [] : [`${blocking} to mend`]), ...(more === 0 ? [] : [`${more} to mind`])].join(
    ", ",
  );
  const words = verdict === "never" ? `: ${first?.what}` : counts === "" ? "" : `: ${counts}`;
  return row(way, `${VERDICTS[verdict]}${words}`);
}

/** What another way has said already is not said twice. */
function problemLines({ way, problems }: DoctorWay, before: readonly DoctorWay[]): string[] {
  const said = new Set(before.flatMap((one) => one.problems.map(({ what }) => what)));
  const own = problems.filter(({ what }) => !said.has(what));
  const again = problems.length - own.length;
  if (problems.length === 0) return [];
  return [
    "",
    `  ${way}${again === 0 ? "" : `, besides ${again} of those above`}`,
    ...own.flatMap(({ what, fix, blocks }: DoctorProblem) => [
      ...row(blocks ? "  not yet" : "  mind", what),
      ...row("  do", fix),
    ]),
  ];
}

function factLines(facts: DoctorFacts): string[] {
  const { kernel, container, vfio, iommu, memory, process, shim } = facts;
  return [
    ...row("Linux", kernelWords(facts)),
    ...(kernel.commandLine?.length ? row("started with", kernel.commandLine.join(" ")) : []),
    ...(container === undefined ? [] : row("container", containerWords(container))),
    ...row("VFIO", vfio.modules.map(({ name, state }) => `${name} ${state ?? "not known"}`).join(", ")),
    ...vfio.modules.flatMap(({ name, parameters }) => {
      const list = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
      return list.length === 0 ? [] : row("", `${name}: ${list.join(" ")}`);
    }),
    ...row("nodes", nodeWords(facts)),
    ...row("IOMMU", iommuWords(iommu)),
    ...groupLines(facts),
    ...poolLines(memory.hugepages),
    ...row("memory", memoryWords(facts)),
    ...row("lockable", lockableWords(process.memlock, process.capabilities.CAP_IPC_LOCK)),
    ...process.lockers.flatMap(({ pid, name, isThisOne, locked, pinned }) => {
      const who = openerWords({ pid: String(pid), name, isThisOne });
      const counts = [
        ...(locked > 0n ? [`${roughly(locked)} locked`] : []),
        ...(pinned > 0n ? [`${roughly(pinned)} pinned`] : []),
      ];
      return row("", `${who}: ${counts.join(", ")}`);
    }),
    ...row("rights", rightsWords(process)),
    ...row("physical", physicalWords(facts)),
    ...(shim === undefined ? [] : row("shim", shim.loads ? `${shim.from}: ${shim.path}` : "cannot be loaded")),
    ...kernel.quirks.filter(({ blocks }) => !blocks).flatMap(({ says }, i) => row(i === 0 ? "quirks" : "", says)),
    ...facts.notKnown.flatMap((text, i) => row(i === 0 ? "not known" : "", text)),
  ];
}

function kernelWords({ kernel }: DoctorFacts): string {
  const { release, version, architecture, platform, virtual, pageSize, maxMapCount } = kernel;
  const of = version === undefined || release?.startsWith(version) ? "" : `, which is ${version}`;
  const kind = { powernv: "POWER, bare metal (PowerNV)", pseries: "POWER, an LPAR (pSeries)" };
  const where = platform === undefined ? (architecture === "power" ? "POWER" : architecture) : kind[platform];
  return [
    `${release ?? "not known"}${of}`,
    where ?? "a processor that is not known",
    ...(virtual === true && platform !== "pseries" ? ["a virtual machine"] : []),
    `pages of ${pageSize === undefined ? "a size that is not known" : bytes(pageSize)}`,
    ...(maxMapCount === undefined ? [] : [`max_map_count ${maxMapCount}`]),
  ].join(", ");
}

function containerWords({
  kind,
  knownBy,
  ownProcessesOnly,
  sysIsReadOnly,
}: NonNullable<DoctorFacts["container"]>): string {
  return [
    `${kind}, by ${knownBy}`,
    ...(ownProcessesOnly === true ? ["sees its own processes only"] : []),
    ...(sysIsReadOnly === true ? ["/sys is read-only, so devices are bound on the host"] : []),
  ].join("; ");
}

function nodeWords({ vfio }: DoctorFacts): string {
  if (vfio.hasDirectory === false) return "no /dev/vfio";
  if (vfio.nodes.length === 0) return "not known";
  return `/dev/vfio: ${some(vfio.nodes, 12)}`;
}

function iommuWords({ state, offBy, units, addressBits, remapsInterrupts, groups }: DoctorFacts["iommu"]): string {
  const names = units.map(({ name, kind }) => (kind === undefined ? name : `${name} (${kind})`));
  const states = {
    on: `in use, ${groups} group${groups === 1 ? "" : "s"}`,
    off: `off by ${offBy}`,
    none: "none in use",
  };
  return [
    state === undefined ? "not known" : states[state],
    ...(names.length === 0 ? [] : [some(names, 4)]),
    ...(addressBits === undefined ? [] : [`${addressBits} address bits`]),
    ...(remapsInterrupts === undefined ? [] : [remapsInterrupts ? "remaps interrupts" : "does not remap interrupts"]),
  ].join(", ");
}

/** Those that VFIO has in full; of the others how many there are, and which the doctor would not take. */
function groupLines({ pci }: DoctorFacts): string[] {
  const bound = pci.groups.filter(({ isBound }) => isBound);
  const others = pci.groups.length - bound.length;
  const alone = pci.withoutGroup.length;
  return [
    ...bound.slice(0, 16).flatMap((group) => groupLine(group)),
    ...(bound.length > 16 ? row("", `and ${bound.length - 16} more groups that VFIO has`) : []),
    ...(others === 0 ? [] : row("others", `${others} group${others === 1 ? "" : "s"} that VFIO has no device of`)),
    ...(alone === 0 ? [] : row("no group", `${alone} PCI device${alone === 1 ? "" : "s"} in no group`)),
  ];
}

function groupLine({ id, noIommu, isViable, devices, openers, reservedRegions }: GroupFacts): string[] {
  const who = devices.map(
    ({ address, className, driver }) =>
      `${address}${className === undefined ? "" : ` ${className}`} (${driver ?? "no driver"})`,
  );
  const held = openers.length === 0 ? "" : `; open in ${openers.map(openerWords).join(", ")}`;
  const regions = (reservedRegions ?? []).map(({ start, last, kind }) => `${hex(start)}-${hex(last)} ${kind}`);
  return [
    ...row(
      `group ${id}`,
      `${noIommu ? "no IOMMU, " : ""}${isViable ? "viable" : "not viable"}: ${some(who, 6)}${held}`,
    ),
    ...(regions.length === 0 ? [] : row("", `keeps ${some(regions, 6)}`)),
  ];
}

function poolLines(pools: readonly PoolFacts[] | undefined): string[] {
  if (pools === undefined) return row("hugepages", "not known");
  if (pools.length === 0) return row("hugepages", "none: this kernel has no hugetlb");
  return pools.flatMap(({ pageSize, total, free, reserved, borrowable, nodes, limit }, i) => {
    const words = [
      `${bytes(pageSize)}: ${free} of ${total} free`,
      ...(reserved === 0 ? [] : [`${reserved} of these promised`]),
      ...(borrowable === 0 ? [] : [`${borrowable} may be borrowed`]),
      ...nodes.map((one) => `node ${one.node} ${one.free} of ${one.total}`),
      ...(limit === undefined ? [] : [`cgroup ${roughly(limit.used)} of ${roughly(limit.limit)}`]),
    ];
    return row(i === 0 ? "hugepages" : "", words.join(", "));
  });
}

function memoryWords({ memory }: DoctorFacts): string {
  const { available, limit } = memory;
  return [
    available === undefined ? "not known how much is free" : `${roughly(available)} can be had`,
    limit === undefined
      ? "no limit of a cgroup"
      : `cgroup ${roughly(limit.used)} of ${roughly(limit.limit)} (${limit.file})`,
  ].join(", ");
}

function lockableWords(
  { soft, hard, used }: DoctorFacts["process"]["memlock"],
  privileged: boolean | undefined,
): string {
  if (soft === undefined) return "not known";
  const of = (limit: bigint | null | undefined) =>
    limit === null ? "no limit" : limit === undefined ? "not known" : roughly(limit);
  const words = [`RLIMIT_MEMLOCK ${of(soft)}${hard === undefined || hard === soft ? "" : ` (hard: ${of(hard)})`}`];
  if (used !== undefined) words.push(`${roughly(used)} in use`);
  if (privileged === true) words.push("not enforced: CAP_IPC_LOCK");
  return words.join(", ");
}

function rightsWords({ uid, capabilities, isInFirstUserNamespace }: DoctorFacts["process"]): string {
  const names = Object.keys(CAPABILITIES) as CapabilityName[];
  const held = names.filter((name) => capabilities[name] === true);
  const known = names.some((name) => capabilities[name] !== undefined);
  return [
    uid === undefined ? "user not known" : `user ${uid}`,
    held.length > 0 ? held.join(" ") : known ? "none of the capabilities that matter" : "capabilities not known",
    ...(isInFirstUserNamespace === false ? ["in a user namespace, where capabilities do not count"] : []),
  ].join(", ");
}

function physicalWords({ memory }: DoctorFacts): string {
  const { iomem, highestRam, pagemap } = memory;
  const words = {
    shown: `/proc/iomem is shown, RAM ends at ${hex(highestRam ?? 0n)}`,
    hidden: "/proc/iomem shows zeros",
    masked: "/proc/iomem names no RAM",
    malformed: "/proc/iomem is in no form that is known",
  };
  const frames = pagemap === undefined || pagemap === "missing" ? "not known" : pagemap;
  return `${iomem === undefined ? "/proc/iomem not known" : words[iomem]}; page frames of pagemap ${frames}`;
}

function some(list: readonly string[], most: number): string {
  return list.length <= most ? list.join(", ") : `${list.slice(0, most).join(", ")} and ${list.length - most} more`;
}

/** A label and a text that goes on below itself. A word that is longer than a line stands alone. */
function row(label: string, text: string): string[] {
  const room = WIDTH - 2 - LABEL;
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  const pad = label.length < LABEL ? label.padEnd(LABEL) : `${label} `;
  return lines.map((line, i) => `  ${i === 0 ? pad : " ".repeat(LABEL)}${line}`);
}
