/** Lists that are bound to NUMA nodes: each node's own pool, and how near the devices are. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel, openContainer } from "../../src/index.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { planWindow } from "../../src/plan/index.ts";
import { MiB } from "./facts.ts";

/** A machine whose devices are near node 0, and lists of 2 MiB pages on such nodes. */
function warningsOf(lists: readonly (readonly [pages: bigint, node?: number])[], nodes = [{ 21: 8 }, { 21: 4 }]) {
  const kernel = modelKernel({ platform: "type1", nodes });
  const container = openContainer({ kernel, groups: [26] });
  const memory = new MemsegTable({ kernel });
  for (const [pages, node] of lists) {
    memory.addList({ pageSize: 2n * MiB, maxBytes: pages * 2n * MiB, ...(node === undefined ? {} : { node }) });
  }
  const { warnings } = planWindow({ memory, info: container.info() });
  container.close();
  memory.close();
  return warnings;
}

test("a list is held against its own node's pool: exactly enough is enough, and one page more a warning", () => {
  assert.equal(warningsOf([[8n, 0]]), []);
  const [warning, ...more] = warningsOf([[9n, 0]]);
  assert.match(
    warning ?? "",
    "the lists of 2 MiB pages on node 0 hold 9 pages in full growth, and its pool has 8 more of 8",
  );
  assert.match(
    warning ?? "",
    "fails from 16 MiB on. Write 9 to /sys/devices/system/node/node0/hugepages/hugepages-2048kB",
  );
  assert.equal(more, [], "the machine's pools together suffice");
  assert.is(
    warningsOf([
      [5n, 0],
      [4n, 0],
    ]).length,
    1,
  );
});

test("memory of a node that the devices are not near is named, and so are lists without a node", () => {
  const [far, ...more] = warningsOf([[4n, 1]]);
  assert.match(far ?? "", "the devices are near node 0, and memory of node 1 is farther: addList({ node: 0 })");
  assert.equal(more, []);
  assert.match(warningsOf([[4n]])[0] ?? "", "the devices are near node 0, and lists without a node get memory of any");
});

test("on a machine of one node nothing is said of nodes", () => {
  assert.equal(warningsOf([[4n]], [{ 21: 8 }]), []);
  const kernel = modelKernel({ platform: "type1" });
  assert.is(openContainer({ kernel, groups: [26] }).info().nodes, undefined);
});

test.run();
