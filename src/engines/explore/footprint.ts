/**
 * What an operation touches, and so which operations depend on each other: two that touch a word
 * in common, unless both only read it or both only add to it.
 */
import type { Word } from '../../base/units.js';
import { OPERATION_CODE as CODE } from '../../hardware/operations.js';
import type { SteppedCpu, SteppedMachine } from '../stepping.js';

export const enum Touch {
  READ,
  WRITE,
  /** An addition whose result is unused, or readers of a semaphore: two of them commute. */
  ADD,
}

/**
 * Words [first, end), the words [sourceFirst, sourceEnd) that it reads beside them, and the pages
 * [pageFirst, pageEnd) of a file on the device.
 */
export interface Footprint {
  first: Word;
  end: Word;
  touch: Touch;
  sourceFirst: Word;
  sourceEnd: Word;
  file: number;
  pageFirst: number;
  pageEnd: number;
  /** Whether it changes those pages. */
  pageChanges: boolean;
}

/** In place of a file's number: whatever is asked of the device. */
const ALL_FILES = -1;

export function emptyFootprint(): Footprint {
  return {
    first: 0,
    end: 0,
    touch: Touch.READ,
    sourceFirst: 0,
    sourceEnd: 0,
    file: 0,
    pageFirst: 0,
    pageEnd: 0,
    pageChanges: false,
  };
}

/** Fills `into` with what a CPU's pending operation will touch in the present state. */
export function footprintOf(machine: SteppedMachine, cpu: SteppedCpu, into: Footprint): void {
  const { vm, memory } = machine;
  into.first = cpu.x;
  into.end = cpu.x + 1;
  into.touch = Touch.WRITE;
  into.sourceFirst = 0;
  into.sourceEnd = 0;
  into.pageEnd = 0;
  switch (cpu.op) {
    case CODE.load:
    case CODE.readOnce:
    case CODE.sleepOn:
      into.touch = Touch.READ;
      break;
    case CODE.cas:
      // A compare-exchange that fails only reads.
      if (memory.words[cpu.x] !== cpu.y) into.touch = Touch.READ;
      break;
    case CODE.addUnused:
    case CODE.downRead:
    case CODE.upRead:
      into.touch = Touch.ADD;
      break;
    case CODE.loadWide:
      into.touch = Touch.READ;
      into.end = cpu.x + 2;
      break;
    case CODE.storeWide:
    case CODE.downWrite:
    case CODE.tryDownWrite:
    case CODE.upWrite:
      into.end = cpu.x + 2;
      break;
    case CODE.zeroPage:
      into.end = cpu.x + vm.PAGE_WORDS;
      break;
    case CODE.readDevice:
    case CODE.writeDevice:
      into.touch = cpu.op === CODE.readDevice ? Touch.WRITE : Touch.READ;
      into.end = cpu.x + vm.PAGE_WORDS;
      // Who waits for the device answers interrupts, until it goes on.
      into.sourceFirst = vm.cpuLine(cpu.id) + vm.CpuLine.ipiDone;
      into.sourceEnd = into.sourceFirst + 1;
      touchPages(into, cpu.y, cpu.z, cpu.z + 1, cpu.op === CODE.writeDevice);
      // Which request fails may depend on which comes first.
      if (machine.requests.mayFail) touchPages(into, ALL_FILES, 0, 1, true);
      break;
    case CODE.truncateDevice:
      into.end = into.first;
      touchPages(into, cpu.x, cpu.y, Infinity, true);
      break;
    case CODE.copyPage:
      into.end = cpu.x + vm.PAGE_WORDS;
      into.sourceFirst = cpu.y;
      into.sourceEnd = cpu.y + vm.PAGE_WORDS;
      break;
    case CODE.invalidate:
    case CODE.interrupts:
      // A CPU answers interrupts at its own pace: the two are ordered by its line.
      into.first = vm.cpuLine(cpu.op === CODE.invalidate ? cpu.x : cpu.id) + vm.CpuLine.ipiDone;
      into.end = into.first + 1;
      break;
  }
}

function touchPages(
  into: Footprint,
  file: number,
  first: number,
  end: number,
  changes: boolean,
): void {
  into.file = file;
  into.pageFirst = first;
  into.pageEnd = end;
  into.pageChanges = changes;
}

/** Whether the order of two operations can matter. */
export function depends(a: Footprint, b: Footprint): boolean {
  return dependsInMemory(a, b) || dependsOnDevice(a, b);
}

function dependsOnDevice(a: Footprint, b: Footprint): boolean {
  if (a.pageEnd === 0 || b.pageEnd === 0 || (!a.pageChanges && !b.pageChanges)) return false;
  if (a.file === ALL_FILES || b.file === ALL_FILES) return true;
  return a.file === b.file && a.pageFirst < b.pageEnd && b.pageFirst < a.pageEnd;
}

function dependsInMemory(a: Footprint, b: Footprint): boolean {
  const overlap = a.first < b.end && b.first < a.end;
  if (overlap && a.touch + b.touch !== 0 && !(a.touch === Touch.ADD && b.touch === Touch.ADD)) {
    return true;
  }
  if (a.sourceEnd > 0 && b.touch !== Touch.READ && a.sourceFirst < b.end && b.first < a.sourceEnd) {
    return true;
  }
  return (
    b.sourceEnd > 0 && a.touch !== Touch.READ && b.sourceFirst < a.end && a.first < b.sourceEnd
  );
}
