/** What a fault handler returns (include/linux/mm.h, 2.6.10). */

/** No memory: the caller's task is to be killed. */
export const VM_FAULT_OOM = -1;
export const VM_FAULT_SIGBUS = 0;
/** Handled without a device. */
export const VM_FAULT_MINOR = 1;
/** Handled by reading from a device. */
export const VM_FAULT_MAJOR = 2;
/** No mapping, or one that forbids the access. In 2.6.10 the architecture signals this itself. */
export const VM_FAULT_SIGSEGV = -2;

/** A huge page could not be used: the small ones must do. Never leaves handle_mm_fault. */
export const VM_FAULT_FALLBACK = -3;

/** What was to be mapped has changed meanwhile: once more. Never leaves do_no_page. */
export const VM_FAULT_RETRY = -4;

const NAMES = new Map([
  [VM_FAULT_OOM, 'VM_FAULT_OOM'],
  [VM_FAULT_SIGBUS, 'VM_FAULT_SIGBUS'],
  [VM_FAULT_MINOR, 'VM_FAULT_MINOR'],
  [VM_FAULT_MAJOR, 'VM_FAULT_MAJOR'],
  [VM_FAULT_SIGSEGV, 'VM_FAULT_SIGSEGV'],
]);

export function vmFaultName(result: number): string {
  return NAMES.get(result) ?? `VM_FAULT ${result}`;
}
