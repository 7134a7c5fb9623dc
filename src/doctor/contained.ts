/** Whether this program runs in a container, and what that keeps from it. */
import type { Survey } from "./survey.ts";

export interface ContainerFacts {
  /** `docker`, `podman`, `kubernetes`, ..., or `container` where only that is known. */
  readonly kind: string;
  /** By what it is known. */
  readonly knownBy: string;
  /** Whether it sees its own processes only. `undefined`: not known. */
  readonly ownProcessesOnly: boolean | undefined;
  /** Whether /sys is mounted read-only, so that no device can be bound from here. */
  readonly sysIsReadOnly: boolean | undefined;
}

/** The names of cgroups by which container tools are known. */
const CGROUPS: readonly (readonly [RegExp, string])[] = [
  [/\/kubepods/, "kubernetes"],
  [/\/docker[/-]|\/docker\//, "docker"],
  [/libpod/, "podman"],
  [/\/lxc[/.]/, "lxc"],
  [/containerd|crio|cri-/, "containerd"],
  [/machine\.slice\/.*nspawn|systemd-nspawn/, "systemd-nspawn"],
];

/** The first PID namespace (`include/linux/proc_ns.h: PROC_PID_INIT_INO`). */
const FIRST_PID_NAMESPACE = "pid:[4026531836]";

/** `undefined` where nothing speaks for one. */
export function readContained(survey: Survey): ContainerFacts | undefined {
  const found = known(survey);
  if (found === undefined) return undefined;
  const [kind, knownBy] = found;
  const namespace = survey.link("/proc/self/ns/pid");
  return {
    kind,
    knownBy,
    ownProcessesOnly: namespace === undefined ? undefined : namespace !== FIRST_PID_NAMESPACE,
    sysIsReadOnly: sysIsReadOnly(survey),
  };
}

function known(survey: Survey): readonly [kind: string, by: string] | undefined {
  if (isThere(survey, "/.dockerenv")) return ["docker", "/.dockerenv"];
  const podman = survey.text("/run/.containerenv");
  if (podman !== undefined || isThere(survey, "/run/.containerenv")) return ["podman", "/run/.containerenv"];
  const systemd = survey.text("/run/systemd/container")?.trim();
  if (systemd) return [systemd.slice(0, 32), "/run/systemd/container"];
  for (const path of ["/proc/self/cgroup", "/proc/1/cgroup"]) {
    const text = survey.text(path) ?? "";
    const [, kind] = CGROUPS.find(([pattern]) => pattern.test(text)) ?? [];
    if (kind !== undefined) return [kind, path];
  }
  // A live system's root is an overlay too.
  const isFirst = survey.link("/proc/self/ns/pid") === FIRST_PID_NAMESPACE;
  return survey.isContained && !isFirst ? ["container", "the root file system (overlay)"] : undefined;
}

function isThere(survey: Survey, path: string): boolean {
  return survey.statusOf(path) !== undefined || survey.text(path) !== undefined;
}

/** `23 22 0:21 / /sys ro,nosuid - sysfs sysfs ro` */
function sysIsReadOnly(survey: Survey): boolean | undefined {
  const line = survey
    .text("/proc/self/mountinfo")
    ?.split("\n")
    .find((one) => one.split(" ")[4] === "/sys");
  return line === undefined ? undefined : /(?:^|,)ro(?:,|$)/.test(line.split(" ")[5] ?? "");
}
