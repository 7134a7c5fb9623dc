import { test } from "uvu";
import * as assert from "uvu/assert";
import { kernelIn, mirrorIn, packageFilesIn } from "./packages.ts";

test("the files that apt would fetch are read from its answer, and its other lines passed over", () => {
  const answer = `Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
  busybox-static
'http://mirror/debian/pool/main/b/busybox/busybox-static_1.37.0-6%2bb9_ppc64el.deb' busybox-static_1%3a1.37.0-6+b9_ppc64el.deb 988788 SHA256:00ff
'http://mirror/debian/pool/main/n/nodejs/nodejs_20.19.2%2bdfsg-1_ppc64el.deb' nodejs_20.19.2+dfsg-1_ppc64el.deb 353564 MD5Sum:12
'http://mirror/debian/dists/trixie/InRelease' mirror_debian_dists_trixie_InRelease 0
'http://mirror/x/none_1_all.deb' none_1_all.deb 5
`;
  assert.equal(packageFilesIn(answer), [
    {
      name: "busybox-static",
      version: "1:1.37.0-6+b9",
      file: "busybox-static_1%3a1.37.0-6+b9_ppc64el.deb",
      size: 988788,
    },
    { name: "nodejs", version: "20.19.2+dfsg-1", file: "nodejs_20.19.2+dfsg-1_ppc64el.deb", size: 353564 },
    { name: "none", version: "1", file: "none_1_all.deb", size: 5 },
  ]);
  assert.equal(packageFilesIn(""), []);
});

test("the kernel with a version is found among a kernel package's dependencies", () => {
  const answer =
    "linux-image-powerpc64le-64k\n  Depends: linux-image-6.12.107+deb13-powerpc64le-64k\n  Recommends: other\n";
  assert.is(kernelIn(answer), "linux-image-6.12.107+deb13-powerpc64le-64k");
  assert.is(kernelIn("linux-image-amd64\n  Depends: <linux-image-amd64-unsigned>\n"), undefined);
});

test("a mirror is found in both forms of apt's sources", () => {
  assert.is(mirrorIn(["# comment\ndeb http://a/debian bookworm main\n"]), "http://a/debian");
  assert.is(mirrorIn(["deb [arch=amd64 signed-by=/k.gpg] https://b/debian/ bookworm main"]), "https://b/debian");
  assert.is(mirrorIn(["Types: deb\nURIs: http://c/debian\nSuites: bookworm\n"]), "http://c/debian");
  assert.is(mirrorIn(["Types: deb\nuris: http://x/other http://d/debian/\n"]), "http://d/debian");
});

test("security updates, sources and other archives are no mirror", () => {
  const others = ["deb http://a/debian-security bookworm-security main", "deb-src http://a/debian bookworm main"];
  assert.is(mirrorIn([...others, "#deb http://a/debian bookworm main", "deb http://a/node nodistro main"]), undefined);
  assert.is(mirrorIn([...others, "URIs: http://b/debian-security", "URIs: http://b/debian"]), "http://b/debian");
  assert.is(mirrorIn([]), undefined);
});

test.run();
