import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ENOMEM } from '../base/errno.js';
import {
  ARCH_NAMES,
  BASE,
  READ,
  WRITE,
  designsOn,
  testMachine,
  type TestMachine,
} from '../../test/machine.js';

/** Forks, and stays with the parent. @returns both tasks */
function fork({ vm, cpu }: TestMachine): { parent: number; child: number } {
  const parent = cpu.current;
  const child = vm.sysFork(cpu, 2);
  assert.ok(child > 0);
  return { parent, child };
}

function load({ vm, cpu }: TestMachine, address: number): number {
  const into = [0];
  assert.ok(vm.loadUser(cpu, address, into) >= 0);
  return into[0];
}

for (const arch of ARCH_NAMES) {
  for (const design of designsOn(arch)) {
    describe(`fork on ${arch} under ${design.name}`, () => {
      it('shares pages until one side writes, and then each has its own', async () => {
        const m = await testMachine({ arch, design });
        m.map(BASE, 4);
        m.vm.storeUser(m.cpu, BASE, 1);
        const { parent, child } = fork(m);
        m.vm.storeUser(m.cpu, BASE, 2);
        m.vm.switchTo(m.cpu, child);
        assert.equal(load(m, BASE), 1);
        m.vm.storeUser(m.cpu, BASE, 3);
        m.vm.switchTo(m.cpu, parent);
        assert.equal(load(m, BASE), 2);
        // The child was the last owner of the old page: it kept it.
        assert.equal(m.event('fault_cow'), 1);
        assert.equal(m.event('fault_reuse'), 1);
        m.audit();
      });

      it('leaves page tables out for what only the file holds', async () => {
        const m = await testMachine({ arch, design });
        const file = m.vm.openFile(m.cpu, 8, 0);
        m.vm.sysMmap(m.cpu, BASE, 8 * m.page, 3, m.vm.MAP_SHARED | m.vm.MAP_FIXED, file, 0, 0);
        m.touch(BASE, WRITE);
        const { child } = fork(m);
        m.vm.switchTo(m.cpu, child);
        assert.equal(m.counts().rss, 0);
        assert.equal(m.counts().mapCount, 1);
        assert.ok(m.touch(BASE, READ));
        m.audit();
      });

      it('leaves nothing of a child that it has no memory for', async () => {
        const m = await testMachine({ arch, design, frames: 60 });
        m.map(BASE, 40);
        for (let page = 0; page < 20; page++) m.touch(BASE + page * m.page, WRITE);
        const tasks: number[] = [];
        for (;;) {
          const child = m.vm.sysFork(m.cpu, 2);
          if (child < 0) {
            assert.equal(child, -ENOMEM);
            break;
          }
          tasks.push(child);
          m.audit();
        }
        m.audit();
        const parent = m.cpu.current;
        for (const child of tasks) {
          m.vm.switchTo(m.cpu, child);
          m.vm.exitTask(m.cpu);
        }
        m.vm.switchTo(m.cpu, parent);
        m.audit();
        // What the children had is there again.
        const again = m.vm.sysFork(m.cpu, 2);
        assert.ok(tasks.length === 0 || again > 0);
      });

      it('goes through generations, of which each writes and each parent ends', async () => {
        const m = await testMachine({ arch, design });
        m.map(BASE, 3);
        m.vm.storeUser(m.cpu, BASE, 1);
        for (let generation = 1; generation <= 6; generation++) {
          const { parent, child } = fork(m);
          m.vm.storeUser(m.cpu, BASE, -1);
          m.vm.switchTo(m.cpu, child);
          assert.equal(load(m, BASE), generation);
          m.vm.storeUser(m.cpu, BASE, generation + 1);
          m.vm.switchTo(m.cpu, parent);
          assert.equal(load(m, BASE), -1);
          m.vm.exitTask(m.cpu);
          m.vm.switchTo(m.cpu, child);
          m.audit();
        }
      });
    });
  }
}

describe('madvise before a fork', () => {
  it('leaves out what is not to be copied, and empties what is to be wiped', async () => {
    const m = await testMachine();
    m.map(BASE, 3);
    for (let page = 0; page < 3; page++) m.vm.storeUser(m.cpu, BASE + page * m.page, 5);
    m.vm.sysMadvise(m.cpu, BASE, m.page, m.vm.MADV_DONTFORK);
    m.vm.sysMadvise(m.cpu, BASE + m.page, m.page, m.vm.MADV_WIPEONFORK);
    const { child } = fork(m);
    m.vm.switchTo(m.cpu, child);
    assert.equal(m.touch(BASE, READ), false);
    assert.equal(load(m, BASE + m.page), 0);
    assert.equal(load(m, BASE + 2 * m.page), 5);
    m.audit();
  });
});
