/** Designs with prefault beside the same without: on the shipped recordings, and on programs made up here. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { MIB } from '../base/units.js';
import { designNamed } from '../designs/index.js';
import { FAULT_KINDS } from './faultKinds.js';
import type { TraceEvent } from './perfScript.js';
import { Replay, type FinishedProcess } from './replay.js';
import { replayFile, type ProcessReport, type ReplayReport } from './replayFile.js';

/** Each design with what it is without prefault. */
const PAIRS = [
  { base: 'page-table-lock', ahead: 'prefault' },
  { base: 'v18', ahead: 'v18-prefault' },
  { base: 'linux-6', ahead: 'linux-6-prefault' },
  { base: 'page-table-lock', ahead: 'prefault-v2' },
] as const;
const RECORDINGS = ['forksh', 'gcc', 'gitgc', 'growth', 'ls', 'perl', 'pft2', 'pft2thp', 'sqlite'];

function recording(name: string): string {
  return fileURLToPath(new URL(`../../../recordings/${name}`, import.meta.url));
}

async function replay(
  trace: string,
  designs: readonly string[],
  options: { truth?: string; memory?: number; swap?: number; partial?: boolean } = {},
): Promise<ReplayReport[]> {
  return await replayFile(trace, {
    designs: designs.map(designNamed),
    memoryBytes: (options.memory ?? 256) * MIB,
    swapBytes: (options.swap ?? 0) * MIB,
    truthPath: options.truth,
    allowLost: false,
    partial: options.partial === true,
  });
}

/** That of the same faults some are avoided, all others taken, and all of files as before. */
function accountsFor(base: ProcessReport, ahead: ProcessReport): void {
  const { faults, prefault } = ahead;
  assert.equal(faults.unexplained, 0);
  assert.equal(faults.kernel, base.faults.kernel);
  assert.equal(faults.model + faults.avoided, faults.kernel);
  for (const kind of FAULT_KINDS) {
    assert.equal(faults.byKind[kind].kernel, base.faults.byKind[kind].kernel);
  }
  for (const kind of ['fileRead', 'fileWrite'] as const) {
    assert.equal(faults.byKind[kind].model, base.faults.byKind[kind].model);
    assert.equal(prefault!.avoidedByKind[kind], 0);
  }
  const kinds = FAULT_KINDS.reduce((sum, kind) => sum + prefault!.avoidedByKind[kind], 0);
  assert.equal(kinds, faults.avoided);
  assert.ok(prefault!.neverTouched >= 0 && prefault!.neverTouched <= prefault!.mapped);
  assert.equal(base.prefault, undefined);
}

describe('a replay with prefault', () => {
  for (const name of RECORDINGS) {
    it(`of ${name} takes or avoids each recorded fault, and maps what is mapped without and no more than it tells`, async () => {
      const designs: string[] = [
        ...new Set<string>(PAIRS.flatMap(({ base, ahead }) => [base, ahead])),
      ];
      const truth = recording(`${name}.truth.json.gz`);
      const reports = await replay(recording(`${name}.trace.gz`), designs, { truth });
      const of = (design: string): ReplayReport => reports[designs.indexOf(design)];
      for (const { base, ahead } of PAIRS) {
        const { processes, notes, prefault } = of(ahead);
        assert.deepEqual(notes, []);
        assert.deepEqual(prefault!.inexact, []);
        assert.equal(prefault!.taken + prefault!.avoided, prefault!.recorded);
        processes.forEach((process, index) => {
          const without = of(base).processes[index];
          accountsFor(without, process);
          assert.equal(process.exitPagemap, 'equal');
          const { kernel, model, mappedAhead } = process.exitPages;
          assert.equal(model, kernel! + mappedAhead);
          assert.equal(process.pageTableKb.model, without.pageTableKb.model);
          const { extraAtPeak } = process.prefault!;
          assert.equal(process.rssPeakKb.model - 4 * extraAtPeak, without.rssPeakKb.model);
          assert.equal(process.minflt.trace, process.minflt.kernel);
        });
      }
    });
  }

  it('does the same with a trace alone, of a program that locks and forks: stress', async () => {
    const [base, ahead] = await replay(recording('stress.trace.gz'), [
      'linux-6',
      'linux-6-prefault',
    ]);
    ahead.processes.forEach((process, index) => accountsFor(base.processes[index], process));
    assert.deepEqual(ahead.prefault!.inexact, []);
  });

  it('says that it is not exact where memory runs short, and loses no page', async () => {
    const [report] = await replay(recording('gcc.trace.gz'), ['linux-6-prefault'], {
      truth: recording('gcc.truth.json.gz'),
      memory: 16,
      swap: 64,
    });
    assert.deepEqual(report.prefault!.inexact, ['memory ran short']);
    for (const { faults, exitPagemap } of report.processes) {
      assert.equal(faults.model + faults.avoided, faults.kernel);
      assert.equal(exitPagemap, 'equal');
    }
  });
});

describe('a replay with prefault as posted', () => {
  it('stops where V1 writes behind its pagevec, and tells of all until then', async () => {
    const trace = recording('perl.trace.gz');
    const [v1, ours] = await replay(trace, ['prefault-v1', 'prefault']);
    assert.equal(v1.stopped?.line, 3475);
    assert.match(v1.stopped.what, /return address behind the pagevec is overwritten/);
    assert.deepEqual(v1.processes, []);
    const { recorded, taken, avoided, inexact } = v1.prefault!;
    assert.equal(taken + avoided, recorded);
    assert.ok(recorded > 0 && recorded < ours.prefault!.recorded);
    assert.deepEqual(inexact, ['the replay stopped']);
    assert.equal(ours.stopped, undefined);
  });

  it('counts the page with contents that V2 tells the MMU to be zeros: growth', async () => {
    const [v2, ours] = await replay(recording('growth.trace.gz'), ['prefault-v2', 'prefault']);
    assert.equal(v2.prefault!.zeroed, 1);
    assert.equal(ours.prefault!.zeroed, 0);
  });
});

describe('madvise with MADV_RANDOM in a trace', () => {
  const folder = mkdtempSync(join(tmpdir(), 'minorfault-prefault-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('turns prefault off in its range and nowhere else', async () => {
    const lines = gunzipSync(readFileSync(recording('pft2.trace.gz')))
      .toString()
      .split('\n');
    const [start, pages] = [0x7febfe000000, 0x1800000 / 4096];
    const at = lines.findIndex((line) => line.includes(`sys_exit_mmap: 0x${start.toString(16)}`));
    const head = lines[at].slice(0, lines[at].indexOf('syscalls:'));
    const called = [
      `${head}syscalls:sys_enter_madvise: start: 0x${start.toString(16)}, len_in: 0x1800000, behavior: 0x1`,
      `${head}syscalls:sys_exit_madvise: 0x0`,
    ];
    const path = join(folder, 'random.trace');
    writeFileSync(path, [...lines.slice(0, at + 1), ...called, ...lines.slice(at + 1)].join('\n'));
    const designs = ['linux-6', 'linux-6-prefault'];
    const [base, random] = await replay(path, designs);
    const [, normal] = await replay(recording('pft2.trace.gz'), designs);
    accountsFor(base.processes[0], random.processes[0]);
    assert.ok(normal.prefault!.avoided > 0.8 * pages);
    // What is left is outside of the range.
    assert.ok(random.prefault!.avoided < 0.02 * pages && random.prefault!.taken >= pages);
    assert.ok(random.prefault!.mapped < 0.02 * pages);
  });
});

const PAGE = 4096;
/** Eight pages before the end of a leaf table. */
const ARENA = 0x4000_0000 + 504 * PAGE;
const ARENA_PAGES = 96;
const ANYWHERE = 0x5000_0000;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_POPULATE = 0x8000;
const READ_WRITE = 3;
const MADV = { NORMAL: 0, RANDOM: 1, DONTNEED: 4, POPULATE_READ: 22, POPULATE_WRITE: 23 };
const CLONE_THREAD = 0x1_0000;

type Who = Pick<TraceEvent, 'pid' | 'tid' | 'comm'>;
const FIRST: Who = { pid: 1, tid: 1, comm: 'first' };

/**
 * A program that is recorded while it runs on a design without prefault, which stands for the kernel, and replayed
 * meanwhile under others: what it touches without a fault is in no recording.
 */
class Program {
  private lines = 0;

  private constructor(
    private readonly kernel: Replay,
    readonly replays: readonly Replay[],
  ) {
    this.feed({ ...FIRST, kind: 'exec' });
  }

  static async start(): Promise<Program> {
    const machine = { frames: 2048, swapPages: 0 };
    const create = async (name: string): Promise<Replay> =>
      await Replay.create(designNamed(name), machine, undefined);
    const replays = await Promise.all(PAIRS.map(async ({ ahead }) => await create(ahead)));
    return new Program(await create('page-table-lock'), replays);
  }

  private feed(event: TraceEvent): void {
    this.lines++;
    for (const replay of [this.kernel, ...this.replays]) replay.feed(event, 'program', this.lines);
  }

  touch(who: Who, address: number, write: boolean): void {
    const { kernel } = this;
    kernel['run'](kernel['processOf'](who), kernel['threadOf'](who));
    if (kernel['vm'].findVma(kernel['cpu'], kernel['cpu'].mm, address) === 0) return;
    const errorCode = kernel['errorCodeNow'](address, write ? 6 : 4);
    if (!kernel['wouldFault'](address, errorCode)) return;
    this.feed({ ...who, kind: 'exception', address, errorCode });
    this.feed({ ...who, kind: 'fault', major: false });
  }

  /** Touches pages one after the other. */
  run(who: Who, address: number, pages: number, write: boolean): void {
    for (let page = 0; page < pages; page++) this.touch(who, address + page * PAGE, write);
  }

  call(who: Who, call: string, args: readonly number[], result = 0): void {
    this.feed({ ...who, kind: 'enter', call, args });
    this.feed({ ...who, kind: 'exit', call, result });
  }

  mmap(who: Who, address: number, pages: number, flags = 0): void {
    const args = [address, pages * PAGE, READ_WRITE, MAP_PRIVATE_ANONYMOUS | flags, -1, 0];
    this.call(who, 'mmap', args, address);
  }

  fork(who: Who, child: number): Who {
    this.feed({ ...who, kind: 'newTask', child, cloneFlags: 0 });
    return { pid: child, tid: child, comm: 'child' };
  }

  thread(who: Who, tid: number): Who {
    this.feed({ ...who, kind: 'newTask', child: tid, cloneFlags: CLONE_THREAD });
    return { ...who, tid };
  }

  exit(who: Who): void {
    this.feed({ ...who, kind: 'enter', call: 'exit_group', args: [] });
    this.feed({ ...who, kind: 'taskExit', groupDead: true });
  }

  /** Ends all, and compares every process under every design with what it was to the kernel. */
  finish(): void {
    const { kernel, replays } = this;
    kernel.close();
    for (const replay of replays) {
      replay.close();
      assert.equal(replay.stopped, undefined);
      assert.deepEqual([...replay.notes], []);
      assert.equal(replay.finished.length, kernel.finished.length);
      replay.finished.forEach((process, index) => isMoreOf(process, kernel.finished[index]));
    }
  }

  tally(design: number): FinishedProcess['tally']['prefault'] {
    return this.replays[design].finished[0].tally.prefault;
  }
}

function isMoreOf(ours: FinishedProcess, kernel: FinishedProcess): void {
  const { tally, prefault } = ours;
  assert.equal(tally.unexplained, 0);
  assert.equal(tally.explained + tally.prefault.avoided, kernel.tally.explained);
  for (const [address, kind] of kernel.pages) assert.equal(ours.pages.get(address), kind);
  const more = [...ours.pages.keys()].filter((address) => !kernel.pages.has(address));
  assert.deepEqual(new Set(more), prefault!.untouched);
  assert.equal(ours.counts.rss - kernel.counts.rss, prefault!.extraPages);
  assert.equal(ours.counts.hiwaterRss - kernel.counts.hiwaterRss, prefault!.extraAtPeakPages);
  assert.equal(ours.counts.tables, kernel.counts.tables);
}

type Step = (program: Program, who: readonly Who[]) => void;

const place = fc.record({
  page: fc.nat(ARENA_PAGES - 1),
  pages: fc.integer({ min: 1, max: 40 }),
});
const aRange = place.map(({ page, pages }) => ({
  address: ARENA + page * PAGE,
  pages: Math.min(pages, ARENA_PAGES - page),
}));
const anyone = fc.nat(2);
const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(anyone, aRange, fc.boolean()).map(
      ([which, { address, pages }, write]): Step =>
        (program, who) =>
          program.run(who[which % who.length], address, pages, write),
    ),
  },
  fc.tuple(anyone, aRange, fc.constantFrom(...Object.values(MADV))).map(
    ([which, { address, pages }, advice]): Step =>
      (program, who) =>
        program.call(who[which % who.length], 'madvise', [address, pages * PAGE, advice]),
  ),
  fc.tuple(anyone, aRange, fc.constantFrom(0, MAP_POPULATE)).map(
    ([which, { address, pages }, flags]): Step =>
      (program, who) =>
        program.mmap(who[which % who.length], address, pages, flags),
  ),
  fc.tuple(anyone, aRange).map(
    ([which, { address, pages }]): Step =>
      (program, who) =>
        program.call(who[which % who.length], 'munmap', [address, pages * PAGE]),
  ),
  fc.tuple(anyone, aRange).map(([which, { address, pages }]): Step => (program, who) => {
    // A mapping of one's own, so that it lies in one VMA.
    program.mmap(who[which % who.length], address, pages);
    program.run(who[which % who.length], address, (pages + 1) >> 1, true);
    const moved = [address, pages * PAGE, pages * PAGE, 3, ANYWHERE];
    program.call(who[which % who.length], 'mremap', moved, ANYWHERE);
    program.run(who[which % who.length], ANYWHERE, pages >> 1, false);
  }),
);

describe('a program that is recorded and replayed', () => {
  it('has with prefault all that it has without, and beside it what is told as mapped ahead', async () => {
    const programs = fc.tuple(
      fc.array(aStep, { maxLength: 12 }),
      fc.boolean(),
      fc.array(aStep, { maxLength: 12 }),
    );
    await fc.assert(
      fc.asyncProperty(programs, async ([before, forks, behind]) => {
        const program = await Program.start();
        const who = [FIRST, program.thread(FIRST, 2)];
        program.mmap(FIRST, ARENA, ARENA_PAGES);
        for (const step of before) step(program, who);
        if (forks) who.push(program.fork(FIRST, 3));
        for (const step of behind) step(program, who);
        program.finish();
      }),
      { numRuns: 150 },
    );
  });

  it('avoids two faults on a page that is read and then written, where a write mapped it ahead', async () => {
    const program = await Program.start();
    program.mmap(FIRST, ARENA, 4);
    program.run(FIRST, ARENA, 2, true);
    program.touch(FIRST, ARENA + 2 * PAGE, false);
    program.touch(FIRST, ARENA + 2 * PAGE, true);
    program.finish();
    const { avoidedByKind, mapped, touched } = program.tally(0);
    assert.deepEqual([avoidedByKind.anonRead, avoidedByKind.writeProtect], [1, 1]);
    assert.deepEqual([mapped, touched], [1, 1]);
  });

  it('takes the fault of a write where a read mapped the zero page ahead', async () => {
    const program = await Program.start();
    program.mmap(FIRST, ARENA, 4);
    program.run(FIRST, ARENA, 2, false);
    program.touch(FIRST, ARENA + 2 * PAGE, true);
    program.finish();
    const { avoided, otherReason, mapped, touched } = program.tally(0);
    assert.deepEqual(
      { avoided, otherReason, mapped, touched },
      { avoided: 0, otherReason: 1, mapped: 1, touched: 1 },
    );
  });

  it('never touched what goes before it is touched, and what comes in its place is another page', async () => {
    for (const [call, args] of [
      ['munmap', [ARENA + 2 * PAGE, PAGE]],
      ['madvise', [ARENA + 2 * PAGE, PAGE, MADV.DONTNEED]],
    ] as const) {
      const program = await Program.start();
      program.mmap(FIRST, ARENA, 4);
      program.run(FIRST, ARENA, 2, true);
      program.call(FIRST, call, args);
      program.mmap(FIRST, ARENA + 2 * PAGE, 1);
      program.touch(FIRST, ARENA + 2 * PAGE, true);
      program.finish();
      const { avoided, mapped, touched } = program.tally(0);
      assert.deepEqual({ avoided, mapped, touched }, { avoided: 0, mapped: 1, touched: 0 });
    }
  });

  it('touches a page where mremap moved it', async () => {
    const program = await Program.start();
    program.mmap(FIRST, ARENA, 4);
    program.run(FIRST, ARENA, 2, true);
    program.call(FIRST, 'mremap', [ARENA, 4 * PAGE, 4 * PAGE, 3, ANYWHERE], ANYWHERE);
    program.touch(FIRST, ANYWHERE + 2 * PAGE, true);
    program.finish();
    const { avoided, mapped, touched } = program.tally(0);
    assert.deepEqual({ avoided, mapped, touched }, { avoided: 1, mapped: 1, touched: 1 });
  });

  it('has a child that inherits what is mapped ahead, and takes a fault to write to it', async () => {
    const program = await Program.start();
    program.mmap(FIRST, ARENA, 4);
    program.run(FIRST, ARENA, 2, true);
    const child = program.fork(FIRST, 3);
    program.touch(child, ARENA + 2 * PAGE, true);
    program.exit(child);
    program.finish();
    const { inherited, inheritedTouched, mapped, otherReason, avoided } = program.tally(0);
    assert.deepEqual([inherited, inheritedTouched, mapped], [1, 1, 0]);
    assert.deepEqual([otherReason, avoided], [1, 0]);
  });

  it('does not call the pages that MAP_POPULATE asks for mapped ahead, but those behind them', async () => {
    const program = await Program.start();
    program.mmap(FIRST, ARENA + 3 * PAGE, 20);
    program.mmap(FIRST, ARENA, 3, MAP_POPULATE);
    program.finish();
    const { mapped, touched, avoided } = program.tally(0);
    assert.deepEqual({ mapped, touched, avoided }, { mapped: 0, touched: 0, avoided: 0 });
    const more = await Program.start();
    more.mmap(FIRST, ARENA + 4 * PAGE, 20);
    more.mmap(FIRST, ARENA, 4, MAP_POPULATE);
    more.touch(FIRST, ARENA + 4 * PAGE, true);
    more.finish();
    assert.deepEqual(
      [more.tally(0).mapped, more.tally(0).touched, more.tally(0).avoided],
      [3, 1, 1],
    );
  });
});
