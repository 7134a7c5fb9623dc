import { type DmaWindowError, withResidue } from "../errors.ts";
import type { Attachment } from "./attachment.ts";

/** Unmaps all of them, or, where one cannot be unmapped, none; gives what else there is to say. */
export function unmapEach(attachments: readonly Attachment[]): DmaWindowError | undefined {
  const unmapped: Attachment[] = [];
  let leftover: DmaWindowError | undefined;
  try {
    for (const attachment of attachments) {
      leftover = attachment.unmapAll() ?? leftover;
      unmapped.push(attachment);
    }
    return leftover;
  } catch (error) {
    throw withResidue(
      error,
      unmapped.reverse().flatMap((attachment) => attachment.mapAll()),
    );
  }
}
