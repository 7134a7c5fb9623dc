/** Answers by the names, numbers and texts that people give them. */
import { ERRNO } from "../errno.ts";
import { CRASH, POSITIVE, SUCCESS } from "./cause.ts";

/** What `strerror` says: programs write it instead of the number. glibc's and musl's words, in lower case. */
const texts: Readonly<Record<string, keyof typeof ERRNO>> = {
  "operation not permitted": "EPERM",
  "no such file or directory": "ENOENT",
  "no such process": "ESRCH",
  "interrupted system call": "EINTR",
  "input/output error": "EIO",
  "i/o error": "EIO",
  "no such device or address": "ENXIO",
  "bad file descriptor in bad state": "EBADFD",
  "file descriptor in bad state": "EBADFD",
  "bad file descriptor": "EBADF",
  "resource temporarily unavailable": "EAGAIN",
  "cannot allocate memory": "ENOMEM",
  "out of memory": "ENOMEM",
  "permission denied": "EACCES",
  "bad address": "EFAULT",
  "device or resource busy": "EBUSY",
  "resource busy": "EBUSY",
  "file exists": "EEXIST",
  "no such device": "ENODEV",
  "is a directory": "EISDIR",
  "not a directory": "ENOTDIR",
  "invalid argument": "EINVAL",
  "too many open files in system": "ENFILE",
  "too many open files": "EMFILE",
  "no file descriptors available": "EMFILE",
  "inappropriate ioctl for device": "ENOTTY",
  "not a tty": "ENOTTY",
  "no space left on device": "ENOSPC",
  "read-only file system": "EROFS",
  "numerical result out of range": "ERANGE",
  "result not representable": "ERANGE",
  "function not implemented": "ENOSYS",
  "value too large for defined data type": "EOVERFLOW",
  "value too large for data type": "EOVERFLOW",
  "operation not supported": "EOPNOTSUPP",
  "not supported": "EOPNOTSUPP",
  "address already in use": "EADDRINUSE",
  "connection timed out": "ETIMEDOUT",
  "memory page has hardware error": "EHWPOISON",
};

const names = new Map(
  Object.entries(ERRNO)
    .map(([name, value]) => [value as number, name] as const)
    .reverse(),
);

/** The texts of errnos, the longer of two that begin alike first. */
export const errorTexts: readonly (readonly [text: string, errno: string])[] = Object.entries(texts);

/** `EINVAL` for 22. */
export function errnoNamed(number: number): string | undefined {
  return names.get(number);
}

/**
 * The answer that a word means: `EINVAL`, `einval`, `-EINVAL`, `-22`, `22` where an errno is meant, `+1` and `positive` for a number above 0,
 * `0` and `success`, `Oops`, or a text of strerror. `undefined` for what is none.
 */
export function answerNamed(word: string): string | undefined {
  const name = word.trim();
  const upper = name.toUpperCase().replace(/^-(?=E)/, "");
  if (Object.hasOwn(ERRNO, upper)) return names.get(ERRNO[upper as keyof typeof ERRNO]);
  if (/^-\d{1,3}$/.test(name)) return errnoNamed(-Number(name));
  if (/^\+\d{1,9}$/.test(name)) return Number(name) === 0 ? SUCCESS : POSITIVE;
  if (/^\d{1,3}$/.test(name))
    return Number(name) === 0 ? SUCCESS : Number(name) === 1 ? POSITIVE : errnoNamed(Number(name));
  const lower = name.toLowerCase();
  if (lower === "success" || lower === "ok") return SUCCESS;
  if (lower === "positive") return POSITIVE;
  if (["oops", "crash", "panic"].includes(lower)) return CRASH;
  return Object.hasOwn(texts, lower) ? texts[lower] : undefined;
}
