/** What an errno of a call means: the causes, in the order in which the table has them. */
import { ERRNO } from "../../src/errno.ts";
import type { IommuKind } from "../../src/explain/cause.ts";
import { type JudgedCause, judge, POSITIVE } from "../../src/explain/judge.ts";
import { Machine } from "../../src/explain/machine.ts";
import { causes } from "../../src/explain/table.ts";
import type { MachineFiles } from "../../src/syscalls.ts";
import { byId, element } from "./dom.ts";

/** Of nothing else of a machine the page knows: every other file is not there. */
const RELEASE = "/proc/sys/kernel/osrelease";

export class ExplainView {
  readonly #call = byId("explain-call", HTMLSelectElement);
  readonly #errno = byId("explain-errno", HTMLSelectElement);
  readonly #iommu = byId("explain-iommu", HTMLSelectElement);
  readonly #linux = byId("explain-linux", HTMLInputElement);
  readonly #out = byId("explain-out", HTMLElement);

  constructor() {
    const calls = [...new Set(causes.map(({ call }) => call))].filter((call) => call !== "any");
    this.#call.replaceChildren(...calls.sort().map((call) => element("option", { value: call }, call)));
    this.#call.value = "VFIO_IOMMU_MAP_DMA";
    this.#offer();
    this.#call.addEventListener("change", () => {
      this.#offer();
      this.show();
    });
    for (const field of [this.#errno, this.#iommu]) field.addEventListener("change", () => this.show());
    this.#linux.addEventListener("input", () => this.show());
  }

  show(): void {
    const kind = this.#iommu.value === "" ? undefined : (this.#iommu.value as IommuKind);
    const found = judge(this.#call.value, this.#errno.value, kind, new Machine(filesOf(this.#linux.value.trim())), {});
    const none = element("p", {}, "The table has no cause of this answer on this IOMMU: see the kernel's log (dmesg).");
    const list = element("ol", {}, ...found.map(itemOf));
    this.#out.replaceChildren(found.length === 0 ? none : list);
  }

  /** The answers that the table knows of a call; the usual ones first. */
  #offer(): void {
    const known = new Set(causes.filter(({ call }) => call === this.#call.value).map(({ errno }) => errno));
    const before = this.#errno.value;
    const names = [...Object.keys(ERRNO), POSITIVE].filter((name) => known.has(name));
    const words = (name: string) => (name === POSITIVE ? "a number above 0" : name);
    this.#errno.replaceChildren(...names.map((name) => element("option", { value: name }, words(name))));
    if (known.has(before)) this.#errno.value = before;
    else if (known.has("EINVAL")) this.#errno.value = "EINVAL";
  }
}

function itemOf({ id, verdict, says, source }: JudgedCause): HTMLElement {
  const head = element("strong", {}, id);
  const how = verdict === "possible" ? "" : ` (${verdict})`;
  return element("li", {}, head, `${how}: ${says}`, element("br"), element("code", {}, source));
}

function filesOf(release: string): MachineFiles {
  const absent = -ERRNO.ENOENT;
  return {
    text: (path) => (path === RELEASE && release !== "" ? release : absent),
    names: () => absent,
    link: () => absent,
  };
}
