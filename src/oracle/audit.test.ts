/** The audit finds what is wrong: each test breaks one word of a sound machine. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BASE, WRITE, testMachine, type TestMachine } from '../../test/machine.js';

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
      const free = m.memory.words[m.vm.percpuOf(0) + m.vm.Percpu.pcp];
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
});
