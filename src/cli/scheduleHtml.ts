/**
 * A failing schedule as a page: a lane for each CPU, time downwards, and at each step the words and the stacks. All
 * in one file that loads nothing, so that it can be kept beside a bug report.
 */
import { ARCHES, type Arch } from '../hardware/arch/index.js';
import type { ScheduleStep } from '../engines/explore/schedule.js';
import type { Counterexample } from '../scenarios/counterexample.js';
import { deadlockInWords, explain, type Row } from '../scenarios/explainSchedule.js';
import { onlyReads, stepInWords, stepValue, valueInWords } from '../scenarios/stepWords.js';
import { HEAD_LINES, embedded, escaped, pageAssets } from './html.js';
import type { PageData, PageStep, Touched } from './scheduleState.js';
import { threadInWords, verdictInWords } from './scheduleText.js';

export async function scheduleHtml(counterexample: Counterexample): Promise<string> {
  const { script, style } = await pageAssets('schedulePage');
  const { words, rows } = explain(counterexample);
  const page = new Page(counterexample, words);
  const { scenario, design, failures, kind } = counterexample;
  const title = `${scenario} (${counterexample.case}) under ${design} fails: ${kind}`;
  return `<!doctype html>
<html lang="en">
<head>
${HEAD_LINES}
<title>${escaped(title)}</title>
<style>
${style}</style>
</head>
<body style="--cpus: ${counterexample.threads.length}">
<header>
<h1>${escaped(title)}</h1>
<p class="facts">${escaped(verdictInWords(counterexample))}</p>
<ul class="failures">
${failures.map((failure) => `<li>${page.marked(failure)}</li>`).join('\n')}
</ul>
</header>
<nav class="controls" aria-label="Steps">
<button type="button" data-move="first" aria-label="First step">First</button>
<button type="button" data-move="previous" aria-label="Previous step">Previous</button>
<button type="button" data-move="next" aria-label="Next step">Next</button>
<button type="button" data-move="last" aria-label="Last step">Last</button>
<output id="position" aria-live="polite"></output>
<button type="button" id="unfold" aria-pressed="false">All steps</button>
<span class="keys">Keys: ↑ ↓ Home End. Point at a word to see all steps on it.</span>
</nav>
<main>
<section aria-label="Schedule">
<div class="lanes heads"><span></span>${counterexample.threads
    .map((thread) => `<span class="cell">${escaped(threadInWords(thread))}</span>`)
    .join('')}</div>
<ol class="rows">
${rows.map((row) => page.row(row)).join('\n')}
${page.end()}
</ol>
</section>
<aside aria-label="State after the step">
<h2>CPUs</h2>
<div id="stacks"></div>
<h2>Shared words so far</h2>
<table>
<thead><tr><th scope="col">word</th><th scope="col">value</th><th scope="col">written by</th></tr></thead>
<tbody id="words"></tbody>
</table>
</aside>
</main>
<script type="application/json" id="data">${embedded(page.data())}</script>
<script>
${script}</script>
</body>
</html>
`;
}

class Page {
  private readonly arch: Arch;
  /** Words that can be pointed at: those that matter, and all that threads share. */
  private readonly words: ReadonlySet<string>;
  private readonly pattern: RegExp;

  constructor(
    private readonly counterexample: Counterexample,
    private readonly matter: ReadonlySet<string>,
  ) {
    this.arch = ARCHES[counterexample.arch];
    const shared = counterexample.steps.flatMap((step) =>
      step.shared ? touchesOf(step, this.arch).map(({ word }) => word) : [],
    );
    this.words = new Set([...matter, ...shared]);
    // A name may begin another: the longest goes first, and must not go on.
    const longestFirst = [...this.words].sort((a, b) => b.length - a.length);
    const names = longestFirst.map((word) => word.replace(/[^\w]/g, '\\$&'));
    const word = names.length === 0 ? '' : `|(?:${names.join('|')})(?![\\w.[])`;
    this.pattern = new RegExp(`\\bstep (?<step>\\d+)${word}`, 'g');
  }

  /** Text with its words as things to point at, and the steps that it cites as links. */
  marked(text: string): string {
    let html = '';
    let done = 0;
    for (const found of text.matchAll(this.pattern)) {
      const part = escaped(found[0]);
      const { step } = found.groups!;
      html += escaped(text.slice(done, found.index));
      html +=
        step === undefined
          ? `<button type="button" class="word" data-word="${part}">${part}</button>`
          : `<a href="#step-${step}">${part}</a>`;
      done = found.index + found[0].length;
    }
    return html + escaped(text.slice(done));
  }

  row(row: Row): string {
    switch (row.kind) {
      case 'step':
        return this.step(row.index, row.cited);
      case 'fold': {
        const inner: string[] = [];
        for (let index = row.first; index < row.end; index++) inner.push(this.step(index, false));
        const length = row.end - row.first;
        const functions = row.functions.map(escaped).join(', ');
        const summary = `${length} step${length === 1 ? '' : 's'} of its own: ${functions}`;
        return `<li><details><summary class="lanes">${cell(row.thread, summary)}</summary>
<ol>
${inner.join('\n')}
</ol></details></li>`;
      }
      case 'switch':
        return `<li class="switch">${this.marked(row.title)}${this.list(row.reasons)}</li>`;
    }
  }

  private step(index: number, cited: boolean): string {
    const step = this.counterexample.steps[index];
    const what = this.marked(stepInWords(step, this.arch));
    const text = `<span class="function">${escaped(step.function)}:</span> ${what}`;
    return (
      `<li class="lanes${cited ? ' cited' : ''}" id="step-${index + 1}" data-step="${index}">` +
      `<span class="number">${index + 1}</span>${cell(step.thread, text)}</li>`
    );
  }

  private list(texts: readonly string[]): string {
    if (texts.length === 0) return '';
    return `<ul>${texts.map((text) => `<li>${this.marked(text)}</li>`).join('')}</ul>`;
  }

  /** The failure where it comes about, and in a deadlock who waits for whom. */
  end(): string {
    const { kind, failures } = this.counterexample;
    const waits = deadlockInWords(this.counterexample).map(
      ({ cpu, waits: what, callers, holds }) =>
        `<li>${this.marked(`cpu ${cpu} ${what}`)}` +
        `${this.list([`in ${callers.join(' > ')}`, ...holds])}</li>`,
    );
    const list = waits.length > 0 ? `<ul>${waits.join('\n')}</ul>` : this.list(failures);
    return `<li class="end"><strong>fails: ${escaped(kind)}</strong>${list}</li>`;
  }

  data(): PageData {
    const { threads, steps } = this.counterexample;
    return {
      matter: [...this.matter],
      cpus: threads.map(({ cpu }) => `cpu ${cpu}`),
      steps: steps.map((step): PageStep => {
        const touches = touchesOf(step, this.arch).filter(({ word }) => this.words.has(word));
        return { thread: step.thread, callers: step.callers, touches };
      }),
    };
  }
}

function touchesOf(step: ScheduleStep, arch: Arch): Touched[] {
  const { word, high } = step;
  const writes = !onlyReads(step);
  const touches = [{ word, value: stepValue(step, 'after', arch), writes }];
  if (high !== undefined) {
    const half = `${word}.high`;
    touches.push({ word: half, value: valueInWords(half, high.after, arch), writes });
  }
  return touches;
}

/** @param html - escaped */
function cell(thread: number, html: string): string {
  return `<div class="cell lane${thread % LANES}" style="grid-column: ${thread + 2}">${html}</div>`;
}

/** Lanes that have a colour of their own. */
const LANES = 4;
