/** Programs that an engine can run on a CPU, by name: a worker is told a name and numbers. */
import type { Cpu, Op } from '../hardware/cpu.js';
import { bootMachine } from '../mm/boot.js';
import { kswapd } from '../mm/kswapd.js';
import { kscrubd, scrubNode } from '../mm/scrubd.js';
import {
  endTask,
  fileSetup,
  forkAndStore,
  forkedFileSetup,
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
import {
  fileCopySetup,
  sharedCopySetup,
  storeAndBringBack,
  storeBeside,
  storeToCopy,
  takeCopiedOut,
  takeOutAndBringBack,
} from './copyRaces.js';
import { askDaemon, servingDaemon } from './daemon.js';
import { readPages, writePages } from './devicePages.js';
import { firstFault, firstFaultSetup, touchShared, unmapShared } from './firstFault.js';
import { forkHeavy, forkHeavyStart } from './forkHeavy.js';
import {
  discardHinted,
  forkHinted,
  hintedFileSetup,
  hintedForkedSetup,
  hintedShareSetup,
  hintedSwapSetup,
  hostTakesFrame,
  hostTakesAll,
  loadHinted,
  storeHinted,
  syncHinted,
  unmapHeld,
} from './hintingRaces.js';
import { countResident, highpteSetup, moveElsewhere } from './highpteRaces.js';
import { litmus } from './litmus.js';
import {
  multitaskFile,
  multitaskFork,
  multitaskParent,
  multitaskShare,
  multitaskThread,
} from './multitask.js';
import { pageMiss } from './pageMiss.js';
import {
  pairDontneed,
  pairExit,
  pairFork,
  pairFree,
  pairHost,
  pairHostTouch,
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
import { loadPages, prefaultSetup, storePages } from './prefaultRaces.js';
import {
  cleanPageSetup,
  fullPagevecSetup,
  missingTablesSetup,
  neighbourFrameSetup,
  protectAndPageOut,
  reclaimAll,
  storeIfAllowed,
  writeProtect,
} from './postedRaces.js';
import { drainCpu } from './quiet.js';
import { checkedOperations, randomOperations } from './randomOperations.js';
import { referenceFault, referenceReclaim } from './referenceProblem.js';
import { sharedFiles, sharedOperations, sharedStart } from './sharedOperations.js';
import { steadyTouch, steadyTouchStart } from './steadyTouch.js';
import { tracedFaults } from './tracedFaults.js';
import { unmapMix } from './unmapMix.js';
import {
  backOff,
  countPlain,
  frameSetup,
  freeFrame,
  giveBackUnheld,
  holdAcross,
  holdSemaphore,
  semaphoreThenSpin,
  spinThenSemaphore,
  storeAndPut,
  storeToFrame,
  takeNested,
  tryUntilTaken,
} from './verdicts.js';

/** @returns a number: what it means is the program's business */
export type Program = (cpu: Cpu, ...args: number[]) => Op<number>;

function* boot(cpu: Cpu): Op<number> {
  yield* bootMachine(cpu);
  return 0;
}

export const PROGRAMS = {
  askDaemon,
  backOff,
  boot,
  checkedOperations,
  cleanPageSetup,
  countPlain,
  countResident,
  discardHinted,
  drainCpu,
  endTask,
  fileCopySetup,
  fileSetup,
  firstFault,
  firstFaultSetup,
  forkAndStore,
  forkHeavy,
  forkHeavyStart,
  forkHinted,
  forkedFileSetup,
  forkedSetup,
  frameSetup,
  freeFrame,
  fullPagevecSetup,
  giveBackUnheld,
  highpteSetup,
  grownFileSetup,
  hintedFileSetup,
  hintedForkedSetup,
  hintedShareSetup,
  hintedSwapSetup,
  holdAcross,
  holdSemaphore,
  hostTakesAll,
  hostTakesFrame,
  kswapd,
  kscrubd,
  litmus,
  loadHinted,
  loadOwn,
  loadPages,
  missingTablesSetup,
  moveElsewhere,
  movePage,
  neighbourFrameSetup,
  pageMiss,
  pageOutAndLoad,
  prefaultSetup,
  multitaskFile,
  multitaskFork,
  multitaskParent,
  multitaskShare,
  multitaskThread,
  pairDontneed,
  pairExit,
  pairFork,
  pairFree,
  pairHost,
  pairHostTouch,
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
  protectAndPageOut,
  randomOperations,
  readPages,
  reclaimAll,
  referenceFault,
  referenceReclaim,
  scrubNode,
  semaphoreThenSpin,
  servingDaemon,
  sharedCopySetup,
  sharedFiles,
  sharedOperations,
  sharedStart,
  spinThenSemaphore,
  steadyTouch,
  steadyTouchStart,
  storeAndBringBack,
  storeAndPut,
  storeAndSync,
  storeBeside,
  storeHinted,
  storeIfAllowed,
  storeOwn,
  storePages,
  storeToCopy,
  storeToFrame,
  syncHinted,
  takeCopiedOut,
  takeNested,
  takeOutAndBringBack,
  threadsSetup,
  touchShared,
  tracedFaults,
  touchTwice,
  truncateAll,
  tryUntilTaken,
  unmapHeld,
  unmapMix,
  unmapShared,
  writePages,
  writeProtect,
  zeroFrames,
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof PROGRAMS;
