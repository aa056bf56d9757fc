/**
 * Error numbers that system calls return, negated, as in Linux
 * (include/uapi/asm-generic/errno.h). The numbers are the ABI's.
 */
export const ENOENT = 2;
export const EIO = 5;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const EINVAL = 22;
export const EOPNOTSUPP = 95;
