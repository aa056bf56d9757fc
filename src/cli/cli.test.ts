/** The command line as a person or a script meets it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, describe, it } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { Aim7Row, MultitaskResult } from '../measure/multitask.js';
import type { PftResult } from '../measure/pft.js';
import type { ScaleResult } from '../measure/scale.js';
import type { TablePlacement } from '../measure/tablePlacement.js';
import type { ReplayReport } from '../traces/replayFile.js';
import { classicWall } from './pft.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const LS = fileURLToPath(new URL('../../../recordings/ls.trace.gz', import.meta.url));
const LS_TRUTH = fileURLToPath(new URL('../../../recordings/ls.truth.json.gz', import.meta.url));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

let folder: string;
const write = (name: string, contents: string | Buffer): string => {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
};
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'minorfault-test-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe('minorfault replay', () => {
  it('predicts the time in the fault path on N CPUs, and says what that rests on', () => {
    const { status, stdout } = run('replay', LS, '--truth', LS_TRUTH, '--cpus', '1,64');
    assert.equal(status, 0);
    assert.match(stdout, /time in the fault path, predicted for x86-4s, in ms/);
    assert.match(stdout, /^ +64 +\d+\.\d\d \(\d+\.\d\d to \d+\.\d\d\)/m);
    assert.match(stdout, /It rests on the costs in `minorfault machines x86-4s`/);
  });

  it('predicts for no more CPUs than the machine has, of the architecture of the trace', () => {
    const many = run('replay', LS, '--cpus', '97');
    assert.equal(many.status, 2);
    assert.match(many.stderr, /--cpus: got 97, and x86-4s has 96/);
    const ia64 = run('replay', LS, '--cpus', '2', '--machine', 'ia64-8');
    assert.equal(ia64.status, 2);
    assert.match(ia64.stderr, /ia64-8 is ia64, and traces are recorded on x86_64/);
  });

  it('prints the kernel beside both designs, and exits with 0 when all agree', () => {
    const { status, stdout } = run('replay', LS, '--truth', LS_TRUTH);
    assert.equal(status, 0);
    assert.match(stdout, /kernel +page-table-lock +v18/);
    assert.match(stdout, /faults after exec +224 +224 +224/);
    assert.match(stdout, /page table at exit +equal +equal/);
    assert.match(stdout, /cmpxchg fail anon write +0/);
  });

  it('prints what memory pressure did where memory is limited', () => {
    const { status, stdout } = run('replay', LS, '--truth', LS_TRUTH, '--memory', '2M');
    assert.equal(status, 0);
    assert.match(stdout, /major faults of ours +\d+ +\d+/);
    assert.match(stdout, /swap file +2,048 \(8\.0 MiB\)/);
    assert.match(stdout, /swapped out \(pswpout\) +[1-9]\d* \(0\.\d MiB\)/);
    assert.match(stdout, /note: memory ran short: .* lower bounds/);
  });

  it('takes the size of the swap file as asked', () => {
    const { stdout } = run('replay', LS, '--memory', '2M', '--swap', '1M', '--json');
    const reports = JSON.parse(stdout) as ReplayReport[];
    assert.deepEqual(
      reports.map(({ pressure }) => pressure?.swap),
      [256, 256],
    );
  });

  it('prints JSON: an object for each trace and design', () => {
    const { stdout } = run('replay', LS, '--design', 'v18-first', '--json');
    const [report, ...others] = JSON.parse(stdout) as ReplayReport[];
    assert.equal(others.length, 0);
    assert.deepEqual([report.trace, report.design], [LS, 'v18-first']);
    assert.equal(report.pressure, undefined);
    assert.deepEqual(report.processes[0].rssPeakKb, { kernel: 2884, model: 2884 });
  });

  it('accounts for the faults that prefault avoids, and exits with 0', () => {
    const designs = ['--design', 'linux-6,linux-6-prefault,prefault-v2'];
    const { status, stdout } = run('replay', LS, '--truth', LS_TRUTH, ...designs);
    assert.equal(status, 0);
    assert.match(stdout, /faults avoided by prefault +79 \(35\.3 %\) +79 \(35\.3 %\)\n/);
    assert.match(stdout, /page table at exit +equal +equal \+ 2 ahead +equal \+ 2 ahead\n/);
    assert.match(stdout, /linux-6-prefault +224 +145 +79 \(35\.3 %\) +81 +2 \(2\.5 %\) +8\n/);
    assert.match(stdout, /linux-6-prefault, prefault-v2: exact/);
    assert.doesNotMatch(stdout, /note:/);
    assert.doesNotMatch(run('replay', LS).stdout, /avoided|mapped ahead/);
  });

  it('tells in JSON what prefault did, in all and for each process', () => {
    const { stdout } = run('replay', LS, '--design', 'linux-6,prefault', '--json');
    const [without, report] = JSON.parse(stdout) as ReplayReport[];
    assert.equal(without.prefault, undefined);
    const { recorded, taken, avoided, inexact } = report.prefault!;
    assert.deepEqual(
      { recorded, taken, avoided, inexact },
      { recorded: 224, taken: 145, avoided: 79, inexact: [] },
    );
    assert.deepEqual(report.processes[0].prefault!.extraAtExit, 2);
  });

  it('exits with 1 when a design that is known to be broken stops, and says where and why', () => {
    const trace = LS.replace('ls.', 'perl.');
    const { status, stdout, stderr } = run('replay', trace, '--design', 'prefault-v1,prefault');
    assert.equal(status, 1);
    assert.equal(stderr, '');
    assert.match(stdout, /prefault-v1 stopped at .*perl\.trace\.gz:3475: cpu 0's stack: /);
    assert.match(stdout, /faults after exec +1,690 +stopped +403/);
    assert.match(stdout, /prefault-v1 \(stopped\) +1,004 +264/);
  });

  it('says why what prefault did is not known exactly', () => {
    const cut = write('prefault.trace', lines().slice(0, 500).join('\n'));
    const { status, stdout } = run('replay', cut, '--partial', '--design', 'prefault');
    assert.equal(status, 0);
    assert.match(stdout, /prefault: not exact: the trace ends before its processes do/);
  });

  it('exits with 1 when the truth says otherwise', () => {
    const truth = JSON.parse(gunzipSync(readFileSync(LS_TRUTH)).toString()) as {
      records: { vmas?: [string, string, string, number, number, string, number[][]][] }[];
    };
    for (const { vmas } of truth.records) vmas?.[0][6].pop();
    const { status, stdout } = run('replay', LS, '--truth', write('t.json', JSON.stringify(truth)));
    assert.equal(status, 1);
    assert.match(stdout, /page table at exit +different/);
  });

  const lines = (): string[] => gunzipSync(readFileSync(LS)).toString().split('\n');
  const bad: [string, () => string[], RegExp][] = [
    ['no such file', () => ['no.trace'], /no\.trace: cannot be opened \(ENOENT\)/],
    [
      'a gzip file that is cut off',
      () => [write('cut.gz', readFileSync(LS).subarray(0, 9000))],
      /cut\.gz:\d+: the gzip file is cut off/,
    ],
    [
      'a trace that is cut off between lines',
      () => [write('cut.trace', lines().slice(0, 500).join('\n'))],
      /cut\.trace:500: the trace ends before process 23130 does/,
    ],
    [
      'a trace that is cut off within a line',
      () => [write('torn.trace', lines().slice(0, 500).join('\n').slice(0, -60))],
      /torn\.trace:500: /,
    ],
    [
      'a text that is no trace',
      () => [write('a.txt', 'Once upon a time\n')],
      /a\.txt:1: .*perf script/,
    ],
    [
      'the output of another tool',
      () => [write('s.txt', '1234 1700000000.0 mmap(NULL, 8192, PROT_READ) = 0x7f0000000000\n')],
      /s\.txt:1: this is no line of perf script/,
    ],
    ['an empty file', () => [write('empty', '')], /empty: holds no event/],
    ['a binary', () => [write('b.gz', gzipSync(Buffer.from([0, 1, 2, 255, 10, 7])))], /b\.gz:1: /],
    [
      'a trace that lost records',
      () => [
        write(
          'lost.trace',
          [
            ...lines().slice(0, 9),
            'ls 1/1 [000] 1.0: PERF_RECORD_LOST lost 5',
            ...lines().slice(9),
          ].join('\n'),
        ),
      ],
      /lost\.trace:10: the recording lost events.*--allow-lost/,
    ],
    [
      'an unknown design',
      () => [LS, '--design', 'v19'],
      /no design is called "v19"; there are: page-table-lock/,
    ],
    [
      'a machine that is too small, and tells what fills it',
      () => [LS, '--memory', '256K', '--swap', '0'],
      /out of memory.* 0\.3 MiB \(page tables \d\.\d MiB, anonymous .* --memory or --swap/,
    ],
    ['a swap file of no size', () => [LS, '--swap', 'some'], /got size "some"/],
    ['a swap file beyond what ptes tell', () => [LS, '--swap', '2G'], /got 524288 pages of swap/],
    ['a machine of no size', () => [LS, '--memory', 'lots'], /got size "lots"/],
    [
      'a truth that is none',
      () => [LS, '--truth', write('x.json', '{}')],
      /x\.json: has no "records"/,
    ],
    ['too many truths', () => [LS, '--truth', 'a', '--truth', 'b'], /got 2 --truth for 1 traces/],
  ];
  for (const [what, args, message] of bad) {
    it(`refuses ${what} with exit code 2, a message and no stack trace`, () => {
      const { status, stdout, stderr } = run('replay', ...args());
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /^\s+at /m);
      assert.equal(stdout, '');
      assert.equal(status, 2);
    });
  }

  it('tells of a fault that it cannot explain, and exits with 1', () => {
    const all = lines();
    const fault = all.findLastIndex((line) => line.includes('minor-faults'));
    const trap = all.findLastIndex((line, at) => at < fault && line.includes('page_fault_user'));
    // The same trap again, on a page that is mapped by now.
    const twice = [...all.slice(0, fault + 1), all[trap], all[fault], ...all.slice(fault + 1)];
    const { status, stdout } = run('replay', write('twice.trace', twice.join('\n')));
    assert.equal(status, 1);
    assert.match(stdout, /faults after exec +225 +224 +224/);
    assert.match(stdout, /unexplained +1 +1/);
    assert.match(stdout, /note: unexplained: \w+ of a missing page of /);
  });

  it('replays a trace that lost records or its end when told to', () => {
    const cut = write('part.trace', lines().slice(0, 700).join('\n'));
    const { status, stdout } = run('replay', cut, '--partial');
    assert.equal(status, 0);
    assert.match(stdout, /unexplained +0 +0/);
    const lost = [
      ...lines().slice(0, 9),
      'ls 1/1 [000] 1.0: PERF_RECORD_LOST lost 5',
      ...lines().slice(9),
    ];
    assert.match(
      run('replay', write('l.trace', lost.join('\n')), '--allow-lost').stdout,
      /note: lost records/,
    );
  });
});

describe('minorfault check', () => {
  it('shows the schedule of a broken design, in columns', () => {
    const { status, stdout } = run('check', 'first-fault', '--design', 'broken-plain-rss');
    assert.equal(status, 0, 'broken as expected');
    assert.match(stdout, /mm\[0\]\.rss is 3, should be 4/);
    assert.match(stdout, /cpu 0: firstFault, task\[0\] +│ cpu 1: firstFault/);
    assert.match(stdout, /updateMmCounter: mm\[0\]\.rss 1 → 2/);
    assert.match(stdout, /mm\[0\]\.rss: cpu 0 has read 2 \(step \d+\), cpu 1 makes it 3/);
  });

  it('names its bound when it is hit', () => {
    const { stdout } = run(
      'check',
      'first-fault',
      '--design',
      'page-table-lock',
      '--executions',
      '5',
      '--random',
      '3',
    );
    assert.match(stdout, /no failure within 1 preemption, 5 executions, 3 random ones of seed 1/);
  });

  it('refuses what it does not know', () => {
    assert.equal(run('check', 'last-fault').status, 2);
    assert.equal(run('check', '--executions', '0').status, 2);
    assert.equal(run('check', 'munmap-fault', '--cpus', '3').status, 2);
    assert.equal(run('check', 'munmap-fault', '--matrix').status, 2);
    assert.match(run('check', 'munmap-fault', '--case', 'x11').stderr, /munmap-fault's: "/);
    assert.equal(run('check', '--case', 'x11').status, 2);
    assert.equal(run('check', '--replay', 'package.json').status, 2);
  });
});

describe('minorfault multitask', () => {
  it('prints AIM7’s columns for each design, and the mail’s rows for the same numbers of tasks', () => {
    for (const engine of ['parallel', 'simulate']) {
      const { status, stdout } = run('multitask', '--engine', engine, '--tasks', '1,3');
      assert.equal(status, 0);
      const heads = /^Tasks +jobs\/min +jti +jobs\/min\/task +real +cpu +spurious +minor$/gm;
      assert.equal(stdout.match(heads)?.length, 2);
      assert.match(
        stdout,
        /w\/o patch \(the mail's figures: .*\n.*\n +1 +471\.79 +100 +471\.7899 /,
      );
      assert.match(stdout, /w\/patch \(the mail's figures: .*\n.*\n +1 +470\.30 +100 +470\.3030 /);
      assert.match(stdout, /\n +1 +[\d.]+ +0\.997\n +3 +[\d.]+\n$/);
    }
  });

  it('prints JSON: a row for each design and number of tasks, and the mail’s', () => {
    const args = ['--tasks', '1,2', '--cpus', '2', '--design', 'v18', '--json'];
    const { results, mail } = JSON.parse(run('multitask', ...args).stdout) as {
      results: MultitaskResult[];
      mail: { name: string; rows: Aim7Row[] }[];
    };
    assert.deepEqual(
      results.map(({ tasks, jobs, cpus, design }) => [tasks, jobs, cpus, design]),
      [
        [1, 10, 2, 'v18'],
        [2, 20, 2, 'v18'],
      ],
    );
    assert.deepEqual(
      mail.map(({ name, rows }) => [name, rows.map(({ realSeconds }) => realSeconds)]),
      [
        ['w/o patch', [12.34]],
        ['w/patch', [12.38]],
      ],
    );
  });
});

describe('minorfault pft', () => {
  it('prints the documents’ columns on both engines', () => {
    for (const engine of ['parallel', 'simulate']) {
      const { status, stdout } = run('pft', '--engine', engine, '--size', '2M', '--reps', '1');
      assert.equal(status, 0);
      assert.match(stdout, /Gb +Rep +Threads +User +System +Wall +flt\/cpu\/s +fault\/wsec/);
      assert.match(stdout, /\n 0 +1 +2 +\d+\.\d{3}s +\d+\.\d{3}s +\d+\.0\d\ds +[\d.]+ +[\d.]+\n/);
    }
  });

  it('prints JSON, whose rates follow from its times', () => {
    const args = [
      '--engine',
      'simulate',
      '--size',
      '4M',
      '--threads',
      '1,4',
      '--arch',
      'ia64',
      '--json',
    ];
    const results = JSON.parse(run('pft', ...args).stdout) as PftResult[];
    assert.equal(results.length, 4);
    for (const { pages, wallSeconds, faultsPerWallSecond } of results) {
      assert.equal(pages, 3 * 256);
      assert.ok(Math.abs(pages / wallSeconds / faultsPerWallSecond - 1) < 1e-9);
    }
  });

  it('writes wall time as seconds, a dot, and hundredths padded to three digits', () => {
    assert.equal(classicWall(2.21), '2.021s');
    assert.equal(classicWall(0.87), '0.087s');
    assert.equal(classicWall(11.434), '11.043s');
    assert.equal(classicWall(2.999), '3.000s');
  });

  it('refuses what does not fit', () => {
    assert.match(run('pft', '--size', '5G').stderr, /at most 4 GiB/);
    assert.match(
      run('pft', '--size', '4K', '--threads', '2').stderr,
      /less than a page for each thread/,
    );
    assert.match(run('pft', '--engine', 'quantum').stderr, /got engine "quantum"/);
    assert.match(run('pft', '--cpus', '1', '--threads', '2').stderr, /the machine has 1/);
    assert.match(run('pft', '--memory', '1M', '--size', '2M').stderr, /too few for the test/);
  });

  it('shows what prezeroing gains in a burst, and that less is left of it when it goes on', () => {
    const designs = 'page-table-lock,page-table-lock-prezero';
    const simulated = ['--engine', 'simulate', '--arch', 'ia64', '--design', designs, '--json'];
    const machine = ['--size', '16M', '--memory', '24M', '--cpus', '4', '--threads', '1'];
    const gain = (reps: string): { factor: number; prezeroed: number } => {
      const { stdout } = run('pft', ...simulated, ...machine, '--reps', reps);
      const [without, beforehand] = JSON.parse(stdout) as PftResult[];
      assert.equal(without.prezeroed, 0);
      const factor = beforehand.faultsPerWallSecond / without.faultsPerWallSecond;
      return { factor, prezeroed: beforehand.prezeroed / beforehand.pages };
    };
    const burst = gain('1');
    const sustained = gain('3');
    assert.ok(burst.prezeroed >= 1 && burst.factor > 5, JSON.stringify(burst));
    assert.ok(sustained.prezeroed < 1 && sustained.factor > 1.1, JSON.stringify(sustained));
    assert.ok(sustained.factor < burst.factor);
  });
});

describe('minorfault scale', () => {
  const few = ['scale', '--design', 'v18,linux-6', '--cpus', '1,2', '--seeds', '1'];

  it('prints rates by CPUs, where each design saturates, and its hottest lines', () => {
    const { status, stdout } = run(...few, '--lines', '2');
    assert.equal(status, 0);
    assert.match(stdout, /pft on altix-512: faults a second, simulated; seeds 1\n/);
    assert.match(stdout, /CPUs +v18 +linux-6\n +1 +[\d,]+ +[\d,]+\n +2 +[\d,]+ +[\d,]+\n/);
    assert.match(stdout, /v18 +[\d,]+ +[\d,]+ +2 +not seen +±0\.0 %/);
    assert.match(stdout, /linux-6, 2 CPUs: hottest lines\nwords +lines +share/);
  });

  it('prints and draws no lines where none are asked for', () => {
    const page = join(folder, 'rates.html');
    const { status, stdout } = run(...few, '--lines', '0', '--html', page);
    assert.equal(status, 0);
    assert.match(stdout, /CPUs +v18 +linux-6\n/);
    assert.doesNotMatch(stdout, /hottest lines/);
    assert.doesNotMatch(readFileSync(page, 'utf8'), /Hottest cache lines/);
  });

  it('prints JSON, and writes a page', () => {
    const page = join(folder, 'scale.html');
    const { status, stdout } = run(...few, '--workload', 'vma-each', '--json', '--html', page);
    assert.equal(status, 0);
    const { machine, load, curves } = JSON.parse(stdout) as ScaleResult;
    assert.deepEqual([machine, load, curves.length], ['altix-512', 'vma-each', 2]);
    assert.match(readFileSync(page, 'utf8'), /^<!doctype html>[^]*vma-each on altix-512/);
  });

  const bad: [string, string[], RegExp][] = [
    ['an unknown machine', ['--machine', 'cray'], /no machine is called "cray"/],
    [
      'a word that is none',
      ['--line', 'mm.none'],
      /no word is called "mm\.none", expected names such as mm\.mmapSem/,
    ],
    ['an unknown workload', ['--workload', 'idle'], /got workload "idle", expected one of pft/],
    ['an unknown design', ['--design', 'v19'], /no design is called "v19"/],
    ['no number of CPUs', ['--cpus', '1,x'], /got "x", expected a whole number/],
    ['CPUs out of order', ['--cpus', '4,2'], /got "4,2", expected each number to be above/],
    ['more CPUs than there are', ['--cpus', '513'], /got 513 CPUs, and altix-512 has 512/],
    ['more pages than memory holds', ['--cpus', '512', '--pages', '600'], /at most 4 GiB/],
  ];
  for (const [what, args, message] of bad) {
    it(`refuses ${what}`, () => {
      const { status, stderr } = run('scale', ...args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    });
  }
});

describe('minorfault placement', () => {
  const few = ['placement', '--machine', 'x86-2s', '--seeds', '1'];

  it('prints what a load and a fault take in the four cases, and what is saved', () => {
    const { status, stdout } = run(...few);
    assert.equal(status, 0);
    assert.match(
      stdout,
      /^x86-2s, relocate, router levels: 1; simulated; seeds 1; [\d.]+ % of loads miss the TLB\n/,
    );
    assert.match(stdout, /\nold node +old node +[\d.]+ +0\.0 % +[\d.]+ +0\.0 %\n/);
    assert.match(stdout, /\nnew node +new node +[\d.]+ +[\d.]+ % +[\d.]+ +[\d.]+ %\n/);
  });

  it('prints JSON', () => {
    const [{ machine, cases }] = JSON.parse(run(...few, '--json').stdout) as TablePlacement[];
    assert.deepEqual([machine, cases.length], ['x86-2s', 4]);
  });

  const bad: [string, string[], RegExp][] = [
    ['a machine of one node', ['--machine', 'pentium3-2'], /got pentium3-2, which has one node/],
    ['more routers than there are', ['--levels', '2'], /x86-2s: got 2 levels, expected 1 to 1/],
    ['a design whose tables stay', ['--design', 'v18'], /got v18, whose page tables stay/],
    ['an unknown machine', ['--machine', 'cray'], /no machine is called "cray"/],
  ];
  for (const [what, args, message] of bad) {
    it(`refuses ${what}`, () => {
      const { status, stderr } = run('placement', ...args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    });
  }
});

describe('minorfault', () => {
  it('lists the designs, the architectures, and which of these carries which', () => {
    const { stdout } = run('designs');
    assert.match(stdout, /v18-per-thread +anonymous faults with no lock/);
    assert.match(stdout, /sparc64 +3 levels, 8 KiB pages/);
    assert.match(stdout, /carried by +i386 +i386-pae +x86_64/);
    assert.match(stdout, /v18 +yes +- +yes/);
    const { architectures } = JSON.parse(run('designs', '--json').stdout) as {
      architectures: { name: string; refuses: { design: string }[] }[];
    };
    const ppc64 = architectures.find(({ name }) => name === 'ppc64')!;
    assert.deepEqual(
      ppc64.refuses.map(({ design }) => design),
      ['pte-bit'],
    );
  });

  it('refuses a design that the architecture cannot carry with 2, but for --force', () => {
    for (const command of [['pft', '--size', '1M'], ['check', 'munmap-fault'], ['multitask']]) {
      const { status, stderr } = run(...command, '--arch', 'sparc64', '--design', 'v18');
      assert.equal(status, 2);
      assert.match(stderr, /sparc64 has no compare-exchange on ptes/);
    }
    const small = ['pft', '--size', '1M', '--reps', '1', '--threads', '1', '--arch', 'sparc64'];
    assert.equal(run(...small, '--design', 'v18', '--force').status, 0);
    assert.match(run(...small).stdout, /sparc64 page-table-lock/);
  });

  it('explains itself, and refuses unknown commands and options with 2', () => {
    assert.equal(run('--help').status, 0);
    assert.match(run('replay', '--help').stdout, /Exit code: 0/);
    assert.equal(run('reply').status, 2);
    assert.equal(run('replay', '--fast').status, 2);
  });
});
