/** What `exec` says of its own, and the shell's words for a program that cannot be executed: as env(1) has them. */
export const ExecStatus = { UNAVAILABLE: 125, NOT_EXECUTABLE: 126, NOT_FOUND: 127 } as const;
