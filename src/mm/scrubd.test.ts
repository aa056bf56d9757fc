/** Prezeroing: what kscrubd zeroes is handed out as it is, and is zeros. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BASE, RIGHT_DESIGNS, WRITE, testMachine, type TestMachine } from '../../test/machine.js';
import { DESIGNS } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import { runAlone, type Engine, type Thread } from '../engines/engine.js';
import { ExploreEngine } from '../engines/explore/exploreEngine.js';
import { searchAll } from '../engines/explore/sourceSets.js';
import { ParallelEngine } from '../engines/parallel/parallelEngine.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';

const design = DESIGNS.find(({ name }) => name === 'v18-prezero')!;

/** The words of a frame are all set, as by someone who used it before. */
function soil({ vm, memory }: TestMachine, pfn: number): void {
  memory.words.fill(-1, vm.frameOf(pfn), vm.frameOf(pfn) + vm.PAGE_WORDS);
}

function zeroedPages({ vm, memory }: TestMachine): number {
  return memory.words[vm.zoneOf(0) + vm.Zone.zeroedPages];
}

function freePages({ vm, memory }: TestMachine): number {
  return memory.words[vm.zoneOf(0) + vm.Zone.freePages];
}

/** A machine on which all frames that were free at the start hold something. */
async function soiledMachine(frames = 512): Promise<TestMachine> {
  const m = await testMachine({ design, frames });
  const taken = [];
  for (let pfn = m.vm.allocZeroedPage(m.cpu); pfn !== 0; pfn = m.vm.allocZeroedPage(m.cpu)) {
    soil(m, pfn);
    taken.push(pfn);
  }
  for (const pfn of taken) m.vm.freeNewPage(m.cpu, pfn);
  m.audit();
  return m;
}

describe('kscrubd', () => {
  it('zeroes free memory but for the smallest blocks, and what was zeroed is told apart', async () => {
    const m = await soiledMachine();
    assert.equal(zeroedPages(m), 0);
    const scrubbed = m.vm.scrubNode(m.cpu, 0);
    assert.equal(zeroedPages(m), scrubbed);
    assert.equal(m.event('pgscrub'), scrubbed);
    // Where only as much is left as it would take, it leaves that.
    assert.ok(scrubbed >= freePages(m) - 8, `${scrubbed} of ${freePages(m)}`);
    m.audit();
    assert.equal(m.vm.scrubNode(m.cpu, 0), 0);
  });

  it('leaves as many frames for others as it takes', async () => {
    const m = await testMachine({ design, frames: 127 });
    while (m.vm.allocPage(m.cpu) !== 0);
    // A list of 46 frames is full: each further one sends the one before it to the zone, here frames 80 to 95.
    for (let pfn = 35; pfn < 35 + 46 + 16; pfn++) m.vm.freeNewPage(m.cpu, pfn);
    assert.equal(freePages(m), 16);
    assert.equal(m.vm.scrubBlock(m.cpu, m.vm.zoneOf(0)), 8);
    assert.equal(freePages(m), 16);
  });

  it('joins blocks of zeros, so that a huge page comes zeroed', async () => {
    const m = await testMachine({ design, frames: 2048 });
    m.vm.scrubNode(m.cpu, 0);
    const size = m.vm.HUGE_SIZE;
    m.map(BASE, size / m.page);
    assert.equal(m.vm.sysMadvise(m.cpu, BASE, size, m.vm.MADV_HUGEPAGE), 0);
    m.cpu.zeroPage = () => assert.fail('a frame was zeroed again');
    assert.ok(m.touch(BASE, WRITE));
    assert.equal(m.counts().rss, size / m.page);
  });

  it('makes blocks whole again that were broken into zeroed frames and others', async () => {
    const m = await soiledMachine(1024);
    m.vm.scrubNode(m.cpu, 0);
    m.map(BASE, 300);
    for (let page = 0; page < 300; page++) m.touch(BASE + page * m.page, WRITE);
    assert.equal(m.vm.sysMunmap(m.cpu, BASE, 300 * m.page), 0);
    m.vm.lruAddDrain(m.cpu);
    m.audit();
    m.vm.scrubNode(m.cpu, 0);
    m.audit();
    assert.ok(zeroedPages(m) > 900, `${zeroedPages(m)}`);
  });
});

describe('a zeroed frame', () => {
  it('is handed out as it is, and holds zeros', async () => {
    const m = await soiledMachine();
    m.vm.scrubNode(m.cpu, 0);
    const before = m.event('pgalloc_zeroed');
    m.cpu.zeroPage = () => assert.fail('a frame was zeroed again');
    m.map(BASE, 100);
    for (let page = 0; page < 100; page++) assert.ok(m.touch(BASE + page * m.page, WRITE));
    assert.ok(m.event('pgalloc_zeroed') - before >= 100);
    for (const { pfn } of m.vm.mappedPages(m.memory, m.cpu.mm)) {
      const frame = m.vm.frameOf(pfn);
      assert.ok(
        m.memory.words.subarray(frame, frame + m.vm.PAGE_WORDS).every((word) => word === 0),
      );
    }
    m.audit();
  });

  it('is zeroed by the fault where there are no more', async () => {
    const m = await soiledMachine();
    m.vm.scrubBlock(m.cpu, m.vm.zoneOf(0));
    m.map(BASE, 200);
    for (let page = 0; page < 200; page++) assert.ok(m.touch(BASE + page * m.page, WRITE));
    const into = [1];
    for (let page = 0; page < 200; page++) {
      m.vm.loadUser(m.cpu, BASE + page * m.page, into);
      assert.equal(into[0], 0);
    }
    assert.ok(m.event('pgalloc_zeroed') < 200);
    m.audit();
  });

  it('is handed out for any use when nothing else is left', async () => {
    const m = await testMachine({ design, frames: 128 });
    m.vm.scrubNode(m.cpu, 0);
    const taken = new Set<number>();
    for (let pfn = m.vm.allocPage(m.cpu); pfn !== 0; pfn = m.vm.allocPage(m.cpu)) taken.add(pfn);
    assert.equal(freePages(m), 0);
    assert.ok(taken.size > 100);
    for (const pfn of taken) m.vm.freeNewPage(m.cpu, pfn);
    m.audit();
  });
});

describe('the audit of prezeroing', () => {
  const breaks = (what: string, change: (m: TestMachine) => void, expected: RegExp): void => {
    it(`tells of ${what}`, async () => {
      const m = await testMachine({ design });
      m.vm.scrubNode(m.cpu, 0);
      m.audit();
      change(m);
      assert.match(m.vm.audit(m.memory).join('\n'), expected);
    });
  };
  const firstZeroed = ({ vm, memory }: TestMachine): number => {
    const lists = vm.zoneOf(0) + vm.Zone.freeAreaZeroed;
    return memory.words.subarray(lists, lists + 11).find((pfn) => pfn !== 0)!;
  };
  breaks(
    'a word that is not 0 in a block of zeros',
    (m) => (m.memory.words[m.vm.frameOf(firstZeroed(m)) + 5] = 1),
    /frame \d+ counts as zeroed, and its word 5 is not 0/,
  );
  breaks(
    'a wrong count',
    (m) => m.memory.words[m.vm.zoneOf(0) + m.vm.Zone.zeroedPages]++,
    /zone\[0\]\.zeroedPages is \d+, should be/,
  );
  breaks(
    'a block of zeros that is not marked',
    (m) => (m.memory.words[m.vm.pageOf(firstZeroed(m)) + m.vm.Page.flags] &= ~m.vm.PG_zeroed),
    /flags \(free block\) is/,
  );
});

/** Two nodes of two CPUs: CPU 0 and 2 run processes, 1 and 3 the kscrubd of their node. */
function besideKscrubd(threads: readonly Thread[]): Thread[] {
  const daemons = [1, 3].map((cpu): Thread => ({
    cpu,
    program: 'kscrubd',
    args: [cpu >> 1],
    daemon: true,
  }));
  return [...threads, ...daemons];
}

describe('kscrubd beside others', () => {
  const config = vmConfig({ arch: 'x86_64', frames: 3000, cpus: 4, nodes: 2 }, design);
  const engines: Readonly<Record<string, () => Promise<Engine>>> = {
    parallel: () => ParallelEngine.create(config),
    explore: () => ExploreEngine.create(config),
    simulate: () => SimulateEngine.create(config, machineForArch('x86_64')),
  };
  for (const [name, create] of Object.entries(engines)) {
    it(`changes nothing that random processes see, and the audit is clean: ${name}`, async () => {
      const engine = await create();
      for (let seed = 1; seed <= 3; seed++) {
        const processes = [0, 2].map((cpu) => ({
          cpu,
          program: 'randomOperations' as const,
          args: [seed * 10 + cpu, 1500, cpu, 0],
        }));
        await engine.run(besideKscrubd(processes));
        assert.deepEqual(engine.vm.audit(engine.memory), []);
      }
      const { pgscrub, pgalloc_zeroed } = engine.vm.pageStates(engine.memory);
      assert.ok(pgscrub > 0 && pgalloc_zeroed > 0, `${pgscrub} ${pgalloc_zeroed}`);
      await engine.close();
    });
  }

  it('is woken by who frees a large block', async () => {
    const engine = await SimulateEngine.create(config, machineForArch('x86_64'));
    await runAlone(engine, 'scrubNode', 0);
    await runAlone(engine, 'scrubNode', 1);
    const before = engine.vm.pageStates(engine.memory).pgscrub;
    const task = await runAlone(engine, 'pftStart', 600);
    await engine.run(besideKscrubd([{ cpu: 0, program: 'pftTouch', args: [task, 0, 600] }]));
    assert.equal(engine.vm.pageStates(engine.memory).pgscrub, before);
    await engine.run(besideKscrubd([{ cpu: 0, program: 'pftExit', args: [task] }]));
    assert.ok(engine.vm.pageStates(engine.memory).pgscrub > before);
    assert.deepEqual(engine.vm.audit(engine.memory), []);
  });

  it('meets an allocation in any order', async () => {
    const small = vmConfig(
      { arch: 'x86_64', frames: 72, cpus: 2, nodes: 1 },
      { ...design, prezero: { scrubStart: 3, scrubStop: 2 } },
    );
    const engine = await ExploreEngine.create(small);
    const task = await runAlone(engine, 'pftStart', 4);
    const search = searchAll(
      engine.execution([
        { cpu: 0, program: 'pftTouch', args: [task, 0, 1] },
        { cpu: 1, program: 'scrubNode', args: [0] },
      ]),
      { executions: 300 },
    );
    assert.deepEqual(search.failures, []);
    assert.ok(search.executions > 1);
  });
});

it('every design with prezeroing is among the right ones', () => {
  const named = RIGHT_DESIGNS.filter(({ prezero }) => prezero !== undefined);
  assert.deepEqual(
    named.map(({ name }) => name),
    ['page-table-lock-prezero', 'v18-prezero'],
  );
});
