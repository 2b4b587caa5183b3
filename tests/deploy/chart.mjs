// The chart rendered by the real helm.
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { skipped } from '../skipped.mjs';

const run = promisify(execFile);
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

export const chart = here('../../deploy/helm/colloquy');
const kExamples = here('../../deploy/helm/examples');
export const helm = join(here('../../build/kubernetes'), 'helm');

// Whether `what` has to be skipped here.
export const withoutHelm = (what) => skipped(what, existsSync(helm) ? [] : ['there is no helm in build/kubernetes (tests/deploy/fetch.sh)']);

// The sets of values that operators begin from: { name, file }.
export const examples = readdirSync(kExamples).filter((file) => file.endsWith('.yaml'))
  .map((file) => ({ name: file.replace('.yaml', ''), file: join(kExamples, file) }));
export const example = (name) => examples.find((one) => one.name === name).file;

// Some sixty at once would keep each other from ending.
const kHelmsAtOnce = 2;
let helms = 0;
const waiting = [];

// Runs helm to its end: { code, stdout, stderr }, without the user's own settings.
export async function runHelm(...args) {
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', HELM_NO_PLUGINS: '1' };
  while (helms >= kHelmsAtOnce) await new Promise((resolve) => waiting.push(resolve));
  helms++;
  try {
    return { code: 0, ...await run(helm, args, { env, timeout: 60_000, maxBuffer: 1 << 26 }) };
  } catch (error) {
    if (typeof error.code !== 'number' || !error.stderr) throw error;
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  } finally {
    helms--;
    waiting.shift()?.();
  }
}

// Kubernetes reads YAML 1.1, where 0440 is octal and `off` a boolean.
export function parseObjects(text) {
  return parseAllDocuments(text, { version: '1.1', strict: true }).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS();
  }).filter((object) => object !== null);
}

// What helm makes of the chart: { objects } or { error }, helm's own words.
export async function render({ folder = chart, values = [], sets = [], release = 'colloquy', namespace = 'chat' } = {}) {
  const args = ['template', release, folder, '--namespace', namespace, '--kube-version', '1.33.0'];
  for (const file of values) args.push('--values', file);
  for (const set of sets) args.push(set.startsWith('json:') ? '--set-json' : '--set', set.replace(/^json:/, ''));
  const { code, stdout, stderr } = await runHelm(...args);
  return code === 0 ? { objects: parseObjects(stdout) } : { error: stderr };
}
