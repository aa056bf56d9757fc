/** The kernel's side: compiles the driver, sends it sequences, and reads its reports. */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { arch, platform, release, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError, InvariantError } from '../src/base/errors.js';
import { Base, type Call, type Observation, type Place, type Step } from './calls.js';
import type { Report, Reports } from './report.js';

/** Numbers of system calls (arch/x86/entry/syscalls/syscall_64.tbl), and the driver's OP_ numbers. */
const OPERATIONS: Readonly<Record<(Call | Observation)['call'], number>> = {
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  brk: 12,
  mremap: 25,
  msync: 26,
  mincore: 27,
  madvise: 28,
  ftruncate: 77,
  mlock: 149,
  munlock: 150,
  mlockall: 151,
  munlockall: 152,
  remap_file_pages: 216,
  mlock2: 325,
  load: 1000,
  store: 1001,
  fork: 1002,
  exit: 1003,
  look: 1004,
  contents: 1005,
};

/** Kinds of argument, as in the driver: slots follow one another from BASE_SLOT on. */
const BASE_NONE = 0;
const BASE_SLOT = 1;
const BASE_HEAP = 7;
const BASE_VECTOR = 8;
const NO_SLOT = 255;
/** Descriptors that the driver gives to its files; -1 as the kernel reads it. */
const FILE_DESCRIPTORS = { anonymous: -1, disk: 100, memory: 101 } as const;

/** struct step of the driver. */
const STEP_BYTES = 64;
const STEP_ARGUMENTS = 16;

/** f_type of ext2, ext3 and ext4 (include/uapi/linux/magic.h). */
const EXT4_SUPER_MAGIC = 0xef53;

/** A sequence takes milliseconds; one that takes this long never ends. */
const LIMIT_MS = 30_000;

/** What was mapped before any sequence. */
export interface Surroundings {
  /** Where the heap begins. */
  readonly heap: number;
  /** Ranges of the program, its data and its stack. */
  readonly areas: readonly { readonly start: number; readonly end: number }[];
}

/** @returns what is missing for the kernel's side, or undefined where nothing is */
function whyNoLinux(): string | undefined {
  if (platform() !== 'linux' || arch() !== 'x64') return 'needs Linux on x86-64';
  if (spawnSync('cc', ['--version']).status !== 0) return 'needs a C compiler named cc';
  if (statfsSync(tmpdir()).type !== EXT4_SUPER_MAGIC) {
    return `needs ext4 under ${tmpdir()}, or TMPDIR to name a directory on it`;
  }
  return undefined;
}

/** The kernel whose rules for VMAs and faults our VM follows; they change from version to version. */
const KERNEL = '6.18';
const HUGE_PAGES_ENABLED = '/sys/kernel/mm/transparent_hugepage/enabled';

/** @returns why differences from this kernel are to be expected, or undefined where none are */
export function whyOtherwise(): string | undefined {
  if (!release().startsWith(`${KERNEL}.`)) {
    return `our VM follows Linux ${KERNEL}, and this is ${release()}`;
  }
  if (userInfo().uid !== 0) return 'only root may lock as much memory as the sequences do';
  if (!existsSync(HUGE_PAGES_ENABLED)) return 'this kernel has no huge pages';
  const enabled = readFileSync(HUGE_PAGES_ENABLED, 'utf8');
  if (enabled.includes('[madvise]')) return undefined;
  return `huge pages are not left to madvise here: ${HUGE_PAGES_ENABLED} says ${enabled.trim()}`;
}

export class LinuxSide {
  private lines: string[] = [];
  private rest = '';
  private wake: (() => void) | undefined;
  private failure: Error | undefined;
  private errors = '';

  private constructor(
    private readonly directory: string,
    private readonly driver: ChildProcessWithoutNullStreams,
  ) {
    driver.stdout.setEncoding('latin1');
    driver.stdout.on('data', (text: string) => this.received(text));
    driver.stderr.on('data', (text: Buffer) => (this.errors += text.toString()));
    driver.on('exit', (code) => this.fail(`the driver ended with code ${code}: ${this.errors}`));
    driver.stdin.on('error', () => undefined);
  }

  /** @throws InputError where it cannot run: no such kernel, compiler or file system */
  static async start(): Promise<{ linux: LinuxSide; surroundings: Surroundings }> {
    const reason = whyNoLinux();
    if (reason !== undefined) throw new InputError('NO_LINUX', reason);
    const directory = mkdtempSync(join(tmpdir(), 'minorfault-conformance-'));
    const program = join(directory, 'driver');
    const source = fileURLToPath(new URL('../../conformance/driver.c', import.meta.url));
    const { status, stderr } = spawnSync('cc', ['-O1', '-static', '-o', program, source]);
    if (status !== 0) {
      rmSync(directory, { recursive: true });
      throw new InputError('COMPILER', `cc cannot compile the driver: ${stderr.toString()}`);
    }
    const linux = new LinuxSide(directory, spawn(program, [directory]));
    const [heap, ...areas] = await linux.paragraph();
    return {
      linux,
      surroundings: {
        heap: parseInt(heap, 16),
        areas: areas.map((line) => {
          const [start, end] = line.split('-').map((number) => parseInt(number, 16));
          return { start, end };
        }),
      },
    };
  }

  async run(steps: readonly Step[]): Promise<Reports> {
    this.driver.stdin.write(encodeSteps(steps));
    const reports: (Report | undefined)[] = [];
    for (const { action } of steps) {
      reports.push(action.call === 'exit' ? undefined : parseReport(await this.paragraph()));
    }
    return reports;
  }

  stop(): void {
    this.driver.removeAllListeners('exit');
    this.driver.kill();
    rmSync(this.directory, { recursive: true });
  }

  private received(text: string): void {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop()!;
    for (const line of lines) this.lines.push(line);
    this.wake?.();
  }

  private fail(message: string): void {
    this.failure = new InvariantError(message);
    this.wake?.();
  }

  /** The lines up to the next ".". */
  private async paragraph(): Promise<string[]> {
    for (;;) {
      const end = this.lines.indexOf('.');
      if (end >= 0) {
        const paragraph = this.lines.splice(0, end);
        this.lines.shift();
        return paragraph;
      }
      if (this.failure !== undefined) throw this.failure;
      const timer = setTimeout(
        () => this.fail(`the driver has not answered for ${LIMIT_MS / 1000} s: ${this.errors}`),
        LIMIT_MS,
      );
      await new Promise<void>((resolve) => (this.wake = resolve));
      clearTimeout(timer);
    }
  }
}

function parseReport([head, ...areas]: string[]): Report {
  const [, result, minor, major, ...extra] = head.split(' ');
  return {
    outcome: [result, ...extra].join(' '),
    minorFaults: Number(minor),
    majorFaults: Number(major),
    areas,
  };
}

function encodeSteps(steps: readonly Step[]): Buffer {
  const buffer = Buffer.alloc(4 + steps.length * STEP_BYTES);
  buffer.writeUInt32LE(steps.length, 0);
  steps.forEach((step, index) => {
    encodeStep(step, buffer.subarray(4 + index * STEP_BYTES, 4 + (index + 1) * STEP_BYTES));
  });
  return buffer;
}

function encodeStep({ process, action, child }: Step, record: Buffer): void {
  record.writeUInt16LE(OPERATIONS[action.call], 0);
  record[2] = process;
  record[3] = 'into' in action && action.into !== undefined ? action.into : NO_SLOT;
  record[4] = child ?? 0;
  argumentsOf(action).forEach((argument, i) => {
    const [base, value] = typeof argument === 'number' ? [BASE_NONE, argument] : located(argument);
    record[5 + i] = base;
    record.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), STEP_ARGUMENTS + i * 8);
  });
}

function located({ base, offset }: Place | typeof VECTOR): [number, number] {
  if (base === 'vector') return [BASE_VECTOR, 0];
  if (base === 'heap') return [BASE_HEAP, offset];
  if (typeof base === 'number') return [BASE_SLOT + base, offset];
  return [BASE_NONE, Base[base] + offset];
}

/** mincore's answer goes to memory of the driver's own. */
const VECTOR = { base: 'vector', offset: 0 } as const;

function argumentsOf(action: Call | Observation): (number | Place | typeof VECTOR)[] {
  switch (action.call) {
    case 'mmap': {
      const { at, length, prot, flags, backing, pgoff } = action;
      return [at, length, prot, flags, FILE_DESCRIPTORS[backing], pgoff * 4096];
    }
    case 'mprotect':
      return [action.at, action.length, action.prot];
    case 'mremap':
      return [action.at, action.oldLength, action.newLength, action.flags, action.to];
    case 'madvise':
      return [action.at, action.length, action.advice];
    case 'mlock2':
    case 'msync':
      return [action.at, action.length, action.flags];
    case 'mincore':
      return [action.at, action.length, VECTOR];
    case 'mlockall':
      return [action.flags];
    case 'remap_file_pages':
      return [action.at, action.length, action.prot, action.pgoff, action.flags];
    case 'ftruncate':
      return [FILE_DESCRIPTORS.memory, action.pages * 4096];
    case 'munmap':
    case 'mlock':
    case 'munlock':
      return [action.at, action.length];
    case 'store':
      return [action.at, action.value];
    case 'load':
    case 'brk':
      return [action.at];
    default:
      return [];
  }
}
