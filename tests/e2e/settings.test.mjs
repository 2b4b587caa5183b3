import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { makeToken, removeFolder, runCommand, startServer, temporaryFolder } from './server.mjs';
import { Client } from './client.mjs';
import { exportJWK, generateKeyPair } from 'jose';

function folderFor(t) {
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  return folder;
}

function makeCertificate(folder, name) {
  const [cert, key] = [join(folder, `${name}.crt`), join(folder, `${name}.key`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                           '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert, key };
}

// A port of this machine that is taken until the test ends.
async function takenAddress(t) {
  const listener = createServer();
  await new Promise((resolve) => { listener.listen(0, '127.0.0.1', resolve); });
  afterwards(t, () => new Promise((resolve) => { listener.close(resolve); }));
  return `127.0.0.1:${listener.address().port}`;
}

const kOpenAi = ['--model', 'openai', '--openai-base-url', 'http://127.0.0.1:9/v1', '--openai-model', 'm'];

// Each case: arguments, what the refusal says, and the environment. Nothing may be left behind.
async function refusesEach(folder, cases) {
  const data = join(folder, 'data');
  for (const [args, named, env] of cases) {
    const all = ['serve', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--data', data, ...args];
    const { code, stdout, stderr } = await runCommand(all, { env });
    assert.equal(code, 1, `${args}: ${stdout}${stderr}`);
    assert.match(stderr, named, String(args));
    assert.ok(!existsSync(data), `${args}: the data folder was made`);
  }
}

describe('settings and commands', () => {
  test('--help and --version answer and end', async () => {
    const help = await runCommand(['--help']);
    assert.equal(help.code, 0);
    for (const word of ['serve', 'token']) assert.match(help.stdout, new RegExp(word));
    const version = await runCommand(['--version']);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /\d+\.\d+\.\d+/);
    assert.deepEqual(await runCommand(['serve', '--version']), version);
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
      [['--turn-timeout', '9999999h'], /turn-timeout/], [['--shutdown-timeout', '367d'], /shutdown-timeout/], [['--block-cache', '99999999999GiB'], /block-cache/],
      [['--openai-model', 'm'], /openai-model/], [[...kOpenAi, '--demo-token-delay', '1s'], /demo-token-delay/], [['--auth-algorithms', 'RS256'], /auth-algorithms.*jwks/],
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

  test('files that cannot be used are refused by the name of their setting before anything is opened', async (t) => {
    const folder = folderFor(t);
    const [one, other] = [makeCertificate(folder, 'one'), makeCertificate(folder, 'other')];
    const file = (name, content) => {
      writeFileSync(join(folder, name), content, { mode: 0o600 });
      return join(folder, name);
    };
    const absent = join(folder, 'absent');
    const [garbage, short] = [file('garbage', 'no key of any kind\n'), file('short', 'too short\n')];
    const tls = (cert, key) => ['--tls-cert', cert, '--tls-key', key];
    const jwks = (place) => ['--auth-issuer', 'https://id.example', '--jwks', place];
    await refusesEach(folder, [
      [tls(absent, one.key), /--tls-cert .*absent/], [tls(folder, one.key), /--tls-cert /], [tls(one.cert, absent), /--tls-key .*absent/],
      [tls(garbage, one.key), /--tls-cert .*garbage/], [tls(one.cert, garbage), /--tls-key/], [tls(one.cert, other.key), /--tls-cert with --tls-key/],
      [['--tls-cert', one.cert], /COLLOQUY_TLS_KEY .*absent/, { COLLOQUY_TLS_KEY: absent }],
      [jwks(absent), /--jwks.*absent/], [jwks(garbage), /--jwks.*garbage/], [jwks(folder), /--jwks/], [jwks(file('none', '{"keys":[]}')), /--jwks/], [jwks('https://'), /--jwks/],
      [['--auth-issuer', 'i'], /COLLOQUY_JWKS.*absent/, { COLLOQUY_JWKS: absent }],
      [['--token-key-file', absent], /--token-key-file.*absent/], [['--token-key-file', short], /--token-key-file.*short/],
      [[], /COLLOQUY_TOKEN_KEY/, { COLLOQUY_TOKEN_KEY: 'too short' }],
      [['--token-key-file', short], /COLLOQUY_TOKEN_KEY and --token-key-file/, { COLLOQUY_TOKEN_KEY: 'k'.repeat(40) }],
    ]);
  });

  test('a token key of the data folder that cannot be used is refused before the store is opened', async (t) => {
    const data = folderFor(t);
    writeFileSync(join(data, 'token.key'), 'too short\n', { mode: 0o600 });
    const { code, stderr } = await runCommand(['serve', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--data', data]);
    assert.equal(code, 1);
    assert.match(stderr, /--data.*token\.key/);
    assert.deepEqual(readdirSync(data), ['token.key']);
  });

  test('an endpoint that cannot be asked is refused by the name of its setting before anything is opened', async (t) => {
    const url = (text) => ['--model', 'openai', '--openai-model', 'm', '--openai-base-url', text];
    await refusesEach(folderFor(t), [
      [url('http://'), /--openai-base-url/], [url('http://a b/v1'), /--openai-base-url/], [url('http://h:99999/v1'), /--openai-base-url/],
      [url('http://user:secret@h/v1'), /--openai-base-url/], [url('ftp://h/v1'), /--openai-base-url/],
      [kOpenAi, /COLLOQUY_OPENAI_API_KEY/, { COLLOQUY_OPENAI_API_KEY: 'sk-1\n' }], [kOpenAi, /\bOPENAI_API_KEY/, { OPENAI_API_KEY: 'sk\u0001' }],
      [kOpenAi, /HTTPS_PROXY/, { HTTPS_PROXY: 'not a proxy' }],
    ]);
  });

  test('an address that cannot be had is refused by the name of its setting before anything is opened', async (t) => {
    const taken = await takenAddress(t);
    const cases = ['--listen', '--admin-listen'].flatMap((flag) => [
      [[flag, taken], new RegExp(`${flag}: .*${taken}`)],
      [[flag, '192.0.2.1:0'], new RegExp(`${flag}: .*192\\.0\\.2\\.1`)],
    ]);
    cases.push([['--listen', taken, '--admin-listen', taken], /--admin-listen is the address of --listen/]);
    await refusesEach(folderFor(t), cases);
  });

  test('a data folder that cannot be made is refused by its name', async (t) => {
    const file = join(folderFor(t), 'file');
    writeFileSync(file, '');
    for (const data of [file, join(file, 'below')]) {
      const { code, stderr } = await runCommand(['serve', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--data', data]);
      assert.equal(code, 1);
      assert.match(stderr, /--data/);
    }
  });

  test('a key set without an audience is warned of, once, and not with one', async (t) => {
    const jwks = join(folderFor(t), 'jwks.json');
    const { publicKey } = await generateKeyPair('ES256');
    writeFileSync(jwks, JSON.stringify({ keys: [{ ...await exportJWK(publicKey), kid: '1', alg: 'ES256' }] }));
    const args = ['--jwks', jwks, '--auth-issuer', 'https://id.example'];
    const server = await startServer({ args });
    afterwards(t, () => server.close());
    const warnings = () => server.logs().filter((line) => line.event === 'auth.any_audience' && line.level === 'warning').length;
    await server.stop();
    assert.equal(warnings(), 1);
    await server.start({ args: [...args, '--auth-audience', 'colloquy'] });
    await server.stop();
    assert.equal(warnings(), 1);
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
    const data = join(folderFor(t), 'data');
    for (const args of [['--user', ''], ['--user', 'x'.repeat(257)], ['--user', 'a', '--ttl', '0s'], ['--user', 'a', '--ttl', 'soon'], ['--user', 'a', '--ttl', '3651d'], ['--user', 'a\u0001'], []]) {
      const { code, stdout, stderr } = await runCommand(['token', '--data', data, ...args]);
      assert.notEqual(code, 0, String(args));
      assert.ok(stderr.length > 0 && !stdout.includes('.'), String(args));
      assert.ok(!existsSync(data), `${args}: the data folder was made`);
    }
  });

  test('colloquy token says where it has made a key', async (t) => {
    const data = join(folderFor(t), 'mistyped');
    const token = async () => (await runCommand(['token', '--data', data, '--user', 'alice'])).stderr;
    assert.match(await token(), /made .*mistyped\/token\.key\n$/);
    assert.equal(await token(), '');
    chmodSync(join(data, 'token.key'), 0o640);
    assert.match(await token(), /can be read by others/);
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
