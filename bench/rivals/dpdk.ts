/** DPDK's functions, in a process of their own that answers line by line. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Bench } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";

/** What is measured there: see dpdk.c. */
export type DpdkWork =
  | "virt2memseg"
  | "virt2memseg_missing"
  | "walk_memsegs"
  | "walk_lists"
  | "power_of_two"
  | "virt2physical";

export class Dpdk {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #complaints = "";

  /**
   * Starts it and waits until its tables are full. `parameters` as dpdk.c takes them. Nothing, and a word why, where there is no
   * DPDK or it cannot do that here; what it answers later must be right.
   */
  static async start(bench: Pick<Bench, "rivals" | "leaveOut">, ...parameters: readonly (string | number)[]) {
    const program = bench.rivals.dpdk;
    if (program === undefined) return undefined; // the build has said why
    const dpdk = new Dpdk(program, parameters.map(String));
    try {
      await dpdk.#line("ready");
      return dpdk;
    } catch (error) {
      dpdk.close();
      bench.leaveOut(`DPDK, ${parameters.join(" ")}: ${(error as Error).message}`);
      return undefined;
    }
  }

  private constructor(program: string, parameters: readonly string[]) {
    this.#child = spawn(program, parameters);
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#complaints += text;
    });
    this.#child.on("error", (error) => {
      this.#complaints += error.message;
    });
    this.#child.stdin.on("error", () => {}); // it has ended: the next line that does not come says so
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  async #line(wanted = ""): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (!done && value.startsWith(wanted) && !value.startsWith("error")) return value;
    throw new Error(`DPDK said ${done ? "nothing more" : value}. ${this.#complaints.trim().split("\n").at(-1) ?? ""}`);
  }

  async #ask(line: string): Promise<number[]> {
    this.#child.stdin.write(`${line}\n`);
    return (await this.#line()).split(" ").map(Number);
  }

  /**
   * A repeat is as much work as everybody's is, `operations` of the unit: what DPDK did in its repeat is counted there, and may
   * be another number.
   */
  contender(name: string, work: DpdkWork, operations: number): Contender {
    return {
      name,
      time: async (repeats) => {
        const [took = Number.NaN, done = 0, right = 0] = await this.#ask(`time ${work} ${repeats}`);
        if (done === 0 || right !== done) throw new Error(`DPDK's ${work} was right in ${right} of ${done} answers`);
        return (took / done) * operations * repeats;
      },
    };
  }

  close(): void {
    this.#child.stdin.end();
  }
}
