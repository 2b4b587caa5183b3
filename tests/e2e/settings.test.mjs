import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { makeToken, removeFolder, runCommand, startServer, temporaryFolder } from './server.mjs';
import { Client } from './client.mjs';

function folderFor(t) {
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  return folder;
}

describe('settings and commands', () => {
  test('--help and --version answer and end', async () => {
    const help = await runCommand(['--help']);
    assert.equal(help.code, 0);
    for (const word of ['serve', 'token']) assert.match(help.stdout, new RegExp(word));
    const version = await runCommand(['--version']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /\d+\.\d+\.\d+/);
    const serve = await runCommand(['serve', '--help']);
    assert.equal(serve.code, 0);
    for (const flag of ['--listen', '--data', '--model', '--requests-per-minute', 'COLLOQUY_LISTEN']) assert.ok(serve.stdout.includes(flag), flag);
  });

  test('what is unknown or invalid is named and refused before anything is opened', async (t) => {
    const folder = folderFor(t);
    const data = join(folder, 'data');
    const config = join(folder, 'bad.conf');
    writeFileSync(config, 'no-such-setting = 5\n');
    const cases = [
      [['--no-such-flag', '5'], /no-such-flag/], [['--listen', 'nonsense'], /listen/], [['--listen', '127.0.0.1:99999'], /listen/],
      [['--model', 'no-such-model'], /model/], [['--store', 'paper'], /store/], [['--requests-per-minute', 'many'], /requests-per-minute/],
      [['--requests-per-minute', '-1'], /requests-per-minute/], [['--request-timeout', '5 parsecs'], /request-timeout/], [['--max-body-bytes', 'big'], /max-body-bytes/],
      [['--tls-cert', '/x'], /tls-key/], [['--model', 'openai'], /openai-base-url/], [['--jwks', '/x'], /auth-issuer/], [['--cors-origins', 'ftp://x'], /cors-origins/],
      [['--auth-algorithms', 'none'], /auth-algorithms/], [['--token-key', 'x'.repeat(32)], /token-key/], [['--openai-api-key', 'x'], /openai-api-key/],
      [['stray'], /stray/], [['--config', config], /no-such-setting/], [['--config', join(folder, 'absent')], /absent/], [['--context-messages', '5000'], /context-messages/],
    ];
    for (const [args, named] of cases) {
      const { code, stdout, stderr } = await runCommand(['serve', '--data', data, ...args]);
      assert.notEqual(code, 0, String(args));
      assert.match(stdout + stderr, named, `${args}: ${stdout}${stderr}`);
      assert.ok(!existsSync(data), `${args}: the data folder was made`);
    }
    const unknown = await runCommand(['serve', '--data', data], { env: { COLLOQUY_LISTNE: 'x' } });
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr + unknown.stdout, /COLLOQUY_LISTNE/);
    assert.notEqual((await runCommand(['no-such-command'])).code, 0);
    assert.notEqual((await runCommand([])).code, 0);
  });

  test('a setting comes from a flag, the environment or a file, in this order', async (t) => {
    const folder = folderFor(t);
    const config = join(folder, 'colloquy.conf');
    writeFileSync(config, '# a comment\nrequests-per-minute = 7\ncors-origins = https://file.example\n');
    const limitOf = async (server) => (await (await server.client('alice')).get('/conversations', { expect: 200 })).header('ratelimit-policy');
    const server = await startServer({ args: ['--config', config] });
    afterwards(t, () => server.close());
    assert.match(await limitOf(server), /q=7;/);
    await server.restart({ env: { COLLOQUY_REQUESTS_PER_MINUTE: '8' } });
    assert.match(await limitOf(server), /q=8;/);
    await server.restart({ args: ['--config', config, '--requests-per-minute', '9'], env: { COLLOQUY_REQUESTS_PER_MINUTE: '8' } });
    assert.match(await limitOf(server), /q=9;/);
    await server.restart({ args: [], env: { COLLOQUY_CONFIG: config } });
    assert.match(await limitOf(server), /q=7;/);
  });

  test('an address that is taken is an error that names it', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    const taken = new URL(server.baseUrl).host;
    const { code, stdout, stderr } = await runCommand(['serve', '--data', folderFor(t), '--admin-listen', '127.0.0.1:0', '--listen', taken]);
    assert.notEqual(code, 0);
    assert.ok((stdout + stderr).includes(taken.split(':')[1]), stdout + stderr);
  });

  test('the token key is made once, for its owner alone, and outlives restarts', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    const token = await server.token('alice');
    assert.equal(statSync(join(server.data, 'token.key')).mode & 0o777, 0o600);
    await server.restart();
    await new Client({ baseUrl: server.baseUrl, token }).get('/conversations', { expect: 200 });
  });

  test('what is stored is for its owner alone', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    await (await server.client('alice')).createConversation();
    const open = readdirSync(server.data).filter((name) => (statSync(join(server.data, name)).mode & 0o077) !== 0);
    const folderOpen = (statSync(server.data).mode & 0o077) !== 0;
    assert.ok(!folderOpen || open.length === 0, `others may read ${open}`);
  });

  test('a token can be made before the first start, and with a key of one\'s own', async (t) => {
    const data = join(folderFor(t), 'fresh');
    const early = await makeToken(data, 'alice');
    const server = await startServer({ data });
    afterwards(t, () => server.close());
    await new Client({ baseUrl: server.baseUrl, token: early }).get('/conversations', { expect: 200 });

    const folder = folderFor(t);
    const keyFile = join(folder, 'key');
    writeFileSync(keyFile, `${'k'.repeat(40)}\n`, { mode: 0o600 });
    const other = await startServer({ args: ['--token-key-file', keyFile] });
    afterwards(t, () => other.close());
    const fromFile = await makeToken(folder, 'alice', { args: ['--token-key-file', keyFile] });
    await new Client({ baseUrl: other.baseUrl, token: fromFile }).get('/conversations', { expect: 200 });
    await new Client({ baseUrl: other.baseUrl, token: early }).get('/conversations', { expect: 401 });
    await other.restart({ args: [], env: { COLLOQUY_TOKEN_KEY: 'k'.repeat(40) } });
    await new Client({ baseUrl: other.baseUrl, token: fromFile }).get('/conversations', { expect: 200 });
    await other.stop();
    writeFileSync(keyFile, 'too short');
    await assert.rejects(other.start({ args: ['--token-key-file', keyFile], env: {} }), /did not start[^]*(short|32)/);
  });

  test('colloquy token refuses what makes no sense', async (t) => {
    const data = folderFor(t);
    for (const args of [['--user', ''], ['--user', 'x'.repeat(257)], ['--user', 'a', '--ttl', '0s'], ['--user', 'a', '--ttl', 'soon'], []]) {
      const { code, stdout, stderr } = await runCommand(['token', '--data', data, ...args]);
      assert.notEqual(code, 0, String(args));
      assert.ok(stderr.length > 0 && !stdout.includes('.'), String(args));
    }
  });

  test('a user id is taken as it is', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    const users = ['alice@example.org', 'auth0|5f7c8ec7c33c6c004bbafe82', 'ä ö/ü', '🚂', 'x'.repeat(256)];
    for (const user of users) {
      const made = await (await server.client(user)).createConversation({ title: user.slice(0, 40) });
      assert.deepEqual((await (await server.client(user)).get('/conversations', { expect: 200 })).json, [made]);
    }
  });
});
