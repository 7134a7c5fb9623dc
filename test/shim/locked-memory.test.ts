import { test } from "uvu";
import * as assert from "uvu/assert";
import type { DmaWindowError } from "../../src/errors.ts";
import {
  holdsIpcLockIn,
  isFirstUserNamespace,
  lockedBytesIn,
  lockedMemory,
  memlockLimitIn,
} from "../../src/linux/locked-memory.ts";

const limits = (soft: string, hard: string) =>
  [
    "Limit                     Soft Limit           Hard Limit           Units     ",
    "Max core file size        0                    unlimited            bytes     ",
    "Max processes             15571                15571                processes ",
    `Max locked memory         ${soft.padEnd(20)} ${hard.padEnd(20)} bytes     `,
    "Max address space         unlimited            unlimited            bytes     ",
    "",
  ].join("\n");

const status = (locked: string, effective: string) =>
  [
    "Name:\tnode",
    "VmPeak:\t 1091712 kB",
    `VmLck:\t${locked.padStart(8)} kB`,
    "VmPin:\t     640 kB",
    "CapInh:\t0000000000000000",
    "CapPrm:\t000001ffffffffff",
    `CapEff:\t${effective}`,
    "CapBnd:\t000001ffffffffff",
    "",
  ].join("\n");

function unreadable(call: () => unknown, words: RegExp): void {
  assert.throws(call, (error: DmaWindowError) => error.code === "ERR_PROC_UNREADABLE" && words.test(error.message));
}

test("the limit is the soft one, in bytes", () => {
  assert.is(memlockLimitIn(limits("8388608", "unlimited")), 8388608n);
  assert.is(memlockLimitIn(limits("65536", "67108864")), 65536n);
  assert.is(memlockLimitIn(limits("0", "0")), 0n);
});

test("a limit beyond 2^53 keeps every digit", () => {
  assert.is(memlockLimitIn(limits("9223372036854775807", "unlimited")), (1n << 63n) - 1n);
});

test("an unlimited limit is null", () => {
  assert.is(memlockLimitIn(limits("unlimited", "unlimited")), null);
});

test("what is locked is VmLck, in bytes, and not VmPin", () => {
  assert.is(lockedBytesIn(status("0", "0000000000000000")), 0n);
  assert.is(lockedBytesIn(status("262144", "0000000000000000")), 256n << 20n);
  assert.is(lockedBytesIn(status("123456789", "0000000000000000")), 123456789n * 1024n);
});

test("CAP_IPC_LOCK is bit 14 of the effective capabilities, and no other", () => {
  assert.is(holdsIpcLockIn(status("0", "000001ffffffffff")), true);
  assert.is(holdsIpcLockIn(status("0", "0000000000004000")), true);
  assert.is(holdsIpcLockIn(status("0", "0000000000000000")), false);
  assert.is(holdsIpcLockIn(status("0", "000001ffffffbfff")), false);
  assert.is(holdsIpcLockIn(status("0", "0000000000002000")), false);
  assert.is(holdsIpcLockIn(status("0", "0000000000008000")), false);
});

test("only the user namespace that the machine booted with counts for the capability", () => {
  assert.is(isFirstUserNamespace("user:[4026531837]"), true);
  assert.is(isFirstUserNamespace("user:[4026532201]"), false);
  assert.is(isFirstUserNamespace(""), false);
});

test("text without the line, or with the line cut short, is refused and not taken for zero", () => {
  unreadable(() => memlockLimitIn(""), /Max locked memory/);
  unreadable(() => memlockLimitIn(limits("", "")), /Max locked memory/);
  unreadable(() => memlockLimitIn("Max locked memory         8388608"), /Max locked memory/);
  unreadable(() => memlockLimitIn(limits("-1", "-1")), /Max locked memory/);
  unreadable(() => lockedBytesIn("VmPin:\t     640 kB\n"), /VmLck/);
  unreadable(() => lockedBytesIn("VmLck:\t\n"), /VmLck/);
  unreadable(() => holdsIpcLockIn("CapPrm:\t000001ffffffffff\n"), /CapEff/);
});

// Made up, like all text here: a POWER guest with 64 MiB charged for the tables of a window. /proc has the same form
// there, and counts kB, not pages, whatever the size of a page is.
test("text as a machine with 64 KiB pages gives it is read the same way", () => {
  const text = "VmSize:\t  121856 kB\nVmLck:\t   65536 kB\nVmPin:\t       0 kB\nCapEff:\t000001ffffffffff\n";
  assert.is(lockedBytesIn(text), 64n << 20n);
  assert.is(holdsIpcLockIn(text), true);
  assert.is(
    memlockLimitIn("Max locked memory         8388608              8388608              bytes     \n"),
    8n << 20n,
  );
});

test("this process's own limits can be read", () => {
  const { limit, used, privileged } = lockedMemory();
  assert.ok(limit === null || limit >= 0n);
  assert.is(used % 1024n, 0n);
  assert.type(privileged, "boolean");
});

test.run();
