import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BASE, READ, WRITE, testMachine } from '../../test/machine.js';

describe('a pte of two words', () => {
  it('has the frame number in both, and the MMU puts it together', async () => {
    const m = await testMachine({ arch: 'i386-pae' });
    const pages = 20;
    m.map(BASE, pages);
    for (let page = 0; page < pages; page++) {
      m.vm.storeUser(m.cpu, BASE + page * m.page, page + 1);
    }
    const highs = m.vm.mappedPages(m.memory, m.cpu.mm).map(({ address, pfn }) => {
      const ptep = m.vm.walk(m.cpu, address);
      const [low, high] = [m.memory.words[ptep], m.memory.words[ptep + 1]];
      assert.equal(high * 2 ** 20 + (low >>> 12), (pfn & 1) * 2 ** 20 + (pfn >> 1));
      return high;
    });
    assert.deepEqual([...new Set(highs)].sort(), [0, 1]);
    m.cpu.tlb.drop(-1);
    const into = [0];
    for (let page = 0; page < pages; page++) {
      m.vm.loadUser(m.cpu, BASE + page * m.page, into);
      assert.equal(into[0], page + 1);
    }
    m.audit();
  });
});

describe('a pte that only software writes', () => {
  it('lets an access through once the fault path has set what it needs', async () => {
    for (const arch of ['sparc64', 's390'] as const) {
      const m = await testMachine({ arch });
      m.map(BASE, 1);
      m.touch(BASE, WRITE);
      const ptep = m.vm.walk(m.cpu, BASE);
      m.memory.words[ptep] &= ~(m.vm.PTE_ACCESSED | m.vm.PTE_DIRTY);
      m.cpu.tlb.drop(-1);
      const faults = m.event('pgfault');
      m.touch(BASE, READ);
      assert.equal(m.event('pgfault'), faults + 1);
      assert.equal(m.memory.words[ptep] & m.vm.PTE_DIRTY, 0);
      m.touch(BASE, WRITE);
      assert.equal(m.event('pgfault'), faults + 2);
      assert.notEqual(m.memory.words[ptep] & m.vm.PTE_DIRTY, 0);
      m.touch(BASE, WRITE);
      assert.equal(m.event('pgfault'), faults + 2);
      m.audit();
    }
  });
});

describe('a table of several frames', () => {
  it('is given back whole', async () => {
    const m = await testMachine({ arch: 's390' });
    m.map(BASE, 4);
    m.touch(BASE, WRITE);
    // Two of four frames, and a leaf table.
    assert.equal(m.event('nr_page_table_pages'), 9);
    m.audit();
    m.vm.exitTask(m.cpu);
    assert.equal(m.event('nr_page_table_pages'), 0);
    assert.deepEqual(m.vm.audit(m.memory), []);
  });
});
