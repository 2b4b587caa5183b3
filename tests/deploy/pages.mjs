// The commands and files in a page of the documentation.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

export const readPage = (name) => readFileSync(join(repository, 'docs', name), 'utf8');

// Its fenced blocks: { language, kind, text, needs }, where `needs` is what its first line says that it needs.
export function blocksOf(text) {
  return [...text.matchAll(/^```(\w+)(?: (\w+))?\n(.*?)^```$/gms)].map(([, language, kind, block]) => {
    const needs = /^# needs (.*)\n/.exec(block)?.[1];
    return { language, kind, needs, text: needs ? block.slice(block.indexOf('\n') + 1) : block };
  });
}

// Its commands, one a line.
export const linesOf = (block) => block.text.replaceAll('\\\n', ' ').split('\n').filter(Boolean);
