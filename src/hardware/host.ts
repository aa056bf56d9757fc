/**
 * The host that a guest runs on, as far as the guest can notice it: it takes frames that the guest says it can do
 * without, tells nobody, and what they held is gone. It knows the guest by the states of its frames alone.
 */
import type { Pfn } from '../base/units.js';
import type { Cpu, Op } from './cpu.js';
import { frameOf } from './frames.js';
import {
  HOST_BUSY,
  HOST_DIRTY,
  HOST_GONE,
  HOST_POTENTIALLY_VOLATILE,
  HOST_STABLE,
  HOST_STATE,
  HOST_UNUSED,
  hostState,
} from './hostStates.js';
import { CPUS, FRAMES } from './machine.js';
import { CpuLine, cpuLine } from './memory.js';

/** Whether the host may take a frame that is in such a state. */
export function hostMayTake(state: number): boolean {
  if ((state & (HOST_GONE | HOST_BUSY)) !== 0 || (state & HOST_STATE) === HOST_STABLE) return false;
  return (state & HOST_STATE) !== HOST_POTENTIALLY_VOLATILE || (state & HOST_DIRTY) === 0;
}

/**
 * Takes a frame if its state allows it. That is one step: whoever comes to the frame later faults. Who still uses a
 * translation is waited for, and only then the contents go: what the host gives back one day is a page of zeros.
 *
 * @returns whether it did
 */
export function* hostTake(cpu: Cpu, pfn: Pfn): Op<boolean> {
  const word = hostState(pfn);
  const state = yield* cpu.readOnce(word);
  if (!hostMayTake(state)) return false;
  if (!(yield* cpu.cas(word, state, state | HOST_GONE | HOST_BUSY))) return false;
  for (let other = 0; other < CPUS; other++) {
    const active = yield* cpu.readOnce(cpuLine(other) + CpuLine.activeMm);
    if (active !== 0) yield* cpu.invalidate(other, -1);
  }
  yield* cpu.zeroPage(frameOf(pfn));
  yield* cpu.unlockBit(word, HOST_BUSY);
  return true;
}

/**
 * Takes frames, the lowest first, until it has so many more.
 *
 * @param unused - whether those that the guest does not use, or those that it can read again
 * @returns frames taken
 */
export function* hostTakeFrames(cpu: Cpu, wanted: number, unused: boolean): Op<number> {
  let taken = 0;
  for (let pfn = 0; pfn < FRAMES && taken < wanted; pfn++) {
    const state = (yield* cpu.readOnce(hostState(pfn))) & HOST_STATE;
    if (unused !== (state === HOST_UNUSED)) continue;
    if (yield* hostTake(cpu, pfn)) taken++;
  }
  return taken;
}
