/** docs/using.md shows what `devices`, `bind` and `unbind` print, on the machine that it describes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { dmaWindow } from "../cli/command.ts";
import { withKernelBeside } from "../pci/kernel-beside.ts";
import { SysfsActor } from "../pci/sysfs-actor.ts";
import { commandsIn } from "./commands.ts";
import { documents } from "./documents.ts";
import { isShown } from "./shown.ts";

const FREE = "0000:02:00.0";

const ids = (vendor: string, device: string) => ({ vendor: `0x${vendor}\n`, device: `0x${device}\n` });

/** A laptop: a bridge, the disk that it runs from, one that nobody uses, and its card. */
const laptop = () =>
  new SysfsActor(
    {
      "0000:00:1d.0": { group: 9, drivers: ["pcieport"], class: "0x060400", files: ids("8086", "a330") },
      "0000:01:00.0": {
        group: 10,
        drivers: ["nvme"],
        files: {
          ...ids("144d", "a808"),
          "nvme/nvme0/nvme0n1/dev": "259:0\n",
          "nvme/nvme0/nvme0n1/nvme0n1p1/dev": "259:1\n",
          "nvme/nvme0/nvme0n1/nvme0n1p1/partition": "1\n",
        },
      },
      [FREE]: { group: 11, drivers: ["nvme"], files: ids("144d", "a80a") },
      "0000:03:00.0": {
        group: 12,
        drivers: ["e1000e"],
        class: "0x020000",
        files: { ...ids("8086", "10d3"), "net/eth0/ifindex": "2\n" },
      },
    },
    {
      entries: {
        "proc/self/mountinfo": "36 35 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n",
        "dev/vfio/11": "",
        "proc/net/route": "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\n",
      },
    },
  );

const document = suite("docs/using.md");

document("shows what is printed about a machine's devices", async () => {
  const text = documents.find(({ name }) => name === "docs/using.md")?.text ?? "";
  const shown = commandsIn(text).filter((one) => /^dma-window (?:devices|bind|unbind)\b/.test(one.text));
  assert.is(shown.length, 4);
  await withKernelBeside(laptop(), FREE, ({ root }) => {
    for (const { text: command, output = "" } of shown) {
      const { out, err } = dmaWindow(`${command.replace("dma-window ", "")} --root ${root}`);
      assert.ok(isShown(output, out + err), `${command} prints\n${out}${err}`);
    }
  });
});

document.run();
