/** A rival in a process of its own that answers line by line: see the programs in C here. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Bench } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";

export class RivalProcess {
  readonly #name: string;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #complaints = "";

  /**
   * Starts a program and waits until it is ready. Nothing, and a word why, where it cannot do here what it is asked for; what it
   * answers later must be right. Nothing at all where there is no program: the build has said why.
   */
  static async start(
    bench: Pick<Bench, "leaveOut">,
    name: string,
    program: string | undefined,
    ...parameters: readonly (string | number)[]
  ): Promise<RivalProcess | undefined> {
    if (program === undefined) return undefined;
    const rival = new RivalProcess(name, program, parameters.map(String));
    try {
      await rival.#line("ready");
      return rival;
    } catch (error) {
      rival.close();
      bench.leaveOut(`${name}, ${parameters.join(" ")}: ${(error as Error).message}`);
      return undefined;
    }
  }

  private constructor(name: string, program: string, parameters: readonly string[]) {
    this.#name = name;
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
    const complaint = this.#complaints.trim().split("\n").at(-1) ?? "";
    throw new Error(`${this.#name} said ${done ? "nothing more" : value}. ${complaint}`);
  }

  /** Asks one line, and gives the numbers of the answer. */
  async ask(line: string): Promise<number[]> {
    this.#child.stdin.write(`${line}\n`);
    return (await this.#line()).split(" ").map(Number);
  }

  /**
   * A repeat is as much work as everybody's is, `operations` of the unit: what the rival did in its repeat is counted there, and
   * may be another number.
   */
  contender(name: string, work: string, operations: number): Contender {
    return {
      name,
      time: async (repeats) => {
        const [took = Number.NaN, done = 0, right = 0] = await this.ask(`time ${work} ${repeats}`);
        if (done === 0 || right !== done) throw new Error(`${name}: ${work} was right in ${right} of ${done} answers`);
        return (took / done) * operations * repeats;
      },
    };
  }

  close(): void {
    this.#child.stdin.end();
  }
}
