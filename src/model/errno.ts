import { constants } from "node:os";

/** The kernel's answers, negative as a system call gives them. */
export const EPERM = -constants.errno.EPERM;
export const ENOENT = -constants.errno.ENOENT;
export const ENXIO = -constants.errno.ENXIO;
export const EBADF = -constants.errno.EBADF;
export const ENOMEM = -constants.errno.ENOMEM;
export const EACCES = -constants.errno.EACCES;
export const EFAULT = -constants.errno.EFAULT;
export const EBUSY = -constants.errno.EBUSY;
export const EEXIST = -constants.errno.EEXIST;
export const ENODEV = -constants.errno.ENODEV;
export const ENOTDIR = -constants.errno.ENOTDIR;
export const EISDIR = -constants.errno.EISDIR;
export const EINVAL = -constants.errno.EINVAL;
export const EOVERFLOW = -constants.errno.EOVERFLOW;
export const EINTR = -constants.errno.EINTR;
export const ERANGE = -constants.errno.ERANGE;
export const ENOSPC = -constants.errno.ENOSPC;
export const ENOTTY = -constants.errno.ENOTTY;
/** `os.constants` does not know this one. 77 on x86, Arm and POWER alike. */
export const EBADFD = -77;
