import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type NvmeOptions, softwareNvme } from "../../../src/index.ts";

const test = suite("softwareNvme's options");

function refused(options: unknown, code: string, words: RegExp): void {
  assert.throws(
    () => softwareNvme(options as NvmeOptions),
    (error: Error & { code?: string }) => error.code === code && words.test(error.message),
    `${JSON.stringify(options)}`,
  );
}

test("are refused where they cannot be, with what would pass", () => {
  for (const [options, words] of [
    [{ blockBytes: 1024 }, /options\.blockBytes must be 512 or 4096; got 1024/],
    [{ blocks: 0 }, /options\.blocks must be from 1/],
    [{ blocks: 2 ** 50 }, /options\.blocks must be from 1 to 17592186044415/],
    [{ disk: new Uint8Array(0) }, /whole blocks of 512 bytes, one or more; got "0 bytes"/],
    [{ disk: new Uint8Array(1000) }, /whole blocks of 512 bytes/],
    [{ disk: new Uint8Array(512), blockBytes: 4096 }, /whole blocks of 4096 bytes/],
    [{ disk: new Uint8Array(512), blocks: 1 }, /options\.blocks must be left out with disk/],
    [{ disk: { blocks: 8, blockBytes: 512 }, blockBytes: 4096 }, /left out, or 512 as disk says/],
    [{ disk: new Uint8Array(512), namespaces: 2 }, /each has bytes of its own/],
    [{ namespaces: 1025 }, /namespaces must be from 0 to 1024/],
    [{ namespaces: [{ blocks: 1 }], blocks: 1 }, /a number with disk, blocks or blockBytes/],
    [{ namespaces: [undefined, { blocks: -1 }] }, /namespaces\[1\]\.blocks/],
    [{ queues: 0 }, /queues must be from 1 to 65535; got 0/],
    [{ queues: 65536 }, /queues must be from 1 to 65535/],
    [{ vectors: 2049 }, /vectors must be from 1 to 2048/],
    [{ doorbellStride: 12 }, /a power of two from 4 to 4096 bytes/],
    [{ doorbellStride: 2 }, /doorbellStride must be from 4 to 4096/],
    [{ mdts: 32 }, /mdts must be from 0 to 31/],
    [{ maxQueueEntries: 1 }, /maxQueueEntries must be from 2 to 65536/],
    [{ serial: "x".repeat(21) }, /serial must be up to 20 characters/],
    [{ model: "über" }, /model must be up to 40 characters of ASCII/],
    [{ completions: "soon" }, /"now", "later" or \{ seed \}/],
    [{ completions: { seed: -1 } }, /completions\.seed/],
  ] as const) {
    refused(options, "ERR_OUT_OF_RANGE", words);
  }
});

test("are refused where they are of another kind, or misspelt", () => {
  for (const [options, words] of [
    [7, /options must be an object/],
    [{ disk: [], queues: "many" }, /queues must be a number/],
    [{ disk: { block: 1 } }, /blocks/],
    [{ disk: 5 }, /options\.disk must be an object/],
    [{ disk: {} }, /options\.blocks must be a number/],
    [{ namespaces: "two" }, /namespaces must be a number or an array/],
    [{ namespaces: [{ size: 1 }] }, /size/],
    [{ serial: 17 }, /serial must be a string/],
    [{ faults: {} }, /faults must be a function/],
    [{ completions: { seeds: 1 } }, /seed/],
    [{ vector: 3 }, /vectors/],
  ] as const) {
    refused(options, "ERR_INVALID_ARG_TYPE", words);
  }
});

test("say where the device is plugged in", () => {
  assert.equal([softwareNvme().group, softwareNvme().address], [undefined, undefined]);
  const { group, address } = softwareNvme({ group: 7, address: "0001:02:03.0" });
  assert.equal([group, address], [7, "0001:02:03.0"]);
});

test.run();
