/**
 * The times that a guest is booted: once for the parts of its program, and once more for each row of the conformance suite
 * after which a kernel is not itself any more.
 */
import { allRows, needsOf, type PlacedRow } from "../conformance/run-on.ts";
import { type Guest, type Part, platformsOf } from "./guests.ts";

export interface Boot {
  readonly guest: Guest;
  /** What its lines are marked with: `pseries-4k`, `pseries-4k harm 2/6`. */
  readonly name: string;
  readonly parts: readonly Part[];
  readonly cpus: number;
  /** The row that this boot is for. Once it is answered, its kernel may crash, and is not asked to come to its end. */
  readonly harm?: PlacedRow;
  /** Seconds until the machine is stopped. */
  readonly seconds: number;
}

/** What `--parts` calls the boots for harmful rows. */
export const HARM = "harm";

/** Firmware and the kernel's start, on a host that does other things too. */
const TO_BOOT = 90;
const FOR_A_ROW: Part = { name: HARM, seconds: 180 };

/**
 * The boots of a guest; of the parts those that are named, all unless they are. Every limit is `patience` times what it is on
 * a host that does nothing else.
 */
export function bootsOf(guest: Guest, named?: readonly string[], patience = 1): Boot[] {
  const wanted = ({ name }: Part) => named?.includes(name) ?? true;
  const patient = (part: Part): Part => ({ ...part, seconds: part.seconds * patience });
  const parts = guest.parts.filter(wanted).map(patient);
  const toBoot = TO_BOOT * patience;
  const seconds = toBoot + parts.reduce((sum, part) => sum + part.seconds, 0);
  const boots: Boot[] = parts.length === 0 ? [] : [{ guest, name: guest.name, parts, cpus: 1, seconds }];
  if (!wanted(FOR_A_ROW)) return boots;
  const rows = harmfulRows(guest);
  const forRow = patient(FOR_A_ROW);
  return boots.concat(
    rows.map((harm, i) => ({
      guest,
      name: `${guest.name} ${HARM} ${i + 1}/${rows.length}`,
      parts: [forRow],
      // A crashed call may hold a lock for ever: the processor that waits for it is lost.
      cpus: 2,
      harm,
      seconds: toBoot + forRow.seconds,
    })),
  );
}

export function harmfulRows({ machine, cpuPage }: Guest): PlacedRow[] {
  const platforms = platformsOf[machine];
  return allRows.filter(({ row }) => {
    const [, where] = row;
    return needsOf(row).reboot && platforms.some((platform) => where.covers(platform, cpuPage));
  });
}
