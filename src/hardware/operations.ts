/**
 * Every operation by which a CPU reaches what other CPUs can see: the word operations.
 *
 * The table is read by the build (to inline an operation in the stripped form and to number it in
 * the stepped form) and by the stepping engines. `Cpu` in cpu.ts gives the meaning of each.
 */
export interface Operation {
  /** Number of arguments, at most 3. */
  readonly args: 0 | 1 | 2 | 3;
  /** Whether it can be disabled: a blocking operation is one step that waits until it can go. */
  readonly blocks?: true;
  /** Whether no other CPU can see it: it costs time, and the checker does not switch at it. */
  readonly silent?: true;
}

const operations = {
  load: { args: 1 },
  store: { args: 2 },
  readOnce: { args: 1 },
  writeOnce: { args: 2 },
  cas: { args: 3 },
  xchg: { args: 2 },
  add: { args: 2 },
  /** `add` as a statement of its own: the result is unused, so two of them commute. */
  addUnused: { args: 2 },
  or: { args: 2 },
  and: { args: 2 },
  loadWide: { args: 1 },
  storeWide: { args: 2 },
  spinLock: { args: 1, blocks: true },
  spinUnlock: { args: 1 },
  downRead: { args: 1, blocks: true },
  upRead: { args: 1 },
  downWrite: { args: 1, blocks: true },
  upWrite: { args: 1 },
  tryDownRead: { args: 1 },
  tryDownWrite: { args: 1 },
  lockBit: { args: 2, blocks: true },
  tryLockBit: { args: 2 },
  unlockBit: { args: 2 },
  sleepOn: { args: 2, blocks: true },
  wakeUp: { args: 1 },
  zeroPage: { args: 1 },
  copyPage: { args: 2 },
  readDevice: { args: 3 },
  writeDevice: { args: 3 },
  truncateDevice: { args: 2 },
  invalidate: { args: 2, blocks: true },
  interrupts: { args: 0 },
  spend: { args: 1, silent: true },
  note: { args: 1, silent: true },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;

export const OPERATION_NAMES = Object.keys(operations) as OperationName[];

export const OPERATIONS: Readonly<Record<OperationName, Operation>> = operations;

/** Number of each operation, as it stands in a stepped CPU's record. */
export const OPERATION_CODE = Object.fromEntries(
  OPERATION_NAMES.map((name, code) => [name, code]),
) as Readonly<Record<OperationName, number>>;
