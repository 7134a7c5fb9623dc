/** Which kernel a guest gets, with a mirror of the test's own. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Apt } from "./apt.ts";
import { type FakeMirror, withMirror } from "./fake-mirror.ts";
import { power, x86 } from "./guests.ts";
import { type Kernel, kernelName, kernelOf, type Shop, type Wish } from "./kernels.ts";

const FLAVOUR = "powerpc64le";
const wishes: Wish = { fresh: false };

/** A kernel as the index and the mirror name it: of Debian 13, or a backport to Debian 12. */
const linux = (version: string, release = 13) => {
  const name = `linux-image-${version}+deb${release}-${FLAVOUR}`;
  return `${name} ${version}-1${release === 12 ? "~bpo12+1" : ""}`;
};

const vfio = ["vfio.ko", "vfio_iommu_spapr_tce.ko", "pci/vfio-pci-core.ko", "pci/vfio-pci.ko"];
const files = (version: string) => ({
  [`boot/vmlinux-${version}`]: `Linux ${version}`,
  ...Object.fromEntries(
    vfio.map((name) => [`lib/modules/${version}/kernel/drivers/vfio/${name}`, `${name} ${version}`]),
  ),
});

function shopOn(mirror: FakeMirror, said: string[] = []): Shop {
  const say = (line: string) => said.push(line);
  const directory = join(mirror.cache, "apt");
  mkdirSync(directory, { recursive: true });
  const apt = new Apt({ directory, architecture: "ppc64el", say, mirror: "http://m/debian", pauseMs: 1 });
  return { apt, architecture: power, cache: mirror.cache, say };
}

/** A mirror whose index names these, all of which it has, and busybox. */
function withKernels(run: (mirror: FakeMirror) => Promise<void>, ...versions: readonly string[]): Promise<void> {
  return withMirror(async (mirror) => {
    mirror.suite("trixie", ...versions.map((version) => linux(version)), "busybox-static 1");
    for (const version of versions) mirror.has(linux(version), files(version));
    mirror.has("busybox-static 1", { "usr/bin/busybox": "busybox" });
    await run(mirror);
  });
}

const versionOf = ({ path }: Kernel) => readFileSync(path, "utf8");
const take = (mirror: FakeMirror, wish = wishes) => kernelOf(shopOn(mirror), FLAVOUR, wish);
const refusalOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "it was taken",
    (error: Error) => error.message,
  );

test("the newest of a known series is taken, unpacked, and there the next time without a question", async () => {
  await withKernels(
    async (mirror) => {
      const first = await take(mirror);
      assert.is(versionOf(first), "Linux 6.12.117");
      const layer = readFileSync(first.layer, "latin1");
      for (const text of ["busybox", "vfio-pci.ko 6.12.117", "lib/modules/order"]) assert.match(layer, text);
      const [name, version] = linux("6.12.117").split(" ");
      const origin = { package: name, version, suite: "trixie", isCached: false, passedOver: [] };
      assert.equal(first.origin, origin);
      mirror.asked();
      assert.equal((await take(mirror)).origin, { ...origin, isCached: true });
      assert.equal(mirror.asked(), []);
    },
    "6.12.95",
    "6.12.117",
    "7.3.4",
  );
});

test("a version that the index names and the mirror has not is passed over, and the report says so", async () => {
  await withKernels(async (mirror) => {
    mirror.suite("trixie", linux("6.12.117"), linux("6.12.107"), "busybox-static 1");
    const { origin } = await take(mirror);
    assert.is(origin.version, "6.12.107-1");
    assert.is(origin.passedOver.length, 1);
    assert.match(
      origin.passedOver[0]?.name ?? "",
      /^linux-image-6\.12\.117\+deb13-powerpc64le 6\.12\.117-1 \(trixie\)$/,
    );
    assert.match(origin.passedOver[0]?.reason ?? "", /404 Not Found$/);
    assert.is(mirror.asked().filter((line) => line.startsWith("apt-get download linux-image-6.12.117")).length, 1);
  }, "6.12.107");
});

test("the next suite is asked where one is missing, unreadable, or has no such version", async () => {
  await withKernels(async (mirror) => {
    mirror.suite("trixie", linux("7.3.4"), "busybox-static 1").suite("trixie-security", linux("6.12.120"));
    mirror.fails("trixie-security", 99);
    mirror.suite("bookworm-backports", linux("6.12.95", 12)).has(linux("6.12.95", 12), files("6.12.95"));
    const { origin } = await take(mirror);
    assert.is(origin.suite, "bookworm-backports");
    assert.equal(
      origin.passedOver.map(({ name }) => name),
      ["trixie-security", "trixie-updates"],
    );
  });
});

test("a package that arrives torn each time is passed over, and nothing of it stays", async () => {
  await withKernels(
    async (mirror) => {
      mirror.torn(3);
      const shop = shopOn(mirror);
      assert.is(versionOf(await kernelOf(shop, FLAVOUR, wishes)), "Linux 6.12.107");
      assert.not(existsSync(join(shop.apt.debs, `${linux("6.12.117").replace(" ", "_")}_arch.deb`)));
    },
    "6.12.107",
    "6.12.117",
  );
});

test("the cache's version serves, though a newer can be had; `fresh` asks the mirror first", async () => {
  await withKernels(async (mirror) => {
    await take(mirror);
    mirror.suite("trixie", linux("6.12.117"), "busybox-static 1").has(linux("6.12.117"), files("6.12.117"));
    mirror.asked();
    const { origin } = await take(mirror);
    assert.equal([origin.version, origin.isCached], ["6.12.107-1", true]);
    assert.equal(mirror.asked(), []);
    assert.is((await take(mirror, { fresh: true })).origin.version, "6.12.117-1");
    // From then on the newest that is there.
    assert.is((await take(mirror)).origin.version, "6.12.117-1");
  }, "6.12.107");
});

test("where the mirror has nothing, `fresh` takes the cache's, and says what was tried", async () => {
  await withKernels(async (mirror) => {
    await take(mirror);
    mirror.suite("trixie", linux("6.12.117"));
    const { origin } = await take(mirror, { fresh: true });
    assert.equal([origin.version, origin.isCached], ["6.12.107-1", true]);
    assert.match(origin.passedOver.map(({ name }) => name).join(), /6\.12\.117-1 \(trixie\)/);
  }, "6.12.107");
});

test("a package of an earlier run serves where nothing was unpacked from it, and one that is torn does not", async () => {
  await withKernels(async (mirror) => {
    const shop = shopOn(mirror);
    mkdirSync(shop.apt.debs, { recursive: true });
    await take(mirror, { fresh: false, linux: "6.12.95" });
    rmSync(join(mirror.cache, "kernels"), { recursive: true });
    mirror.asked();
    const { origin } = await take(mirror);
    assert.equal([origin.version, origin.suite, origin.isCached], ["6.12.95-1", undefined, true]);
    assert.equal(mirror.asked(), []);
    writeFileSync(join(shop.apt.debs, `${linux("6.12.117").replace(" ", "_")}_ppc64el.deb`), "torn");
    const again = await take(mirror);
    assert.is(again.origin.version, "6.12.95-1");
    assert.match(again.origin.passedOver[0]?.name ?? "", /6\.12\.117-1 \(cache\)/);
  }, "6.12.95");
});

test("what is not whole in the cache, or has other modules than today's, is unpacked again", async () => {
  await withKernels(async (mirror) => {
    const { path } = await take(mirror);
    const about = join(dirname(path), "about.json");
    for (const text of [
      "{",
      JSON.stringify({ name: linux("6.12.107").split(" ")[0], version: "6.12.107-1", modules: ["vfio"] }),
    ]) {
      writeFileSync(about, text);
      assert.is(versionOf(await take(mirror)), "Linux 6.12.107");
      assert.match(readFileSync(about, "utf8"), "vfio_iommu_spapr_tce");
    }
  }, "6.12.107");
});

test("a version may be asked for, or a series, known or not", async () => {
  await withKernels(
    async (mirror) => {
      assert.is(versionOf(await take(mirror, { fresh: false, linux: "6.12.107" })), "Linux 6.12.107");
      assert.is(versionOf(await take(mirror, { fresh: false, linux: "6.12.117" })), "Linux 6.12.117");
      assert.is(versionOf(await take(mirror, { fresh: false, linux: "7" })), "Linux 7.3.4");
      // What is not known to work is taken only by its name.
      assert.is(versionOf(await take(mirror)), "Linux 6.12.117");
    },
    "6.12.107",
    "6.12.117",
    "7.3.4",
  );
});

test("when nothing can be had, all that was tried is said, and what each has instead", async () => {
  await withKernels(async (mirror) => {
    mirror.suite("trixie", linux("6.12.117"));
    const usual = await refusalOf(take(mirror));
    assert.match(
      usual,
      /^a kernel 6\.12 \(linux-image-\*-powerpc64le\): nothing can be had\. Tried:\n {2}the cache: has none\n/,
    );
    assert.match(usual, /6\.12\.117-1 \(trixie\): Failed to fetch .* 404 Not Found\n/);
    assert.match(usual, /trixie-security: its list cannot be read: .*\n/);
    assert.match(usual, /bookworm-backports: its list cannot be read: /);
    assert.match(await refusalOf(take(mirror, { fresh: false, linux: "6.12.1" })), /trixie: has 6\.12\.117-1\n/);
    assert.equal(existsSync(join(mirror.cache, "kernels")), false);
  });
});

test("a kernel without one of VFIO's modules is passed over; `vfio_virqfd` may be missing", async () => {
  await withKernels(async (mirror) => {
    mirror.suite("trixie", linux("6.12.117"), linux("6.12.107"), "busybox-static 1");
    mirror.has(linux("6.12.117"), { "boot/vmlinux-6.12.117": "Linux", "lib/kernel/drivers/vfio/vfio.ko": "" });
    const { origin } = await take(mirror);
    assert.is(origin.version, "6.12.107-1");
    assert.match(origin.passedOver[0]?.reason ?? "", /no file vfio_iommu_spapr_tce\.ko/);
  }, "6.12.107");
  await withMirror(async (mirror) => {
    const package_ = "linux-image-6.1.0-50-amd64 6.1.176-1";
    const at = "lib/modules/6.1.0-50-amd64/kernel";
    const older = [
      "virt/lib/irqbypass.ko",
      ...["vfio.ko", "vfio_virqfd.ko", "vfio_iommu_type1.ko", "pci/vfio-pci-core.ko", "pci/vfio-pci.ko"].map(
        (name) => `drivers/vfio/${name}`,
      ),
    ];
    const content = Object.fromEntries(older.map((path) => [`${at}/${path}`, path]));
    mirror.suite("bookworm", package_, "busybox-static 1").has("busybox-static 1", { "bin/busybox": "busybox" });
    mirror.has(package_, { "boot/vmlinuz-6.1.0-50-amd64": "Linux 6.1", ...content });
    const { layer, origin } = await kernelOf({ ...shopOn(mirror), architecture: x86 }, "amd64", wishes);
    assert.is(origin.version, "6.1.176-1");
    assert.match(readFileSync(layer, "latin1"), "irqbypass\nvfio_virqfd\nvfio\nvfio_iommu_type1\n");
  });
});

test("a flavour's packages are told from others with like names", () => {
  const pattern = kernelName("amd64");
  for (const name of [
    "6.12.107+deb13-amd64",
    "6.1.0-47-amd64",
    "6.12.95+deb12-amd64",
    "6.1.0-0.deb11.21-amd64",
    "7.3.4-amd64",
  ])
    assert.ok(pattern.test(`linux-image-${name}`), name);
  for (const name of [
    "amd64",
    "6.12.107+deb13-rt-amd64",
    "6.12.107+deb13-cloud-amd64",
    "6.12.107+deb13-amd64-dbg",
    "6.1.0-47-amd64-unsigned",
  ])
    assert.not(pattern.test(`linux-image-${name}`), name);
  assert.not(kernelName("powerpc64le").test("linux-image-6.12.107+deb13-powerpc64le-64k"));
});

test.run();
