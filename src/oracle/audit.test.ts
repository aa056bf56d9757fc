/** The audit finds what is wrong: each test breaks one word of a sound machine. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BASE, READ, WRITE, testMachine, type TestMachine } from '../../test/machine.js';

async function soundMachine(): Promise<{ m: TestMachine; pfn: number }> {
  const m = await testMachine();
  m.map(BASE, 20);
  for (let page = 0; page < 20; page++) m.touch(BASE + page * m.page, WRITE);
  m.audit();
  return { m, pfn: m.vm.mappedPages(m.memory, m.cpu.mm)[0].pfn };
}

function breaks(
  what: string,
  change: (m: TestMachine, pfn: number) => void,
  expected: RegExp,
): void {
  it(`tells of ${what}`, async () => {
    const { m, pfn } = await soundMachine();
    change(m, pfn);
    const found = m.vm.audit(m.memory, [{ tlb: m.cpu.tlb, mm: m.cpu.mm }]);
    assert.match(found.join('\n'), expected);
  });
}

describe('the audit', () => {
  breaks('a wrong rss', (m) => m.memory.words[m.cpu.mm + m.vm.Mm.rss]++, /mm\[0\]\.rss is 21/);
  breaks(
    'a reference too many',
    (m, pfn) => m.memory.words[m.vm.pageOf(pfn) + m.vm.Page.refcount]++,
    /refcount is \d, should be/,
  );
  breaks(
    'a wrong mapcount',
    (m, pfn) => (m.memory.words[m.vm.pageOf(pfn) + m.vm.Page.mapcount] = 0),
    /mapcount is 0, should be 1/,
  );
  breaks(
    'a page that was lost',
    (m) => {
      m.memory.words[m.vm.walk(m.cpu, BASE)] = 0;
    },
    /is lost|refcount/,
  );
  breaks(
    'a mapping of a free frame',
    (m) => {
      const free = m.vm.FRAMES - 1;
      const ptep = m.vm.walk(m.cpu, BASE);
      m.memory.words[ptep] = (m.memory.words[ptep] & 0xfff) | (free * m.page);
    },
    /is free, but 1 point to it/,
  );
  breaks(
    'a lock that is held',
    (m) => (m.memory.words[m.cpu.mm + m.vm.Mm.pageTableLock] = 1),
    /pageTableLock is held/,
  );
  breaks(
    'a TLB that maps what the tables do not',
    (m) => m.cpu.tlb.fill(BASE + 30 * m.page, 0x5067, false),
    /a TLB maps 0x4001e000 to frame 5/,
  );
  breaks(
    'a page outside of any mapping',
    (m) => {
      const vma = m.memory.words[m.cpu.mm + m.vm.Mm.mmap];
      m.memory.wides[(vma + m.vm.Vma.vmEnd) / 2] -= m.page;
    },
    /which no VMA holds/,
  );

  breaks(
    'a page of a file that is lost with its frame',
    (m) => {
      const file = m.vm.openFile(m.cpu, 1, 0);
      const shared = m.vm.MAP_SHARED | m.vm.MAP_FIXED;
      m.vm.sysMmap(m.cpu, BASE + 2 ** 22, m.page, 3, shared, file, 0, 0);
      m.touch(BASE + 2 ** 22, READ);
      m.memory.words[file + m.vm.File.onDevice] = 0;
    },
    /page\[\d+\] is clean, and the device does not have it/,
  );
  breaks(
    'a page that was left locked',
    (m, pfn) => (m.memory.words[m.vm.pageOf(pfn) + m.vm.Page.flags] |= m.vm.PG_locked),
    /page\[\d+\] is locked/,
  );
});

/** Pages that are mapped and in the swap cache, and pages that are in the swap file only. */
async function swappingMachine(): Promise<{ m: TestMachine; cached: number; slot: number }> {
  const m = await testMachine({ swapPages: 40 });
  m.map(BASE, 20);
  for (let page = 0; page < 20; page++) m.touch(BASE + page * m.page, WRITE);
  m.evict();
  m.load(BASE);
  m.vm.lruAddDrain(m.cpu);
  m.audit();
  const [{ pfn }] = m.vm.mappedPages(m.memory, m.cpu.mm);
  return { m, cached: pfn, slot: m.memory.words[m.vm.pageSlot(pfn)] - 1 };
}

function breaksSwap(
  what: string,
  change: (m: TestMachine, cached: number, slot: number) => void,
  expected: RegExp,
): void {
  it(`tells of ${what}`, async () => {
    const { m, cached, slot } = await swappingMachine();
    change(m, cached, slot);
    const found = m.vm.audit(m.memory, [{ tlb: m.cpu.tlb, mm: m.cpu.mm }]);
    assert.match(found.join('\n'), expected);
  });
}

describe('the audit, of a machine with swap,', () => {
  breaksSwap(
    'a slot with a reference too many',
    (m, _cached, slot) => m.memory.words[m.vm.SWAP_MAP + slot]++,
    /swapMap\[\d+\] is 2, should be 1/,
  );
  breaksSwap(
    'a slot that a pte tells of, and that is free',
    (m) => (m.memory.words[m.vm.SWAP_MAP + 19] = 0),
    /swapMap\[19\] is 0, should be 1/,
  );
  breaksSwap(
    'a wrong count of free slots',
    (m) => m.memory.words[m.vm.SWAP + m.vm.Swap.freeSlots]--,
    /swap\.freeSlots is 19, should be 20/,
  );
  breaksSwap(
    'a page that the swap cache has lost',
    (m, _cached, slot) => (m.memory.words[m.vm.SWAP_CACHE + slot] = 0),
    /and the swap cache do not agree/,
  );
  breaksSwap(
    'a page in the swap cache that has no slot',
    (m, cached) => (m.memory.words[m.vm.pageSlot(cached)] = 0),
    /the slot of page\[\d+\] is -1[^]*and the swap cache do not agree/,
  );
  breaksSwap(
    'a page that tells of another slot',
    (m, cached) => m.memory.words[m.vm.pageSlot(cached)]++,
    /the slot of page\[\d+\] is \d+, should be/,
  );
  breaksSwap(
    'a page that does not know that it is in the swap cache',
    (m, cached) => (m.memory.words[m.vm.pageOf(cached) + m.vm.Page.flags] &= ~m.vm.PG_swapcache),
    /and the swap cache do not agree/,
  );
  breaksSwap(
    'a page that believes to be in the swap cache',
    (m) => {
      m.map(BASE + 30 * m.page, 1);
      m.touch(BASE + 30 * m.page, WRITE);
      const { pfn } = m.vm.mappedPages(m.memory, m.cpu.mm).at(-1)!;
      m.memory.words[m.vm.pageOf(pfn) + m.vm.Page.flags] |= m.vm.PG_swapcache;
    },
    /and the swap cache do not agree/,
  );
  breaksSwap(
    'the lock of the swap file that is held',
    (m) => (m.memory.words[m.vm.SWAP + m.vm.Swap.lock] = 1),
    /swap\.lock is held/,
  );
  breaksSwap(
    'a page on the active list that counts as inactive',
    (m) => {
      const head = m.memory.words[m.vm.zoneOf(0) + m.vm.Zone.activeHead];
      m.memory.words[m.vm.pageOf(head) + m.vm.Page.lru] = 1;
    },
    /page\[\d+\]\.lru is 1, should be 2/,
  );
  breaksSwap(
    'a wrong count of inactive pages',
    (m) => m.memory.words[m.vm.zoneOf(0) + m.vm.Zone.nrInactive]++,
    /zone\[0\]: inactive pages is 1, should be 0/,
  );
  breaksSwap(
    'a list whose end is another page',
    (m) => {
      const zone = m.vm.zoneOf(0);
      m.memory.words[zone + m.vm.Zone.activeTail] = m.memory.words[zone + m.vm.Zone.activeHead];
    },
    /end of the active list is \d+, should be/,
  );
});
