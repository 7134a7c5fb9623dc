import { Container } from "./container.ts";
import { EBUSY, ENOENT } from "./errno.ts";
import { Watchers } from "./eyes/watch.ts";
import { Group } from "./group.ts";
import type { MachineKind } from "./machine-kind.ts";
import { HugepagePool } from "./memory/hugepage-pool.ts";
import type { OpenFile } from "./open-file.ts";
import type { ModelSettings } from "./options.ts";
import { spaprMachine } from "./spapr/machine.ts";
import { powernv } from "./spapr/powernv.ts";
import { pseries } from "./spapr/pseries.ts";

/** What all processes of a machine share: its IOMMU, its groups, the containers that are there, its hugepages. */
export class Machine {
  /** The CPU's page in bytes. */
  readonly pageSize: number;
  readonly pool: HugepagePool;
  readonly watchers = new Watchers();
  readonly groups: readonly Group[];
  readonly #containers = new Set<Container>();
  readonly #kind: MachineKind;
  readonly #byPath: ReadonlyMap<string, Group>;
  #opened = 0;

  constructor({ platform, pageSize, groups, info, hugepages }: ModelSettings) {
    this.pageSize = pageSize;
    this.pool = new HugepagePool(hugepages);
    const tables = platform === "powernv" ? powernv(info, pageSize) : pseries(info);
    this.#kind = spaprMachine(tables, this.watchers);
    this.groups = [...groups].sort((a, b) => a - b).map((group) => new Group(group, this.#kind.groupPath(group)));
    this.#byPath = new Map(this.groups.map((group) => [group.path, group]));
  }

  /** The file, or a negative errno. */
  open(path: string): OpenFile | number {
    if (path === "/dev/vfio/vfio") {
      const container = new Container(this.#opened++, this.#kind);
      this.#containers.add(container);
      return container;
    }
    const group = this.#byPath.get(path);
    if (group === undefined) return ENOENT;
    // It opens once: `drivers/vfio/group.c: vfio_group_fops_open`.
    return group.isOpen ? EBUSY : group;
  }

  /** A container goes when neither a descriptor nor a group holds it. */
  get containers(): readonly Container[] {
    for (const container of this.#containers) if (container.isGone) this.#containers.delete(container);
    return [...this.#containers];
  }
}
