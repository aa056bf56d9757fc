/** What the programs of races are made of: steps that must succeed, and what a page must hold. */
import { InvariantError } from '../base/errors.js';
import type { Vaddr, Word } from '../base/units.js';
import type { Cpu, Op } from '../hardware/cpu.js';
import { PAGE_SIZE } from '../hardware/machine.js';
import { MADV_PAGEOUT, sysMadvise } from '../mm/madvise.js';
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_PRIVATE,
  PROT_READ,
  PROT_WRITE,
  sysMmap,
} from '../mm/mmap.js';
import { createTask, mmAlloc, switchTo } from '../mm/process.js';
import { isUserFault, loadUser, storeUser } from '../mm/user.js';
import { contentsError } from './report.js';

/** Makes a process. @returns its task, which stays current */
export function* startProcess(cpu: Cpu): Op<Word> {
  const mm = yield* mmAlloc(cpu);
  const task = yield* createTask(cpu, mm, 1);
  yield* switchTo(cpu, task);
  return task;
}

/** Maps private memory that can be read and written. */
export function* mapAnonymous(cpu: Cpu, address: Vaddr, pages: number): Op<void> {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  yield* sysMmap(cpu, address, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, 0, 0, 0);
}

/** Makes a second thread of the current process, and leaves the CPU idle. @param number - of its task, from 1 */
export function* addThread(cpu: Cpu, number: number): Op<void> {
  yield* createTask(cpu, cpu.mm, number);
  yield* switchTo(cpu, 0);
}

/** Has a page taken out of memory, if nothing keeps it there. */
export function* pageOut(cpu: Cpu, address: Vaddr): Op<void> {
  yield* sysMadvise(cpu, address, PAGE_SIZE, MADV_PAGEOUT);
}

/** Lets the CPU forget its translations, so that its next access walks the tables. */
export function* forgetTranslations(cpu: Cpu): Op<void> {
  const task = cpu.current;
  yield* switchTo(cpu, 0);
  yield* switchTo(cpu, task);
}

/** @throws InvariantError where the access is an error */
export function* storeWord(cpu: Cpu, address: Vaddr, value: number): Op<void> {
  const stored = yield* storeUser(cpu, address, value);
  if (isUserFault(stored)) throw new InvariantError('a store to a mapped page failed');
}

/** @throws InvariantError where the access is an error */
export function* loadWord(cpu: Cpu, address: Vaddr): Op<number> {
  const into = [0];
  const loaded = yield* loadUser(cpu, address, into);
  if (isUserFault(loaded)) throw new InvariantError('a load from a mapped page failed');
  return into[0];
}

/** @throws InvariantError where another value is found */
export function* expectWord(cpu: Cpu, address: Vaddr, value: number): Op<void> {
  const found = yield* loadWord(cpu, address);
  if (found !== value) throw contentsError(`the page holds ${found}, should be ${value}`);
}
