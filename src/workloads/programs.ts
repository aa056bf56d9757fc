/** Programs that an engine can run on a CPU, by name: a worker is told a name and numbers. */
import type { Cpu, Op } from '../hardware/cpu.js';
import { bootMachine } from '../mm/boot.js';
import { kswapd } from '../mm/kswapd.js';
import { kscrubd, scrubNode } from '../mm/scrubd.js';
import {
  endTask,
  fileSetup,
  forkAndStore,
  forkedSetup,
  grownFileSetup,
  loadOwn,
  movePage,
  pageOutAndLoad,
  storeAndSync,
  storeOwn,
  threadsSetup,
  touchTwice,
  truncateAll,
} from './addressSpaceRaces.js';
import { askDaemon, servingDaemon } from './daemon.js';
import { readPages, writePages } from './devicePages.js';
import { firstFault, firstFaultSetup, touchShared, unmapShared } from './firstFault.js';
import {
  multitaskFile,
  multitaskFork,
  multitaskParent,
  multitaskShare,
  multitaskThread,
} from './multitask.js';
import {
  pairDontneed,
  pairExit,
  pairFork,
  pairFree,
  pairMincore,
  pairMlock,
  pairMmap,
  pairMprotect,
  pairMprotectTwice,
  pairMremap,
  pairMsync,
  pairMunmap,
  pairMunmapMmap,
  pairPageout,
  pairRead,
  pairRemapFilePages,
  pairRemove,
  pairTruncate,
  pairWrite,
} from './pairOperations.js';
import { pairSetup } from './pairSetup.js';
import { pftExit, pftStart, pftThread, pftTouch, zeroFrames } from './pft.js';
import { drainCpu } from './quiet.js';
import { checkedOperations, randomOperations } from './randomOperations.js';
import { referenceFault, referenceReclaim } from './referenceProblem.js';
import { sharedFiles, sharedOperations, sharedStart } from './sharedOperations.js';

/** @returns a number: what it means is the program's business */
export type Program = (cpu: Cpu, ...args: number[]) => Op<number>;

function* boot(cpu: Cpu): Op<number> {
  yield* bootMachine(cpu);
  return 0;
}

export const PROGRAMS = {
  askDaemon,
  boot,
  checkedOperations,
  drainCpu,
  endTask,
  fileSetup,
  firstFault,
  firstFaultSetup,
  forkAndStore,
  forkedSetup,
  grownFileSetup,
  kswapd,
  kscrubd,
  loadOwn,
  movePage,
  pageOutAndLoad,
  multitaskFile,
  multitaskFork,
  multitaskParent,
  multitaskShare,
  multitaskThread,
  pairDontneed,
  pairExit,
  pairFork,
  pairFree,
  pairMincore,
  pairMlock,
  pairMmap,
  pairMprotect,
  pairMprotectTwice,
  pairMremap,
  pairMsync,
  pairMunmap,
  pairMunmapMmap,
  pairPageout,
  pairRead,
  pairRemapFilePages,
  pairRemove,
  pairSetup,
  pairTruncate,
  pairWrite,
  pftExit,
  pftStart,
  pftThread,
  pftTouch,
  randomOperations,
  readPages,
  referenceFault,
  referenceReclaim,
  scrubNode,
  servingDaemon,
  sharedFiles,
  sharedOperations,
  sharedStart,
  storeAndSync,
  storeOwn,
  threadsSetup,
  touchShared,
  touchTwice,
  truncateAll,
  unmapShared,
  writePages,
  zeroFrames,
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof PROGRAMS;
