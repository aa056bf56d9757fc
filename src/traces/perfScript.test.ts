import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { InputError } from '../base/errors.js';
import { linesOf } from './lineCursor.js';
import { PerfScriptParser } from './perfScript.js';

/** Parses each text as a line of one file; all but the last are there to be remembered. */
function parseLines(...texts: string[]): unknown {
  const parser = new PerfScriptParser('x.trace');
  let event: unknown;
  for (const text of texts) {
    const bytes = Buffer.from(`${text}\n`);
    event = parser.parse(linesOf(bytes), 0, bytes.length - 1, 7);
  }
  return event;
}

const parse = (text: string): unknown => parseLines(text);

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
      { kind: 'newTask', child: 9, cloneFlags: 0x3d0f00 },
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

describe('an odd line of perf script', () => {
  const fault = 'minor-faults:  7f39b55fca10 ffffffff821ecf2d';
  const oddHeads: [string, string, object][] = [
    ['a command with slashes and digits', 'kworker/0:1 7/8 x', { comm: 'kworker/0:1 7/8 x' }],
    ['a command that is not ASCII', 'voilà', { comm: 'voilà' }],
    ['a command that looks like a time', '1.5: x', { comm: '1.5: x' }],
  ];
  for (const [what, comm, fields] of oddHeads) {
    it(`is understood, again and again: ${what}`, () => {
      const line = `  ${comm} 12/34 [001]  1.5:  ${fault}`;
      const expected = { pid: 12, tid: 34, kind: 'fault', major: false, ...fields };
      assert.deepEqual(parseLines(line), expected);
      assert.deepEqual(parseLines(line, line), expected);
    });
  }

  it('may tell of no thread, and have no cpu', () => {
    const expected = { comm: ':-1', pid: -1, tid: -1, kind: 'fault', major: false };
    const line = `  :-1 -1/-1  1.5:  ${fault}`;
    assert.deepEqual(parseLines(line, line), expected);
  });

  it('is refused when Windows ended it, also after one that was understood', () => {
    assert.throws(
      () => parseLines(head + fault, `${head}${fault}\r`),
      /x\.trace:7: this is no line/,
    );
  });

  it('keeps numbers beyond 53 bits as near as a number can', () => {
    const parseExit = (digits: string): unknown =>
      parse(`${head}syscalls:sys_exit_mmap: 0x${digits}`);
    assert.deepEqual(parseExit('7fffffffffffffff'), {
      ...common,
      kind: 'exit',
      call: 'mmap',
      result: 2 ** 63,
    });
    assert.deepEqual(parseExit('10000000000000001'), {
      ...common,
      kind: 'exit',
      call: 'mmap',
      result: 1,
    });
    assert.deepEqual(
      parse(`${head}exceptions:page_fault_user: address=0x${'f'.repeat(20)} ip=0x0 error_code=0x0`),
      { ...common, kind: 'exception', address: 2 ** 80, errorCode: 0 },
    );
  });

  it('that is cut off is refused or says the same as the whole', () => {
    const whole = `${head}kmem:rss_stat: mm_id=19 curr=1 type=MM_FILEPAGES size=65536B`;
    const expected = parse(whole);
    for (let length = whole.indexOf('mm_id'); length < whole.length; length++) {
      assert.throws(() => parseLines(whole, whole.slice(0, length)), InputError);
    }
    assert.deepEqual(parseLines(whole, whole), expected);
  });
});

/** What perf script prints, by the plainest means: the fields of the events that make up most of a trace. */
const PLAIN: [RegExp, (fields: string[]) => object][] = [
  [/ (?:minor|major)-faults: /, () => ({ kind: 'fault', major: false })],
  [
    /page_fault_user: address=0x(\w+) .*error_code=0x(\w+)$/,
    ([address, code]) => ({
      kind: 'exception',
      address: parseInt(address, 16),
      errorCode: parseInt(code, 16),
    }),
  ],
  [
    /rss_stat: mm_id=(\d+) curr=(\d) type=(\S+) size=(-?\d+)B$/,
    ([mmId, curr, member, bytes]) => ({
      kind: 'rssStat',
      mmId,
      current: curr === '1',
      member,
      bytes: Number(bytes),
    }),
  ],
  [
    /sys_exit_brk: 0x(\w+)$/,
    ([result]) => ({
      kind: 'exit',
      call: 'brk',
      result: Number(BigInt.asIntN(64, BigInt(`0x${result}`))),
    }),
  ],
];

function parsePlainly(text: string): object {
  const [, comm, pid, tid] = /^ *(.*?) +(-?\d+)\/(-?\d+) +(?:\[\d+\] +)?\d+\.\d+: /.exec(text)!;
  for (const [pattern, fields] of PLAIN) {
    const match = pattern.exec(text);
    if (match !== null) {
      return { comm, pid: Number(pid), tid: Number(tid), ...fields(match.slice(1)) };
    }
  }
  throw new Error(`nothing matches ${text}`);
}

describe('the parser', () => {
  const hex = fc.bigInt({ min: 0n, max: 2n ** 66n }).map((value) => value.toString(16));
  const event = fc.oneof(
    fc.constant('minor-faults:     7f39b55fca10 ffffffff821ecf2d'),
    fc
      .tuple(hex, hex, hex)
      .map(
        ([address, ip, code]) =>
          `exceptions:page_fault_user: address=0x${address} ip=0x${ip} error_code=0x${code}`,
      ),
    fc
      .tuple(fc.maxSafeNat(), fc.nat(1), fc.maxSafeInteger())
      .map(([id, curr, size]) => `kmem:rss_stat: mm_id=${id} curr=${curr} type=MM_X size=${size}B`),
    hex.map((result) => `syscalls:sys_exit_brk: 0x${result}`),
  );
  const line = fc
    .tuple(
      fc.constantFrom('a', 'my prog', 'kworker/0:1', 'x 1/2', 'größe'),
      fc.integer({ min: -1, max: 3 }),
      fc.integer({ min: -1, max: 3 }),
      fc.constantFrom('', '[000] ', '[123]  '),
      fc.nat(),
      event,
    )
    .map(
      ([comm, pid, tid, cpu, time, text]) => `  ${comm} ${pid}/${tid} ${cpu}${time}.5:   ${text}`,
    );

  it('understands lines in any order as regular expressions do', () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 30 }), (texts) => {
        assert.deepEqual(parseLines(...texts), parsePlainly(texts.at(-1)!));
      }),
    );
  });
});
