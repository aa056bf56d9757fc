/** Pages of one file that load nothing: what they have in common. */
import { fileURLToPath } from 'node:url';
import { readText } from '../traces/lines.js';

/** What the build makes of web/. */
const ASSETS = new URL('../../web/', import.meta.url);

/** Of a page, as it stands in a head. */
export const HEAD_LINES = `<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">`;

/** The script and the style of a page, by its name in web/. */
export async function pageAssets(name: string): Promise<{ script: string; style: string }> {
  const [script, style] = await Promise.all(
    [`${name}.bundle.js`, `${name}.css`].map((file) =>
      readText(fileURLToPath(new URL(file, ASSETS))),
    ),
  );
  return { script, style };
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

/** JSON inside of a script element, which a "</script" in a text would end. */
export function embedded(data: unknown): string {
  return JSON.stringify(data).replaceAll('<', '\\u003c');
}
