/** Linux's own tests of VFIO (tools/testing/selftests/vfio), on the software kernel's devices. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { x86 } from "../kernels/guests.ts";
import type { Case, Judge, Ran, Verdict } from "./judged.ts";
import { type LinuxSource, linuxSource } from "./linux-source.ts";
import { shopNeeds, shopOf } from "./shop.ts";

const ADDRESS = "0000:00:1a.0";
const OTHER_ADDRESS = "0000:00:1b.0";
const MODES = ["vfio_type1_iommu", "vfio_type1v2_iommu"] as const;
const PROGRAMS = [
  "vfio_dma_mapping_test",
  "vfio_dma_mapping_mmio_test",
  "vfio_pci_device_test",
  "vfio_pci_device_init_perf_test",
] as const;
const modeOwn = fileURLToPath(new URL("iommu-mode.c", import.meta.url));

type Answer = "passed" | "failed" | "skipped";

/** Where a case does not simply pass. */
interface Row {
  readonly cases: RegExp;
  readonly answers: readonly Answer[];
  readonly why: string;
}

/** Seen of the same programs on Linux 7.3.4 and 6.12.117 with QEMU's edu, but for the first. */
const everywhere: readonly Row[] = [
  {
    cases: /mmio_test/,
    answers: ["skipped"],
    why: "different: they pass on a real kernel. Under exec no BAR can be mapped: nobody sees an access to registers through memory",
  },
  { cases: /hugetlb_2mb/, answers: ["passed", "skipped"], why: "skipped where there is no free hugepage of 2 MiB" },
];
const ofEdu: readonly Row[] = [
  { cases: /device_test\.reset/, answers: ["skipped"], why: "edu cannot be reset" },
  { cases: /irq_test\.msix/, answers: ["skipped"], why: "edu has no MSI-X" },
];
const ofNvme: readonly Row[] = [{ cases: /irq_test\.msi\./, answers: ["skipped"], why: "that disk has MSI-X alone" }];
const before618: readonly Row[] = [
  {
    cases: /map_limit_test\..*\.overflow/,
    answers: ["failed"],
    why: "it wants the EOVERFLOW that Linux 6.18 brought, and gets EINVAL, as on 6.12.117",
  },
];

/** What TAP says, line by line, against what is known of a real kernel. */
function judgedBy(rows: readonly Row[], total: number): (ran: Ran) => Verdict {
  return ({ stdout, stderr, status }) => {
    const counts: Record<Answer, number> = { passed: 0, failed: 0, skipped: 0 };
    const faults: string[] = [];
    const known = new Set<string>();
    for (const [, not, name = "", why] of stdout.matchAll(/^(not )?ok \d+ (\S+)(?: # SKIP (.*))?$/gm)) {
      const answer: Answer = not !== undefined ? "failed" : why !== undefined ? "skipped" : "passed";
      counts[answer]++;
      const row = rows.find(({ cases }) => cases.test(name));
      if (row !== undefined && answer !== "passed") known.add(`${answer}: ${row.why}`);
      if (!(row?.answers ?? ["passed"]).includes(answer))
        faults.push(`${name} ${answer}${row === undefined ? "" : `, though ${row.why}`}${why ? `: ${why}` : ""}`);
    }
    const cases = counts.passed + counts.failed + counts.skipped;
    if (cases !== total) faults.push(`${cases} cases and not ${total} (exit ${status}): ${stderr}${stdout}`);
    const words = Object.entries(counts).flatMap(([answer, count]) => (count === 0 ? [] : [`${count} ${answer}`]));
    return { cases, words: words.join(", "), known: [...known], faults };
  };
}

const edu = { kind: "edu", group: 26 };
const nvme = { kind: "nvme", group: 26 };
const platform = "type1";

function mapping(name: string, device: object, total: number, rows: readonly Row[], linux?: string): Case {
  const variants = MODES.flatMap((mode) => [mode, `${mode}_anonymous`, `${mode}_anonymous_hugetlb_2mb`]);
  const words = ["./vfio_dma_mapping_test", ...variants.flatMap((variant) => ["-v", variant]), ADDRESS];
  const judge = judgedBy([...rows, ...everywhere], total);
  return { name, platform, words, devices: [device], known: [], judge, ...(linux === undefined ? {} : { linux }) };
}

const ofMode = MODES.flatMap((mode): readonly Case[] => {
  const one = { platform, environment: { DMA_WINDOW_IOMMU_MODE: mode }, known: [] } as const;
  const words = ["./vfio_pci_device_test", ADDRESS];
  return [
    { ...one, name: `edu's registers, ${mode}`, words, devices: [edu], judge: judgedBy(ofEdu, 5) },
    { ...one, name: `nvme's registers, ${mode}`, words, devices: [nvme], judge: judgedBy(ofNvme, 5) },
  ];
});

const ofBoth = MODES.flatMap((mode) => ["-v", mode]);

export const selftests: Judge = {
  name: "vfio-selftests",
  needs() {
    const shop = shopNeeds();
    if ("never" in shop) return shop;
    const isThere = spawnSync("cc", ["-E", "-include", "uuid/uuid.h", "-xc", "/dev/null"]).status === 0;
    return isThere ? shop : [...shop, "gcc", "uuid-dev"];
  },
  async build(folder, say) {
    const source = await linuxSource(shopOf(x86, say));
    compile(source, folder);
    say(
      "vfio-selftests: the cases of iommufd and of the modes over it are left out, since there is no /dev/iommu under exec; " +
        "vfio_pci_driver_test wants a device of which the tests have a driver, and there is none",
    );
    return source.version;
  },
  cases: [
    mapping("edu maps", edu, 10, []),
    mapping("nvme maps", nvme, 10, []),
    mapping("edu maps, on Linux 6.12", edu, 10, before618, "6.12.117"),
    ...ofMode,
    {
      name: "BARs that are mapped",
      platform,
      words: ["./vfio_dma_mapping_mmio_test", ...ofBoth, ADDRESS],
      devices: [edu],
      known: [],
      judge: judgedBy(everywhere, 6),
    },
    {
      name: "two devices set up at the same time",
      platform,
      words: ["./vfio_pci_device_init_perf_test", ...ofBoth, ADDRESS, OTHER_ADDRESS],
      devices: [edu, { kind: "nvme", group: 27, address: OTHER_ADDRESS }],
      known: [],
      judge: judgedBy([], 2),
    },
  ],
  explanations: [
    {
      kind: "answer-ignored",
      message: /iova 0xfffffffffffff000, size 0x2000\) = EOVERFLOW/,
      why: "`overflow` asks for a range that wraps, to see it refused, and nothing is mapped there",
    },
  ],
};

/** The one line that its Makefile comes to, with the kernel's headers as `headers_install` leaves them. */
function compile({ path }: LinuxSource, folder: string): void {
  const tests = join(path, "tools/testing/selftests");
  const own = join(tests, "vfio");
  const headers = join(folder, "include");
  mkdirSync(join(headers, "linux"), { recursive: true });
  for (const name of ["vfio.h", "iommufd.h"]) {
    const text = readFileSync(join(path, "include/uapi/linux", name), "utf8");
    writeFileSync(join(headers, "linux", name), text.replaceAll(/\b__user\b/g, ""));
  }
  const flags = [
    ...["-O1", "-w", "-D_GNU_SOURCE", "-D__counted_by(count)=", "-isystem", headers],
    ...["lib/include", "../../../include", "../../../arch/x86/include", ".."].map((at) => `-I${join(own, at)}`),
  ];
  const library = readdirSync(join(own, "lib"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".c"))
    .map((name) => join(own, "lib", name));
  cc([...flags, "-c", ...library, modeOwn], folder);
  const objects = [...library, modeOwn].map((name) => `${basename(name, ".c")}.o`);
  for (const name of PROGRAMS)
    cc([...flags, "-o", name, join(own, `${name}.c`), ...objects, "-pthread", "-luuid"], folder);
}

function cc(words: readonly string[], cwd: string): void {
  const { status, stderr } = spawnSync("cc", words, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`Linux's tests of VFIO were not compiled: ${stderr}`);
}
