/** The tree of VMAs, by what the calls leave: the audit compares it with the list, key by key and gap by gap. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BASE, testMachine, type TestMachine } from '../../test/machine.js';

const PAGES = 400;

/** Maps single pages, each unlike its neighbours, so that none merge. */
function mapPage(m: TestMachine, index: number): void {
  m.map(BASE + index * m.page, 1, index % 2 === 0 ? 1 : 3);
}

describe('the tree of VMAs', () => {
  it('holds any set of pages, put in and taken out in any order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: PAGES - 1 })), {
          minLength: 50,
          maxLength: 300,
        }),
        async (steps) => {
          const m = await testMachine();
          const mapped = new Set<number>();
          for (const [put, index] of steps) {
            if (put) mapPage(m, index);
            else m.vm.sysMunmap(m.cpu, BASE + index * m.page, m.page);
            if (put) mapped.add(index);
            else mapped.delete(index);
          }
          m.audit();
          assert.equal(m.counts().mapCount, mapped.size);
          for (let index = 0; index < PAGES; index++) {
            const vma = m.vm.findVma(m.cpu, m.cpu.mm, BASE + index * m.page);
            const start = vma === 0 ? Infinity : m.memory.wides[(vma + m.vm.Vma.vmStart) / 2];
            const next = [...mapped].filter((other) => other >= index).sort((a, b) => a - b)[0];
            assert.equal(start, next === undefined ? Infinity : BASE + next * m.page);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('finds the highest room that is large enough', async () => {
    const m = await testMachine();
    for (let index = 0; index < PAGES; index++) mapPage(m, index);
    m.vm.setMmapBase(m.cpu, BASE + PAGES * m.page);
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS;
    const place = (pages: number): number =>
      (m.vm.sysMmap(m.cpu, 0, pages * m.page, 7, flags, 0, 0, 0) - BASE) / m.page;
    m.vm.sysMunmap(m.cpu, BASE + 50 * m.page, 3 * m.page);
    m.vm.sysMunmap(m.cpu, BASE + 300 * m.page, 2 * m.page);
    assert.equal(place(3), 50);
    assert.equal(place(1), 301);
    assert.equal(place(1), 300);
    assert.equal(place(2), -2, 'below all');
    m.audit();
  });
});
