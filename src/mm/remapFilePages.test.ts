import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EINVAL } from '../base/errno.js';
import { ARCH_NAMES, BASE, READ, testMachine, type TestMachine } from '../../test/machine.js';

/** Maps ten pages of a file, shared; a page of the device says in its second word which it is. */
async function mapped(arch: (typeof ARCH_NAMES)[number]): Promise<TestMachine> {
  const m = await testMachine({ arch });
  const file = m.vm.openFile(m.cpu, 10, 0);
  m.vm.sysMmap(m.cpu, BASE, 10 * m.page, 3, m.vm.MAP_SHARED | m.vm.MAP_FIXED, file, 0, 0);
  return m;
}

/** Which page of the file shows at a page of the mapping. */
function shown(m: TestMachine, page: number): number {
  const into = [0];
  assert.ok(m.vm.loadUser(m.cpu, BASE + page * m.page + 4, into) >= 0);
  return into[0];
}

for (const arch of ARCH_NAMES) {
  describe(`remap_file_pages on ${arch}`, () => {
    it('shows pages of the file in another order, in one VMA', async () => {
      const m = await mapped(arch);
      assert.equal(m.vm.sysRemapFilePages(m.cpu, BASE, 3 * m.page, 0, 7, 0), 0);
      assert.equal(
        m.vm.sysRemapFilePages(m.cpu, BASE + 5 * m.page, m.page, 0, 0, m.vm.MAP_NONBLOCK),
        0,
      );
      assert.deepEqual(
        Array.from({ length: 10 }, (_, page) => shown(m, page)),
        [7, 8, 9, 3, 4, 0, 6, 7, 8, 9],
      );
      assert.equal(m.counts().mapCount, 1);
      m.audit();
    });

    it('is remembered when pages are dropped, moved, and inherited', async () => {
      const m = await mapped(arch);
      m.vm.sysRemapFilePages(m.cpu, BASE, 3 * m.page, 0, 7, 0);
      m.vm.sysMadvise(m.cpu, BASE, 10 * m.page, m.vm.MADV_DONTNEED);
      assert.equal(shown(m, 1), 8);
      const child = m.vm.sysFork(m.cpu, 2);
      m.vm.switchTo(m.cpu, child);
      assert.deepEqual([shown(m, 0), shown(m, 2), shown(m, 3)], [7, 9, 3]);
      m.audit();
      const flags = m.vm.MREMAP_MAYMOVE | m.vm.MREMAP_FIXED;
      const target = BASE + 64 * m.page;
      assert.equal(m.vm.sysMremap(m.cpu, BASE, 10 * m.page, 10 * m.page, flags, target), target);
      const into = [0];
      m.vm.loadUser(m.cpu, target + m.page + 4, into);
      assert.equal(into[0], 8);
      m.audit();
    });

    it('refuses private mappings, holes and pages that an entry cannot hold', async () => {
      const m = await mapped(arch);
      m.map(BASE + 20 * m.page, 2);
      assert.equal(m.vm.sysRemapFilePages(m.cpu, BASE + 20 * m.page, m.page, 0, 1, 0), -EINVAL);
      assert.equal(m.vm.sysRemapFilePages(m.cpu, BASE + 9 * m.page, 2 * m.page, 0, 1, 0), -EINVAL);
      assert.equal(m.vm.sysRemapFilePages(m.cpu, BASE, m.page, 1, 1, 0), -EINVAL);
      assert.equal(m.vm.sysRemapFilePages(m.cpu, BASE, m.page, 0, 2 ** 32, 0), -EINVAL);
      assert.equal(m.touch(BASE, READ), true);
      m.audit();
    });
  });
}
