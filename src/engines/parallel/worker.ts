/** The worker thread of the parallel engine: one CPU, which runs the programs it is sent. */
import { parentPort, workerData } from 'node:worker_threads';
import { performance } from 'node:perf_hooks';
import type { VmConfig } from '../configuration.js';
import { CountedDevice, DeviceRequests } from '../deviceRequests.js';
import type { Thread } from '../engine.js';
import { attachPlain } from '../instance.js';
import { FileDevice, type DeviceShare } from './fileDevice.js';
import { pageCodeFor, type WasmMemory } from './pageCode.js';
import { PlainCpu, runProgram, type Note } from './plainCpu.js';

export interface WorkerSetup {
  readonly config: VmConfig;
  /** The machine's memory, and the same as WebAssembly sees it if it can. */
  readonly buffer: SharedArrayBuffer | ArrayBuffer;
  readonly wasm: WasmMemory | undefined;
  readonly cpu: number;
  readonly zeroing: boolean;
  readonly device: DeviceShare;
  /** Words of the machine's DeviceRequests. */
  readonly requests: Int32Array;
}

export interface WorkerReport {
  readonly result: number;
  /** When the program began and ended, on a clock that all threads share. */
  readonly startMs: number;
  readonly endMs: number;
  readonly notes: readonly Note[];
}

interface WorkerOrder {
  readonly thread: Thread;
  /** Counts the workers that are ready. */
  readonly gate: Int32Array;
  readonly threads: number;
}

/** About a millisecond. */
const GATE_SPINS = 50_000;

const setup = workerData as WorkerSetup;
const port = parentPort!;
const { vm, memory } = await attachPlain(setup.config, setup.buffer);
const pageCode = setup.wasm && pageCodeFor(setup.wasm);
const device = new CountedDevice(
  new FileDevice(setup.device, vm.PAGE_WORDS),
  new DeviceRequests(setup.requests),
);
const cpu = new PlainCpu(vm, memory, setup.cpu, { zeroing: setup.zeroing, pageCode, device });

port.on('message', ({ thread, gate, threads }: WorkerOrder) => {
  awaitAll(gate, threads);
  const startMs = performance.timeOrigin + performance.now();
  const result = runProgram(vm, cpu, thread.program, thread.args);
  const endMs = performance.timeOrigin + performance.now();
  port.postMessage({ result, startMs, endMs, notes: cpu.notes } satisfies WorkerReport);
});
port.postMessage({ result: 0, startMs: 0, endMs: 0, notes: [] } satisfies WorkerReport);

/**
 * Returns in all workers as soon as the last has come. Spins first: to be woken takes as long as a hundred
 * faults, and by that much the workers would start apart.
 */
function awaitAll(gate: Int32Array, threads: number): void {
  if (Atomics.add(gate, 0, 1) + 1 === threads) Atomics.notify(gate, 0);
  for (let tries = 0; ; tries++) {
    const ready = Atomics.load(gate, 0);
    if (ready === threads) return;
    if (tries > GATE_SPINS) Atomics.wait(gate, 0, ready);
  }
}
