/** The report for people: one block for each guest. */
import type { GuestReport } from "./report.ts";
import { isBelow } from "./versions.ts";

export function textOf(reports: readonly GuestReport[]): string {
  return reports.map(blockOf).join("\n");
}

function blockOf(report: GuestReport): string {
  const { tests, conformance, random, dma, inFlight, nvme, failures } = report;
  const lines = [
    `${report.name}: Linux ${report.kernel || "(did not say)"}, pages of ${report.cpuPage / 1024} KiB, ${report.seconds} s`,
    ...originOf(report),
    `  ${tests.passed} tests passed, ${tests.failed} failed; ${dma.transfers} transfers, ${dma.wrongBytes} wrong bytes`,
    `  conformance: ${conformance.rows} rows, ${conformance.differences} different; random: ${random.operations} calls, ${random.differences} different`,
  ];
  for (const [scheme, { transfers, lost, interrupted }] of Object.entries(inFlight)) {
    if (transfers > 0)
      lines.push(
        `  ${scheme} window: ${transfers} transfers in flight, ${lost} lost, ${interrupted} pages interrupted`,
      );
  }
  if (nvme.reads + nvme.writes > 0) {
    lines.push(
      `  NVMe: ${nvme.reads} reads, ${nvme.writes} writes, ${nvme.wrongBytes} wrong bytes; ${nvme.interrupts} interrupts, ${nvme.missed} missed`,
    );
  }
  for (const [scheme, { commands, lost }] of Object.entries(nvme.inFlight)) {
    if (commands > 0) lines.push(`  ${scheme} window: ${commands} NVMe commands in flight, ${lost} lost`);
  }
  for (const [heading, rows] of Object.entries(report.tables)) lines.push(...tableOf(heading, rows));
  for (const failure of failures) lines.push(`  FAILED: ${failure.replaceAll("\n", "\n  ")}`);
  return `${lines.join("\n")}\n`;
}

/** What was booted, and where it is from. */
function originOf({ build, node, equipment }: GuestReport): string[] {
  if (equipment === undefined) return [];
  const { kernel, engines } = equipment;
  const suite = kernel.suite === undefined ? "" : ` of ${kernel.suite}`;
  const exception = node !== "" && isBelow(node, engines) ? `; an exception: this package asks for ${engines}` : "";
  const passedOver = [...kernel.passedOver, ...equipment.node.passedOver];
  return [
    `  ${kernel.package} ${kernel.version}${suite}${cacheWord(kernel)}${build && `: ${build}`}`,
    `  Node ${node || "(did not say)"}: ${equipment.node.from}${cacheWord(equipment.node)}${exception}`,
    ...passedOver.map(({ name, reason }) => `  not to be had: ${name}: ${reason}`),
  ];
}

function cacheWord({ isCached }: { readonly isCached: boolean }): string {
  return isCached ? ", from the cache" : "";
}

function tableOf(heading: string, rows: readonly Readonly<Record<string, string>>[]): string[] {
  const columns = Object.keys(rows[0] ?? {});
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]) =>
    `    ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ")}`.trimEnd();
  return [`  ${heading}`, line(columns), ...rows.map((row) => line(columns.map((column) => row[column] ?? "")))];
}
