/**
 * The two kinds of error that leave this library as exceptions. What a kernel would return
 * (ENOMEM, VM_FAULT_SIGBUS) is a returned value instead, see base/errno.ts and mm/fault.ts.
 */

/** A place in an input file, printed as `file:line`. */
export interface Place {
  readonly file: string;
  /** Counted from 1. */
  readonly line?: number;
}

/*
 * The built forms of the VM hold copies of these classes, so an instance is known by its name, not by
 * which copy made it.
 */

/** A user's mistake or an unusable input. The command line prints the message and exits with 2. */
export class InputError extends Error {
  override readonly name = 'InputError';

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isNamed(value, 'InputError');
  }

  /**
   * @param code - stable name of the mistake, such as `TRACE_LOST`, for scripts
   * @param message - what was got and what was expected
   */
  constructor(
    readonly code: string,
    message: string,
    readonly place?: Place,
  ) {
    super(place ? `${formatPlace(place)}: ${message}` : message);
  }
}

/** What a bug of ours shows by: a promise of the code, what memory holds, or a frame that nobody has. */
export type InvariantKind = 'invariant' | 'contents' | 'use after free';

/** A bug of ours: something that the code promises did not hold. Never the guest's fault. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
  readonly kind: InvariantKind;

  constructor(message: string, options: ErrorOptions & { readonly kind?: InvariantKind } = {}) {
    super(message, options);
    this.kind = options.kind ?? 'invariant';
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return isNamed(value, 'InvariantError');
  }
}

function isNamed(value: unknown, name: string): boolean {
  return value instanceof Error && value.name === name;
}

function formatPlace(place: Place): string {
  return place.line === undefined ? place.file : `${place.file}:${place.line}`;
}
