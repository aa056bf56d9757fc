/**
 * Random operations tell of a VM that is wrong: each test breaks one thing that the VM relies on, and the
 * loads must show it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ARCH_NAMES, designsOn, testMachine, type TestMachine } from '../../test/machine.js';
import type { PlainCpu } from '../engines/parallel/plainCpu.js';

const FRAMES = 3000;
/** Not every run meets every break: one of so many must. */
const SEEDS = 12;
const OPERATIONS = 4000;
/** Of each region that threads share. */
const PAGES = 32;
const AMPLE = 0;
const RUNS_OUT = 1;

type Break = (cpu: PlainCpu, m: TestMachine) => void;

/** What breaks, how, and whether a thread that knows only its own words can see it. */
const BREAKS: Readonly<Record<string, { readonly change: Break; readonly shows: boolean }>> = {
  'a page that is not copied': {
    change: (cpu) => (cpu.copyPage = () => undefined),
    shows: false,
  },
  'a page that is read from the wrong place': {
    change: (cpu) => {
      const read = cpu.readDevice.bind(cpu);
      cpu.readDevice = (frame, file, index) => read(frame, file, index + 1);
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

/** Runs a program with one seed after the other on machines that break. @returns what the runs told */
async function reports(
  change: Break,
  run: (m: TestMachine, seed: number) => void,
): Promise<string> {
  const told: string[] = [];
  for (let seed = 1; seed <= SEEDS && !told.some(isOfContents); seed++) {
    const m = await testMachine({ frames: FRAMES });
    change(m.cpu, m);
    try {
      run(m, seed);
    } catch (error) {
      told.push(String(error));
    }
  }
  return told.find(isOfContents) ?? told.join('\n');
}

/** Whether it was a load or a store that told, with the place. */
function isOfContents(report: string): boolean {
  return /^InvariantError: seed \d+, step \d+, .*(load|store)\(.*\): contents: got /.test(report);
}

function runRandom({ vm, cpu }: TestMachine, seed: number): void {
  vm.PROGRAMS.randomOperations(cpu, seed, OPERATIONS, 0, AMPLE);
}

function runShared({ vm, cpu }: TestMachine, seed: number): void {
  const files = vm.PROGRAMS.sharedFiles(cpu, PAGES);
  const task = vm.PROGRAMS.sharedStart(cpu);
  vm.PROGRAMS.sharedOperations(cpu, task, seed, OPERATIONS, 0, files, AMPLE);
}

describe('random operations', () => {
  it('find nothing wrong where nothing is', async () => {
    const m = await testMachine({ frames: FRAMES });
    runRandom(m, 1);
    assert.deepEqual(m.vm.audit(m.memory), []);
  });

  for (const arch of ARCH_NAMES) {
    it(`find nothing wrong where memory runs out and there is swap: ${arch}`, async () => {
      const m = await testMachine({
        arch,
        frames: 130,
        swapPages: 400,
        design: designsOn(arch)[0],
      });
      m.vm.PROGRAMS.randomOperations(m.cpu, 1, OPERATIONS, 0, RUNS_OUT);
      assert.ok(m.event('pswpin') > 0);
      assert.deepEqual(m.vm.audit(m.memory), []);
    });
  }

  for (const [what, { change }] of Object.entries(BREAKS)) {
    it(`tell of ${what}`, async () => {
      const report = await reports(change, runRandom);
      assert.ok(isOfContents(report), report);
    });
  }
});

describe('a thread of shared operations', () => {
  for (const [what, { change, shows }] of Object.entries(BREAKS)) {
    if (!shows) continue;
    it(`tells of ${what}`, async () => {
      const report = await reports(change, runShared);
      assert.ok(isOfContents(report), report);
    });
  }
});
