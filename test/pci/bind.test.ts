/** A device goes to vfio-pci and back, with a kernel that does what it should, does it late, or does not. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hold, ownerOf, release } from "../../src/open-devices.ts";
import { bindToVfio, unbindFromVfio } from "../../src/pci/bind.ts";
import { pciDevice } from "../../src/pci/devices.ts";
import { failure, refused } from "../support/failure.ts";
import { withKernelBeside } from "./kernel-beside.ts";
import { ERRNOS, SysfsActor, withSysfs } from "./sysfs-actor.ts";

const NVME = "0000:01:00.0";
const nvme = { [NVME]: { group: 26, drivers: ["nvme"] } };
const RECORD = `run/dma-window/${NVME}.json`;
const ENOENT = -2;

/** `null` is no driver. */
function isAsBefore(actor: SysfsActor, driver: string | null = "nvme", override = ""): void {
  assert.is(actor.driverOf(NVME) ?? null, driver);
  assert.is(actor.overrideOf(NVME), override);
  assert.is(actor.text(RECORD), ENOENT, "nothing is on record");
}

const bind = suite("binding a device");

bind("takes it from its driver, and restore gives it back", () => {
  withSysfs(nvme, (actor) => {
    const { kernel } = actor;
    const binding = bindToVfio(NVME, { kernel });
    assert.is(actor.driverOf(NVME), "vfio-pci");
    assert.equal(
      [binding.address, binding.group, binding.previousDriver, binding.neighbours, binding.closed],
      [NVME, 26, "nvme", [], false],
    );
    assert.equal(actor.writes, ["driver_override vfio-pci", `unbind ${NVME}`, `drivers_probe ${NVME}`]);
    assert.equal(pciDevice(NVME, { kernel }).problems, []);
    binding.restore();
    assert.is(binding.closed, true);
    assert.equal(actor.writes.slice(3), ["driver_override ", `unbind ${NVME}`, `drivers_probe ${NVME}`]);
    isAsBefore(actor);
    binding.restore();
    binding.close();
    assert.is(actor.writes.length, 6, "once more does nothing");
  });
});

bind("waits for a kernel that takes its time", () => {
  withSysfs(nvme, (actor) => {
    actor.delay = 5;
    const binding = bindToVfio(NVME, { kernel: actor.kernel });
    assert.is(actor.driverOf(NVME), "vfio-pci");
    binding.restore();
    isAsBefore(actor);
  });
});

bind("of one that has no driver gives it back to none", () => {
  withSysfs({ [NVME]: { group: 26, drivers: ["nvme"], idle: true } }, (actor) => {
    const binding = bindToVfio(NVME, { kernel: actor.kernel });
    assert.is(binding.previousDriver, undefined);
    binding.restore();
    isAsBefore(actor, null);
  });
});

bind("gives a driver_override back that was there", () => {
  withSysfs({ [NVME]: { group: 26, drivers: ["e1000e", "nvme"], idle: true, override: "nvme" } }, (actor) => {
    bindToVfio(NVME, { kernel: actor.kernel }).restore();
    isAsBefore(actor, null, "nvme");
  });
});

bind("asks for the former driver by name where the kernel would choose another one, or none", () => {
  withSysfs({ [NVME]: { group: 26, drivers: ["nvme", "e1000e"] } }, (actor) => {
    const binding = bindToVfio(NVME, { kernel: actor.kernel, timeout: 20 });
    actor.misbehaves.set("probe 1", { idle: true });
    binding.restore();
    isAsBefore(actor);
  });
});

bind("of one that VFIO has already changes nothing, and neither does its restore", () => {
  withSysfs({ [NVME]: { group: 26, drivers: ["vfio-pci"], override: "vfio-pci" } }, (actor) => {
    const binding = bindToVfio(NVME, { kernel: actor.kernel });
    assert.is(binding.previousDriver, "vfio-pci");
    binding.restore();
    assert.equal(actor.writes, []);
    isAsBefore(actor, "vfio-pci", "vfio-pci");
  });
});

bind("twice leaves the way back with the first", () => {
  withSysfs(nvme, (actor) => {
    const first = bindToVfio(NVME, { kernel: actor.kernel });
    const second = bindToVfio(NVME, { kernel: actor.kernel });
    second.restore();
    assert.is(actor.driverOf(NVME), "vfio-pci");
    first.restore();
    isAsBefore(actor);
  });
});

bind("names the others in its group, which stay where they are", () => {
  const devices = {
    [NVME]: { group: 26, drivers: ["nvme"] },
    "0000:01:00.1": { group: 26, drivers: ["e1000e"] },
    "0000:00:01.0": { group: 26, drivers: ["pcieport"], class: "0x060400" },
  };
  withSysfs(devices, (actor) => {
    const { kernel } = actor;
    const first = bindToVfio(NVME, { kernel });
    assert.equal(first.neighbours, ["0000:00:01.0", "0000:01:00.1"]);
    const { problems } = pciDevice(NVME, { kernel });
    assert.is(problems.length, 1);
    assert.match(problems[0] as string, "0000:01:00.1 belongs to group 26 too and is in use by e1000e");
    const second = bindToVfio("0000:01:00.1", { kernel });
    assert.equal(pciDevice(NVME, { kernel }).problems, []);
    second.restore();
    assert.is(actor.driverOf("0000:01:00.1"), "e1000e");
    first.restore();
  });
});

bind("takes an address in capitals, and nothing that is not one", () => {
  withSysfs({ "0000:0a:1f.7": { group: 3, drivers: ["nvme"] } }, ({ kernel }) => {
    assert.is(bindToVfio("0000:0A:1F.7", { kernel }).address, "0000:0a:1f.7");
    for (const wrong of [
      "0a:1f.7",
      "0000:0a:1f.8",
      "0000:0a:20.0",
      "../../0000:0a:1f.7",
      "0000:0a:1f.7\n",
      " 0000:0a:1f.7",
      "",
    ]) {
      refused("ERR_OUT_OF_RANGE", () => bindToVfio(wrong, { kernel }));
      refused("ERR_OUT_OF_RANGE", () => unbindFromVfio(wrong, { kernel }));
    }
    refused("ERR_INVALID_ARG_TYPE", () => bindToVfio(26 as never, { kernel }));
    refused("ERR_INVALID_ARG_TYPE", () => bindToVfio("0000:0a:1f.7", { kernel, forced: true } as never));
    refused("ERR_INVALID_ARG_TYPE", () => unbindFromVfio("0000:0a:1f.7", { kernel, force: true } as never));
    assert.match(failure("ERR_NO_DEVICE", () => bindToVfio("0000:0a:1f.6", { kernel })).message, "0000:0a:1f.7");
  });
});

bind("is refused while nothing has changed: no vfio-pci, no group, a bridge, what vfio-pci denies", () => {
  withSysfs(
    nvme,
    ({ kernel, writes }) => {
      assert.match(failure("ERR_NO_VFIO_PCI", () => bindToVfio(NVME, { kernel })).message, "modprobe vfio-pci");
      assert.equal(writes, []);
    },
    { drivers: ["nvme"] },
  );
  withSysfs({ [NVME]: { drivers: ["nvme"] } }, ({ kernel }) =>
    failure("ERR_NO_GROUP", () => bindToVfio(NVME, { kernel })),
  );
  withSysfs({ [NVME]: { group: 1, class: "0x060400" } }, ({ kernel }) => {
    failure("ERR_NOT_FOR_VFIO", () => bindToVfio(NVME, { kernel, force: true }));
  });
  withSysfs({ [NVME]: { group: 1, files: { vendor: "0x8086\n", device: "0x37c8\n" } } }, ({ kernel }) => {
    failure("ERR_NOT_FOR_VFIO", () => bindToVfio(NVME, { kernel }));
  });
});

bind("without an IOMMU is possible where VFIO makes groups up", () => {
  const entries = { "sys/module/vfio/parameters/enable_unsafe_noiommu_mode": "Y\n" };
  withSysfs(
    { [NVME]: { drivers: ["nvme"] } },
    (actor) => {
      const { write } = actor.files;
      const files = {
        ...actor.files,
        write(path: string, text: string) {
          const answer = write?.(path, text) ?? 0;
          if (!path.endsWith("drivers_probe") || actor.driverOf(NVME) !== "vfio-pci") return answer;
          actor.put(`sys/bus/pci/devices/${NVME}/iommu_group`, { link: "../../../kernel/iommu_groups/0" });
          actor.put("sys/kernel/iommu_groups/0/name", "vfio-noiommu\n");
          return answer;
        },
      };
      const kernel = Object.create(actor.kernel, { files: { value: files } });
      assert.is(bindToVfio(NVME, { kernel }).group, 0);
      assert.is(pciDevice(NVME, { kernel }).noIommu, true);
    },
    { entries },
  );
});

bind("of one that is in use is refused, unless forced, and names what would be lost", () => {
  const disk = { [NVME]: { group: 26, drivers: ["nvme"], files: { "nvme/nvme0/nvme0n1/dev": "259:0\n" } } };
  const entries = { "proc/self/mountinfo": "36 35 259:0 / /data rw - ext4 /dev/nvme0n1 rw\n" };
  withSysfs(
    disk,
    (actor) => {
      const error = failure("ERR_IN_USE", () => bindToVfio(NVME, { kernel: actor.kernel }));
      assert.equal(error.facts?.inUse, ["/dev/nvme0n1 is mounted at /data"]);
      assert.equal(actor.writes, []);
      bindToVfio(NVME, { kernel: actor.kernel, force: true }).restore();
      isAsBefore(actor);
    },
    { entries },
  );
});

bind.run();

const failing = suite("a binding that fails half way");

for (const [write, driver] of [
  ["override 0", "nvme"],
  ["unbind 0", "nvme"],
  ["probe 0", "nvme"],
] as const) {
  failing(`at ${write} leaves the device as it was, and says which write and why`, () => {
    withSysfs(nvme, (actor) => {
      actor.misbehaves.set(write, { errno: ERRNOS.EINVAL });
      const error = failure("ERR_KERNEL", () => bindToVfio(NVME, { kernel: actor.kernel, timeout: 50 }));
      assert.equal([error.errno, error.syscall, error.residue], [ERRNOS.EINVAL, "write", undefined]);
      isAsBefore(actor, driver);
    });
  });
}

failing("for want of rights says that only root may", () => {
  withSysfs(nvme, (actor) => {
    actor.misbehaves.set("override 0", { errno: ERRNOS.EACCES });
    assert.match(failure("ERR_KERNEL", () => bindToVfio(NVME, { kernel: actor.kernel })).message, "run it as root");
  });
});

failing("because the driver does not let go says so, and what may come of it", () => {
  withSysfs(nvme, (actor) => {
    actor.misbehaves.set("unbind 0", { idle: true });
    const error = failure("ERR_BIND_TIMEOUT", () => bindToVfio(NVME, { kernel: actor.kernel, timeout: 20 }));
    assert.match(error.message, /nvme has not let go of 0000:01:00.0 within 20 ms/);
    assert.equal(error.residue?.left, [`nvme may let go of ${NVME} yet, which has no driver then`]);
    assert.equal([actor.driverOf(NVME), actor.overrideOf(NVME)], ["nvme", ""]);
    assert.is(unbindFromVfio(NVME, { kernel: actor.kernel }), "nvme");
    isAsBefore(actor);
  });
});

failing("because vfio-pci does not want it gives it back", () => {
  withSysfs(nvme, (actor) => {
    actor.failing.add("vfio-pci");
    const error = failure("ERR_BIND_TIMEOUT", () => bindToVfio(NVME, { kernel: actor.kernel, timeout: 20 }));
    assert.match(error.message, "vfio-pci has not taken 0000:01:00.0 within 20 ms");
    assert.is(error.residue, undefined);
    isAsBefore(actor);
  });
});

failing("and cannot be undone says who has the device, and can be finished later", () => {
  withSysfs(nvme, (actor) => {
    actor.failing.add("vfio-pci").add("nvme");
    const error = failure("ERR_BIND_TIMEOUT", () => bindToVfio(NVME, { kernel: actor.kernel, timeout: 20 }));
    assert.equal(error.residue?.left.at(-1), `${NVME} has no driver, and was with nvme`);
    assert.is(actor.overrideOf(NVME), "");
    actor.failing.delete("nvme");
    assert.is(unbindFromVfio(NVME, { kernel: actor.kernel }), "nvme");
    isAsBefore(actor);
  });
});

failing("because another driver was faster takes it from that one again", () => {
  withSysfs({ [NVME]: { group: 26, drivers: ["nvme", "e1000e"] } }, (actor) => {
    actor.misbehaves.set("override 0", { idle: true });
    actor.failing.add("nvme");
    const { write } = actor.files;
    const files = {
      ...actor.files,
      write(path: string, text: string) {
        const answer = write?.(path, text) ?? 0;
        if (path.endsWith("drivers_probe")) actor.failing.delete("nvme");
        return answer;
      },
    };
    const kernel = Object.create(actor.kernel, { files: { value: files } });
    assert.match(
      failure("ERR_KERNEL", () => bindToVfio(NVME, { kernel })).message,
      "e1000e took 0000:01:00.0, and not vfio-pci",
    );
    isAsBefore(actor);
  });
});

failing("because the machine's files cannot be written, or no record kept, changes nothing", () => {
  withSysfs(nvme, (actor) => {
    const { text, names, link } = actor.files;
    const reads = Object.create(actor.kernel, { files: { value: { text, names, link } } });
    assert.match(failure("ERR_KERNEL", () => bindToVfio(NVME, { kernel: reads })).message, "no write()");
    const files = { ...actor.files, keep: () => -30 };
    const keeps = Object.create(actor.kernel, { files: { value: files } });
    assert.match(failure("ERR_KERNEL", () => bindToVfio(NVME, { kernel: keeps })).message, "EROFS");
    assert.equal(actor.writes, []);
    isAsBefore(actor);
  });
});

failing("because the interface throws puts everything back", () => {
  withSysfs(nvme, (actor) => {
    const { write } = actor.files;
    let throws = true;
    const files = {
      ...actor.files,
      write(path: string, text: string) {
        if (path.endsWith("drivers_probe") && throws) {
          throws = false;
          throw new Error("torn");
        }
        return write?.(path, text) ?? 0;
      },
    };
    const kernel = Object.create(actor.kernel, { files: { value: files } });
    assert.throws(() => bindToVfio(NVME, { kernel }), /torn/);
    isAsBefore(actor);
  });
});

failing.run();

const back = suite("giving a device back");

back("is refused while this process has it open, and possible afterwards", () => {
  withSysfs(nvme, (actor) => {
    const { kernel } = actor;
    const binding = bindToVfio(NVME, { kernel });
    hold(ownerOf(kernel), NVME);
    hold(ownerOf(kernel), NVME);
    for (const give of [() => binding.restore(), () => unbindFromVfio(NVME, { kernel })]) {
      assert.match(failure("ERR_BUSY", give).message, "this process has it open");
    }
    release(ownerOf(kernel), NVME);
    failure("ERR_BUSY", () => binding.restore());
    assert.is(binding.closed, false);
    assert.is(actor.driverOf(NVME), "vfio-pci");
    release(ownerOf(kernel), NVME);
    binding.restore();
    isAsBefore(actor);
  });
});

const opened = (pid: string, name: string) => ({
  [`proc/${pid}/comm`]: `${name}\n`,
  [`proc/${pid}/fd/7`]: { link: "/dev/vfio/26" },
});

back("is refused while another process has its group, which is named", () => {
  withSysfs(
    nvme,
    ({ kernel }) => {
      const binding = bindToVfio(NVME, { kernel });
      assert.match(failure("ERR_BUSY", () => binding.restore()).message, "process 4711 (qemu) has its group open");
      assert.equal(pciDevice(NVME, { kernel }).inUse, ["process 4711 (qemu) has /dev/vfio/26 open"]);
    },
    { entries: opened("4711", "qemu") },
  );
});

back("is refused while a thread of this process may have it, and possible where its group alone is open", () => {
  const entries = { ...opened("17", "node"), "proc/self": { link: "17" } };
  withSysfs(
    nvme,
    (actor) => {
      const binding = bindToVfio(NVME, { kernel: actor.kernel });
      actor.put("proc/17/fd/8", { link: "anon_inode:[vfio-device]" });
      assert.match(failure("ERR_BUSY", () => binding.restore()).message, "a thread of this process");
      hold(ownerOf(actor.kernel), "0000:02:00.0");
      binding.restore();
      release(ownerOf(actor.kernel), "0000:02:00.0");
      isAsBefore(actor);
    },
    { entries },
  );
});

back("is refused where its group is open with another device of VFIO's in it", () => {
  const two = { ...nvme, "0000:01:00.1": { group: 26, drivers: ["vfio-pci"] } };
  const entries = { ...opened("17", "node"), "proc/self": { link: "17" } };
  withSysfs(
    two,
    ({ kernel }) => {
      const binding = bindToVfio(NVME, { kernel });
      assert.match(failure("ERR_BUSY", () => binding.restore()).message, "Close the container first");
    },
    { entries },
  );
});

back("of one that was unplugged is done, and one that somebody gave to another driver stays there", () => {
  withSysfs(nvme, (actor) => {
    const binding = bindToVfio(NVME, { kernel: actor.kernel });
    actor.unplug(NVME);
    binding.restore();
    assert.is(binding.closed, true);
    assert.is(actor.text(RECORD), ENOENT);
  });
  withSysfs({ [NVME]: { group: 26, drivers: ["nvme", "e1000e"] } }, (actor) => {
    const binding = bindToVfio(NVME, { kernel: actor.kernel });
    actor.files.write?.(`/sys/bus/pci/devices/${NVME}/driver_override`, "e1000e\n");
    actor.files.write?.(`/sys/bus/pci/devices/${NVME}/driver/unbind`, NVME);
    actor.files.write?.("/sys/bus/pci/drivers_probe", NVME);
    binding.restore();
    isAsBefore(actor, "e1000e");
  });
});

back("that fails stays possible", () => {
  withSysfs(nvme, (actor) => {
    const binding = bindToVfio(NVME, { kernel: actor.kernel, timeout: 20 });
    actor.misbehaves.set("unbind 1", { errno: ERRNOS.EINVAL });
    failure("ERR_KERNEL", () => binding.restore());
    assert.is(binding.closed, false);
    binding.restore();
    isAsBefore(actor);
  });
});

back("is what using does", () => {
  if (typeof Symbol.dispose !== "symbol") return;
  withSysfs(nvme, (actor) => {
    (bindToVfio(NVME, { kernel: actor.kernel }) as unknown as Disposable)[Symbol.dispose]();
    isAsBefore(actor);
  });
});

back.run();

const killed = suite("a program that is killed");

/** After so many writes nothing of the program is done any more. */
function killedAfter(actor: SysfsActor, writes: number): void {
  const { write } = actor.files;
  let left = writes;
  const dead = () => {
    throw new Error("killed");
  };
  const files = {
    ...actor.files,
    write: (path: string, text: string) => (left-- > 0 ? (write?.(path, text) ?? 0) : dead()),
    remove: () => (left < 0 ? dead() : 0),
  };
  const kernel = Object.create(actor.kernel, { files: { value: files } });
  try {
    bindToVfio(NVME, { kernel, timeout: 10 });
  } catch {
    // it is dead
  }
}

for (const writes of [0, 1, 2, 3]) {
  killed(`behind its write ${writes} leaves a device that unbind gives back, and that can be bound again`, () => {
    withSysfs(nvme, (actor) => {
      killedAfter(actor, writes);
      assert.is.not(actor.text(RECORD), ENOENT, "it is on record");
      assert.is(unbindFromVfio(NVME, { kernel: actor.kernel }), "nvme");
      isAsBefore(actor);
    });
    withSysfs(nvme, (actor) => {
      killedAfter(actor, writes);
      const binding = bindToVfio(NVME, { kernel: actor.kernel });
      binding.restore();
      if (writes === 3) unbindFromVfio(NVME, { kernel: actor.kernel });
      isAsBefore(actor);
    });
  });
}

killed("before any record was kept: unbind leaves the driver to the kernel", () => {
  withSysfs({ [NVME]: { group: 26, drivers: ["nvme"], idle: true } }, (actor) => {
    const { kernel } = actor;
    bindToVfio(NVME, { kernel });
    actor.files.remove?.(`/${RECORD}`);
    actor.put(RECORD, "{}");
    assert.is(unbindFromVfio(NVME, { kernel }), "nvme");
    assert.is(unbindFromVfio(NVME, { kernel }), "nvme", "once more does nothing");
  });
});

killed("with a record that somebody forged: no name of a driver goes to sysfs that is none", () => {
  withSysfs(nvme, (actor) => {
    const { kernel } = actor;
    bindToVfio(NVME, { kernel });
    actor.put(RECORD, '{"version":1,"driver":"../x\\ny","override":""}');
    assert.is(unbindFromVfio(NVME, { kernel }), "nvme");
    assert.is(actor.overrideOf(NVME), "");
  });
});

killed.run();

const beside = suite("a kernel that works beside the program, below a named root");

beside("is waited for, there and back", async () => {
  await withKernelBeside(new SysfsActor(nvme), NVME, (actor) => {
    const binding = bindToVfio(NVME, { root: actor.root });
    assert.is(pciDevice(NVME, { root: `${actor.root}/` }).driver, "vfio-pci");
    assert.match(actor.text(RECORD) as string, '"driver":"nvme"');
    binding.restore();
    assert.is(pciDevice(NVME, { root: actor.root }).driver, "nvme");
    assert.is(actor.text(RECORD), ENOENT);
  });
});

beside.run();
