import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createContext, runInContext } from 'node:vm';
import { deadlock, foundUnder, made } from '../../test/counterexamples.js';
import type { Counterexample } from '../scenarios/counterexample.js';
import { scheduleHtml } from './scheduleHtml.js';
import type { PageData } from './scheduleState.js';

const VOID = new Set(['meta']);
const RAW = /<(script|style)\b([^>]*)>([^]*?)<\/\1>/g;

/** Elements that are not closed, or are closed where others are open. */
function unbalanced(html: string): string[] {
  const open: string[] = [];
  const wrong: string[] = [];
  const markup = html.replace(RAW, '<$1></$1>').replace('<!doctype html>', '');
  for (const [, closing, name] of markup.matchAll(/<(\/?)([a-z]\w*)\b[^<>]*>/g)) {
    if (VOID.has(name)) continue;
    if (closing === '') open.push(name);
    else if (open.pop() !== name) wrong.push(name);
  }
  // Whatever is left after the tags is text, which has no bracket of its own.
  if (/[<>]/.test(markup.replace(/<\/?[a-z]\w*\b[^<>]*>/g, '')))
    wrong.push('a bracket in the text');
  return [...wrong, ...open];
}

function dataOf(html: string): PageData {
  const text = /<script type="application\/json" id="data">([^]*?)<\/script>/.exec(html)![1];
  return JSON.parse(text) as PageData;
}

function scriptOf(html: string): string {
  return [...html.matchAll(RAW)].at(-1)![3];
}

describe('the page of a schedule', () => {
  let found: Counterexample;
  let html: string;
  before(async () => {
    found = await foundUnder('broken-plain-rss');
    html = await scheduleHtml(found);
  });

  it('is well formed', async () => {
    assert.deepEqual(unbalanced(html), []);
    assert.deepEqual(unbalanced(await scheduleHtml(deadlock())), []);
    assert.deepEqual(unbalanced(await scheduleHtml(await foundUnder('v18', 'i386-pae'))), []);
  });

  it('says in its title what fails where', () => {
    assert.match(
      html,
      /<title>first-fault \(write, write\) under broken-plain-rss fails: audit<\/title>/,
    );
  });

  it('loads nothing', () => {
    assert.doesNotMatch(html, /\b(?:src|href)="(?!#)|url\(|@import|https?:/);
    assert.match(html, /default-src 'none'/);
  });

  it('has every step, the folded ones too, and the reason of each switch', () => {
    for (const index of found.steps.keys()) assert.ok(html.includes(`data-step="${index}"`));
    assert.match(html, /<details>/);
    assert.match(html, /cpu 0 is preempted, about to store 3 into <button[^>]*>mm\[0\]\.rss</);
    assert.match(html, /<a href="#step-\d+">step \d+<\/a>/);
  });

  it('holds every shared word, and its values', () => {
    const { steps } = dataOf(html);
    assert.equal(steps.length, found.steps.length);
    const known = new Set(steps.flatMap(({ touches }) => touches.map(({ word }) => word)));
    for (const { word, shared } of found.steps) assert.ok(!shared || known.has(word), word);
  });

  it('escapes what texts hold', async () => {
    const evil = '</script><img src=x onerror="alert(1)">&\'';
    const hostile = await scheduleHtml(
      made([{ thread: 0, word: evil, callers: [evil] }], {
        scenario: evil,
        case: evil,
        failures: [evil],
        threads: [{ cpu: 0, program: evil, task: evil }],
      }),
    );
    assert.deepEqual(unbalanced(hostile), []);
    assert.doesNotMatch(hostile, /<img/);
    assert.equal(dataOf(hostile).steps[0].touches[0].word, evil);
  });

  it('tells of a deadlock who waits for whom', async () => {
    const page = await scheduleHtml(deadlock());
    const text = page.replace(RAW, '').replace(/<[^>]*>/g, '');
    assert.match(text, /cpu 0 waits to lock zone\[0\]\.lock: cpu 1 has held it since step 2/);
    assert.match(text, /holds mm\[0\]\.pageTableLock since step 1/);
  });

  it('steps by keys and buttons, and shows words and stacks', () => {
    const page = new StubPage(html);
    const last = found.steps.length;
    assert.equal(page.byId('position').textContent, `Step 1 of ${last}`);
    page.press('End');
    assert.equal(page.byId('position').textContent, `Step ${last} of ${last}`);
    assert.match(page.text('words'), /mm\[0\]\.rss 3 cpu 0, step \d+/);
    assert.match(page.text('stacks'), /cpu 1 has ended/);
    page.press('Home');
    page.press('ArrowDown');
    // Steps 2 to 5 are folded.
    assert.equal(page.byId('position').textContent, `Step 6 of ${last}`);
    page.click('next');
    assert.equal(page.byId('position').textContent, `Step 17 of ${last}`);
  });
});

type Listener = (event: object) => void;

/** As much of an element as the page's script uses. */
class StubElement {
  textContent = '';
  className = '';
  readonly dataset: Record<string, string> = {};
  readonly attributes = new Map<string, string>();
  readonly listeners = new Map<string, Listener>();
  children: StubElement[] = [];
  open = false;
  readonly classList = { toggle: (): void => undefined };
  fold: StubElement | undefined;

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value);
  }
  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }
  addEventListener(name: string, listener: Listener): void {
    this.listeners.set(name, listener);
  }
  append(...children: StubElement[]): void {
    this.children.push(...children);
  }
  replaceChildren(...children: StubElement[]): void {
    this.children = children;
  }
  closest(selector: string): StubElement | null {
    return selector === 'details' ? (this.fold ?? null) : null;
  }
  scrollIntoView(): void {
    // There is nothing to scroll.
  }
  get text(): string {
    return [this.textContent, ...this.children.map(({ text }) => text)].filter(Boolean).join(' ');
  }
}

/** The page's script on a stub of what a browser makes of the page: its steps, folds and buttons. */
class StubPage {
  private readonly ids = new Map<string, StubElement>();
  private readonly listeners = new Map<string, Listener>();
  private readonly buttons: StubElement[];

  constructor(html: string) {
    this.byId('data').textContent = JSON.stringify(dataOf(html));
    const folds: StubElement[] = [];
    const rows: StubElement[] = [];
    let fold: StubElement | undefined;
    for (const [, tag, step] of html.matchAll(/<(\/?details)>|data-step="(\d+)"/g)) {
      if (tag === 'details') folds.push((fold = new StubElement()));
      else if (tag === '/details') fold = undefined;
      else rows.push(Object.assign(new StubElement(), { dataset: { step }, fold }));
    }
    this.buttons = [...html.matchAll(/data-move="(\w+)"/g)].map(([, move]) =>
      Object.assign(new StubElement(), { dataset: { move } }),
    );
    const found: Record<string, StubElement[]> = {
      '[data-step]': rows,
      '[data-move]': this.buttons,
      details: folds,
      '.word': [],
    };
    const addEventListener = (name: string, listener: Listener): void => {
      this.listeners.set(name, listener);
    };
    const document = {
      getElementById: (id: string) => this.byId(id),
      createElement: () => new StubElement(),
      querySelectorAll: (selector: string) => found[selector],
      addEventListener,
    };
    const window = { addEventListener };
    runInContext(scriptOf(html), createContext({ document, window, Element: StubElement }));
  }

  byId(id: string): StubElement {
    if (!this.ids.has(id)) this.ids.set(id, new StubElement());
    return this.ids.get(id)!;
  }

  text(id: string): string {
    return this.byId(id).text;
  }

  press(key: string): void {
    this.listeners.get('keydown')!({ key, preventDefault: () => undefined });
  }

  click(move: string): void {
    this.buttons.find(({ dataset }) => dataset.move === move)!.listeners.get('click')!({});
  }
}
