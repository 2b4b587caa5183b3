// What users write, encrypted in the store.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inflateRawSync } from 'node:zlib';
import { afterwards } from './cleanup.mjs';
import { rawRequest } from './client.mjs';
import { embeddedOnly, onDynamoDb, runCommand, startServer, temporaryFolder } from './server.mjs';
import { serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';
import { unzip } from './zip.mjs';

const makeKey = async () => (await runCommand(['keys', 'create'])).stdout.trim();

function writeKeys(file, ...keys) {
  writeFileSync(file, keys.map((key) => `${key}\n`).join(''), { mode: 0o600 });
}

// The flags of a server with a keyring of its own.
async function encryption() {
  const folder = temporaryFolder();
  const file = join(folder, 'master.key');
  const keyring = join(folder, 'keyring');
  const key = await makeKey();
  writeKeys(file, key);
  const args = ['--encryption', 'file', '--master-key-file', file];
  let keys = ['--keyring', keyring];
  if (onDynamoDb) {
    const { tableEnvironment } = await import('../dynamodb/tables.mjs');
    const table = `keys-${process.pid}-${Date.now()}`;
    const endpoint = ['--dynamodb-endpoint', process.env.COLLOQUY_TEST_DYNAMODB];
    const made = await runCommand(['keys', 'create-table', '--dynamodb-keys-table', table, ...endpoint],
                                  { env: tableEnvironment });
    assert.equal(made.code, 0, made.stderr);
    keys = ['--dynamodb-keys-table', table];
    return { args: [...args, ...keys], rotating: [...args, ...keys, ...endpoint], env: tableEnvironment, file, key, keyring };
  }
  return { args: [...args, ...keys], rotating: [...args, ...keys], env: {}, file, key, keyring };
}

function anyFileHas(folder, text) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name)).includes(text));
}

describe('--encryption', () => {
  test('a conversation goes on as any other, and is in no file', async (t) => {
    const { args, keyring } = await encryption();
    const { server, alice } = await serverOfTest(t, { args });
    const { conversation_id: id } = await alice.generate(undefined, 'a clandestine question', { stream: false });
    await alice.patch(`/conversations/${id}`, { title: 'clandestine title', metadata: { clandestine: 'yes' } }, { expect: 200 });
    await alice.generate(id, 'clandestine again', { stream: false });
    const read = async (client) => {
      const { conversation, messages } = await client.conversation(id);
      assert.equal(messages.length, 4);
      assert.match(messages[0].content, /clandestine/);
      assert.equal(conversation.title, 'clandestine title');
      assert.deepEqual(conversation.metadata, { clandestine: 'yes' });
    };
    await read(alice);
    const problem = (await alice.get('/search', { query: { q: 'clandestine' }, expect: 404 })).json;
    assert.match(JSON.stringify(problem), /encrypted/);
    await server.stop();
    if (!onDynamoDb) {
      assert.ok(!anyFileHas(join(server.data, 'store'), 'clandestine'));
      assert.ok(anyFileHas(join(server.data, 'store'), '~sealed:'));
      assert.ok(!anyFileHas(keyring, 'alice'));
    }
    // Without it nothing is served that nobody could read.
    const backup = join(temporaryFolder(), 'backup');
    const before = readdirSync(server.data).sort();
    await assert.rejects(server.start({ args: onDynamoDb ? [] : ['--backup-to', backup] }), /encrypted with the keyring .*it needs --encryption/);
    assert.deepEqual(readdirSync(server.data).sort(), before, 'a start that is refused leaves something');
    assert.ok(!existsSync(backup));
    await server.start();
    await read(await server.client('alice'));
  });

  test('another keyring, and another master key, are refused', async (t) => {
    const { args, file } = await encryption();
    const { server, alice } = await serverOfTest(t, { args });
    await alice.generate(undefined, 'hello', { stream: false });
    await server.stop();
    const other = await encryption();
    await assert.rejects(server.start({ args: other.args }), /was encrypted with the keyring/);
    writeKeys(file, await makeKey());
    await assert.rejects(server.start(), (refusal) => {
      assert.match(refusal.message, /master key local-[0-9a-f]+ is not among those given; --master-key-file ".*" must have the master key that has wrapped/);
      assert.doesNotMatch(refusal.message, /Something went wrong/);
      return true;
    });
  });

  test('keys rotate without --keyring says what is missing', async () => {
    const { file } = await encryption();
    const env = { AWS_EC2_METADATA_DISABLED: 'true', AWS_REGION: '', AWS_DEFAULT_REGION: '', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' };
    const { code, stderr } = await runCommand(['keys', 'rotate', '--encryption', 'file', '--master-key-file', file], { env });
    assert.equal(code, 1);
    assert.match(stderr, /--keyring is needed, the folder of the users' keys/);
    const none = join(temporaryFolder(), 'none');
    const folder = await runCommand(['keys', 'rotate', '--encryption', 'file', '--master-key-file', file, '--keyring', none]);
    assert.equal(folder.code, 1);
    assert.ok(folder.stderr.includes(`There is no keyring in ${none} yet`), folder.stderr);
  });

  test('a restore says which keyring the store needs', embeddedOnly('tables have their own'), async (t) => {
    const { args } = await encryption();
    const { server, alice } = await serverOfTest(t, { args });
    await alice.generate(undefined, 'hello', { stream: false });
    const { keyring: id } = await server.logged(({ event }) => event === 'encryption.on', 'the keyring');
    const folder = temporaryFolder();
    const made = await runCommand(['backup', '--data', server.data, '--to', join(folder, 'backup')]);
    assert.equal(made.code, 0, made.stderr);
    const { code, stdout, stderr } = await runCommand(['restore', '--from', join(folder, 'backup'), '--data', join(folder, 'data')]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Not in a backup: token\.key/);
    assert.ok(stdout.includes(`The store is encrypted: start it with --encryption as before, the keyring ${id} and its master key`), stdout);
  });

  test('the master key is rotated while the server runs', async (t) => {
    const { args, rotating, env, file, key } = await encryption();
    const { server, alice } = await serverOfTest(t, { args });
    const { conversation_id: id } = await alice.generate(undefined, 'hello', { stream: false });
    const next = await makeKey();
    writeKeys(file, next, key);
    const rotate = async () => {
      const { code, stdout, stderr } = await runCommand(['keys', 'rotate', ...rotating], { env });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.match(await rotate(), /2 keys were wrapped anew with local-[0-9a-f]+, 0 were already/);
    assert.match(await rotate(), /0 keys were wrapped anew/);
    await alice.generate(id, 'and on', { stream: false });
    await server.stop();
    writeKeys(file, next);
    await server.start();
    const { messages } = await (await server.client('alice')).conversation(id);
    assert.equal(messages[0].content, 'hello');
  });

  test('a rotation goes on past a damaged key and names it', embeddedOnly('it looks into the folder'), async (t) => {
    const { args, rotating, file, key, keyring } = await encryption();
    const { server, alice } = await serverOfTest(t, { args });
    await alice.generate(undefined, 'hello', { stream: false });
    await server.stop();
    const [damaged] = readdirSync(keyring, { recursive: true }).filter((name) => name.endsWith('.key'));
    writeFileSync(join(keyring, damaged), 'damaged');
    writeKeys(file, await makeKey(), key);
    const { code, stderr } = await runCommand(['keys', 'rotate', ...rotating]);
    assert.equal(code, 1);
    assert.match(stderr, /1 could not be wrapped anew:\n.*the keyring is damaged: /);
    assert.ok(stderr.includes(damaged));
  });

  test('a first start whose master key does not serve leaves the store as it was', embeddedOnly('it needs a keyring in a folder'), async (t) => {
    const { server, alice } = await serverOfTest(t, { args: [] });
    await alice.generate(undefined, 'hello', { stream: false });
    await server.stop();
    const kms = ['--encryption', 'kms', '--kms-key', 'alias/none', '--kms-endpoint', 'http://127.0.0.1:9', '--dynamodb-region', 'us-east-1',
                 '--keyring', join(temporaryFolder(), 'keyring')];
    const env = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };
    await assert.rejects(server.start({ args: kms, env }), /KMS Encrypt/);
    await server.start();
  });

  test('a lost key is an error of the server, for its user alone', embeddedOnly('it looks into the folder'), async (t) => {
    const { args, keyring } = await encryption();
    const { server, alice } = await serverOfTest(t, { args });
    const { conversation_id: id } = await alice.generate(undefined, 'hello', { stream: false });
    await server.stop();
    const keys = readdirSync(keyring, { recursive: true }).filter((name) => name.endsWith('.key'));
    assert.equal(keys.length, 2);
    for (const name of keys) rmSync(join(keyring, name));
    await server.start();
    await (await server.client('alice')).get(`/conversations/${id}`, { expect: 500 });
    await until(() => server.stderr.includes('not in the keyring'), 'the log to say why');
    await (await server.client('bob')).generate(undefined, 'hello', { stream: false });
  });
});

describe('a backup of an encrypted store', embeddedOnly('tables have their own'), () => {
  test('has neither plain text nor keys, and of who was erased since nothing that could be read', async (t) => {
    const { args, key, keyring } = await encryption();
    const target = join(temporaryFolder(), 'backup');
    const { server, alice, bob } = await serverOfTest(t, {
      args: [...args, '--backup-to', target, '--backup-every', '100ms'], users: ['alice', 'bob'] });
    const ids = {};
    for (const [name, client] of Object.entries({ alice, bob })) {
      ids[name] = (await client.generate(undefined, `clandestine ${name}`, { stream: false })).conversation_id;
      await client.patch(`/conversations/${ids[name]}`, { metadata: { clandestine: name } }, { expect: 200 });
    }
    const bobs = await bob.conversation(ids.bob);
    const made = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(made.code, 0, made.stderr);
    // Taken before she is erased, as a snapshot of the bucket would be: it does not list her.
    const copy = join(temporaryFolder(), 'copy');
    cpSync(target, copy, { recursive: true });
    assert.ok(anyFileHas(copy, '~sealed:'), 'nothing was backed up');
    assert.ok(!anyFileHas(copy, 'clandestine'));
    const files = readdirSync(copy, { recursive: true });
    assert.deepEqual(files.filter((name) => /\.key$|keyring/.test(name)), []);
    const kept = readdirSync(keyring, { recursive: true }).filter((name) => name.endsWith('.key'));
    assert.equal(kept.length, 3);
    for (const secret of [key, Buffer.from(key, 'base64'), ...kept.map((name) => readFileSync(join(keyring, name)))]) {
      assert.ok(!anyFileHas(copy, secret), 'a key is in the backup');
    }
    const erased = await alice.delete('/me', { query: { confirm: 'alice' }, expect: [200, 202] });
    if (erased.status === 202) await until(async () => !(await alice.get('/me', { expect: 200 })).json.erasing, 'the erasure');
    await server.stop();

    const data = join(temporaryFolder(), 'restored');
    const restored = await runCommand(['restore', '--from', copy, '--data', data]);
    assert.equal(restored.code, 0, restored.stderr + restored.stdout);
    await assert.rejects(startServer({ data }), /encrypted with the keyring .*it needs --encryption/);
    const there = await startServer({ data, args });
    afterwards(t, () => there.close());
    const [hers, his] = [await there.client('alice'), await there.client('bob')];
    assert.deepEqual(await his.conversation(ids.bob), bobs);
    const { text, json } = await hers.get('/conversations', { expect: 200 });
    assert.deepEqual(json.map((one) => one.conversation_id), [ids.alice]);
    assert.ok(!text.includes('clandestine') && !text.includes('~sealed:'), text);
    for (const path of ['', '/messages']) {
      const answer = await hers.get(`/conversations/${ids.alice}${path}`, { expect: 500 });
      assert.ok(!/clandestine|~sealed:/.test(answer.text), answer.text);
    }
    await there.logged(({ event }) => event === 'text.unreadable', 'what cannot be read');
    await hers.delete('/me', { query: { confirm: 'alice' }, expect: [200, 202] });
    await until(async () => (await hers.get('/conversations', { expect: 200 })).json.length === 0, 'the erasure');
  });
});

describe('--encrypt-files', () => {
  // As one that is left to other programs is seen by them.
  const stored = (server, path) => readFileSync(join(server.data, 'files', 'alice', path));
  const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => `clandestine ${i}`.charCodeAt(i % 12)));

  async function send(client, method, path, { headers = {}, body, expect = 200 } = {}) {
    const response = await fetch(new URL(`/files${path}`, client.baseUrl), {
      method, body, headers: { Authorization: `Bearer ${client.token}`, ...headers } });
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.equal(response.status, expect, `${method} ${path}: ${bytes.subarray(0, 200)}`);
    return { headers: response.headers, bytes };
  }

  test('a file is what was sent, whole and in parts, and cannot be read on the volume', async (t) => {
    const { args } = await encryption();
    const { server, alice, bob } = await serverOfTest(t, { args: [...args, '--encrypt-files', 'on'], users: ['alice', 'bob'] });
    const digest = createHash('sha256').update(content).digest('base64');
    await send(alice, 'PUT', '/a/note.txt', { body: content, headers: { 'Content-Digest': `sha-256=:${digest}:` }, expect: 201 });
    await send(alice, 'PUT', '/a/bad.txt', { body: 'other', headers: { 'Content-Digest': `sha-256=:${digest}:` }, expect: 422 });
    const whole = await send(alice, 'GET', '/a/note.txt');
    assert.ok(whole.bytes.equals(content));
    assert.equal(whole.headers.get('content-length'), String(content.length));
    const head = await send(alice, 'HEAD', '/a/note.txt');
    assert.equal(head.headers.get('content-length'), String(content.length));
    assert.equal(head.headers.get('etag'), whole.headers.get('etag'));
    const [listed] = JSON.parse((await send(alice, 'GET', '')).bytes);
    assert.equal(listed.size, content.length);
    for (const [first, last] of [[0, 0], [65_535, 65_536], [100_000, 199_999]]) {
      const part = await send(alice, 'GET', '/a/note.txt', { headers: { Range: `bytes=${first}-${last}` }, expect: 206 });
      assert.equal(part.headers.get('content-range'), `bytes ${first}-${last}/${content.length}`);
      assert.ok(part.bytes.equals(content.subarray(first, last + 1)));
    }
    await send(alice, 'GET', '/a/note.txt', { headers: { Range: `bytes=${content.length}-` }, expect: 416 });
    await send(bob, 'GET', '/a/note.txt', { expect: 404 });
    assert.ok(!anyFileHas(join(server.data, 'files'), 'clandestine'));
    // An export has what was written.
    await send(alice, 'PUT', '/small.txt', { body: 'only a few words', expect: 201 });
    const zip = await fetch(new URL('/export?format=zip', alice.baseUrl), { headers: { Authorization: `Bearer ${alice.token}` } });
    assert.equal(zip.status, 200);
    const bytes = Buffer.from(await zip.arrayBuffer());
    const name = bytes.indexOf('files/small.txt');
    const entry = bytes.subarray(name + 'files/small.txt'.length + bytes.readUInt16LE(name - 2));
    assert.equal(inflateRawSync(entry).toString(), 'only a few words');
  });

  test('a damaged file is refused, or ends before the damage', async (t) => {
    const { args } = await encryption();
    const { server, alice } = await serverOfTest(t, { args: [...args, '--encrypt-files', 'on'] });
    const large = Buffer.concat(Array.from({ length: 20 }, () => content));
    await send(alice, 'PUT', '/large', { body: large, expect: 201 });
    const good = stored(server, 'large');
    writeFileSync(join(server.data, 'files', 'alice', 'large'), good.subarray(0, good.length - 1));
    await send(alice, 'GET', '/large', { expect: 409 });
    const bad = Buffer.from(good);
    bad[3_000_000] ^= 1;
    writeFileSync(join(server.data, 'files', 'alice', 'large'), bad);
    const response = await fetch(new URL('/files/large', alice.baseUrl), { headers: { Authorization: `Bearer ${alice.token}` } });
    const pieces = [];
    await assert.rejects(async () => {
      for await (const piece of response.body) pieces.push(piece);
    });
    const given = Buffer.concat(pieces);
    assert.ok(given.length < 3_000_000);
    assert.ok(given.equals(large.subarray(0, given.length)));
    await send(alice, 'GET', '/large', { headers: { Range: 'bytes=3500000-3500009' }, expect: 206 });
  });

  test('a damaged file says so, and an export names it and has all others', async (t) => {
    const { args } = await encryption();
    const { server, alice } = await serverOfTest(t, { args: [...args, '--encrypt-files', 'on'] });
    const large = Buffer.concat([content, content]);
    for (const [path, body] of [['/a', 'one'], ['/cut', large], ['/damaged', content], ['/z', 'other']]) {
      await send(alice, 'PUT', path, { body, expect: 201 });
    }
    for (const [path, at] of [['damaged', 100_000], ['cut', 300_000]]) {
      const bytes = stored(server, path);
      bytes[at] ^= 1;
      writeFileSync(join(server.data, 'files', 'alice', path), bytes);
    }
    // Asking again does not help.
    for (let i = 0; i < 2; i += 1) {
      const { bytes } = await send(alice, 'GET', '/damaged', { expect: 409 });
      assert.match(JSON.parse(bytes).detail, /cannot be decrypted/);
    }
    await send(alice, 'GET', '/damaged', { headers: { Range: 'bytes=90000-190000' }, expect: 409 });
    const { bytes } = await rawRequest(alice.baseUrl, 'GET', '/export?format=zip', { headers: { Authorization: `Bearer ${alice.token}` }, check: false });
    const files = unzip(bytes);
    assert.deepEqual([...files.keys()], ['files/a', 'files/cut', 'files/z', 'export.jsonl']);
    assert.equal(files.get('files/a'), 'one');
    assert.equal(files.get('files/cut'), content.toString().repeat(2).slice(0, 256 * 1024));
    assert.equal(files.get('files/z'), 'other');
    const told = files.get('export.jsonl').split('\n').filter(Boolean).map((line) => JSON.parse(line));
    assert.equal(told.at(-1).type, 'end');
    assert.deepEqual(told.filter(({ type }) => type === 'file').map(({ path, size, damaged }) => [path, size, damaged]),
                     [['a', 3, undefined], ['cut', 400_000, true], ['damaged', 200_000, true], ['z', 5, undefined]]);
    await server.logged(({ event, route }) => event === 'export.file_damaged' && route === '/export', 'the damaged file');
  });

  test('what was written before is read, and what is written next is encrypted; and back', async (t) => {
    const { args } = await encryption();
    const { server, alice } = await serverOfTest(t, { args });
    await send(alice, 'PUT', '/before', { body: 'plain', expect: 201 });
    assert.equal(stored(server, 'before').toString(), 'plain');
    await server.stop();
    await server.start({ args: [...args, '--encrypt-files', 'on'] });
    let client = await server.client('alice');
    assert.equal((await send(client, 'GET', '/before')).bytes.toString(), 'plain');
    await send(client, 'PUT', '/after', { body: 'secret', expect: 201 });
    assert.ok(!stored(server, 'after').includes('secret'));
    // It has no name in it.
    renameSync(join(server.data, 'files', 'alice', 'after'), join(server.data, 'files', 'alice', 'renamed'));
    await server.stop();
    await server.start({ args: [...args, '--encrypt-files', 'off'] });
    client = await server.client('alice');
    assert.equal((await send(client, 'GET', '/renamed')).bytes.toString(), 'secret');
    await send(client, 'PUT', '/renamed', { body: 'plain again' });
    assert.equal(stored(server, 'renamed').toString(), 'plain again');
  });

  test('an erased user leaves nothing that could be read', async (t) => {
    const { args } = await encryption();
    const { server, alice } = await serverOfTest(t, { args: [...args, '--encrypt-files', 'on'] });
    await send(alice, 'PUT', '/note', { body: 'secret', expect: 201 });
    const copy = stored(server, 'note');
    await alice.delete('/me', { query: { confirm: 'alice' }, expect: 200 });
    await send(alice, 'GET', '/note', { expect: 404 });
    mkdirSync(join(server.data, 'files', 'alice'), { recursive: true });
    writeFileSync(join(server.data, 'files', 'alice', 'note'), copy);
    await send(alice, 'GET', '/note', { expect: 409 });
  });
});

describe('settings of --encryption', () => {
  const refused = async (args, expected, env = {}) => {
    const data = temporaryFolder();
    const { code, stderr } = await runCommand(['serve', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0',
                                               '--data', data, ...args.map((each) => each.replace('DATA', data))], { env });
    assert.equal(code, 1);
    assert.match(stderr, expected);
  };

  test('are checked together', async () => {
    const { args, file, key } = await encryption();
    const keyring = temporaryFolder();
    await refused(['--encryption', 'yes'], /must be off, file, env or kms/);
    await refused(['--encryption', 'file', '--keyring', keyring], /needs --master-key-file/);
    await refused(['--encryption', 'env', '--keyring', keyring], /needs COLLOQUY_MASTER_KEY/);
    await refused(['--encryption', 'kms', '--keyring', keyring], /needs --kms-key/);
    await refused(['--encryption', 'file', '--master-key-file', file], /needs --keyring/);
    await refused(['--keyring', keyring], /has no effect without --encryption/);
    await refused(['--encrypt-files', 'on'], /encrypt-files has no effect without --encryption/);
    const good = ['--encryption', 'file', '--master-key-file', file, '--keyring', keyring];
    await refused([...good, '--encrypt-files', 'yes'], /must be on or off/);
    await refused([...good, '--encrypt-files', 'on', '--files', 'off'], /encrypt-files has no effect with --files off/);
    await refused(['--encryption', 'file', '--master-key-file', file, '--keyring', 'DATA/keys'], /protect nothing/);
    await refused(['--encryption', 'file', '--master-key-file', `${file}.none`, '--keyring', keyring], /is not there/);
    await refused(['--encryption', 'env', '--keyring', keyring], /not 32 bytes in base64/,
                  { COLLOQUY_MASTER_KEY: key.slice(4) });
    if (!onDynamoDb) await refused([...args, '--search', 'on'], /cannot be had with --encryption/);
  });
});
