/** `dma-window doctor`: what keeps a program from VFIO on this machine, or on a described one. */
import { doctor } from "../doctor/doctor.ts";
import { hex } from "../hex.ts";
import { modelKernel } from "../model/index.ts";
import type { DoctorLine } from "./device-line.ts";
import { pageOf } from "./doctor-page.ts";
import { checkRoot } from "./machine-root.ts";

/** 0 where a way to a real device is ready, and 1 where none is. */
export function doctorCommand({ kernel, platform, root, json }: DoctorLine, print: (text: string) => void): number {
  checkRoot(root);
  const model = kernel === "model" ? { kernel: modelKernel({ platform }) } : {};
  const diagnosis = doctor({ ...model, ...(root === undefined ? {} : { root }) });
  print(json ? JSON.stringify(diagnosis, plain) : pageOf(diagnosis).join("\n"));
  return diagnosis.ready ? 0 : 1;
}

/** What is not known is null, and so is what is not limited; sizes and addresses may pass 2^53, and are hex strings. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return hex(value);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, each ?? null]));
}
