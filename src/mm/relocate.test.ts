import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { carriedBy } from '../designs/carries.js';
import { designNamed } from '../designs/index.js';
import { ARCHES, ARCH_NAMES, type ArchName } from '../hardware/arch/index.js';
import {
  BASE,
  READ,
  testMachine,
  type TestMachine,
  type TestMachineOptions,
} from '../../test/machine.js';

const OURS = ['relocate', 'v18-relocate', 'linux-6-relocate'].map(designNamed);
const [RELOCATE] = OURS;
const PAGES = 12;

/** Each table of the process, with its level, in the order of a walk. */
function tables({ vm, memory, cpu }: TestMachine): { pfn: number; level: number }[] {
  const found: { pfn: number; level: number }[] = [];
  vm.visitTables(memory.words, cpu.mm, (pfn, level) => found.push({ pfn, level }));
  return found;
}

/** What the process maps, and what its pages hold; whether the hardware's hash table knows of it is left out. */
function mappings({ vm, memory, cpu }: TestMachine): unknown[] {
  const pages = vm.mappedPages(memory, cpu.mm);
  return pages.map((page) => [
    { ...page, entry: page.entry & ~vm.PTE_HASHED },
    memory.words[vm.frameOf(page.pfn)],
  ]);
}

/** A process with pages that were written, read, protected and paged out, each with its number from 100 on. */
async function busy(options: TestMachineOptions): Promise<TestMachine> {
  const m = await testMachine({ swapPages: 32, design: RELOCATE, ...options });
  m.map(BASE, PAGES);
  for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 100 + page);
  m.evict();
  for (let page = 0; page < PAGES; page += 2) m.load(BASE + page * m.page);
  m.vm.sysMprotect(m.cpu, BASE, 2 * m.page, 0);
  m.map(BASE + PAGES * m.page, 2);
  m.touch(BASE + PAGES * m.page, READ);
  return m;
}

function expectContents(m: TestMachine): void {
  m.vm.sysMprotect(m.cpu, BASE, 2 * m.page, 3);
  for (let page = 0; page < PAGES; page++) assert.equal(m.load(BASE + page * m.page), 100 + page);
  m.audit();
}

/** Whether tables of a level are left where they are. */
function stays(arch: ArchName, level: number): boolean {
  const { indexBits, pageShift, entryWords, upperEntryWords, reloadsTop } = ARCHES[arch];
  if (level === indexBits.length - 1 && !reloadsTop) return true;
  return (
    4 * 2 ** indexBits[level] * (level === 0 ? entryWords : upperEntryWords) !== 2 ** pageShift
  );
}

for (const arch of ARCH_NAMES) {
  for (const design of carriedBy(arch, OURS)) {
    describe(`page tables that move on ${arch} under ${design.name}`, () => {
      it('are in other frames afterwards, with all that they mapped', async () => {
        const m = await busy({ arch, design });
        const before = tables(m);
        const mapped = mappings(m);
        const counts = m.counts();
        const frames = m.event('nr_page_table_pages');
        const moved = m.vm.moveTables(m.cpu, m.cpu.mm, m.vm.ALL_TABLES);
        const after = tables(m);
        const skipped = before.filter(({ level }) => stays(arch, level)).length;
        assert.deepEqual(moved, { moved: before.length - skipped, skipped, noMemory: false });
        assert.deepEqual(
          after.map(({ level }) => level),
          before.map(({ level }) => level),
        );
        for (const [at, { pfn, level }] of after.entries()) {
          assert.equal(pfn === before[at].pfn, stays(arch, level));
        }
        assert.deepEqual(mappings(m), mapped);
        assert.deepEqual(m.counts(), counts);
        assert.equal(m.event('nr_page_table_pages'), frames);
        m.audit();
        expectContents(m);
      });
    });
  }
}

describe('the mark of an entry that has moved', () => {
  it('is like no entry that is present, in swap, of a file, or locked', () => {
    for (const arch of ARCH_NAMES) {
      const { pte, pfnShift } = ARCHES[arch];
      const others =
        pte.present | pte.protNone | pte.file | pte.lock | pte.busy | pte.hashed | pte.huge;
      assert.notEqual(pte.write, 0);
      assert.equal(pte.write & others, 0, arch);
      // An entry that tells a slot has nothing else below its frame number, and no slot is 0 there.
      assert.equal(pte.write >>> pfnShift, 0, arch);
    }
  });
});

describe('page tables that move', () => {
  for (const design of OURS) {
    it(`leave a node that is to be left, under ${design.name}`, async () => {
      const m = await busy({ design, nodes: 2, frames: 1024 });
      const on = (node: number): number =>
        tables(m).filter(({ pfn }) => m.vm.pfnNode(pfn) === node).length;
      const all = on(0);
      assert.equal(on(1), 0);
      assert.equal(m.vm.migratePageTables(m.cpu, m.cpu.mm, 0, 1).moved, all);
      assert.deepEqual([on(0), on(1)], [0, all]);
      expectContents(m);
    });

    it(`take the pages that the process alone has along, under ${design.name}`, async () => {
      const m = await testMachine({ design, nodes: 2, frames: 1024 });
      m.map(BASE, PAGES);
      for (let page = 0; page < PAGES; page++) m.store(BASE + page * m.page, 100 + page);
      m.vm.lruAddDrain(m.cpu);
      const child = m.fork();
      m.store(BASE, 100);
      const parent = m.cpu.current;
      const { pages, notMigrated, tables: moved } = m.vm.migratePages(m.cpu, m.cpu.mm, 0, 1);
      assert.deepEqual([pages, notMigrated, moved.noMemory], [1, PAGES - 1, false]);
      m.audit();
      m.switchTo(child);
      m.exit(parent);
      assert.equal(m.vm.migratePages(m.cpu, m.cpu.mm, 0, 1).pages, PAGES - 1);
      const onOld = m.vm
        .mappedPages(m.memory, m.cpu.mm)
        .filter(({ pfn }) => m.vm.pfnNode(pfn) === 0);
      assert.deepEqual(onOld, []);
      expectContents(m);
      m.exit(0);
      m.audit();
    });
  }

  it('leave the frames that are taken off-line, those of huge pages too', async () => {
    const m = await testMachine({ design: RELOCATE, arch: 'x86_64', frames: 2048 });
    m.map(BASE, 512);
    m.vm.sysMadvise(m.cpu, BASE, 512 * m.page, m.vm.MADV_HUGEPAGE);
    m.store(BASE + m.page, 101);
    const frames = tables(m).map(({ pfn }) => pfn);
    const spare = m.memory.words[m.cpu.mm + m.vm.Mm.spareTables];
    const start = Math.min(...frames, spare);
    const end = Math.max(...frames, spare) + 1;
    assert.deepEqual(m.vm.moveTablesOutOf(m.cpu, start, end), {
      moved: frames.length + 1,
      skipped: 0,
      noMemory: false,
    });
    const left = [
      ...tables(m).map(({ pfn }) => pfn),
      m.memory.words[m.cpu.mm + m.vm.Mm.spareTables],
    ];
    assert.deepEqual(
      left.filter((pfn) => pfn >= start && pfn < end),
      [],
    );
    m.audit();
    assert.equal(m.load(BASE + m.page), 101);
    m.vm.sysMunmap(m.cpu, BASE + m.page, m.page);
    m.audit();
  });

  it('make room for a larger block', async () => {
    const m = await testMachine({ design: RELOCATE, arch: 'i386', frames: 256 });
    const span = 4 * 1024 * 1024;
    const parts = 20;
    for (let part = 0; part < parts; part++) {
      m.map(BASE + part * span, 8);
      for (let page = 0; page < 8; page++) m.store(BASE + part * span + page * m.page, 1 + part);
    }
    // The pages go, but for the first of each table; that of some tables is not next to any.
    for (let part = 0; part < parts; part++) {
      m.vm.sysMadvise(m.cpu, BASE + part * span, 8 * m.page, m.vm.MADV_DONTNEED);
    }
    const order = 4;
    const block = m.vm.defragment(m.cpu, order);
    assert.notEqual(block, 0);
    for (let pfn = block; pfn < block + 2 ** order; pfn++) {
      assert.equal(m.memory.words[m.vm.pageOf(pfn) + m.vm.Page.refcount], 0);
    }
    m.audit();
  });

  it('free what they have left, flushed, where memory is full in the middle', async () => {
    const design = { ...RELOCATE, failAllocations: true };
    const m = await busy({ design });
    const all = tables(m).length;
    const free = m.freeFrames();
    m.memory.words[m.vm.percpuOf(0) + m.vm.Percpu.failAfter] = 2;
    const moved = m.vm.moveTables(m.cpu, m.cpu.mm, m.vm.ALL_TABLES);
    assert.deepEqual(moved, { moved: 1, skipped: 0, noMemory: true });
    assert.deepEqual([tables(m).length, m.freeFrames()], [all, free]);
    expectContents(m);
  });

  it('are told to a hypervisor, new ones and old ones', async () => {
    const m = await busy({ arch: 'x86_64' });
    m.vm.moveTables(m.cpu, m.cpu.mm, m.vm.ALL_TABLES);
    const pcpu = m.vm.percpuOf(0);
    const told = (first: number): number[] => [...m.memory.words.subarray(first, first + 4)];
    const byLevel = [0, 1, 2, 3].map(
      (level) => tables(m).filter((table) => table.level === level).length,
    );
    assert.deepEqual(told(pcpu + m.vm.Percpu.tablesPinned), byLevel);
    assert.deepEqual(told(pcpu + m.vm.Percpu.tablesUnpinned), byLevel);
  });

  it('are counted as tables for ever once freed, as posted', async () => {
    const m = await busy({ design: designNamed('relocate-posted') });
    const { moved } = m.vm.moveTables(m.cpu, m.cpu.mm, m.vm.ALL_TABLES);
    assert.equal(m.event('nr_page_table_pages'), m.counts().tables + moved);
  });
});
