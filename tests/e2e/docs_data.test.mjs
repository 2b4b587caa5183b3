// The shell blocks of the pages about users' data, pasted one after the other as a reader would.
//
// Every ```sh block of a page is run, all of them in one shell, in a folder that looks like a clone after its first
// build, unless an HTML comment stands in the line before it:
//   <!-- terminal of its own -->  it starts a server, which stays until the page ends, or until another such block that
//                                 has no --listen either: the reader has stopped the first one, to have its port
//   <!-- not run: … -->           says why not; so it has to before commands that are indented, and on all pages that
//                                 are not run
// A command that fails fails the test. So does a problem in the output that the page does not show, and where a plain
// ``` block follows, a field of JSON that it shows and that was not in the output.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { binary, cleanEnvironment, onDynamoDb, removeFolder, temporaryFolder } from './server.mjs';

// Those that say “beside a running ./run” get one.
const kPages = onDynamoDb ? [{ page: 'docs/dynamodb.md' }] : [
  { page: 'README.md', running: true },
  { page: 'docs/api.md', running: true },
  { page: 'docs/exchange.md', running: true },
  { page: 'docs/backup.md' },
  { page: 'docs/cost.md' },
  { page: 'docs/encryption.md' },
  { page: 'docs/migrate.md' },
  { page: 'docs/operations.md', running: true },
];
const kPorts = [8080, 8081, 9464, 9465];  // of the pages; others here
const kPatienceMs = 120_000;
const kMark = '\u0001';

// [{ line, code, terminal, skipped, shown }], in the order of the page.
function blocksOf(text) {
  const blocks = [];
  // The comment is in one line, or a mark further up would be taken for this block's.
  const pattern = /(?:^<!--([^\n]*?)-->\n)?^```(\w*)\n(.*?)^```$/gms;
  for (const { 0: whole, 1: comment = '', 2: language, 3: body, index } of text.matchAll(pattern)) {
    if (language === '' && blocks.length > 0) blocks.at(-1).shown += body;
    if (language !== 'sh') continue;
    const line = text.slice(0, index + whole.indexOf('```')).split('\n').length;
    const terminal = comment.trim() === 'terminal of its own';
    blocks.push({ line, code: body, terminal, skipped: comment.trim().startsWith('not run: '), shown: '' });
  }
  return blocks;
}

const isFree = (port) => new Promise((resolve) => {
  const server = createServer().once('error', () => resolve(false));
  server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
});

// Below those that the kernel hands out, so that none is gone again when a server takes it.
const given = new Set();
async function freePorts(count) {
  const ports = [];
  while (ports.length < count) {
    const port = randomInt(10_000, 20_000);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

// A clone after its first build: ./run, which here builds nothing and listens elsewhere, and the program.
function makeClone(folder, [listen, , admin]) {
  const script = (path, text) => {
    writeFileSync(join(folder, path), `#!/usr/bin/env bash\n${text}\n`);
    chmodSync(join(folder, path), 0o755);
  };
  mkdirSync(join(folder, 'build/release'), { recursive: true });
  script('build/release/colloquy', `exec '${binary}' "$@"`);
  script('run', `case " $* " in *' --listen '*) ;; *) set -- "$@" --listen 127.0.0.1:${listen} --admin-listen 127.0.0.1:${admin} ;; esac
exec '${binary}' serve "$@"`);
}

// The page as one script: what is to stay runs in the background, and is waited for until it listens.
function scriptOf(blocks) {
  // Disowned, since a page may `wait` for what it has begun itself.
  const lines = ['set -e', 'servers=""; first=""',
                 'stop() { for server in "$@"; do kill $server || true; done 2>/dev/null',
                 '  for server in "$@"; do while kill -0 $server 2>/dev/null; do sleep 0.05; done; done; }',
                 "trap 'stop $servers' EXIT"];
  blocks.forEach(({ code, terminal, skipped }, number) => {
    if (skipped) return;
    lines.push(`printf '${kMark}%s${kMark}' ${number}`);
    if (!terminal) return lines.push(code);
    const log = `terminal-${number}.log`;
    const backed = code.includes('--backup-to') ? ` && grep -q base_taken ${log}` : '';  // no reader is faster
    const elsewhere = code.includes('--listen');
    if (!elsewhere) lines.push('stop $first');
    lines.push(`(exec bash -ec ${quote(code.replace(/^(?=\.\/run)/gm, 'exec '))}) >${log} 2>&1 &`,
               `servers="$servers $!"; ${elsewhere ? '' : 'first=$!;'} server=$!; disown`,
               `until grep -q '^admin on' ${log}${backed}; do kill -0 $server || { cat ${log}; exit 1; }; sleep 0.05; done`);
  });
  return lines.join('\n');
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function runShell(script, folder) {
  return new Promise((resolve) => {
    const child = spawn('bash', ['-c', script],
                        { cwd: folder, env: cleanEnvironment(), stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const timer = setTimeout(() => process.kill(-child.pid, 'SIGKILL'), kPatienceMs);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => { stdout += text; });
    child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
  });
}

const found = (text, pattern) => new Set([...text.matchAll(pattern)].map(([, what]) => what));
const kProblem = /"status":(\d{3}),"detail"/g;
const kField = /"(\w+)":/g;

function checkOutput(where, output, shown) {
  for (const status of found(output, kProblem)) {
    assert.ok(found(shown, kProblem).has(status), `${where}: a problem that the page does not show:\n${output}`);
  }
  const fields = found(output, kField);
  for (const field of found(shown, kField)) {
    assert.ok(fields.has(field), `${where}: the page shows "${field}", and the output has none:\n${output}`);
  }
}

async function runPage(t, { page, running = false }) {
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  const ports = await freePorts(kPorts.length);
  makeClone(folder, ports);
  const text = readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
  const blocks = blocksOf(text.replace(/127\.0\.0\.1:(\d{4})\b/g, (whole, port) => {
    if (port === '8000' && onDynamoDb) return new URL(process.env.COLLOQUY_TEST_DYNAMODB).host;
    const place = kPorts.indexOf(Number(port));
    return place < 0 ? whole : `127.0.0.1:${ports[place]}`;
  }));
  if (running) blocks.unshift({ line: 1, code: './run', terminal: true, skipped: false, shown: '' });

  const { code, signal, stdout, stderr } = await runShell(scriptOf(blocks), folder);
  const [, ...pieces] = stdout.split(kMark);
  const outputs = new Map();
  for (let at = 0; at < pieces.length; at += 2) outputs.set(Number(pieces[at]), pieces[at + 1]);
  const last = [...outputs.keys()].at(-1);
  assert.deepEqual({ code, signal }, { code: 0, signal: null },
                   `${page}:${blocks[last]?.line}: this block failed:\n${blocks[last]?.code}\n${outputs.get(last)}\n${stderr}`);
  for (const [number, output] of outputs) checkOutput(`${page}:${blocks[number].line}`, output, blocks[number].shown);
  assert.ok(outputs.size > 1, `${page}: nothing was run`);
  for (const log of readdirSync(folder).filter((name) => name.startsWith('terminal-'))) {
    assert.doesNotMatch(readFileSync(join(folder, log), 'utf8'), /Sanitizer|runtime error:|"status":5\d\d/);
  }
}

const repository = new URL('../../', import.meta.url);
const read = (name) => readFileSync(new URL(name, repository), 'utf8');
const isMark = (line) => /^ *<!--(.*)-->$/.test(line ?? '') && /not run: |terminal of its own/.test(line);
const kCommand = new RegExp('^ *(?:\\$ |\\()?(?:umask \\S+ |[A-Z_]+=\\S+ )*(?:' +
  'colloquy |\\./(?:run|test)\\b|build/release/|curl |(?:bench|scripts|tests)/[\\w./]+|(?:cmake|cpack|ctest|npm|git|sudo|apt-get|systemctl|docker|kubectl|helm|terraform|aws) )');

// Every fence of shell commands, on a page that is run or not: { line, language, kind, run, marked, needs }.
function shellFences(text) {
  const lines = text.split('\n');
  let open = false;
  return lines.flatMap((line, at) => {
    const [, indent, language, kind] = line.match(/^( *)```(\w*)(?: (\w+))?/) ?? [];
    if (indent === undefined) return [];
    open = !open;
    if (!open || !['sh', 'bash', 'shell', 'console'].includes(language)) return [];
    const needs = /^ *# needs \S/.test(lines[at + 1]);
    return [{ line: at + 1, kind, needs, marked: isMark(lines[at - 1]), pasted: language === 'sh' && indent === '' && kind === undefined }];
  });
}

// Which pages have tests of their own, and which blocks those run.
const kOtherTests = {
  'docs/deploy-kubernetes.md': ({ pasted }) => pasted && read('tests/deploy/pages.test.mjs').includes("readPage('deploy-kubernetes.md')"),
  'docs/deploy-vm.md': ({ kind }) => ['package.test.mjs', 'machine.mjs'].some((name) =>
    [`commands('${kind}')`, `kind === '${kind}'`].some((use) => read(`tests/deploy/${name}`).includes(use))),
};

function fencesNotRun(page, text, isRun) {
  return shellFences(text).filter((fence) => !fence.marked && !fence.needs && !(isRun && fence.pasted) && !kOtherTests[page]?.(fence))
    .map(({ line }) => `${page}:${line}: neither run nor marked`);
}

// A mark that says which test or page runs it instead names one that there is.
function marksOfNothing(page, text) {
  return [...text.matchAll(/<!-- not run: (.*?)-->/g)].flatMap(([, why]) => why.match(/(?:tests|docs)\/[\w./]+\w/g) ?? [])
    .filter((path) => !existsSync(new URL(path, repository))).map((path) => `${page}: ${path} is not there`);
}

// Indented, or in a fence of another name, a command would be pasted by a reader and run by nobody here.
function commandsNotMarked(text, isRun = () => true) {
  const lines = text.split('\n');
  const found = [];
  let fence;
  let marked = false;
  lines.forEach((line, at) => {
    const [, indent, language] = line.match(/^( *)```(\w*)/) ?? [];
    if (indent !== undefined) {
      const marked = isMark(lines[at - 1]) || /^ *# needs \S/.test(lines[at + 1]);
      const run = isRun(/^ *```\w+ (\w+)/.exec(line)?.[1]) && language === 'sh' && indent === '';
      if (fence === undefined) fence = { isRun: run, marked };
      else fence = undefined;
      return;
    }
    // A block begins where the line above is empty or a mark, and has that mark for all of its lines.
    const indented = fence === undefined && line.startsWith('    ');
    if (indented && !lines[at - 1].startsWith('    ')) marked = isMark(lines[at - 1]);
    if (!kCommand.test(line)) return;
    if (indented && !marked) found.push(`${at + 1}: ${line}`);
    if (fence && !fence.isRun && !fence.marked) found.push(`${at + 1}: ${line}`);
  });
  return found;
}

test('each command of every page is in a block that is run, or says why not', { skip: onDynamoDb }, () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'bench/README.md', 'deploy/terraform/README.md',
                 ...readdirSync(new URL('docs/', repository)).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
  const run = [...kPages.map(({ page }) => page), 'docs/dynamodb.md'];
  const found = pages.flatMap((page) => {
    const text = read(page);
    const isRun = (kind) => run.includes(page) || Boolean(kOtherTests[page]?.({ kind, pasted: kind === undefined }));
    return [...commandsNotMarked(text, isRun).map((line) => `${page}:${line}`), ...fencesNotRun(page, text, run.includes(page)), ...marksOfNothing(page, text)];
  });
  assert.deepEqual(found, []);
});

test('a command that nobody runs is seen, wherever it stands', { skip: onDynamoDb }, () => {
  const blocks = blocksOf('<!-- not run: so -->\n    curl x\n\n<!-- terminal of its own -->\n```sh\n./run\n```\n\n```sh\nls\n```\n');
  assert.deepEqual(blocks.map(({ skipped, terminal }) => [skipped, terminal]), [[false, true], [false, false]]);
  assert.deepEqual(commandsNotMarked('Then\n\n    colloquy verify\n\n<!-- not run: so -->\n    curl x\n\n```sh\ncurl x\n```\n'),
                   ['3:     colloquy verify']);
  assert.deepEqual(commandsNotMarked('```\nkubectl get pods\n```\n\n    bench/run --quick\n').length, 2);
  const page = '```sh\nls\n```\n\n<!-- not run: so -->\n```sh\nls\n```\n\n```sh\n# needs an account\nls\n```\n\n```bash\nls\n```\n\n```json\n{}\n```\n';
  assert.deepEqual(fencesNotRun('docs/new.md', page, false), ['docs/new.md:1: neither run nor marked', 'docs/new.md:15: neither run nor marked']);
  assert.deepEqual(fencesNotRun('docs/new.md', page, true), ['docs/new.md:15: neither run nor marked']);
  assert.deepEqual(fencesNotRun('docs/deploy-vm.md', '```sh systemd\nls\n```\n\n```sh other\nls\n```\n', false), ['docs/deploy-vm.md:5: neither run nor marked']);
  assert.deepEqual(marksOfNothing('p', '<!-- not run: tests/e2e/server.mjs does -->\n<!-- not run: tests/e2e/nothing.mjs does -->'), ['p: tests/e2e/nothing.mjs is not there']);
});

describe('the pages about data work as pasted', { concurrency: true }, () => {
  for (const page of kPages) test(page.page, (t) => runPage(t, page));
});
