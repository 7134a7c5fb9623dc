/** The page's text: the same for the same sources. */
export function playgroundPage(): Promise<string>;
