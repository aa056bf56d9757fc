/** What a guest tells its host of its frames, and what it does when the host has taken one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BASE, READ, WRITE, testMachine, type TestMachine } from '../../test/machine.js';
import { designNamed } from '../designs/index.js';
import { filePageWord } from '../hardware/device.js';

const FILE_PAGES = 4;
const WORD = 4;

interface Hinted extends TestMachine {
  /** The state of the frame that an address is mapped to, without counts of changes. */
  stateAt(address: number): number;
  /** Lets the host take all that is volatile. @returns frames taken */
  take(): number;
}

async function hinted(design: string, swapPages = 0): Promise<Hinted> {
  const m = await testMachine({ design: designNamed(design), swapPages });
  const { vm, memory, cpu } = m;
  return {
    ...m,
    stateAt: (address) => {
      const entry = memory.words[vm.walk(cpu, address)];
      return memory.words[vm.hostState(vm.entryPfn(entry))] & vm.HOST_STATE;
    },
    take: () => {
      vm.lruAddDrain(cpu);
      return vm.hostTakeFrames(cpu, Infinity, false);
    },
  };
}

/** Maps a file of which each page is in the cache. @returns the file */
function mapFile({ vm, cpu, page }: TestMachine, type: number): number {
  const file = vm.openFile(cpu, FILE_PAGES, 0);
  for (let index = 0; index < FILE_PAGES; index++)
    vm.warmCachePage(cpu, file, index, vm.PG_uptodate);
  vm.lruAddDrain(cpu);
  vm.sysMmap(cpu, BASE, FILE_PAGES * page, 3, type | vm.MAP_FIXED, file, 0, 0);
  return file;
}

for (const name of ['hinting-before', 'hinting-posted', 'hinting', 'linux-6-hinting']) {
  describe(`a guest under ${name}`, () => {
    it('says of anonymous memory that it is stable, and unused once it is free', async () => {
      const m = await hinted(name);
      m.map(BASE, 1);
      m.store(BASE, 7);
      assert.equal(m.stateAt(BASE), m.vm.HOST_STABLE);
      assert.equal(m.take(), 0);
      m.audit();
      m.vm.sysMunmap(m.cpu, BASE, m.page);
      m.audit();
    });

    it('lets the host have clean pages of files, and reads them again', async () => {
      const m = await hinted(name);
      const file = mapFile(m, m.vm.MAP_SHARED);
      assert.equal(m.load(BASE + WORD), filePageWord(file, 0, 1));
      assert.equal(m.stateAt(BASE), m.vm.HOST_VOLATILE);
      assert.equal(m.take(), FILE_PAGES);
      const read = m.event('pgpgin');
      for (let index = 0; index < FILE_PAGES; index++) {
        assert.equal(m.load(BASE + index * m.page), filePageWord(file, index, 0));
        assert.equal(m.load(BASE + index * m.page + WORD), filePageWord(file, index, 1));
      }
      assert.equal(m.event('pgpgin') - read, FILE_PAGES);
      assert.equal(m.event('page_discard'), FILE_PAGES);
      m.audit();
    });

    it('keeps a page that is written, until it is written back', async () => {
      const m = await hinted(name);
      mapFile(m, m.vm.MAP_SHARED);
      m.store(BASE + 8, 9);
      assert.equal(m.stateAt(BASE), m.vm.HOST_STABLE);
      assert.equal(m.take(), FILE_PAGES - 1);
      assert.equal(m.load(BASE + 8), 9);
      m.audit();
      m.vm.sysMsync(m.cpu, BASE, m.page, m.vm.MS_SYNC);
      assert.equal(m.stateAt(BASE), m.vm.HOST_VOLATILE);
      assert.equal(m.take(), 1);
      assert.equal(m.load(BASE + 8), 9);
      m.audit();
    });

    it('stores to and copies a page that the host has taken', async () => {
      for (const type of ['MAP_SHARED', 'MAP_PRIVATE'] as const) {
        const m = await hinted(name);
        const file = mapFile(m, m.vm[type]);
        m.load(BASE);
        assert.equal(m.take(), FILE_PAGES);
        for (const page of [BASE, BASE + m.page]) {
          m.store(page + 8, 9);
          assert.equal(m.load(page + 8), 9);
          assert.equal(m.load(page), filePageWord(file, 0, 0));
        }
        m.audit();
      }
    });

    it('lets the host have a page of the swap cache until it is stored to', async () => {
      const m = await hinted(name, 64);
      m.map(BASE, 2);
      for (const page of [BASE, BASE + m.page]) m.store(page, 7);
      m.evict();
      for (const page of [BASE, BASE + m.page]) assert.equal(m.load(page), 7);
      m.vm.lruAddDrain(m.cpu);
      assert.equal(m.stateAt(BASE), m.vm.HOST_VOLATILE);
      // Both may be written from now on, and one is.
      m.vm.sysMprotect(m.cpu, BASE, 2 * m.page, 1);
      m.vm.sysMprotect(m.cpu, BASE, 2 * m.page, 3);
      assert.equal(m.stateAt(BASE), m.vm.HOST_POTENTIALLY_VOLATILE);
      m.store(BASE, 8);
      assert.equal(m.take(), 1);
      assert.equal(m.load(BASE), 8);
      assert.equal(m.load(BASE + m.page), 7);
      assert.equal(m.event('page_discard'), 1);
      m.audit();
    });

    it('tells of a host that breaks its word', async () => {
      const m = await hinted(name);
      m.map(BASE, 1);
      m.store(BASE, 7);
      const pfn = m.vm.entryPfn(m.memory.words[m.vm.walk(m.cpu, BASE)]);
      m.memory.words[m.vm.hostState(pfn)] |= m.vm.HOST_GONE;
      m.cpu.tlb.drop(-1);
      assert.throws(() => m.load(BASE), /the host took page\[\d+\], which is nowhere else/);
      assert.match(m.vm.audit(m.memory).join('\n'), /is stable, and the host has taken it/);
    });

    it('takes free frames back that the host had', async () => {
      const m = await hinted(name);
      assert.ok(m.vm.hostTakeFrames(m.cpu, Infinity, true) > 400);
      m.audit();
      m.map(BASE, 300);
      for (let index = 0; index < 300; index++) {
        assert.ok(m.touch(BASE + index * m.page, index % 2 === 0 ? READ : WRITE));
        assert.equal(m.load(BASE + index * m.page), 0);
      }
      m.audit();
    });
  });
}
