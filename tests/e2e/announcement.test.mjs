// The line that a person at the machine may paste, and nobody else gets to see.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { afterwards } from './cleanup.mjs';
import { removeFolder, temporaryFolder } from './server.mjs';
import { serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';

const run = promisify(execFile);

const announced = (server) => server.stdout.split(/\r?\n/).filter((line) => /curl|Bearer/.test(line));

async function lineOf(server) {
  const [line] = await until(() => /curl.*\r?\n/.test(server.stdout) && announced(server), 'the line');
  return line;
}

async function paste(line) {
  const { stdout } = await run('bash', ['-c', line], { timeout: 60_000 });
  return JSON.parse(stdout);
}

describe('what the server says when it starts', () => {
  test('on a terminal it shows a curl line, which works as pasted, as often as one likes', async (t) => {
    const { server, you } = await serverOfTest(t, { terminal: true, users: ['you'] });
    const line = await lineOf(server);
    assert.ok(line.includes(`${server.baseUrl}/generate`), server.stdout);
    for (let i = 1; i <= 2; i += 1) {
      const answer = await paste(line);
      assert.equal(answer.prompt, 'Hello!');
      assert.match(answer.generated_text, /Hello!/);
      const listed = (await you.get('/conversations', { expect: 200 })).json;
      assert.equal(listed.length, i);
      assert.equal(listed[0].conversation_id, answer.conversation_id);
    }
  });

  test('the line works over TLS with a certificate that nobody knows', async (t) => {
    const folder = temporaryFolder();
    afterwards(t, () => removeFolder(folder));
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                             '-subj', '/CN=test', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const { server } = await serverOfTest(t, { terminal: true, users: [], args: ['--tls-cert', cert, '--tls-key', key] });
    assert.match(server.baseUrl, /^https:/);
    assert.equal((await paste(await lineOf(server))).prompt, 'Hello!');
  });

  test('the token is in no log', async (t) => {
    const { server } = await serverOfTest(t, { terminal: true, users: [] });
    const token = (await lineOf(server)).match(/Bearer (\S+?)'/)[1];
    await paste(await lineOf(server));
    await server.stop();
    assert.ok(!server.stderr.includes(token.split('.')[2]));
  });

  for (const [where, options] of [['where its output is no terminal', {}],
                                  ['where others than this machine may ask', { terminal: true, listen: '0.0.0.0:0' }],
                                  ['where its own tokens would not be good enough', { terminal: true, args: ['--auth-audience', 'chat'] }]]) {
    test(`there is no such line ${where}`, async (t) => {
      const { server } = await serverOfTest(t, { users: [], ...options });
      await server.stop();
      assert.deepEqual(announced(server), []);
      assert.match(server.stdout, /^listening on /m);
    });
  }
});
