/** Sockets that read into a view (`onread`) whose segment is freed: Node keeps the bare address for as long as the socket is open. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, request } from "node:http";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import type { NativeShim } from "../../src/linux/shim.ts";
import { Views } from "../../src/linux/views.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { refuses, withShim } from "./native.ts";

const PAGE = 4096;
const SAID = Buffer.from("what the other side says");
type Movable = ArrayBuffer & { transfer(): ArrayBuffer };

function table(pages = 4) {
  const memory = new MemsegTable({ kernel: linuxKernel() });
  return { memory, list: memory.addList({ pageSize: PAGE, maxBytes: pages * PAGE }) };
}

/** Garbage goes, and the engine says so. Somebody else's request may be under way all the time: a buffer is held until then. */
async function collected(shim: NativeShim): Promise<void> {
  for (let i = 0; i < 4; i++) {
    shim.collect(2 ** 36);
    await turn();
  }
}

/** A server, and a way to make its side of the newest connection speak. */
class Server {
  readonly #server: net.Server;
  readonly #sockets: net.Socket[] = [];

  constructor(server: net.Server = net.createServer(), event = "connection") {
    this.#server = server;
    server.on(event, (socket: net.Socket) => this.#sockets.push(socket.on("error", () => {})));
  }

  async listen(path?: string): Promise<this> {
    this.#server.listen(path === undefined ? { port: 0, host: "127.0.0.1" } : { path });
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async say(): Promise<void> {
    while (this.#sockets.length === 0) await turn();
    this.#sockets.at(-1)?.write(SAID);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

interface Reading {
  readonly socket: net.Socket;
  /** Resolves when it has read something. */
  readonly read: Promise<number>;
}

type OnRead = { buffer: Uint8Array | (() => Uint8Array); callback: (bytes: number) => boolean };

/** Begins to read into what is given, and says how much came. */
function reading(buffer: OnRead["buffer"], connect: (onread: OnRead) => net.Socket): Reading {
  let tell = (_: number) => {};
  const read = new Promise<number>((resolve) => {
    tell = resolve;
  });
  const socket = connect({
    buffer,
    callback: (bytes) => {
      tell(bytes);
      return true;
    },
  });
  // An end without data is told too, so that nobody waits.
  socket.on("error", () => tell(-1)).on("close", () => tell(-1));
  return { socket, read };
}

/** What a program does with a view to have a socket read into it. `early`: the segment is freed before it is connected. */
interface Way {
  readonly early?: boolean;
  begin(bytes: Uint8Array, server: Server): Reading;
  serve?(): Promise<Server>;
}

const path = join(tmpdir(), `dma-window-${process.pid}.socket`);
const connected = (port: number, onread: OnRead) => net.connect({ port, host: "127.0.0.1", onread } as never);

const ways: Record<string, Way> = {
  "a socket": { begin: (bytes, { port }) => reading(bytes, (onread) => connected(port, onread)) },
  "a part of the view, as a Buffer": {
    begin: (bytes, { port }) =>
      reading(Buffer.from(bytes.buffer as ArrayBuffer, 100, 200), (onread) => connected(port, onread)),
  },
  "a function that gives the buffer": {
    begin: (bytes, { port }) =>
      reading(
        () => bytes,
        (onread) => connected(port, onread),
      ),
  },
  "a socket that is not connected yet": {
    early: true,
    begin: (bytes, { port }) => reading(bytes, (onread) => connected(port, onread)),
  },
  "a socket that looks its host up": {
    early: true,
    begin: (bytes, { port }) =>
      reading(bytes, (onread) =>
        net.connect({
          port,
          host: "nobody.invalid",
          onread,
          lookup: (_: string, { all }: { all?: boolean }, done: (...answer: unknown[]) => void) =>
            setImmediate(() => (all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4))),
        } as never),
      ),
  },
  "a socket that does not keep the process": {
    begin(bytes, { port }) {
      const begun = reading(bytes, (onread) => connected(port, onread));
      begun.socket.unref();
      return begun;
    },
  },
  "a socket of the file system": {
    serve: () => new Server().listen(path),
    begin: (bytes) => reading(bytes, (onread) => net.connect({ path, onread } as never)),
  },
  "a socket with TLS": {
    serve: () => new Server(tls.createServer({ pskCallback: () => key, ciphers: PSK }), "secureConnection").listen(),
    begin: (bytes, { port }) =>
      reading(bytes, (onread) =>
        tls.connect({
          port,
          host: "127.0.0.1",
          ciphers: PSK,
          pskCallback: () => ({ psk: key, identity: "tests" }),
          checkServerIdentity: () => undefined,
          onread,
        } as never),
      ),
  },
};

/** TLS without a certificate: both sides know a key. */
const key = Buffer.alloc(16, 7);
const PSK = "PSK-AES128-GCM-SHA256:@SECLEVEL=0";

withShim(
  (shim) => {
    for (const [name, { begin, serve, early }] of Object.entries(ways)) {
      test(`after free nobody gets the memory that ${name} reads into, until that is destroyed`, async () => {
        const server = await (serve?.() ?? new Server().listen());
        const { memory, list } = table();
        const segment = memory.allocate(list, 2);
        const { socket, read } = begin(segment.bytes, server);
        if (!early) await once(socket, name.includes("TLS") ? "secureConnect" : "connect");
        for (let i = 0; i < 3; i++) await turn();
        memory.free(segment);
        const next = memory.allocate(list, 2);
        assert.is(next.va, segment.va + segment.length);
        const error = failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
        assert.is(error.facts?.waiting, segment.length);
        assert.match(error.message, "onread");
        await server.say();
        assert.is(await read, SAID.length, "it read, into memory that is nobody's");
        assert.ok(next.bytes.every((byte) => byte === 0));
        failure("ERR_LIST_FULL", () => memory.allocate(list, 1));
        socket.destroy();
        const again = memory.allocate(list, 2);
        assert.is(again.va, segment.va);
        assert.ok(again.bytes.every((byte) => byte === 0));
        memory.close();
        server.close();
      });
    }

    test("a buffer that its function replaced is read into no more", async () => {
      const server = await new Server().listen();
      const { memory, list } = table();
      const first = memory.allocate(list, 2);
      const buffers = [first.bytes, new Uint8Array(100)];
      let heard = () => {};
      const again = new Promise<void>((resolve) => {
        heard = resolve;
      });
      const { socket, read } = reading(
        () => buffers.shift() ?? new Uint8Array(100),
        (onread) => connected(server.port, onread),
      );
      await once(socket, "connect");
      memory.free(first);
      assert.is(memory.allocate(list, 2).va, first.va + first.length);
      setTimeout(heard, 0);
      await Promise.all([server.say(), read, again]);
      assert.is(memory.allocate(list, 2).va, first.va);
      memory.close();
      socket.destroy();
      server.close();
    });

    test("programs with ordinary sockets have the addresses of freed memory at once, for ever", async () => {
      const http = createServer((_, answer) => answer.end("well"));
      await once(http.listen(0, "127.0.0.1"), "listening");
      const { port } = http.address() as AddressInfo;
      const others = await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          const answer = (await once(request({ port, host: "127.0.0.1" }).end(), "response"))[0];
          answer.resume();
          await once(answer, "end");
          const buffer = new Uint8Array(100);
          const { socket } = reading(buffer, (onread) => connected(port, onread));
          await once(socket, "connect");
          return i % 2 === 0 ? socket.unref() : socket;
        }),
      );
      await turn();
      const { memory, list } = table(2);
      const kept: Uint8Array[] = [];
      for (let i = 0; i < 300; i++) {
        const segment = memory.allocate(list, 2);
        kept.push(segment.bytes.fill(1));
        memory.free(segment);
        const shown = memory.allocate(list, 2);
        assert.ok(shown.bytes.every((byte) => byte === 0));
        memory.free(shown);
      }
      assert.ok(kept.every(({ length }) => length === 0));
      memory.close();
      // Also where this test's own runner has nothing under way.
      const views = new Views(() => ({ ...shim, isBusy: () => false }));
      assert.is(views.end(views.make(list.base, BigInt(PAGE))), undefined, "none of these sockets reads into it");
      for (const socket of others) socket.destroy();
      http.closeAllConnections();
      http.close();
    });

    test("a socket that was destroyed before free holds nothing", async () => {
      const server = await new Server().listen();
      const { memory, list } = table();
      const segment = memory.allocate(list, 4);
      const { socket } = reading(segment.bytes, (onread) => connected(server.port, onread));
      await once(socket, "connect");
      socket.destroy();
      memory.free(segment);
      assert.is(memory.allocate(list, 4).va, segment.va);
      memory.close();
      server.close();
    });

    test("after close the address space is the process's until the socket is destroyed", async () => {
      const server = await new Server().listen();
      const kernel = linuxKernel();
      const { memory, list } = table();
      const isTaken = () => {
        const va = kernel.mmap(list.base, BigInt(PAGE), Protection.READ, MapFlag.FIXED_NOREPLACE, 0);
        if (va >= 0n) kernel.munmap(va, BigInt(PAGE));
        return va < 0n;
      };
      await (async () => {
        const segment = memory.allocate(list, 1);
        const { socket, read } = reading(segment.bytes, (onread) => connected(server.port, onread));
        await once(socket, "connect");
        memory.close();
        assert.ok(isTaken());
        await server.say();
        assert.is(await read, SAID.length);
        await collected(shim);
        table().memory.close();
        assert.ok(isTaken());
        socket.destroy();
      })();
      await collected(shim);
      table().memory.close();
      assert.not(isTaken());
      server.close();
    });

    if ("transfer" in ArrayBuffer.prototype) {
      test("a socket that read into a buffer which was moved, and moved again, holds the memory too", async () => {
        const server = await new Server().listen();
        const { memory, list } = table();
        const segment = memory.allocate(list, 2);
        let socket = new net.Socket();
        await (async () => {
          const moved = (segment.bytes.buffer as Movable).transfer();
          ({ socket } = reading(new Uint8Array(moved), (onread) => connected(server.port, onread)));
          await once(socket, "connect");
          (moved as Movable).transfer();
        })();
        memory.free(segment);
        await collected(shim);
        assert.is(memory.allocate(list, 2).va, segment.va + segment.length);
        failure("ERR_LIST_FULL", () => memory.allocate(list, 2));
        socket.destroy();
        assert.is(memory.allocate(list, 2).va, segment.va);
        memory.close();
        server.close();
      });
    }

    test("where nobody can say what sockets read into, a view is seen until its buffer is collected", async () => {
      for (const openStreams of [() => null, () => [{}] as never]) {
        const views = new Views(() => ({ ...shim, isBusy: () => false, openStreams }));
        const va = shim.mmap(0n, BigInt(PAGE), Protection.READ | Protection.WRITE, 0, 0);
        const sight = (() => {
          const view = views.make(va, BigInt(PAGE));
          const found = views.end(view);
          if (openStreams() === null) assert.equal([found?.moved, found?.seen(), view.length], [true, true, 0]);
          else assert.is(found, undefined);
          return found;
        })();
        await collected(shim);
        assert.is(sight?.seen() ?? false, false);
        shim.munmap(va, BigInt(PAGE));
      }
    });

    test("openStreams shows what is open and not what is closing, leaves all as it was, and passes on what is thrown", async () => {
      const list = (process as typeof process & { _getActiveHandles(): object[] })._getActiveHandles.bind(process);
      const server = await new Server().listen();
      const [kept, free, closing] = await Promise.all(
        [0, 1, 2].map(async () => {
          const socket = net.connect(server.port, "127.0.0.1");
          await once(socket, "connect");
          return socket;
        }),
      );
      free?.unref();
      closing?.destroy();
      const of = (all: object[]) => [kept, free, closing].map((socket) => all.includes(socket as object));
      const before = of(list());
      assert.equal(before, [true, false, true]);
      assert.equal(of(shim.openStreams(list) ?? []), [true, true, false]);
      assert.equal(of(list()), before);
      const throws = () => {
        throw new Error("as asked");
      };
      assert.throws(() => shim.openStreams(throws), /as asked/);
      // A program that closes one meanwhile.
      shim.openStreams(() => free?.destroy());
      assert.equal(of(list()), before);
      for (const bad of [undefined, null, 1, {}, "list"])
        refuses(() => shim.openStreams(bad as never), TypeError, /list must be a function/);
      kept?.destroy();
      server.close();
    });

    for (const thread of [false, true]) {
      test(`to look at sockets keeps no ${thread ? "thread" : "process"} from its end`, async () => {
        const source = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../dist/${path}`, import.meta.url)));
        const job = `
          const net = require("node:net");
          Promise.all([import("node:net"), import(${source("index.js")})]).then(([, { linuxKernel, MemsegTable }]) => {
            const memory = new MemsegTable({ kernel: linuxKernel() });
            const list = memory.addList({ pageSize: 4096, maxBytes: 1 << 20 });
            const server = net.createServer().listen(0, "127.0.0.1", () => {
              const { port } = server.address();
              const segments = [1, 2, 3].map(() => memory.allocate(list, 1));
              let count = 0;
              for (const { bytes } of segments) {
                const onread = { buffer: bytes, callback: () => true };
                const socket = net.connect({ port, host: "127.0.0.1", onread }, () => {
                  socket.unref();
                  if (++count < 3) return;
                  for (const segment of segments) memory.free(segment);
                  memory.allocate(list, 1);
                  server.unref();
                  console.log("done");
                });
              }
              server.on("connection", (one) => one.unref());
            });
          });`;
        const program = thread
          ? `new (require("node:worker_threads").Worker)(${JSON.stringify(job)}, { eval: true })`
          : job;
        const child = spawnSync(process.execPath, ["-e", program], { encoding: "utf8", timeout: 20_000 });
        assert.equal([child.signal, child.status, child.stdout], [null, 0, "done\n"], child.stderr);
      });
    }
  },
  "view()",
  (kernel) => kernel.view(4096n, 4096n),
);

test.after(() => rmSync(path, { force: true }));
test.run();
