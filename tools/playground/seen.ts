/** What is to be seen of a text that was pasted. */
export interface Seen {
  /** In a sentence or two. */
  readonly words: string;
  readonly elements: readonly HTMLElement[];
}
