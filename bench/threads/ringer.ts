/** Another thread that writes an eventfd, and how long it takes until somebody hears of it here. */
import { Worker } from "node:worker_threads";

/** Whoever is to hear: `heard` is to be called for each event, as soon as it can be. */
export interface Hearer {
  readonly name: string;
  /** Begins, and gives what ends it; events come from then on. */
  begin(heard: () => void): () => void;
}

/** Milliseconds from an event that was heard to the next one: whoever waits sleeps by then. */
const APART = 0.2;

export class Ringer {
  readonly #written = new BigInt64Array(new SharedArrayBuffer(8));
  readonly #heard = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker = new Worker(new URL("./ringer.mjs", import.meta.url), {
    workerData: { written: this.#written, heard: this.#heard },
    execArgv: [],
  });

  /** Nanoseconds from before the write to the call, of `count` events. */
  ring(fd: number, count: number, { begin }: Hearer): Promise<number[]> {
    const took: number[] = [];
    this.#heard[0] = 0;
    return new Promise((resolve, reject) => {
      const end = begin(() => {
        took.push(Number(process.hrtime.bigint() - Atomics.load(this.#written, 0)));
        if (took.length === count) setImmediate(finish);
        Atomics.add(this.#heard, 0, 1);
        Atomics.notify(this.#heard, 0);
      });
      const finish = (): void => {
        this.#worker.off("error", reject);
        end();
        resolve(took);
      };
      this.#worker.once("error", reject);
      this.#worker.postMessage({ fd, count, apart: APART });
    });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
