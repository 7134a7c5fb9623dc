/** The first step of a batch of maps, or of unmaps: all of its requests, or none. See requests.ts. */
import { clearCalls } from "./calls";
import { checkMap, recordAndWrite, takeBack } from "./maps";
import { Batch } from "./requests";
import * as status from "./status";
import { checkUnmap, putBack, unclaimAndWrite } from "./unmaps";
import { Window } from "./window";

/**
 * Checks `total` requests, records them (maps) or takes away their marks (unmaps), and writes their calls. Not 0: nothing
 * changed, and refusedRequest() is wrong.
 */
export function prepareBatch(window: Window, total: u32, owner: u32, maps: bool): i32 {
  clearCalls();
  Batch.count = total;
  for (let i: u32 = 0; i < total; i++) {
    let answer = maps ? checkMap(window, i, owner) : checkUnmap(window, i, owner);
    if (answer == status.OK) {
      if (maps ? recordAndWrite(window, i) : unclaimAndWrite(window, i)) continue;
      answer = status.OUT_OF_MEMORY;
    }
    Batch.refused = i;
    while (i-- > 0) {
      if (maps) takeBack(window, i, true);
      else putBack(window, i);
    }
    return answer;
  }
  return status.OK;
}
