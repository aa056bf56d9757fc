import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ARCH_NAMES,
  BASE,
  READ,
  RIGHT_DESIGNS,
  WRITE,
  testMachine,
  type TestMachine,
} from '../../test/machine.js';
import { carriedBy } from '../designs/carries.js';
import { designNamed } from '../designs/index.js';
import { ARCHES } from '../hardware/arch/index.js';
import type { VmDesign } from './design.js';

/** Those that differ in how the ptes of a run are locked. */
const LOCKINGS = ['table-lock', 'hashed-locks', 'pte-bit', 'v18-first', 'v18-per-thread'];

/** The designs with prefault that is meant to be right, and others with it. */
const DESIGNS: readonly VmDesign[] = [
  ...RIGHT_DESIGNS.filter(({ prefault }) => prefault !== undefined),
  ...LOCKINGS.map((name): VmDesign => ({ ...designNamed(name), prefault: 'ours' })),
  { ...designNamed('v18:locked'), prefault: 'ours' },
  { ...designNamed('v18-prezero'), prefault: 'ours' },
];

const [OURS] = DESIGNS;
/** What faults on a long run map. */
const RUNS = [1, 2, 4, 8, 14, 14];
const PAGES = RUNS.reduce((sum, pages) => sum + pages, 0);

/** How many pages are mapped from a place on, without a gap. */
function mappedFrom(m: TestMachine, address: number): number {
  let pages = 0;
  while (m.mapped(address + pages * m.page)) pages++;
  return pages;
}

/** Touches what is not mapped of a range, in sequence. @returns how many pages each fault mapped */
function touchRun(m: TestMachine, address: number, pages: number, access: number): number[] {
  const runs: number[] = [];
  for (let page = mappedFrom(m, address); page < pages; page = mappedFrom(m, address)) {
    assert.ok(m.touch(address + page * m.page, access));
    runs.push(mappedFrom(m, address) - page);
  }
  return runs;
}

/** Makes an allocation of the machine fail, counted from 1. */
function failAllocation(m: TestMachine, after: number): void {
  m.memory.words[m.vm.percpuOf(0) + m.vm.Percpu.failAfter] = after;
}

for (const design of DESIGNS) {
  describe(`prefault under ${design.name}`, () => {
    it('maps 1, 2, 4, 8, 14, 14 pages a fault of a run of writes, which rss counts', async () => {
      const m = await testMachine({ design });
      m.map(BASE, 100);
      assert.deepEqual(touchRun(m, BASE, PAGES, WRITE), RUNS);
      assert.deepEqual([m.counts().rss, m.counts().anonRss], [PAGES, PAGES]);
      assert.equal(m.event('fault_anon_write'), RUNS.length);
      assert.equal(m.event('prefault_pages'), PAGES - RUNS.length);
      m.audit();
      m.vm.exitTask(m.cpu);
      assert.deepEqual(m.vm.audit(m.memory), []);
    });

    it('maps the zero page as often of a run of reads, which rss does not count', async () => {
      const m = await testMachine({ design });
      m.map(BASE, 100);
      assert.deepEqual(touchRun(m, BASE, PAGES, READ), RUNS);
      assert.equal(m.counts().rss, 0);
      assert.equal(m.event('fault_anon_read'), RUNS.length);
      assert.equal(m.event('prefault_pages'), PAGES - RUNS.length);
      m.audit();
    });

    it('maps pages of zeros that can be written to without a fault', async () => {
      const m = await testMachine({ design });
      m.map(BASE, 100);
      for (let page = 0; page < 7; page++) {
        assert.equal(m.load(BASE + page * m.page), 0);
        m.store(BASE + page * m.page, 70 + page);
      }
      for (let page = 0; page < 40; page++) m.store(BASE + page * m.page + 4, page);
      for (let page = 0; page < 40; page++) {
        assert.equal(m.load(BASE + page * m.page), page < 7 ? 70 + page : 0);
        assert.equal(m.load(BASE + page * m.page + 4), page);
      }
      m.audit();
    });

    it('stops at an entry already there, and leaves it as it was', async () => {
      for (const access of [READ, WRITE]) {
        const m = await testMachine({ design });
        m.map(BASE, 100);
        m.store(BASE + 5 * m.page, 55);
        assert.ok(m.touch(BASE, access));
        assert.ok(m.touch(BASE + m.page, access));
        assert.ok(m.touch(BASE + 3 * m.page, access));
        assert.equal(mappedFrom(m, BASE), 6);
        assert.equal(m.load(BASE + 5 * m.page), 55);
        assert.equal(m.counts().rss, access === WRITE ? 6 : 1);
        m.audit();
      }
    });

    it('maps what it has where an allocation fails, and goes on from there', async () => {
      const m = await testMachine({ design: { ...design, failAllocations: true } });
      m.map(BASE, 100);
      touchRun(m, BASE, 7, WRITE);
      failAllocation(m, 4);
      assert.ok(m.touch(BASE + 7 * m.page, WRITE));
      assert.equal(mappedFrom(m, BASE), 10);
      m.audit();
      assert.deepEqual(touchRun(m, BASE, 24, WRITE), [14]);
      m.audit();
    });

    it('fails only where not even the first page can be had', async () => {
      const m = await testMachine({ design: { ...design, failAllocations: true } });
      m.map(BASE, 100);
      touchRun(m, BASE, 7, WRITE);
      failAllocation(m, 1);
      assert.equal(m.failure(BASE + 7 * m.page, WRITE), m.vm.VM_FAULT_OOM);
      assert.equal(mappedFrom(m, BASE), 7);
      m.audit();
      assert.ok(m.touch(BASE + 7 * m.page, WRITE));
      m.audit();
    });
  });
}

describe('a run of prefault', () => {
  it('stops at the end of the mapping', async () => {
    for (const access of [READ, WRITE]) {
      const m = await testMachine({ design: OURS });
      m.map(BASE, 5);
      m.map(BASE + 6 * m.page, 4);
      assert.deepEqual(touchRun(m, BASE, 5, access), [1, 2, 2]);
      assert.equal(m.failure(BASE + 5 * m.page, access), m.vm.VM_FAULT_SIGSEGV);
      assert.ok(!m.mapped(BASE + 6 * m.page));
      m.audit();
    }
  });

  for (const arch of ARCH_NAMES) {
    it(`stops at the pmd boundary, and goes on behind it: ${arch}`, async () => {
      const { indexBits } = ARCHES[arch];
      const [design] = carriedBy(arch, DESIGNS);
      for (const access of [READ, WRITE]) {
        const m = await testMachine({ arch, design });
        const start = BASE + (2 ** indexBits[0] - 9) * m.page;
        m.map(start, 40);
        assert.deepEqual(touchRun(m, start, 40, access), [1, 2, 4, 2, 14, 14, 3]);
        m.audit();
      }
    });
  }

  it('takes nobody his memory for what may never be touched', async () => {
    const m = await testMachine({ design: OURS, frames: 64, swapPages: 64 });
    m.map(BASE, 200);
    m.map(BASE + 256 * m.page, 20);
    // Downwards: a fault each.
    let filled = 0;
    for (; m.event('allocstall') === 0; filled++) m.store(BASE + (199 - filled) * m.page, filled);
    const stalls = m.event('allocstall');
    const far = BASE + 256 * m.page;
    for (let page = 0; page < 20; page++) assert.ok(m.touch(far + page * m.page, WRITE));
    assert.ok(m.event('allocstall') - stalls <= 20, 'no more than a fault of each page');
    for (let page = 0; page < filled; page++) {
      assert.equal(m.load(BASE + (199 - page) * m.page), page);
    }
    m.audit();
  });

  it('is off where madvise tells of random access, and on again after', async () => {
    const m = await testMachine({ design: OURS });
    m.map(BASE, 100);
    m.vm.sysMadvise(m.cpu, BASE, 100 * m.page, m.vm.MADV_RANDOM);
    assert.deepEqual(touchRun(m, BASE, 6, WRITE), [1, 1, 1, 1, 1, 1]);
    m.vm.sysMadvise(m.cpu, BASE, 100 * m.page, m.vm.MADV_NORMAL);
    assert.deepEqual(touchRun(m, BASE, 12, WRITE), [2, 4]);
    m.vm.sysMadvise(m.cpu, BASE, 100 * m.page, m.vm.MADV_RANDOM);
    assert.deepEqual(touchRun(m, BASE, 14, WRITE), [1, 1]);
    m.vm.sysMadvise(m.cpu, BASE, 100 * m.page, m.vm.MADV_SEQUENTIAL);
    assert.deepEqual(touchRun(m, BASE, 16, WRITE), [2]);
    m.audit();
  });

  it('is off for reads too where madvise tells of random access', async () => {
    const m = await testMachine({ design: OURS });
    m.map(BASE, 100);
    m.vm.sysMadvise(m.cpu, BASE, 100 * m.page, m.vm.MADV_RANDOM);
    assert.deepEqual(touchRun(m, BASE, 6, READ), [1, 1, 1, 1, 1, 1]);
    assert.equal(m.event('prefault_pages'), 0);
    m.audit();
  });

  it('ends where a part begins that is used at random, and begins anew behind it', async () => {
    for (const access of [READ, WRITE]) {
      const m = await testMachine({ design: OURS });
      m.map(BASE, 100);
      m.vm.sysMadvise(m.cpu, BASE + 10 * m.page, 4 * m.page, m.vm.MADV_RANDOM);
      assert.deepEqual(touchRun(m, BASE, 20, access), [1, 2, 4, 3, 1, 1, 1, 1, 2, 4]);
      m.audit();
    }
  });

  it("is not broken off by another task's touches of memory that is used at random", async () => {
    const m = await testMachine({ design: OURS });
    const first = m.cpu.current;
    const second = m.vm.createTask(m.cpu, m.cpu.mm, 2);
    const random = BASE + 200 * m.page;
    m.map(BASE, 100);
    m.map(random, 10);
    m.vm.sysMadvise(m.cpu, random, 10 * m.page, m.vm.MADV_RANDOM);
    const runs: number[][] = [[], []];
    for (const [index, pages] of [1, 3, 7, 15].entries()) {
      m.switchTo(first);
      runs[0].push(...touchRun(m, BASE, pages, WRITE));
      m.switchTo(second);
      runs[1].push(...touchRun(m, random, index + 1, WRITE));
    }
    assert.deepEqual(runs, [
      [1, 2, 4, 8],
      [1, 1, 1, 1],
    ]);
    m.audit();
  });

  it('begins anew where a touch is not the one that was expected', async () => {
    const m = await testMachine({ design: OURS });
    m.map(BASE, 100);
    touchRun(m, BASE, 7, WRITE);
    assert.ok(m.touch(BASE + 50 * m.page, WRITE));
    assert.equal(mappedFrom(m, BASE + 50 * m.page), 1);
    assert.ok(m.touch(BASE + 7 * m.page, WRITE));
    assert.equal(mappedFrom(m, BASE), 8);
    assert.deepEqual(touchRun(m, BASE, 14, WRITE), [2, 4]);
  });

  it("is a task's own: what another thread touches between does not break it", async () => {
    const m = await testMachine({ design: OURS });
    const first = m.cpu.current;
    const second = m.vm.createTask(m.cpu, m.cpu.mm, 2);
    const other = BASE + 50 * m.page;
    m.map(BASE, 100);
    const runs: number[][] = [[], []];
    for (const pages of [1, 3, 7, 15]) {
      m.switchTo(first);
      runs[0].push(...touchRun(m, BASE, pages, WRITE));
      m.switchTo(second);
      runs[1].push(...touchRun(m, other, pages, WRITE));
    }
    assert.deepEqual(runs, [
      [1, 2, 4, 8],
      [1, 2, 4, 8],
    ]);
    // Nor does one go on where the other is expected.
    assert.ok(m.touch(BASE + 15 * m.page, WRITE));
    assert.equal(mappedFrom(m, BASE), 16);
    m.audit();
  });

  it('begins anew in a forked child', async () => {
    const m = await testMachine({ design: OURS });
    const parent = m.cpu.current;
    m.map(BASE, 100);
    touchRun(m, BASE, 7, WRITE);
    m.switchTo(m.fork());
    assert.deepEqual(touchRun(m, BASE, 14, WRITE), [1, 2, 4]);
    m.audit();
    m.exit(parent);
    assert.deepEqual(touchRun(m, BASE, 15, WRITE), [8]);
    m.audit();
  });

  it('marks its pages as referenced, and leads from each back to its mapping', async () => {
    const m = await testMachine({ design: OURS, swapPages: 64 });
    m.map(BASE, 100);
    touchRun(m, BASE, 7, WRITE);
    for (const { pfn } of m.vm.mappedPages(m.memory, m.cpu.mm)) {
      assert.notEqual(m.memory.words[m.vm.pageOf(pfn) + m.vm.Page.flags] & m.vm.PG_referenced, 0);
    }
    for (let page = 0; page < 7; page++) m.store(BASE + page * m.page, page);
    m.vm.lruAddDrain(m.cpu);
    m.evict();
    assert.ok(!m.mapped(BASE + 6 * m.page), 'reclaim finds its ptes');
    for (let page = 0; page < 7; page++) assert.equal(m.load(BASE + page * m.page), page);
    m.audit();
  });
});

describe('prefault as posted', () => {
  for (const name of ['prefault-v1', 'prefault-v2']) {
    it(`maps 1, 2, 4, 8, 14, 14 pages a fault of a run of writes: ${name}`, async () => {
      const m = await testMachine({ design: designNamed(name) });
      m.map(BASE, 100);
      assert.deepEqual(touchRun(m, BASE, PAGES, WRITE), RUNS);
      assert.equal(m.counts().rss, PAGES);
      m.audit();
    });
  }

  it('writes behind its pagevec at the 31st success of V1, and never of V2', async () => {
    const pages = 15 + 27 * 14;
    for (const name of ['prefault-v1', 'prefault-v2']) {
      const m = await testMachine({ design: designNamed(name) });
      m.map(BASE, pages + 16);
      for (let page = 0; page < pages; page++) m.store(BASE + page * m.page, page);
      m.audit();
      const next = (): boolean => m.touch(BASE + pages * m.page, WRITE);
      if (name === 'prefault-v2') assert.ok(next());
      else assert.throws(next, /the return address behind the pagevec is overwritten/);
    }
  });

  it('replaces what is mapped behind a read by the zero page: V1', async () => {
    const m = await testMachine({ design: designNamed('prefault-v1') });
    m.map(BASE, 100);
    m.store(BASE + 2 * m.page, 22);
    m.load(BASE);
    m.load(BASE + m.page);
    assert.equal(m.load(BASE + 2 * m.page), 0);
    const told = m.vm.audit(m.memory).join('\n');
    assert.match(told, /mm\[0\]\.rss is 1, should be 0/);
  });

  it('maps nothing behind a read, and tells the MMU that it did: V2', async () => {
    const m = await testMachine({ design: designNamed('prefault-v2') });
    m.map(BASE, 100);
    m.store(BASE + 2 * m.page, 22);
    m.load(BASE);
    m.load(BASE + m.page);
    assert.equal(m.load(BASE + 2 * m.page), 0, 'as the TLB has it');
    assert.deepEqual(m.vm.audit(m.memory), [], 'as the tables have it');
    assert.match(m.vm.audit(m.memory, [{ tlb: m.cpu.tlb, mm: m.cpu.mm }]).join('\n'), /a TLB maps/);
    m.cpu.tlb.drop(-1);
    assert.equal(m.load(BASE + 2 * m.page), 22);
  });
});
