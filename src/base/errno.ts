/**
 * Error numbers that system calls return, negated, as in Linux
 * (include/uapi/asm-generic/errno-base.h). The numbers are the ABI's.
 */
export const ENOENT = 2;
export const ENOMEM = 12;
export const EFAULT = 14;
export const EEXIST = 17;
export const EINVAL = 22;
