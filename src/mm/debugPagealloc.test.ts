/** DEBUG_PAGEALLOC: who touches a free frame is told at once, in both forms of the VM. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BASE, READ, WRITE, testMachine, type TestMachine } from '../../test/machine.js';
import { DESIGNS } from '../designs/index.js';
import { vmConfig } from '../engines/configuration.js';
import { runAlone } from '../engines/engine.js';
import { ExploreEngine } from '../engines/explore/exploreEngine.js';
import { PlainCpu } from '../engines/parallel/plainCpu.js';
import { machineForArch } from '../engines/simulate/machine.js';
import { SimulateEngine } from '../engines/simulate/simulateEngine.js';
import { operationName } from '../engines/stepping.js';

const debug = DESIGNS.find(({ name }) => name === 'v18-debug-pagealloc')!;

const OOPS = /unable to handle kernel paging request: cpu 0 /;

/** A machine with one page mapped, whose frame someone frees behind its back. */
async function freedMachine(): Promise<{ m: TestMachine; pfn: number }> {
  const m = await testMachine({ design: debug });
  m.map(BASE, 20);
  for (let page = 0; page < 20; page++) m.touch(BASE + page * m.page, WRITE);
  m.audit();
  const { pfn } = m.vm.mappedPages(m.memory, m.cpu.mm)[0];
  m.vm.freeNewPage(m.cpu, pfn);
  return { m, pfn };
}

describe('in the plain form', () => {
  it('who zeroes, copies, reads or writes a free frame is told, with the callers', async () => {
    const { m, pfn } = await freedMachine();
    const frame = m.vm.frameOf(pfn);
    const other = m.vm.frameOf(m.vm.mappedPages(m.memory, m.cpu.mm)[1].pfn);
    const told = (verb: string): RegExp =>
      new RegExp(`cpu 0 ${verb} frame\\[${pfn}\\]\\[0\\], which is free since cpu 0 freed it`);
    assert.throws(() => m.cpu.zeroPage(frame), told('writes'));
    assert.throws(() => m.cpu.copyPage(other, frame), told('reads'));
    assert.throws(() => m.cpu.copyPage(frame, other), told('writes'));
    assert.throws(() => m.cpu.readDevice(frame, 1, 0), told('writes'));
    assert.throws(() => m.cpu.writeDevice(frame, 1, 0), told('reads'));
    m.cpu.zeroPage(other);
  });

  it('a program that still has a translation is told', async () => {
    const { m } = await freedMachine();
    assert.throws(() => m.touch(BASE, READ), OOPS);
    assert.ok(m.touch(BASE + m.page, READ));
  });

  it('the report names the functions that ran', async (t) => {
    const m = await testMachine({ design: debug });
    m.map(BASE, 1);
    m.touch(BASE, READ);
    t.mock.method(PlainCpu.prototype, 'zeroPage', function (this: PlainCpu, frame: number) {
      // As if another CPU had freed the frame that the fault has just taken.
      m.memory.words[m.vm.unmappedWord(frame)] = -4;
      this.copyPage(frame, frame);
    });
    const expected =
      /since cpu 1 freed it, in .* < allocZeroedPage < copyPage < doWpPage < handlePteFault$/;
    assert.throws(() => m.touch(BASE, WRITE), expected);
  });

  it('the audit finds a free frame that is mapped, and a frame in use that is not', async () => {
    const m = await testMachine({ design: debug });
    const pfn = m.vm.allocPage(m.cpu);
    const word = m.vm.pageOf(pfn) + m.vm.Page.mapping;
    m.memory.words[word] = -2;
    assert.match(m.vm.audit(m.memory).join('\n'), /is not free, but unmapped/);
    m.memory.words[word] = 0;
    m.vm.freeNewPage(m.cpu, pfn);
    m.audit();
    m.memory.words[word] = 0;
    assert.match(m.vm.audit(m.memory).join('\n'), /is free, but mapped/);
  });
});

describe('in the stepped form', () => {
  it('every operation on a free frame is told: a walk through a page table that was freed', async () => {
    const config = vmConfig({ arch: 'x86_64', frames: 300, cpus: 1, nodes: 1 }, debug);
    const engine = await SimulateEngine.create(config, machineForArch('x86_64'));
    const task = await runAlone(engine, 'pftStart', 4);
    await runAlone(engine, 'pftTouch', task, 0, 2);
    const { vm, memory } = engine;
    const { mm } = vm.Task;
    const pgd = memory.words[memory.words[task + mm] + vm.Mm.pgd];
    memory.words[vm.pageOf(pgd) + vm.Page.mapping] = -2;
    await assert.rejects(
      (async () => await engine.run([{ cpu: 0, program: 'pftTouch', args: [task, 2, 1] }]))(),
      new RegExp(
        `cpu 0 reads frame\\[${pgd}\\]\\[\\d+\\], which is free since cpu 0 freed it, ` +
          `in walk < translate < touchUser < storeUser < pftTouch`,
      ),
    );
  });

  it('a copy of a page that was freed meanwhile ends the execution with the report', async () => {
    const config = vmConfig({ arch: 'x86_64', frames: 300, cpus: 1, nodes: 1 }, debug);
    const engine = await ExploreEngine.create(config);
    const { vm, memory } = engine;
    const parent = await runAlone(engine, 'forkedSetup');
    const execution = engine.execution([{ cpu: 0, program: 'touchTwice', args: [parent, WRITE] }]);
    execution.restart();
    const cpu = execution.cpuOf(0);
    while (!operationName(cpu).startsWith('copyPage')) execution.step(0);
    memory.words[vm.unmappedWord(cpu.y)] = -4;
    execution.step(0);
    assert.match(
      execution.endFailures().join('; '),
      /cpu 0 reads frame\[\d+\]\[0\], which is free since cpu 1 freed it, in copyOld < copyPage < doWpPage < /,
    );
  });
});
