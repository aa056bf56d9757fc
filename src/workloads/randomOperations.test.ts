/**
 * Random operations tell of a VM that is wrong: each test breaks one thing that the VM relies on, and the
 * loads must show it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testMachine, type TestMachine } from '../../test/machine.js';
import type { PlainCpu } from '../engines/parallel/plainCpu.js';

const FRAMES = 3000;
/** A break need not show under each seed. */
const SEEDS = [1, 2, 3, 4, 5, 6];
const OPERATIONS = 4000;
const AMPLE = 0;

type Break = (cpu: PlainCpu, m: TestMachine) => void;

/** What breaks, how, and whether a thread that knows only its own words can see it. */
const BREAKS: Readonly<Record<string, { readonly change: Break; readonly shows: boolean }>> = {
  'a page that is not copied': {
    change: (cpu) => (cpu.copyPage = () => undefined),
    shows: false,
  },
  'a page that is read from the wrong place': {
    change: (cpu) => {
      const read = cpu.readFilePage.bind(cpu);
      cpu.readFilePage = (frame, file, index) => read(frame, file, index + 1);
    },
    shows: true,
  },
  'a translation that stays in the TLB': {
    change: (cpu) => (cpu.invalidate = () => undefined),
    shows: true,
  },
  'a word that changes by itself': {
    change: (cpu, m) => {
      const spinUnlock = cpu.spinUnlock.bind(cpu);
      let unlocks = 0;
      cpu.spinUnlock = (lock) => {
        spinUnlock(lock);
        if (++unlocks % 1000 === 0) tamper(cpu, m);
      };
    },
    shows: false,
  },
};

/** Adds to the words that are used of every page that the process maps, but for the page of zeros. */
function tamper(cpu: PlainCpu, { vm, memory }: TestMachine): void {
  for (const { pfn } of vm.mappedPages(memory, cpu.mm)) {
    if (pfn === vm.ZERO_PFN) continue;
    for (let word = 0; word < 16; word++) memory.words[vm.frameOf(pfn) + word] += 1;
  }
}

/** What a run on a broken machine says, under the first seed under which it says something. */
async function complaint(
  change: (cpu: PlainCpu, m: TestMachine) => unknown,
  run: (m: TestMachine, seed: number, change: () => unknown) => unknown,
): Promise<string | undefined> {
  for (const seed of SEEDS) {
    const m = await testMachine({ frames: FRAMES });
    try {
      run(m, seed, () => change(m.cpu, m));
    } catch (error) {
      return String(error);
    }
  }
  return undefined;
}

describe('random operations', () => {
  it('find nothing wrong where nothing is', async () => {
    const m = await testMachine({ frames: FRAMES });
    m.vm.PROGRAMS.randomOperations(m.cpu, SEEDS[0], OPERATIONS, 0, AMPLE);
    assert.deepEqual(m.vm.audit(m.memory), []);
  });

  for (const [what, { change }] of Object.entries(BREAKS)) {
    it(`tell of ${what}`, async () => {
      const said = await complaint(change, (m, seed, breakIt) => {
        breakIt();
        m.vm.PROGRAMS.randomOperations(m.cpu, seed, OPERATIONS, 0, AMPLE);
      });
      assert.match(
        said ?? 'nothing',
        /^InvariantError: seed \d+, step \d+, (load|store)\(.*\): contents: got /,
      );
    });
  }
});

describe('a thread of shared operations', () => {
  for (const [what, { change, shows }] of Object.entries(BREAKS)) {
    if (!shows) continue;
    it(`tells of ${what}`, async () => {
      const said = await complaint(change, (m, seed, breakIt) => {
        const files = m.vm.PROGRAMS.sharedFiles(m.cpu);
        const task = m.vm.PROGRAMS.sharedStart(m.cpu);
        breakIt();
        m.vm.PROGRAMS.sharedOperations(m.cpu, task, seed, OPERATIONS, 0, files, AMPLE);
      });
      assert.match(
        said ?? 'nothing',
        /^InvariantError: seed \d+, step \d+, thread 0, (load|store)\(.*\): contents: got /,
      );
    });
  }
});
