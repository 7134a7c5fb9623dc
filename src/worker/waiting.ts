/**
 * Who waits for a slot in this thread, in the order in which they came; and the ear for those who wait in others.
 *
 *     a get finds none ── `call` rises ── idle workers hear it, and give what lies in their magazines ── `bell` rises
 *     whoever waits hears the bell ── takes a handle ── the first is told, and has the time to take it ── the next
 *
 * All of it goes by the shared memory. Where an engine has no `Atomics.waitAsync` it is looked at now and then.
 */
import type { SharedAllocator } from "../alloc-shared.ts";
import { SHARED } from "../alloc-shared.ts";

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  milliseconds?: number,
) => { readonly async: boolean; readonly value: unknown };

const waitAsync = (Atomics as { waitAsync?: WaitAsync }).waitAsync;

/** Asked again after this, in milliseconds: whoever was to ring may have been ended before it did. */
const AGAIN = 100;
/** Where nobody can be woken. */
const POLL = 5;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Waiting {
  readonly #shared: SharedAllocator;
  readonly #bell: number;
  readonly #call: number;
  readonly #self: number;
  readonly #changed: () => void;
  readonly #waiting: Waiter[] = [];
  #isPumping = false;
  #isOpen = true;
  /** A handle that was taken for the one who was told. */
  #aside = 0;

  /** `changed`: whether somebody waits may be another answer now. */
  constructor(shared: SharedAllocator, pool: number, self: number, changed: () => void) {
    this.#shared = shared;
    this.#bell = (pool + SHARED.bell) >> 2;
    this.#call = (pool + SHARED.call) >> 2;
    this.#self = self;
    this.#changed = changed;
    void this.#hear();
  }

  get count(): number {
    return this.#waiting.length;
  }

  /** Whether a get has to ask {@link take} first. */
  get isBusy(): boolean {
    return this.#waiting.length > 0 || this.#aside !== 0;
  }

  wait(): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    if (!this.#isPumping) void this.#pump();
    return promise;
  }

  /** The handle of the one who was told; 0: there is none. */
  take(): number {
    const handle = this.#aside;
    this.#aside = 0;
    return handle;
  }

  /** Nobody gets anything any more, and nobody is heard. */
  close(error: unknown): void {
    this.#isOpen = false;
    const handle = this.take();
    if (handle !== 0) this.#shared.sharedPut(this.#self, handle);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    Atomics.notify(this.#shared.words, this.#call);
  }

  async #pump(): Promise<void> {
    this.#isPumping = true;
    await undefined; // whoever put the slot goes on first
    while (this.#waiting.length > 0) {
      const heard = Atomics.load(this.#shared.words, this.#bell);
      const handle = this.#shared.sharedGet(this.#self);
      if (handle < 0) {
        await until(this.#shared.words, this.#bell, heard, AGAIN);
        continue;
      }
      this.#aside = handle;
      this.#waiting.shift()?.resolve();
      // What awaits the promise goes on within two microtasks, behind an async function of the program's within five.
      for (let i = 0; i < 6; i++) await undefined;
      const left = this.take();
      if (left !== 0) this.#shared.sharedPut(this.#self, left);
    }
    this.#isPumping = false;
    if (this.#isOpen) this.#changed();
  }

  /** Gives what lies here when others ask for it. */
  async #hear(): Promise<void> {
    const { words } = this.#shared;
    while (this.#isOpen) {
      const heard = Atomics.load(words, this.#call);
      await until(words, this.#call, heard);
      if (this.#isOpen && Atomics.load(words, this.#call) !== heard) this.#shared.sharedFlush(this.#self);
    }
  }
}

/** Until a word is another one, or so many milliseconds are over. Keeps no process alive. */
export async function until(words: Int32Array, index: number, value: number, milliseconds?: number): Promise<void> {
  if (waitAsync !== undefined) {
    await waitAsync(words, index, value, milliseconds).value;
    return;
  }
  await new Promise<void>((resolve) => {
    const timer: unknown = setTimeout(resolve, Math.min(POLL, milliseconds ?? POLL));
    (timer as { unref?: () => void }).unref?.();
  });
}
