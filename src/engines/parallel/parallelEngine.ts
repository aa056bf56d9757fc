/**
 * The parallel engine: worker threads over one SharedArrayBuffer, each a CPU that runs the plain
 * form of the VM. CPU 0 is the calling thread's while nothing else runs.
 */
import { Worker } from 'node:worker_threads';
import { InvariantError } from '../../base/errors.js';
import type { Memory } from '../../hardware/memory.js';
import type { VmConfig } from '../configuration.js';
import { CountedDevice, DeviceRequests } from '../deviceRequests.js';
import type { Engine, Thread } from '../engine.js';
import { createPlain, type PlainVm } from '../instance.js';
import { FileDevice, createDeviceShare, removeDevice, type DeviceShare } from './fileDevice.js';
import { allocateWasmMemory, pageCodeFor, type WasmMemory } from './pageCode.js';
import { PlainCpu, runProgram } from './plainCpu.js';
import type { WorkerReport, WorkerSetup } from './worker.js';

export interface ParallelOptions {
  /**
   * Where files and the swap file are kept, of those that are written to. Without, a temporary directory at
   * the first write; `close` removes what was made.
   */
  readonly directory?: string;
  /** Benchmarks leave things out, to measure the rest: false leaves new pages as they are but for their start. */
  readonly zeroing?: boolean;
  /** false zeroes and copies pages in JavaScript. */
  readonly wasm?: boolean;
}

export class ParallelEngine implements Engine {
  readonly requests = new DeviceRequests();
  private readonly workers = new Map<number, Worker>();
  private readonly share: DeviceShare;
  /** The device as this thread has it open. */
  private readonly device: FileDevice;

  private constructor(
    private readonly config: VmConfig,
    readonly vm: PlainVm,
    readonly memory: Memory,
    private readonly wasm: WasmMemory | undefined,
    private readonly options: ParallelOptions,
  ) {
    this.share = createDeviceShare(config.limits.files, options.directory);
    this.device = new FileDevice(this.share, vm.PAGE_WORDS);
  }

  /** Whether new pages are zeroed, all of them. */
  private get zeroing(): boolean {
    return this.options.zeroing ?? true;
  }

  static async create(config: VmConfig, options: ParallelOptions = {}): Promise<ParallelEngine> {
    let wasm: WasmMemory | undefined;
    const { vm, memory } = await createPlain(config, (bytes) => {
      if (options.wasm !== false) wasm = allocateWasmMemory(bytes);
      return wasm?.buffer ?? new SharedArrayBuffer(bytes);
    });
    const engine = new ParallelEngine(config, vm, memory, wasm, options);
    await engine.run([{ cpu: 0, program: 'boot', args: [] }]);
    return engine;
  }

  /** A single thread runs here, without a worker. */
  async run(threads: readonly Thread[]): Promise<number[]> {
    if (threads.length === 1 && threads[0].daemon === undefined) {
      const { cpu, program, args } = threads[0];
      return [runProgram(this.vm, this.cpu(cpu), program, args)];
    }
    const reports = await this.runOnWorkers(threads);
    return reports.map(({ result }) => result);
  }

  /** Runs threads on workers even if there is one only, and tells how long each was busy. */
  async runOnWorkers(threads: readonly Thread[]): Promise<WorkerReport[]> {
    await Promise.all(threads.map(({ cpu }) => this.workerOf(cpu)));
    // All start together: each waits at the gate, which opens when the last is there.
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const reports = threads.map(async (thread) => {
      const worker = await this.workerOf(thread.cpu);
      const report = reportOf(worker);
      worker.postMessage({ thread, gate, threads: threads.length });
      return await report;
    });
    const daemons = threads.filter(({ daemon }) => daemon === true);
    const others = reports.filter((_, index) => threads[index].daemon === undefined);
    const stopped = Promise.all(others).then(() => this.setStop(daemons, 1));
    const all = await Promise.all([...reports, stopped]);
    this.setStop(daemons, 0);
    return all.slice(0, threads.length) as WorkerReport[];
  }

  /** Tells daemons to return, or that they may stay. */
  private setStop(daemons: readonly Thread[], stop: 0 | 1): void {
    const { cpuLine, CpuLine } = this.vm;
    const { words } = this.memory;
    for (const { cpu } of daemons) {
      const line = cpuLine(cpu);
      Atomics.store(words, line + CpuLine.stop, stop);
      if (stop === 0) continue;
      Atomics.add(words, line + CpuLine.wakeup, 1);
      Atomics.notify(words, line + CpuLine.wakeup);
    }
  }

  /** A CPU for this thread to run. */
  cpu(id: number): PlainCpu {
    const pageCode = this.wasm && pageCodeFor(this.wasm);
    const device = new CountedDevice(this.device, this.requests);
    return new PlainCpu(this.vm, this.memory, id, { zeroing: this.zeroing, pageCode, device });
  }

  /** Takes all of its memory from the host, which gives it at the first touch, before a clock runs. */
  commitMemory(): void {
    const { words } = this.memory;
    for (let word = 0; word < words.length; word += 1024) words[word] = words[word]!;
  }

  async close(): Promise<void> {
    await Promise.all([...this.workers.values()].map((worker) => worker.terminate()));
    this.workers.clear();
    this.device.close();
    removeDevice(this.share, this.options.directory === undefined);
  }

  private async workerOf(cpu: number): Promise<Worker> {
    const running = this.workers.get(cpu);
    if (running !== undefined) return running;
    const { config, wasm, zeroing, share, requests } = this;
    const setup: WorkerSetup = {
      config,
      wasm,
      buffer: this.memory.buffer,
      cpu,
      zeroing,
      device: share,
      requests: requests.words,
    };
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: setup });
    this.workers.set(cpu, worker);
    worker.setMaxListeners(0);
    worker.unref();
    await reportOf(worker);
    return worker;
  }
}

/** The worker's next message; its death is an error. */
function reportOf(worker: Worker): Promise<WorkerReport> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      act();
    };
    const onMessage = (report: WorkerReport): void => settle(() => resolve(report));
    const onError = (error: Error): void => settle(() => reject(error));
    const onExit = (code: number): void =>
      settle(() => reject(new InvariantError(`a worker ended with code ${code}`)));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.ref();
  }).then((report) => {
    worker.unref();
    return report as WorkerReport;
  });
}
