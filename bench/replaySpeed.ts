/**
 * replaySpeed TRACE TRUTH: times a replay of one recording in one process, on one design, and prints
 * rates as JSON: events a second.
 *
 *   cold      the recording alone, the first thing that the process does
 *   replay    the recording COPIES times over, as one trace: reading, parsing, the VM and its audit
 *   parse     the same trace, read and parsed only
 *
 * One copy is over before V8 has compiled the VM, which it does anew for each machine: it says how
 * long a user waits. The copies say what an event costs.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { designNamed } from '../src/designs/index.js';
import { readLines } from '../src/traces/lines.js';
import { PerfScriptParser } from '../src/traces/perfScript.js';
import { replayFile } from '../src/traces/replayFile.js';

const COPIES = 200;
const MEMORY_BYTES = 512 * 2 ** 20;

/** @returns events */
async function replay(trace: string, truth: string): Promise<number> {
  const [report] = await replayFile(trace, {
    designs: [designNamed('v18')],
    memoryBytes: MEMORY_BYTES,
    truthPath: truth,
    allowLost: false,
    partial: false,
  });
  return report.events;
}

/** @returns events */
async function parse(trace: string): Promise<number> {
  const parser = new PerfScriptParser(trace);
  let events = 0;
  for await (const batch of readLines(trace)) {
    let start = 0;
    for (const [index, end] of batch.ends.entries()) {
      if (parser.parse(batch, start, end, batch.firstLine + index) !== undefined) events++;
      start = end + 1;
    }
  }
  return events;
}

async function rateOf(run: () => Promise<number>): Promise<number> {
  const start = performance.now();
  const events = await run();
  return (events / (performance.now() - start)) * 1000;
}

const [trace, truth] = process.argv.slice(2);
const temporary = mkdtempSync(join(tmpdir(), 'minorfault-bench-'));
try {
  const cold = await rateOf(() => replay(trace, truth));
  const copies = join(temporary, 'copies.trace.gz');
  // A gzip file may have many members: their texts are joined.
  writeFileSync(copies, Buffer.concat(Array<Buffer>(COPIES).fill(readFileSync(trace))));
  const rates = {
    cold,
    replay: await rateOf(() => replay(copies, truth)),
    parse: await rateOf(() => parse(copies)),
  };
  process.stdout.write(`${JSON.stringify(rates)}\n`);
} finally {
  rmSync(temporary, { recursive: true, force: true });
}
