/** CPUs that wait for words, locks and semaphores, each word's in the order in which they came. */
import type { Word } from '../../base/units.js';
import { OPERATION_CODE as CODE } from '../../hardware/operations.js';
import type { SteppedCpu } from '../stepping.js';

/** Of those who wait for the same, one can go at a time. */
const alone = new Set<number>([CODE.spinLock, CODE.downWrite]);

export class Waiting {
  private readonly byWord = new Map<Word, number[]>();
  /** All of them, of all words. */
  private count = 0;

  /**
   * @param cpus - by number; those who wait have their operation pending
   * @param isEnabled - whether the pending operation of a CPU can go
   * @param wake - is called for each who is let go on
   */
  constructor(
    private readonly cpus: readonly SteppedCpu[],
    private readonly isEnabled: (cpu: SteppedCpu) => boolean,
    private readonly wake: (cpu: SteppedCpu, atNs: number) => void,
  ) {}

  add(word: Word, cpu: number): void {
    let waiting = this.byWord.get(word);
    if (waiting === undefined) this.byWord.set(word, (waiting = []));
    waiting.push(cpu);
    this.count++;
  }

  /** How many wait for a word. */
  on(word: Word): number {
    return this.byWord.get(word)?.length ?? 0;
  }

  /**
   * A word was let go: wakes those who can go now, of a semaphore a writer or all readers. Who is overtaken before its
   * turn comes waits anew, and who overtook wakes the next.
   */
  release(word: Word, atNs: number): void {
    if (this.count === 0) return;
    const waiting = this.byWord.get(word);
    if (waiting === undefined) return;
    let woken = 0;
    for (let place = 0; place < waiting.length;) {
      const cpu = this.cpus[waiting[place]];
      const exclusive = alone.has(cpu.op);
      if ((exclusive && woken > 0) || !this.isEnabled(cpu)) {
        place++;
        continue;
      }
      waiting.splice(place, 1);
      this.count--;
      woken++;
      this.wake(cpu, atNs);
      if (exclusive) return;
    }
  }
}
