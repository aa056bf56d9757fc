/** Limits of a process: address space, locked memory, number of VMAs, size of its stack. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EAGAIN, ENOMEM } from '../base/errno.js';
import { vmConfig } from '../engines/configuration.js';
import { createPlain } from '../engines/instance.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import { BASE, RIGHT_DESIGNS, WRITE, testMachine } from '../../test/machine.js';

describe('the limit on the address space', () => {
  it('refuses mappings, heap and growth beyond it, and counts what a fixed mapping replaces', async () => {
    const m = await testMachine();
    m.vm.setRlimits(m.cpu, { as: 10, memlock: m.vm.RLIM_INFINITY, stack: 100 });
    m.map(BASE, 8);
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS;
    assert.equal(m.vm.sysMmap(m.cpu, 0, 3 * m.page, 3, flags, 0, 0, 0), -ENOMEM);
    m.map(BASE, 10);
    const may = m.vm.MREMAP_MAYMOVE;
    assert.equal(m.vm.sysMremap(m.cpu, BASE, 10 * m.page, 11 * m.page, may, 0), -ENOMEM);
    m.vm.setBrk(m.cpu, 0x2000_0000);
    assert.equal(m.vm.sysBrk(m.cpu, 0x2000_0000 + m.page), 0x2000_0000);
    m.audit();
  });
});

describe('the limit on locked memory', () => {
  it('refuses mlock and mmap beyond it, and does not count pages twice', async () => {
    const m = await testMachine();
    m.vm.setRlimits(m.cpu, { as: m.vm.RLIM_INFINITY, memlock: 4, stack: 100 });
    m.map(BASE, 8);
    assert.equal(m.vm.sysMlock(m.cpu, BASE, 5 * m.page, 0), -ENOMEM);
    assert.equal(m.vm.sysMlock(m.cpu, BASE, 4 * m.page, 0), 0);
    assert.equal(m.vm.sysMlock(m.cpu, BASE, 4 * m.page, 0), 0);
    assert.equal(m.counts().rss, 4);
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS | m.vm.MAP_LOCKED;
    assert.equal(m.vm.sysMmap(m.cpu, 0, m.page, 3, flags, 0, 0, 0), -EAGAIN);
    assert.equal(m.vm.sysMunlock(m.cpu, BASE, m.page), 0);
    assert.ok(m.vm.sysMmap(m.cpu, 0, m.page, 3, flags, 0, 0, 0) > 0);
    m.audit();
  });
});

describe('the limit on the number of VMAs', () => {
  it('refuses what would leave one more, and allows what leaves fewer', async () => {
    const config = vmConfig({ arch: 'x86_64', frames: 200, cpus: 1, nodes: 1 }, RIGHT_DESIGNS[0], {
      mapCount: 3,
    });
    const { vm, memory } = await createPlain(config);
    const cpu = new PlainCpu(vm, memory, 0);
    vm.PROGRAMS.boot(cpu);
    vm.switchTo(cpu, vm.createTask(cpu, vm.mmAlloc(cpu), 1));
    const page = vm.PAGE_SIZE;
    const fixed = vm.MAP_PRIVATE | vm.MAP_ANONYMOUS | vm.MAP_FIXED;
    vm.sysMmap(cpu, BASE, 9 * page, 3, fixed, 0, 0, 0);
    assert.equal(vm.sysMprotect(cpu, BASE + 3 * page, 3 * page, 1), 0);
    assert.equal(vm.readMm(memory, cpu.mm).mapCount, 3);
    assert.equal(vm.sysMprotect(cpu, BASE + page, page, 1), -ENOMEM);
    assert.equal(vm.sysMunmap(cpu, BASE + 4 * page, page), -ENOMEM, 'a hole would leave four');
    assert.equal(vm.sysMunmap(cpu, BASE + 5 * page, page), 0, 'an end does not');
    assert.equal(vm.sysMunmap(cpu, BASE, 9 * page), 0);
    assert.deepEqual(vm.audit(memory), []);
  });
});

describe('the limit on a stack', () => {
  it('ends its growth', async () => {
    const m = await testMachine();
    m.vm.setRlimits(m.cpu, { as: m.vm.RLIM_INFINITY, memlock: m.vm.RLIM_INFINITY, stack: 10 });
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS | m.vm.MAP_FIXED | m.vm.MAP_GROWSDOWN;
    const top = BASE + 100 * m.page;
    m.vm.sysMmap(m.cpu, top - m.page, m.page, 3, flags, 0, 0, 0);
    assert.ok(m.touch(top - 10 * m.page, WRITE));
    assert.equal(m.touch(top - 11 * m.page, WRITE), false);
    m.audit();
  });

  it('and a mapping below keep it off by a guard gap', async () => {
    const m = await testMachine();
    const flags = m.vm.MAP_PRIVATE | m.vm.MAP_ANONYMOUS | m.vm.MAP_FIXED | m.vm.MAP_GROWSDOWN;
    const top = BASE + 400 * m.page;
    m.map(BASE, 1);
    m.vm.sysMmap(m.cpu, top - m.page, m.page, 3, flags, 0, 0, 0);
    assert.ok(m.touch(BASE + 257 * m.page, WRITE));
    assert.equal(m.touch(BASE + 256 * m.page, WRITE), false);
    m.audit();
  });
});
