/** A worker thread that has a shared pool open, or a heap of its own, as an object whose methods are done over there. */
import { Worker } from "node:worker_threads";

interface Message {
  readonly id: number;
  readonly answer?: unknown;
  readonly code?: string;
  readonly message?: string;
}

export class Member {
  readonly worker: Worker;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #last = 0;

  constructor(program: "member" | "heaps" = "member") {
    this.worker = new Worker(new URL(`./programs/${program}.mjs`, import.meta.url), { execArgv: [] });
    this.worker.on("message", (message: Message) => {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    });
  }

  /** @throws what was thrown there: a code and a message. */
  async do<Answer = void>(name: string, ...args: readonly unknown[]): Promise<Answer> {
    const id = ++this.#last;
    const { answer, code, message } = await new Promise<Message>((resolve) => {
      this.#waiting.set(id, resolve);
      this.worker.postMessage({ id, name, args });
    });
    if (message !== undefined) throw Object.assign(new Error(message), { code });
    return answer as Answer;
  }

  async end(): Promise<void> {
    await this.worker.terminate();
  }
}
