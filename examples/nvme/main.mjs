// @ts-check
// An NVMe driver in user space: node examples/nvme/main.mjs --help
import { main } from "./cli.mjs";

process.exitCode = await main(process.argv.slice(2), console);
