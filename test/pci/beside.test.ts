/** Two programs bind one device at the same time: whichever steps in between which, it comes back to its driver in the end. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bindToVfio, unbindFromVfio } from "../../src/pci/bind.ts";
import type { MachineFiles } from "../../src/syscalls.ts";
import { type SysfsActor, withSysfs } from "./sysfs-actor.ts";

const NVME = "0000:01:00.0";
const HOME = `/sys/bus/pci/devices/${NVME}`;

/** What another program does, which found the device with its driver: the same as this library. */
const STEPS: readonly ((files: MachineFiles, actor: SysfsActor) => void)[] = [
  (files) => files.keep?.(`/run/dma-window/${NVME}.json`, '{"version":1,"driver":"nvme","override":""}\n'),
  (files) => files.write?.(`${HOME}/driver_override`, "vfio-pci\n"),
  (files, actor) => actor.driverOf(NVME) === "nvme" && files.write?.(`${HOME}/driver/unbind`, `${NVME}\n`),
  (files) => files.write?.("/sys/bus/pci/drivers_probe", `${NVME}\n`),
];

/** The actor's kernel, before whose nth access something else happens. */
function interrupted(actor: SysfsActor, before: (access: number, path: string) => void) {
  let access = 0;
  const files = Object.fromEntries(
    Object.entries(actor.files).map(([name, call]) => [
      name,
      (...given: never[]) => {
        before(access++, String(given[0]));
        return (call as (...all: never[]) => unknown)(...given);
      },
    ]),
  );
  return Object.create(actor.kernel, { files: { value: files } });
}

/** The accesses of one that is alone, from shortly before it looks at what it is going to change. */
function accessesOfOne(): readonly [first: number, end: number] {
  let [first, end] = [Number.POSITIVE_INFINITY, 0];
  withSysfs({ [NVME]: { group: 26, drivers: ["nvme"] } }, (actor) => {
    const kernel = interrupted(actor, (access, path) => {
      if (path.endsWith("/driver_override")) first = Math.min(first, access - 4);
      end = access + 1;
    });
    bindToVfio(NVME, { kernel });
  });
  return [first, end];
}

test("the steps of one, all at once or one by one, in between any two of the other", () => {
  const [first, end] = accessesOfOne();
  assert.ok(end - first > 20, `${end - first} accesses`);
  for (let at = first; at < end; at++) {
    for (const apart of [0, 1, 3]) {
      withSysfs({ [NVME]: { group: 26, drivers: ["nvme"] } }, (actor) => {
        const about = `from access ${at} on, ${apart} apart`;
        const kernel = interrupted(actor, (access) => {
          for (const [i, step] of STEPS.entries()) if (access === at + i * apart) step(actor.files, actor);
        });
        let code: unknown = "bound";
        try {
          bindToVfio(NVME, { kernel, timeout: 0 }).restore();
        } catch (error) {
          code = (error as { code?: unknown }).code;
        }
        assert.type(code, "string", about);
        // Whoever is left over gives it back.
        unbindFromVfio(NVME, { kernel: actor.kernel, timeout: 0 });
        assert.equal([actor.driverOf(NVME), actor.overrideOf(NVME)], ["nvme", ""], `${about}: ${String(code)}`);
      });
    }
  }
});

test("what another one has bound meanwhile is not taken from it again: a program may have it open already", () => {
  withSysfs({ [NVME]: { group: 26, drivers: ["nvme"] } }, (actor) => {
    let isDone = false;
    const kernel = interrupted(actor, () => {
      if (isDone || actor.writes.length === 0) return;
      isDone = true; // behind the first write, which is that of the override
      for (const step of STEPS) step(actor.files, actor);
    });
    bindToVfio(NVME, { kernel });
    const unbinds = actor.writes.filter((write) => write.startsWith("unbind"));
    assert.equal(unbinds, [`unbind ${NVME}`]); // from nvme, by the other
    assert.is(actor.driverOf(NVME), "vfio-pci");
  });
});

test.run();
