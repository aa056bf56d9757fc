import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { designNamed } from '../../designs/index.js';
import { testMachine } from '../../../test/machine.js';

describe('what each CPU counts', () => {
  for (const name of ['linux-6', 'relocate', 'hinting']) {
    it(`has words of its own under ${name}`, async () => {
      const { vm } = await testMachine({ design: designNamed(name) });
      const start = vm.percpuOf(0) + vm.Percpu.pageState;
      for (const [event, offset] of Object.entries(vm.PageState)) {
        assert.equal(vm.nameOf(start + offset), `percpu[0].${event}`);
      }
    });
  }

  it('ends with its record where tables move', async () => {
    const { vm } = await testMachine({ design: designNamed('relocate') });
    for (const field of [vm.Percpu.tablesPinned, vm.Percpu.tablesUnpinned]) {
      const names = [0, 3].map((level) => vm.nameOf(vm.percpuOf(0) + field + level));
      for (const word of names) assert.match(word, /^percpu\[0\]\.tables(Unp|P)inned\[/);
    }
  });
});
