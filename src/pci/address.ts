/**
 * Addresses of PCI as the kernel writes them: domain, bus, slot, function, all in hex (`drivers/pci/probe.c: pci_setup_device`,
 * "%04x:%02x:%02x.%d"). A domain may have more than four digits: those of Intel's VMD begin at 10000.
 *
 * They become parts of paths that root writes to, so nothing is taken for one that is not one in full.
 */
import { argumentRangeError, argumentTypeError } from "../errors.ts";

const ADDRESS = /^(?:[0-9a-f]{4}|[1-9a-f][0-9a-f]{4,7}):[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** The end of one, which `lspci` shows where all domains are 0. */
const WITHOUT_DOMAIN = /^[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

export function isPciAddress(name: string): boolean {
  return ADDRESS.test(name);
}

/**
 * The address in the kernel's own letters: capitals are taken, and become small.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, RangeError `ERR_OUT_OF_RANGE`
 */
export function pciAddress(name: string, value: unknown): string {
  const form = "an address of PCI in full, domain:bus:slot.function, such as 0000:01:00.0";
  if (typeof value !== "string") throw argumentTypeError(name, form, value);
  const small = value.toLowerCase();
  if (isPciAddress(small)) return small;
  const meant = WITHOUT_DOMAIN.test(small) ? `; with its domain it is likely 0000:${small}` : "";
  throw argumentRangeError(name, `${form}${meant}`, value.length > 80 ? `${value.slice(0, 80)}...` : value);
}

/** Of `there`, what an address that is not there was likely meant to be: what differs in least, and in the domain first. */
export function lookAlikes(address: string, there: readonly string[]): string[] {
  const unlike = (other: string) => {
    const [mine, theirs] = [parts(address), parts(other)];
    return [1, 2, 4, 8].reduce((sum, weight, i) => sum + (mine[i] === theirs[i] ? 0 : weight), 0);
  };
  const ranked = there.map((other) => ({ other, far: unlike(other) })).sort((a, b) => a.far - b.far);
  const [nearest] = ranked;
  return nearest === undefined ? [] : ranked.filter(({ far }) => far === nearest.far).map(({ other }) => other);
}

/** Domain, function, slot, bus: what is mistaken most easily first. */
function parts(address: string): readonly string[] {
  const [domain = "", bus = "", rest = ""] = address.split(":");
  const [slot = "", fn = ""] = rest.split(".");
  return [domain, fn, slot, bus];
}
