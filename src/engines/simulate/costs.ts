/** What things cost on a simulated machine: the constants that there are, and what each means. */

/** A constant of a machine, as its file must have it. */
export interface CostField {
  readonly unit: 'ns' | 'factor' | 'count';
  readonly text: string;
  /** Least value. */
  readonly least: number;
}

/** All constants, in the order in which they are printed. */
export const COST_FIELDS = {
  hitNs: { unit: 'ns', least: 0, text: 'an access to a line that the CPU holds' },
  atomicNs: { unit: 'ns', least: 0, text: 'more for an atomic operation on such a line' },
  sameNodeNs: { unit: 'ns', least: 0, text: 'moving a line between two CPUs of a node' },
  firstHopNs: { unit: 'ns', least: 0, text: 'moving a line between nodes on one router' },
  hopNs: { unit: 'ns', least: 0, text: 'more for each further level of routers' },
  memoryNs: {
    unit: 'ns',
    least: 0,
    text: 'reading a line that is in no cache from the CPU’s own node',
  },
  memoryRemoteNs: {
    unit: 'ns',
    least: 0,
    text: 'the same from a node on the same router; hopNs more for each further level',
  },
  spinnerNs: {
    unit: 'ns',
    least: 0,
    text: 'more for a hand-over of a lock, for each other spinner',
  },
  zeroPageNs: { unit: 'ns', least: 0, text: 'zeroing a page of the CPU’s own node' },
  remotePage: { unit: 'factor', least: 1, text: 'of zeroing and copying where the page is remote' },
  copyPageNs: { unit: 'ns', least: 0, text: 'copying a page' },
  pageBusNs: {
    unit: 'ns',
    least: 0,
    text: 'time that a page zeroed or copied keeps the node’s memory bus busy',
  },
  pageLinkNs: {
    unit: 'ns',
    least: 0,
    text: 'time that a remote page zeroed or copied keeps the node’s link to others busy',
  },
  deviceNs: { unit: 'ns', least: 0, text: 'reading or writing a page of a device' },
  deviceRequests: { unit: 'count', least: 1, text: 'requests that the device serves at once' },
  trapEnterNs: { unit: 'ns', least: 0, text: 'from the faulting instruction to the handler' },
  trapExitNs: { unit: 'ns', least: 0, text: 'from the handler back to the instruction' },
  syscallNs: { unit: 'ns', least: 0, text: 'entering and leaving a system call' },
  userNs: { unit: 'ns', least: 0, text: 'work in user mode between two touches' },
  ipiNs: { unit: 'ns', least: 0, text: 'an inter-processor interrupt, sent and answered' },
  flushKernelPageNs: {
    unit: 'ns',
    least: 0,
    text: 'dropping a translation of the kernel’s from the CPU’s own TLB',
  },
  unmapPageNs: {
    unit: 'ns',
    least: 0,
    text: 'more for unmapping and freeing a page, whose record and pte no cache has any more',
  },
  unmapRemoteNs: { unit: 'ns', least: 0, text: 'the same where the page is remote' },
  startDelayNs: {
    unit: 'ns',
    least: 0,
    text: 'until a new thread runs on another node than its parent; half to one and a half of it',
  },
} as const satisfies Record<string, CostField>;

export type CostName = keyof typeof COST_FIELDS;

export const COST_NAMES = Object.keys(COST_FIELDS) as CostName[];

/** The constants of one machine. */
export type MachineCosts = Readonly<Record<CostName, number>>;
