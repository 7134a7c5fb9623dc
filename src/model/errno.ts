import { ERRNO } from "../errno.ts";

/** The kernel's answers, negative as a system call gives them. */
export const EPERM = -ERRNO.EPERM;
export const ENOENT = -ERRNO.ENOENT;
export const EINTR = -ERRNO.EINTR;
export const EIO = -ERRNO.EIO;
export const ENXIO = -ERRNO.ENXIO;
export const EBADF = -ERRNO.EBADF;
export const EAGAIN = -ERRNO.EAGAIN;
export const ENOMEM = -ERRNO.ENOMEM;
export const EACCES = -ERRNO.EACCES;
export const EFAULT = -ERRNO.EFAULT;
export const EBUSY = -ERRNO.EBUSY;
export const EEXIST = -ERRNO.EEXIST;
export const ENODEV = -ERRNO.ENODEV;
export const ENOTDIR = -ERRNO.ENOTDIR;
export const EISDIR = -ERRNO.EISDIR;
export const EINVAL = -ERRNO.EINVAL;
export const ENOSPC = -ERRNO.ENOSPC;
export const ESPIPE = -ERRNO.ESPIPE;
export const ENOTTY = -ERRNO.ENOTTY;
export const ERANGE = -ERRNO.ERANGE;
export const EROFS = -ERRNO.EROFS;
export const ELOOP = -ERRNO.ELOOP;
export const EOVERFLOW = -ERRNO.EOVERFLOW;
export const EBADFD = -ERRNO.EBADFD;
