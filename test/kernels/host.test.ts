import { test } from "uvu";
import * as assert from "uvu/assert";
import { qemuArguments } from "./boot.ts";
import { guests } from "./guests.ts";
import { cacheDirectory, type Host, installLine, missingPackages, whyNot } from "./host.ts";

const debian: Host = {
  platform: "linux",
  osRelease: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
  has: () => true,
  reads: () => true,
};

const all = guests.map(({ architecture }) => architecture);

const without = (...absent: readonly string[]): Host => ({ ...debian, has: (program) => !absent.includes(program) });

test("a Debian machine can, and so can one that is like Debian", () => {
  assert.is(whyNot(debian), undefined);
  assert.is(whyNot({ ...debian, osRelease: 'ID=ubuntu\nID_LIKE="something debian"\n' }), undefined);
});

test("another system is passed over with the reason", () => {
  assert.match(whyNot({ ...debian, platform: "darwin" }) ?? "", /this is darwin/);
  assert.match(whyNot({ ...debian, osRelease: "ID=fedora\n" }) ?? "", /not say that it is Debian/);
  assert.match(whyNot({ ...debian, osRelease: "" }) ?? "", /not say that it is Debian/);
  assert.match(whyNot({ ...debian, osRelease: "ID=fedora\nNAME=debian\n" }) ?? "", /not say that it is Debian/);
  assert.match(whyNot(without("apt-get")) ?? "", /no apt-get/);
  assert.match(whyNot(without("dpkg-deb")) ?? "", /no dpkg-deb/);
});

test("what is missing is named by its packages, in one line", () => {
  assert.equal(missingPackages(debian, all), []);
  const missing = missingPackages(
    { ...without("zstd", "qemu-system-ppc64", "powerpc64le-linux-gnu-g++"), reads: () => false },
    all,
  );
  assert.equal(missing, ["debian-archive-keyring", "g++-powerpc64le-linux-gnu", "qemu-system-ppc", "zstd"]);
  const line = installLine(missing);
  assert.match(line, /^apt-get update && apt-get install .* qemu-system-ppc zstd$/);
  assert.not.match(line, "\n");
});

test("every guest's compiler and emulator is among what is looked for", () => {
  for (const { architecture } of guests) {
    assert.is(missingPackages(without(architecture.qemu), [architecture]).length, 1, architecture.qemu);
    assert.is(missingPackages(without(architecture.compiler), [architecture]).length, 1, architecture.compiler);
  }
});

test("downloads are kept where the user wants them", () => {
  assert.is(cacheDirectory({ DMA_WINDOW_CACHE: "/c", XDG_CACHE_HOME: "/x" }), "/c");
  assert.is(cacheDirectory({ XDG_CACHE_HOME: "/x" }), "/x/dma-window");
  assert.match(cacheDirectory({}), /\/\.cache\/dma-window$/);
});

test("no guest needs KVM or more than 4 GiB, and each goes off when it has panicked", () => {
  for (const guest of guests) {
    const line = qemuArguments(guest, { kernel: "/k", initrd: "/i", disk: "/d", accesses: "/a", rom: "/r" }, 1).join(
      " ",
    );
    assert.not.match(line, "kvm,");
    assert.not.match(line, "-enable-kvm");
    assert.match(line, "-no-reboot");
    assert.match(line, "panic=-1");
    assert.match(line, "file=/d,format=raw");
    assert.match(line, `-device nvme,serial=dma-window,drive=disk,${guest.nvme}`);
    assert.ok(guest.memoryMiB <= 4096, guest.name);
  }
  assert.is(new Set(guests.map(({ name }) => name)).size, guests.length);
});

test.run();
