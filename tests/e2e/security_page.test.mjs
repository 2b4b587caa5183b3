// docs/security.md and SECURITY.md name files, settings and tests that there are.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { onDynamoDb, runCommand } from './server.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const kPages = ['SECURITY.md', 'docs/security.md'];
const read = (name) => readFileSync(join(root, name), 'utf8');

const kFolders = /^(?:bench|cmake|deploy|docs|scripts|src|tests)\//;
const kRootFile = /^[A-Za-z]+\.(?:md|yaml|txt)$/;
const inCode = (text) => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code);
const pathsIn = (text) => inCode(text).filter((code) => kFolders.test(code) || kRootFile.test(code));

// What it names and is not there, as sentences.
function missingFiles(page, text) {
  const linked = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target]) => target)
    .filter((target) => !/^https?:/.test(target)).map((target) => join(dirname(page), target));
  return [...pathsIn(text), ...linked].filter((path) => !existsSync(join(root, path))).map((path) => `${page}: ${path} is not there`);
}

function missingAnchors(page, text) {
  const anchorsOf = (of) => [...of.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-'));
  return [...text.matchAll(/\]\(([^)#\s]*)#([^)]*)\)/g)]
    .filter(([, target, anchor]) => !anchorsOf(target ? read(join(dirname(page), target)) : text).includes(anchor))
    .map(([, target, anchor]) => `${page}: ${target}#${anchor} is not there`);
}

function missingSettings(page, text, settings) {
  const known = new Set(settings.match(/--[a-z][a-z-]+|COLLOQUY_[A-Z_]+/g));
  return inCode(text).filter((code) => !code.startsWith('docker ')).flatMap((code) => code.match(/--[a-z][a-z-]+|COLLOQUY_[A-Z_]+/g) ?? [])
    .filter((name) => !known.has(name) && name !== '--version').map((name) => `${page}: ${name} is no setting`);
}

// Each row of the threats ends with tests, and what stands in quotes behind a test's file is in that file.
function missingTests(text) {
  const [, table] = text.match(/^## Threats\n\n\|.*\n\|.*\n((?:\|.*\n)+)/m) ?? [];
  const rows = (table ?? '').split('\n').filter(Boolean);
  const found = rows.length < 10 ? ['there is no table of threats'] : [];
  for (const row of rows) {
    const [, threat, , shown] = row.split(' | ').length === 3 ? ['', ...row.split(' | ')] : [];
    const tests = pathsIn(shown ?? '');
    if (tests.length === 0) found.push(`${threat ?? row}: no test`);
    for (const path of tests) if (!/(\.test\.mjs|_test\.cc)$|^tests\/fuzz\/fuzz_\w+\.cc$/.test(path)) found.push(`${path} is no test`);
    for (const [, path, names] of (shown ?? '').matchAll(/`([^`]+)`((?: “[^”]+”,?)*)/g)) {
      const content = existsSync(join(root, path)) ? read(path) : '';
      for (const [, name] of names.matchAll(/“([^”]+)”/g)) if (!content.includes(name)) found.push(`${path} has no test “${name}”`);
    }
  }
  return found;
}

test('the pages of security name files, settings and tests that there are', { skip: onDynamoDb }, async () => {
  const settings = (await runCommand(['settings'])).stdout;
  for (const page of kPages) {
    const text = read(page);
    assert.deepEqual([...missingFiles(page, text), ...missingAnchors(page, text), ...missingSettings(page, text, settings)], []);
  }
  assert.deepEqual(missingTests(read('docs/security.md')), []);
});

test('each kind of mistake on them is seen', { skip: onDynamoDb }, async () => {
  const settings = (await runCommand(['settings'])).stdout;
  const page = 'docs/security.md';
  const text = read(page);
  const all = (changed) => [...missingFiles(page, changed), ...missingAnchors(page, changed), ...missingSettings(page, changed, settings), ...missingTests(changed)];
  for (const [from, to, said] of [
    ['`src/api/health.cc`', '`src/api/heath.cc`', 'docs/security.md: src/api/heath.cc is not there'],
    ['(dependencies.md)', '(dependences.md)', 'docs/security.md: docs/dependences.md is not there'],
    ['`openapi.yaml`\'s', '`openap.yaml`\'s', 'docs/security.md: openap.yaml is not there'],
    ['(#threats)', '(#dangers)', 'docs/security.md: #dangers is not there'],
    ['(encryption.md#what-is-and', '(encryption.md#which-is-and', 'docs/security.md: encryption.md#which-is-and-what-is-not-encrypted is not there'],
    ['`--files-quota-count`', '`--files-quota-number`', 'docs/security.md: --files-quota-number is no setting'],
    ['`COLLOQUY_MASTER_KEY`', '`COLLOQUY_MASTERKEY`', 'docs/security.md: COLLOQUY_MASTERKEY is no setting'],
    ['“for that user alone”', '“for this user alone”', 'tests/e2e/rate_limits.test.mjs has no test “for this user alone”'],
    ['`tests/fuzz/fuzz_backup.cc` |', '`src/backup/restore.h` |', 'src/backup/restore.h is no test'],
    ['`tests/e2e/observability.test.mjs` “every request has a line with its id” |', 'by hand |', '| **Repudiation:** who did that?: no test'],
    ['## Threats', '## Dangers', 'there is no table of threats'],
  ]) {
    assert.ok(text.includes(from), from);
    assert.ok(all(text.replace(from, to)).includes(said), `${to}: ${all(text.replace(from, to))}`);
  }
});
