import { test } from "uvu";
import * as assert from "uvu/assert";
import { isFinal, mirrorIn, packageFilesIn, packagesIn, reasonIn } from "./packages.ts";

test("the files that apt would fetch are read from its answer, and its other lines passed over", () => {
  const answer = `Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
  busybox-static
'http://mirror/debian/pool/main/b/busybox/busybox-static_1.37.0-6%2bb9_ppc64el.deb' busybox-static_1%3a1.37.0-6+b9_ppc64el.deb 988788 SHA256:00ff
'http://mirror/debian/pool/main/n/nodejs/nodejs_20.19.2%2bdfsg-1_ppc64el.deb' nodejs_20.19.2+dfsg-1_ppc64el.deb 353564 MD5Sum:12
'http://mirror/debian/dists/trixie/InRelease' mirror_debian_dists_trixie_InRelease 0
'http://mirror/x/none_1_all.deb' none_1_all.deb 5
'http://mirror/debian-security/pool/updates/main/libz/libzstd/libzstd1_1.5.7_amd64.deb' libzstd1_1.5.7_amd64.deb 304140${" "}
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
    { name: "libzstd1", version: "1.5.7", file: "libzstd1_1.5.7_amd64.deb", size: 304140 },
  ]);
  assert.equal(packageFilesIn(""), []);
});

test("the packages that a suite names are read with their versions", () => {
  const answer = `
linux-image-6.12.107+deb13-powerpc64le | 6.12.107-1 | http://mirror/debian trixie/main ppc64el Packages
busybox-static | 1:1.37.0-6+b9 | http://mirror/debian trixie/main ppc64el Packages
   busybox | 1:1.37.0-6 | http://mirror/debian trixie/main Sources
W: something else
`;
  assert.equal(packagesIn(answer), [
    { name: "linux-image-6.12.107+deb13-powerpc64le", version: "6.12.107-1" },
    { name: "busybox-static", version: "1:1.37.0-6+b9" },
  ]);
});

const missing = `Err:1 http://mirror/debian trixie/main ppc64el libc6 ppc64el 2.41-12
  404  Not Found [IP: 192.0.2.1 80]
E: Failed to fetch http://mirror/debian/pool/main/g/glibc/libc6_2.41-12_ppc64el.deb  404  Not Found [IP: 192.0.2.1 80]
E: Failed to fetch http://mirror/debian/pool/main/n/nodejs/nodejs_20_ppc64el.deb  404  Not Found [IP: 192.0.2.1 80]
E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?
`;
const torn = `E: Failed to fetch http://mirror/debian/dists/trixie/main/binary-ppc64el/Packages.xz  File has unexpected size (1 != 2). Mirror sync in progress? [IP: 192.0.2.1 80]
   Hashes of expected file:
E: Some index files failed to download. They have been ignored, or old ones used instead.
`;

test("the reason is one line: what was complained of first, and how often", () => {
  const first = "Failed to fetch http://mirror/debian/pool/main/g/glibc/libc6_2.41-12_ppc64el.deb 404 Not Found";
  assert.is(reasonIn(missing), `${first} (and 1 more)`);
  assert.match(reasonIn(torn), /^Failed to fetch .* File has unexpected size \(1 != 2\)\. Mirror sync in progress\?$/);
  assert.is(reasonIn("npm error code E404\nnpm error 404 Not Found - GET x\n"), "404 Not Found - GET x");
  assert.is(reasonIn("some words\nthe last\n"), "the last");
  assert.is(reasonIn(""), "nothing was said");
});

test("a no is final, what may be chance is not", () => {
  const no = [
    missing,
    "E: Failed to fetch http://m/p.deb  403  Forbidden [IP: 192.0.2.1 80]",
    "E: Failed to fetch file:/m/p.deb  File not found - /m/p.deb (2: No such file or directory)",
    "E: Unable to locate package nodejs",
    "E: Version '1' for 'nodejs' was not found",
    "E: Package 'nodejs' has no installation candidate",
    "The following packages have unmet dependencies:\n nodejs : Depends: libc6 but it is not going to be installed",
    "E: The repository 'http://m/debian sid Release' does not have a Release file.",
    "npm error code ETARGET\nnpm error notarget No matching version found for x@1.",
  ];
  for (const text of no) assert.ok(isFinal(text), text);
  const chance = [
    torn,
    "E: Failed to fetch http://m/p.deb  Hash Sum mismatch",
    "E: Failed to fetch http://m/p.deb  503  Service Unavailable [IP: 192.0.2.1 80]",
    "E: Failed to fetch http://m/p.deb  Could not connect to m:80 (192.0.2.1), connection timed out",
    "E: Could not get lock /x/lists/lock. It is held by process 404 (apt-get)",
    "npm error code ETIMEDOUT\nnpm error network timeout",
  ];
  for (const text of chance) assert.not(isFinal(text), text);
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
  assert.is(mirrorIn(others, "debian-security"), "http://a/debian-security");
  assert.is(mirrorIn(["URIs: http://b/debian"], "debian-security"), undefined);
});

test.run();
