/** What documents say of an object by its usual name (`window.map`, `heap.alloc`) is there. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { bindToVfio, DmaHeap, edu, MemsegTable, modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { documents } from "./documents.ts";

/** All names of an object, its classes' too. */
function namesOf(object: object): Set<string> {
  const names = new Set<string>();
  for (let one = object; one !== Object.prototype && one !== null; one = Object.getPrototypeOf(one))
    for (const name of Object.getOwnPropertyNames(one)) names.add(name);
  return names;
}

function objects(): Readonly<Record<string, Set<string>>> {
  const address = "0000:01:00.0";
  const kernel = modelKernel({ platform: "powernv", devices: [{ ...edu({ address }), driver: "edu" }] });
  const binding = bindToVfio(address, { kernel });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 30n });
  const container = openContainer({ kernel, devices: [address] });
  const plan = planWindow({ memory, info: container.info() });
  const window = container.createWindow(plan);
  container.attach(memory);
  const heap = new DmaHeap({ memory, list, window });
  const pool = heap.pool({ size: 2048, count: 16 });
  const buffer = heap.buffer(4096);
  const segment = memory.allocate(list, 1);
  const device = container.device(address);
  const bar = device.bar(0);
  const { config, irqs } = device;
  const found = {
    bar,
    binding,
    buffer,
    config,
    container,
    device,
    heap,
    irqs,
    memory,
    packets: pool,
    plan,
    pool,
    segment,
    window,
  };
  const names = Object.fromEntries(Object.entries(found).map(([name, object]) => [name, namesOf(object)]));
  memory.free(segment);
  for (const one of [device, buffer, pool, heap, container, memory]) one.close();
  binding.restore();
  return names;
}

/** They speak of what is within, too. */
const INSIDE = new Set(["docs/architecture.md", "docs/testing.md", "docs/conformance.md", "docs/bench/README.md"]);

test("documents name members that there are", () => {
  const known = objects();
  const pattern = new RegExp(`(?<![\\w./-])(${Object.keys(known).join("|")})\\.(\\w+)`, "g");
  let count = 0;
  const wrong: string[] = [];
  for (const { name, text } of documents.filter((one) => !INSIDE.has(one.name))) {
    for (const [, code = ""] of text.matchAll(/`([^`\n]+)`/g)) {
      for (const [all, object = "", member = ""] of code.matchAll(pattern)) {
        // A file of that name, as in a table of files.
        if (/^(?:ts|js|mjs|md|json|max|h|gyp)$/.test(member)) continue;
        count++;
        if (known[object]?.has(member) !== true) wrong.push(`${name}: ${all}`);
      }
    }
  }
  assert.equal(wrong, []);
  assert.ok(count > 100, `${count}`);
});

test.run();
