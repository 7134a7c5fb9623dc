/** The page as it is made: the same bytes anywhere, one file, and a policy that names what is in it. */
import { createHash } from "node:crypto";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { playgroundPage } from "../../tools/playground.mjs";
import { root } from "../package/imports.ts";
import { execute } from "../package/installed.ts";

/** Of the page, in bytes: half a megabyte, and room to grow. */
const SIZE_MAX = 700_000;

const page = await playgroundPage();
const made = suite("the page as it is made");

made("is the same, byte by byte, in another checkout and from another directory", () => {
  const elsewhere = mkdtempSync(join(tmpdir(), "dma-window-elsewhere-"));
  try {
    for (const part of ["src", "tools", "package.json", "tsconfig.json"]) {
      cpSync(join(root, part), join(elsewhere, part), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(elsewhere, "node_modules"));
    const file = join(elsewhere, "page.html");
    const { status, stderr } = execute(process.execPath, [join(elsewhere, "tools/playground.mjs"), file], {
      cwd: tmpdir(),
    });
    assert.is(status, 0, stderr);
    assert.ok(readFileSync(file, "utf8") === page, "it is another page");
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

made("is one file, which names no other and no server", () => {
  const [markup = "", script = ""] = page.split('<script type="module">');
  const outside = [...markup.matchAll(/\b(?:src|href|action|srcset|poster)="([^"]*)"/g)].map(([, target]) => target);
  assert.equal(outside, ["data:,", "#plan"]);
  assert.not.match(markup, /@import|url\(/);
  const end = script.indexOf("</script>");
  assert.is(script.slice(end), "</script>\n</body>\n</html>\n"); // nothing in the script ends it early
});

made("allows the script and the style that it has, wasm, and nothing else", () => {
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)?.[1] ?? "";
  const digest = (tag: string) => {
    const part = new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, "s").exec(page)?.[1] ?? "";
    return `'sha256-${createHash("sha256").update(part).digest("base64")}'`;
  };
  assert.equal(policy.split("; "), [
    "default-src 'none'",
    `script-src ${digest("script")} 'wasm-unsafe-eval'`,
    `style-src ${digest("style")}`,
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
  ]);
});

made(`has at most ${SIZE_MAX} bytes`, () => {
  assert.ok(Buffer.byteLength(page) <= SIZE_MAX, `${Buffer.byteLength(page)} bytes`);
});

made.run();
