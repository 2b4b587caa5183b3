// What docs/dynamodb.md tells people to paste works against DynamoDB Local, and answers as it shows.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { binary, cleanEnvironment, removeFolder, startServer, temporaryFolder } from '../e2e/server.mjs';
import { endpoint } from './tables.mjs';

const run = promisify(execFile);
// One of its sections is docs_data.test.mjs's.
const page = readFileSync(new URL('../../docs/dynamodb.md', import.meta.url), 'utf8').replace(/\n## Users' data\n[^]*?(?=\n## )/, '');

test('the commands of docs/dynamodb.md work as pasted, and answer as it shows', async (t) => {
  const fences = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language, text]) => ({ language, text }));
  const data = temporaryFolder();
  const urls = { 'http://127.0.0.1:8000': endpoint };
  const here = (text) => Object.entries({ ...urls, 'build/release/colloquy': binary, './data': data })
    .reduce((so_far, [from, to]) => so_far.replaceAll(from, to), text);
  const environment = {};
  const servers = [];
  t.after(async () => {
    for (const server of servers) await server.close();
    removeFolder(data);
  });

  let pasted = 0;
  for (const [i, { language, text }] of fences.entries()) {
    if (language !== 'sh') continue;
    if (text.startsWith('./run')) {
      // Started by ./run as it is here, but for the ports, which the machine has free.
      const flags = here(text).trim().split(' ').slice(1);
      const listen = flags.indexOf('--listen');
      const address = listen < 0 ? '127.0.0.1:8080' : flags[listen + 1];
      if (listen >= 0) flags.splice(listen, 4);
      assert.ok(!flags.some((flag) => flag.includes('listen')), text);
      const server = await startServer({ args: flags, env: environment, data });
      servers.push(server);
      urls[`http://${address}`] = server.baseUrl;
      continue;
    }
    const { stdout } = await run('bash', ['-c', `set -euo pipefail\n${here(text)}`], { timeout: 120_000, env: cleanEnvironment(environment) });
    for (const [, name, value] of text.matchAll(/(AWS_\w+)=(\w+)/g)) environment[name] = value;
    pasted += 1;
    const shown = fences[i + 1];
    assert.equal(shown.language, '', `what follows\n${text}`);
    const real = stdout.trimEnd().split('\n');
    const expected = shown.text.trimEnd().split('\n');
    assert.equal(real.length, expected.length, stdout);
    expected.forEach((line, at) => {
      const [begin, end] = line.split(' …');
      if (end !== undefined) assert.ok(real[at].startsWith(begin) && real[at].endsWith(end), stdout);
      else assert.equal(real[at], line);
    });
  }
  assert.equal(servers.length, 2);
  assert.equal(pasted, 3);
});
