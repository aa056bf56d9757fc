/** Designs with prefault beside the same without: on the shipped recordings, and on programs made up here. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { ENOMEM } from '../base/errno.js';
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
  // v18's is compared on programs only: its faults are those of the others.
  const pairs = PAIRS.filter(({ base }) => base !== 'v18');
  for (const name of RECORDINGS) {
    it(`of ${name} takes or avoids each recorded fault, and maps what is mapped without and no more than it tells`, async () => {
      const designs: string[] = [
        ...new Set<string>(pairs.flatMap(({ base, ahead }) => [base, ahead])),
      ];
      const truth = recording(`${name}.truth.json.gz`);
      const reports = await replay(recording(`${name}.trace.gz`), designs, { truth });
      const of = (design: string): ReplayReport => reports[designs.indexOf(design)];
      for (const { base, ahead } of pairs) {
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
const TABLE = ARENA + 8 * PAGE;
const ANYWHERE = 0x5000_0000;
const MAP_PRIVATE_ANONYMOUS = 0x22;
const MAP_POPULATE = 0x8000;
const READ_WRITE = 3;
const MADV = { NORMAL: 0, RANDOM: 1, DONTNEED: 4, POPULATE_READ: 22, POPULATE_WRITE: 23 };
const CLONE_THREAD = 0x1_0000;

type Who = Pick<TraceEvent, 'pid' | 'tid' | 'comm'>;

/**
 * Programs that are recorded while they run on a design without prefault, which stands for the kernel, and replayed
 * meanwhile under others: what they touch without a fault is in no recording.
 */
class Programs {
  private lines = 0;
  private lastPid = 0;
  /** Processes that have been compared. */
  private compared = 0;
  private readonly running: Who[] = [];

  private constructor(
    private readonly kernel: Replay,
    private readonly replays: readonly Replay[],
  ) {}

  static async create(): Promise<Programs> {
    const machine = { frames: 4096, swapPages: 0 };
    const replayOn = async (name: string): Promise<Replay> =>
      await Replay.create(designNamed(name), machine, undefined);
    const replays = await Promise.all(PAIRS.map(async ({ ahead }) => await replayOn(ahead)));
    return new Programs(await replayOn('page-table-lock'), replays);
  }

  exec(): Who {
    const pid = ++this.lastPid;
    const who = { pid, tid: pid, comm: `program ${pid}` };
    this.feed({ ...who, kind: 'exec' });
    this.running.push(who);
    return who;
  }

  private feed(event: TraceEvent): void {
    this.lines++;
    for (const replay of [this.kernel, ...this.replays]) replay.feed(event, 'program', this.lines);
  }

  /** @param meanwhile - what others do between the trap and its handling */
  touch(who: Who, address: number, write: boolean, meanwhile = (): void => {}): void {
    const { kernel } = this;
    kernel['run'](kernel['processOf'](who), kernel['threadOf'](who));
    if (!this.isMapping(address)) return;
    const errorCode = kernel['errorCodeNow'](address, write ? 6 : 4);
    if (!kernel['wouldFault'](address, errorCode)) return;
    this.feed({ ...who, kind: 'exception', address, errorCode });
    meanwhile();
    this.feed({ ...who, kind: 'fault', major: false });
  }

  /** Whether the program that runs has a mapping there. */
  private isMapping(address: number): boolean {
    const { vm, cpu, memory } = {
      vm: this.kernel['vm'],
      cpu: this.kernel['cpu'],
      memory: this.kernel['memory'],
    };
    const vma = vm.findVma(cpu, cpu.mm, address);
    return vma !== 0 && memory.wides[(vma + vm.Vma.vmStart) / 2] <= address;
  }

  /** Advises, and fails where there is a hole, as the kernel does. */
  madvise(who: Who, address: number, pages: number, advice: number): void {
    this.kernel['run'](this.kernel['processOf'](who), this.kernel['threadOf'](who));
    let holes = 0;
    for (let page = 0; page < pages; page++) {
      if (!this.isMapping(address + page * PAGE)) holes++;
    }
    this.call(who, 'madvise', [address, pages * PAGE, advice], holes > 0 ? -ENOMEM : 0);
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

  fork(who: Who): Who {
    const pid = ++this.lastPid;
    this.feed({ ...who, kind: 'newTask', child: pid, cloneFlags: 0 });
    const child = { pid, tid: pid, comm: `program ${pid}` };
    this.running.push(child);
    return child;
  }

  thread(who: Who): Who {
    const tid = ++this.lastPid;
    this.feed({ ...who, kind: 'newTask', child: tid, cloneFlags: CLONE_THREAD });
    return { ...who, tid };
  }

  exit(who: Who): void {
    this.running.splice(this.running.indexOf(who), 1);
    this.feed({ ...who, kind: 'enter', call: 'exit_group', args: [] });
    this.feed({ ...who, kind: 'taskExit', groupDead: true });
  }

  /** Under ours: of the process that ended last. */
  lastTally(): Tally {
    return this.replays[0].finished.at(-1)!.tally.prefault;
  }

  /** Under ours: of one that runs. */
  tallyOf(who: Who): Tally {
    return this.replays[0]['processOf'](who).tally.prefault;
  }

  /** Ends all, and compares every process under every design with what it was to the kernel. */
  finish(): Tally {
    const { kernel, replays, compared } = this;
    for (const who of [...this.running].reverse()) this.exit(who);
    this.compared = kernel.finished.length;
    for (const replay of replays) {
      assert.equal(replay.stopped, undefined);
      assert.equal(replay.finished.length, kernel.finished.length);
      for (let index = compared; index < kernel.finished.length; index++) {
        isMoreOf(replay.finished[index], kernel.finished[index]);
      }
    }
    return this.lastTally();
  }

  close(): void {
    for (const replay of [this.kernel, ...this.replays]) {
      replay.close();
      assert.deepEqual([...replay.notes], []);
    }
  }
}

type Tally = FinishedProcess['tally']['prefault'];

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

type Step = (programs: Programs, who: readonly Who[]) => void;

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
        (programs, who) =>
          programs.run(who[which % who.length], address, pages, write),
    ),
  },
  fc.tuple(anyone, aRange, fc.constantFrom(...Object.values(MADV))).map(
    ([which, { address, pages }, advice]): Step =>
      (programs, who) =>
        programs.madvise(who[which % who.length], address, pages, advice),
  ),
  fc.tuple(anyone, aRange, fc.constantFrom(0, MAP_POPULATE)).map(
    ([which, { address, pages }, flags]): Step =>
      (programs, who) =>
        programs.mmap(who[which % who.length], address, pages, flags),
  ),
  fc.tuple(anyone, aRange).map(
    ([which, { address, pages }]): Step =>
      (programs, who) =>
        programs.call(who[which % who.length], 'munmap', [address, pages * PAGE]),
  ),
  fc.tuple(anyone, aRange).map(([which, { address, pages }]): Step => (programs, who) => {
    // A mapping of one's own, so that it lies in one VMA.
    programs.mmap(who[which % who.length], address, pages);
    programs.run(who[which % who.length], address, (pages + 1) >> 1, true);
    const moved = [address, pages * PAGE, pages * PAGE, 3, ANYWHERE];
    programs.call(who[which % who.length], 'mremap', moved, ANYWHERE);
    programs.run(who[which % who.length], ANYWHERE, pages >> 1, false);
  }),
);

describe('a program that is recorded and replayed', () => {
  let programs: Programs;
  let program: Who;
  before(async () => {
    programs = await Programs.create();
  });
  beforeEach(() => {
    program = programs.exec();
    programs.mmap(program, ARENA, ARENA_PAGES);
  });
  after(() => programs.close());

  it('has with prefault all that it has without, and beside it what is told as mapped ahead', () => {
    const steps = fc.array(aStep, { maxLength: 12 });
    programs.finish();
    fc.assert(
      fc.property(steps, fc.boolean(), steps, (first, forks, then) => {
        const parent = programs.exec();
        const who = [parent, programs.thread(parent)];
        programs.mmap(parent, ARENA, ARENA_PAGES);
        for (const step of first) step(programs, who);
        if (forks) who.push(programs.fork(parent));
        for (const step of then) step(programs, who);
        programs.finish();
      }),
      { numRuns: 500 },
    );
  });

  it('avoids two faults on a page that is read and then written, where a write mapped it ahead', () => {
    programs.run(program, ARENA, 2, true);
    programs.touch(program, ARENA + 2 * PAGE, false);
    programs.touch(program, ARENA + 2 * PAGE, true);
    const { avoidedByKind, mapped, touched } = programs.finish();
    assert.deepEqual([avoidedByKind.anonRead, avoidedByKind.writeProtect], [1, 1]);
    assert.deepEqual([mapped, touched], [1, 1]);
  });

  it('takes the fault of a write where a read mapped the zero page ahead', () => {
    programs.run(program, ARENA, 2, false);
    programs.touch(program, ARENA + 2 * PAGE, true);
    const { avoided, otherReason, mapped, touched } = programs.finish();
    assert.deepEqual([avoided, otherReason, mapped, touched], [0, 1, 1, 1]);
  });

  it('never touched what goes before it is touched, and what comes in its place is another page', () => {
    for (const [call, args] of [
      ['munmap', [ARENA + 2 * PAGE, PAGE]],
      ['madvise', [ARENA + 2 * PAGE, PAGE, MADV.DONTNEED]],
    ] as const) {
      const other = programs.exec();
      programs.mmap(other, ARENA, 4);
      programs.run(other, ARENA, 2, true);
      programs.call(other, call, args);
      programs.mmap(other, ARENA + 2 * PAGE, 1);
      programs.touch(other, ARENA + 2 * PAGE, true);
      programs.exit(other);
      const { avoided, mapped, touched } = programs.lastTally();
      assert.deepEqual([avoided, mapped, touched], [0, 1, 0]);
    }
    programs.finish();
  });

  it('touches a page where mremap moved it', () => {
    programs.run(program, ARENA, 2, true);
    const length = ARENA_PAGES * PAGE;
    programs.call(program, 'mremap', [ARENA, length, length, 3, ANYWHERE], ANYWHERE);
    programs.touch(program, ANYWHERE + 2 * PAGE, true);
    const { avoided, mapped, touched } = programs.finish();
    assert.deepEqual([avoided, mapped, touched], [1, 1, 1]);
  });

  it('has a child that inherits what is mapped ahead, and takes a fault to write to it', () => {
    programs.run(program, ARENA, 2, true);
    const child = programs.fork(program);
    programs.touch(child, ARENA + 2 * PAGE, true);
    programs.exit(child);
    const { inherited, inheritedTouched, mapped, otherReason, avoided } = programs.lastTally();
    assert.deepEqual([inherited, inheritedTouched, mapped], [1, 1, 0]);
    assert.deepEqual([otherReason, avoided], [1, 0]);
    assert.deepEqual([programs.finish().mapped, programs.lastTally().touched], [1, 0]);
  });

  it('does not call the pages that MAP_POPULATE asks for mapped ahead, but those behind them', () => {
    // Runs of 1, 2 and 4 pages, of which the last goes 3 too far.
    programs.mmap(program, ARENA + 40 * PAGE, 4, MAP_POPULATE);
    programs.touch(program, ARENA + 44 * PAGE, true);
    const { avoided, mapped, touched } = programs.finish();
    assert.deepEqual([avoided, mapped, touched], [1, 3, 1]);
  });

  it('has nothing mapped ahead where it told of random access', () => {
    programs.madvise(program, ARENA, 50, MADV.RANDOM);
    programs.run(program, ARENA, 50, true);
    assert.equal(programs.tallyOf(program).mapped, 0);
    programs.run(program, ARENA + 50 * PAGE, 3, true);
    assert.ok(programs.finish().mapped > 0);
  });

  it('takes one fault more to write where another thread’s read mapped the zero page meanwhile', () => {
    const other = programs.thread(program);
    programs.touch(other, TABLE, false);
    programs.touch(program, TABLE + 2 * PAGE, true, () => {
      programs.touch(other, TABLE + PAGE, false);
    });
    assert.equal(programs.tallyOf(program).touched, 1);
    assert.equal(programs.finish().avoided, 0);
  });

  it('keeps its run while another of its threads touches memory at random', () => {
    const other = programs.thread(program);
    programs.madvise(program, ARENA + 50 * PAGE, 40, MADV.RANDOM);
    for (let page = 0; page < 15; page++) {
      programs.touch(program, TABLE + page * PAGE, true);
      programs.touch(other, ARENA + (50 + page) * PAGE, true);
    }
    const { avoided, mapped } = programs.finish();
    assert.deepEqual([avoided, mapped], [11, 11]);
  });
});
