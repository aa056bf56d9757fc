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
  /** Whether its accesses must be ordered with those of other CPUs: where they are not, that is a data race. */
  readonly plain?: true;
  /** Whether it takes, or gives back, what others may wait for. */
  readonly lock?: 'takes' | 'gives';
}

const operations = {
  load: { args: 1, plain: true },
  store: { args: 2, plain: true },
  readOnce: { args: 1 },
  writeOnce: { args: 2 },
  cas: { args: 3 },
  xchg: { args: 2 },
  add: { args: 2 },
  /** `add` as a statement of its own: the result is unused, so two of them commute. */
  addUnused: { args: 2 },
  or: { args: 2 },
  and: { args: 2 },
  loadWide: { args: 1, plain: true },
  storeWide: { args: 2, plain: true },
  readOnceWide: { args: 1 },
  writeOnceWide: { args: 2 },
  spinLock: { args: 1, blocks: true, lock: 'takes' },
  spinUnlock: { args: 1, lock: 'gives' },
  downRead: { args: 1, blocks: true, lock: 'takes' },
  upRead: { args: 1, lock: 'gives' },
  downWrite: { args: 1, blocks: true, lock: 'takes' },
  upWrite: { args: 1, lock: 'gives' },
  tryDownRead: { args: 1, lock: 'takes' },
  tryDownWrite: { args: 1, lock: 'takes' },
  lockBit: { args: 2, blocks: true, lock: 'takes' },
  tryLockBit: { args: 2, lock: 'takes' },
  unlockBit: { args: 2, lock: 'gives' },
  sleepOn: { args: 2, blocks: true },
  wakeUp: { args: 1, lock: 'gives' },
  zeroPage: { args: 1, plain: true },
  zeroPageOnce: { args: 1 },
  copyPage: { args: 2, plain: true },
  copyPageOnce: { args: 2 },
  readDevice: { args: 3, plain: true },
  writeDevice: { args: 3 },
  truncateDevice: { args: 2 },
  invalidate: { args: 2, blocks: true, lock: 'takes' },
  interrupts: { args: 0, lock: 'takes' },
  spend: { args: 1, silent: true },
  spendOn: { args: 2, silent: true },
  spendNs: { args: 1, silent: true },
  note: { args: 1, silent: true },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof operations;

export const OPERATION_NAMES = Object.keys(operations) as OperationName[];

export const OPERATIONS: Readonly<Record<OperationName, Operation>> = operations;

/** Codes of the operations for which something holds. */
export function codesWhere(holds: (operation: Operation) => boolean): ReadonlySet<number> {
  return new Set(
    OPERATION_NAMES.filter((name) => holds(OPERATIONS[name])).map((name) => OPERATION_CODE[name]),
  );
}

/** Number of each operation, as it stands in a stepped CPU's record. */
export const OPERATION_CODE = Object.fromEntries(
  OPERATION_NAMES.map((name, code) => [name, code]),
) as Readonly<Record<OperationName, number>>;
