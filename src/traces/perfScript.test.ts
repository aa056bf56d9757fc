import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InputError } from '../base/errors.js';
import { PerfScriptParser } from './perfScript.js';

function parse(text: string): unknown {
  const bytes = Buffer.from(`${text}\n`);
  const lines = { bytes, text: bytes.toString('latin1') };
  return new PerfScriptParser('x.trace').parse(lines, 0, bytes.length - 1, 7);
}

const head = '  my prog 12/34 [001]  2560.924089282:  ';
const common = { comm: 'my prog', pid: 12, tid: 34 };

describe('a line of perf script', () => {
  const lines: [string, object][] = [
    [
      'exceptions:page_fault_user: address=0x7f39b56d3353 ip=0x7f39b56d3353 error_code=0x14',
      { kind: 'exception', address: 0x7f39b56d3353, errorCode: 0x14 },
    ],
    ['minor-faults:     7f39b55fca10 ffffffff821ecf2d', { kind: 'fault', major: false }],
    ['major-faults:     7f39b55fca10 ffffffff821ecf2d', { kind: 'fault', major: true }],
    [
      'syscalls:sys_enter_mprotect: start: 0x7f2d9ea3e000, len: 0x00004000, prot: 0x00000001',
      { kind: 'enter', call: 'mprotect', args: [0x7f2d9ea3e000, 0x4000, 1] },
    ],
    [
      'syscalls:sys_exit_brk: 0x55a0ffe81000',
      { kind: 'exit', call: 'brk', result: 0x55a0ffe81000 },
    ],
    ['syscalls:sys_exit_execve: 0xfffffffffffffffe', { kind: 'exit', call: 'execve', result: -2 }],
    [
      'kmem:rss_stat: mm_id=1952240422 curr=1 type=MM_FILEPAGES size=65536B',
      { kind: 'rssStat', mmId: '1952240422', current: true, member: 'MM_FILEPAGES', bytes: 65536 },
    ],
    [
      'filemap:mm_filemap_map_pages: dev=254:0 ino=52db4 ofs=856064-921599',
      { kind: 'mapPages', first: 209, last: 224 },
    ],
    [
      'PERF_RECORD_MMAP2 12/34: [0x55a0e9daa000(0x16000) @ 0x4000 fe:00 260601 0]: r-xp /usr/bin/ls',
      {
        kind: 'mmap2',
        start: 0x55a0e9daa000,
        length: 0x16000,
        offset: 0x4000,
        inode: 260601,
        prot: 'r-xp',
        path: '/usr/bin/ls',
      },
    ],
    ['PERF_RECORD_COMM exec: ls:12/34', { kind: 'exec' }],
    ['PERF_RECORD_LOST lost 17', { kind: 'lost' }],
    [
      'task:task_newtask: pid=9 comm=x y clone_flags=3d0f00 oom_score_adj=0',
      { kind: 'newTask', cloneFlags: 0x3d0f00 },
    ],
    [
      'sched:sched_process_exit: comm=ls pid=12 prio=120 group_dead=true',
      { kind: 'taskExit', groupDead: true },
    ],
  ];
  for (const [text, fields] of lines) {
    it(`is understood: ${text.slice(0, 50)}`, () => {
      assert.deepEqual(parse(head + text), { ...common, ...fields });
    });
  }

  it('is passed over when its event is of no interest, or it is empty', () => {
    assert.equal(parse(`${head}signal:signal_deliver: sig=11`), undefined);
    assert.equal(parse('   '), undefined);
  });

  it('is refused, with its place, when it is none', () => {
    for (const text of ['hello', 'mmap(NULL, 4096) = 0x7f', `${head}kmem:rss_stat: mm_id=x`]) {
      assert.throws(
        () => parse(text),
        (error) => {
          assert.ok(error instanceof InputError);
          assert.match(error.message, /^x\.trace:7: /);
          return true;
        },
      );
    }
  });
});
