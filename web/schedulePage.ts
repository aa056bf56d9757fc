/**
 * The script of the page that shows a failing schedule (src/cli/scheduleHtml.ts): goes from step to step, shows
 * the words and the stacks at each, and marks all steps on a word. The build makes one file of it, which stands
 * in the page: it can be kept and sent, and loads nothing.
 */
import { moved, stacksAt, wordsAt, type Move, type PageData } from '../src/cli/scheduleState.js';

function byId(id: string): HTMLElement {
  return document.getElementById(id)!;
}

const data = JSON.parse(byId('data').textContent) as PageData;
const rows = [...document.querySelectorAll<HTMLElement>('[data-step]')];
const folds = [...document.querySelectorAll('details')];
let current = 0;

function isShown(row: HTMLElement): boolean {
  return row.closest('details')?.open !== false;
}

function shownSteps(): number[] {
  return rows.filter(isShown).map((row) => Number(row.dataset.step));
}

/** Makes an element with text in it, which can hold anything: it is never read as HTML. */
function element(tag: string, text: string, className = ''): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className !== '') made.className = className;
  return made;
}

function wordButton(word: string): HTMLElement {
  const button = element('button', word, 'word');
  button.setAttribute('type', 'button');
  button.dataset.word = word;
  return button;
}

function showWords(): void {
  const lines = wordsAt(data, current).map(({ word, value, writer, touched }) => {
    const line = document.createElement('tr');
    const name = document.createElement('th');
    name.scope = 'row';
    name.append(wordButton(word));
    const by =
      writer === undefined
        ? 'as at first'
        : `${data.cpus[data.steps[writer].thread]}, step ${writer + 1}`;
    line.append(name, element('td', value, 'value'), element('td', by));
    line.classList.toggle('touched', touched);
    return line;
  });
  byId('words').replaceChildren(...lines);
}

function showStacks(): void {
  const stacks = stacksAt(data, current).map(({ cpu, state, callers }, thread) => {
    const stack = document.createElement('section');
    stack.className = `stack lane${thread}`;
    stack.append(element('h3', `${cpu} ${state}`), element('p', callers.join(' › ')));
    return stack;
  });
  byId('stacks').replaceChildren(...stacks);
}

function select(index: number): void {
  current = index;
  for (const row of rows) {
    const isCurrent = Number(row.dataset.step) === index;
    row.classList.toggle('current', isCurrent);
    if (isCurrent) {
      row.closest('details')?.setAttribute('open', '');
      row.setAttribute('aria-current', 'step');
      row.scrollIntoView({ block: 'nearest' });
    } else {
      row.removeAttribute('aria-current');
    }
  }
  byId('position').textContent = `Step ${index + 1} of ${data.steps.length}`;
  showWords();
  showStacks();
  mark(markedWord);
}

let markedWord: string | undefined;

/** Marks a word wherever it stands, and the steps on it. */
function mark(word: string | undefined): void {
  markedWord = word;
  for (const button of document.querySelectorAll<HTMLElement>('.word')) {
    button.classList.toggle('marked', word !== undefined && button.dataset.word === word);
  }
  for (const row of rows) {
    const { touches } = data.steps[Number(row.dataset.step)];
    row.classList.toggle(
      'marked',
      touches.some((touched) => touched.word === word),
    );
  }
}

function wordOf(target: EventTarget | null): string | undefined {
  const found = target instanceof Element ? target.closest<HTMLElement>('.word') : null;
  return found?.dataset.word;
}

const KEYS: Readonly<Record<string, Move>> = {
  Home: 'first',
  ArrowUp: 'previous',
  ArrowLeft: 'previous',
  ArrowDown: 'next',
  ArrowRight: 'next',
  End: 'last',
};

document.addEventListener('keydown', (event) => {
  const move = KEYS[event.key];
  if (move === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  select(moved(shownSteps(), current, move));
});

for (const button of document.querySelectorAll<HTMLElement>('[data-move]')) {
  button.addEventListener('click', () => {
    select(moved(shownSteps(), current, button.dataset.move as Move));
  });
}

byId('unfold').addEventListener('click', () => {
  const open = folds.some((fold) => !fold.open);
  for (const fold of folds) fold.open = open;
  byId('unfold').setAttribute('aria-pressed', String(open));
});

document.addEventListener('click', (event) => {
  const row =
    event.target instanceof Element ? event.target.closest<HTMLElement>('[data-step]') : null;
  if (row !== null) select(Number(row.dataset.step));
});

/** A link to a step that a reason cites. */
window.addEventListener('hashchange', () => {
  const row = document.getElementById(location.hash.slice(1));
  if (row?.dataset.step !== undefined) select(Number(row.dataset.step));
});

document.addEventListener('pointerover', (event) => mark(wordOf(event.target)));
document.addEventListener('focusin', (event) => mark(wordOf(event.target)));

select(shownSteps()[0] ?? 0);
