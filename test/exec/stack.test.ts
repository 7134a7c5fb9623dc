/** What is a call, by the bytes of its machine: what stands before a return address. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { isCall } from "../../src/exec/unwind/return-address.ts";

const calls = suite("what stands before a return address");

/** Bytes that end with the instruction. */
const bytes = (...end: readonly number[]) => Uint8Array.from([...Array(7 - end.length).fill(0x90), ...end]);

if (process.arch === "x64") {
  calls("is a call, in each of its forms, as an assembler writes them", () => {
    for (const [name, end] of Object.entries({
      "call rel32": [0xe8, 1, 2, 3, 4],
      "call *%rax": [0xff, 0xd0],
      "call *%r12": [0x41, 0xff, 0xd4],
      "call *(%rax)": [0xff, 0x10],
      "call *8(%rax)": [0xff, 0x50, 8],
      "call *0x100(%rbx)": [0xff, 0x93, 0, 1, 0, 0],
      "call *0x2fe2(%rip)": [0xff, 0x15, 0xe2, 0x2f, 0, 0],
      "call *(%rsp)": [0xff, 0x14, 0x24],
      "call *8(%rsp)": [0xff, 0x54, 0x24, 8],
      "call *0x100(%rsp,%rcx,8)": [0xff, 0x94, 0xcc, 0, 1, 0, 0],
    })) {
      assert.ok(isCall(bytes(...end)), name);
    }
  });

  calls("is no call where it is a jump, a push, or anything else", () => {
    for (const end of [
      [0xff, 0xe0],
      [0xff, 0x30],
      [0xe9, 1, 2, 3, 4],
      [0xc3],
      [0x0f, 0x05],
      [0xff, 0x15, 0xe2, 0x2f, 0],
    ]) {
      assert.not.ok(isCall(bytes(...end)), end.join());
    }
  });
}

calls.run();
