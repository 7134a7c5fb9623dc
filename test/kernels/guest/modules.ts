/** Modules of the kernel, which a guest has loaded when its program begins, taken away and brought back. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";

const DIRECTORY = "/lib/modules";

/** In the order in which they need each other: VFIO's, or those of Linux's own driver for NVMe, which not every image has. */
function modulesIn(list: "order" | "disk"): readonly string[] {
  const path = `${DIRECTORY}/${list}`;
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
}

/** What modprobe wants to know: where VFIO's modules lie, and that each may need those before it. */
export function prepareModprobe(): void {
  const directory = `${DIRECTORY}/${release()}`;
  mkdirSync(directory, { recursive: true });
  const files = modulesIn("order").map((name) => `${DIRECTORY}/${name}.ko`);
  const lines = files.map((file, i) => `${file}: ${files.slice(0, i).reverse().join(" ")}\n`);
  writeFileSync(`${directory}/modules.dep`, lines.join(""));
}

export function isLoaded(module: string): boolean {
  return new RegExp(`^${module.replaceAll("-", "_")} `, "m").test(readFileSync("/proc/modules", "utf8"));
}

/** Takes VFIO out of the kernel: no device is with it then, and nobody may have one open. @throws Error */
export function unloadVfio(): void {
  unload(modulesIn("order"));
}

/** As it was when the program began. @throws Error */
export function loadVfio(): void {
  load(modulesIn("order"));
}

/** Linux's own driver for NVMe takes every controller that is free, until what comes back is called. @throws Error */
export function withDiskDriver(): () => void {
  const modules = modulesIn("disk");
  load(modules);
  return () => unload(modules);
}

function load(modules: readonly string[]): void {
  for (const module of modules) if (!isLoaded(module)) run("insmod", `${DIRECTORY}/${module}.ko`);
}

function unload(modules: readonly string[]): void {
  for (const module of [...modules].reverse()) if (isLoaded(module)) run("rmmod", module);
}

function run(program: string, word: string): void {
  const { status, stderr } = spawnSync(program, [word], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${word}: ${stderr.trim()}`);
}
