/** A document's names of a machine, in those of the guest that runs its commands. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { isShown } from "../documents/shown.ts";
import { inNames, narrow } from "./guest/scenes.ts";

const NAMES = {
  "0000:01:00.0": "0000:00:07.0",
  "0000:02:00.0": "0000:01:00.0",
  11: "7",
  "/dev/nvme0n1p1 is mounted at /": "process 148 (node) has /dev/nvme0n1 open",
};

test("each name is replaced once, whichever other it becomes", () => {
  assert.is(inNames(NAMES, "unbind 0000:02:00.0, not 0000:01:00.0"), "unbind 0000:01:00.0, not 0000:00:07.0");
});

test("numbers are replaced where they stand alone", () => {
  assert.is(inNames(NAMES, "group         11, /dev/vfio/11, 0x11, 110"), "group         7, /dev/vfio/7, 0x11, 110");
});

test("a sentence is a name, and what nobody calls otherwise stays", () => {
  assert.is(
    inNames(NAMES, "in use: /dev/nvme0n1p1 is mounted at /. End"),
    "in use: process 148 (node) has /dev/nvme0n1 open. End",
  );
  assert.is(inNames({}, "group 11"), "group 11");
});

test("columns may be wider than in the document, and what they hold may not be other", () => {
  const shown = inNames(NAMES, "  0000:02:00.0  is with vfio-pci; nvme had it\n  group         11");
  assert.ok(isShown(narrow(shown), narrow("  0000:01:00.0    is with vfio-pci; nvme had it\n  group  7\n")));
  assert.not(isShown(narrow(shown), narrow("  0000:01:00.0  is with vfio-pci; nvme had it\n  group  8\n")));
});

test.run();
