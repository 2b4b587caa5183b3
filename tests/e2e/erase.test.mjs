// DELETE /me: a user and all that is theirs, and nobody else.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, symlinkSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { rawRequest } from './client.mjs';
import { embeddedOnly, onDynamoDb, runCommand, startServer, temporaryFolder } from './server.mjs';
import { until } from './wait.mjs';

async function putFile(client, path, text) {
  const { status } = await rawRequest(client.baseUrl, 'PUT', `/files/${path}`,
                                      { headers: { Authorization: `Bearer ${client.token}` }, body: text, check: false });
  assert.equal(status, 201);
}

async function fill(client, name, { conversations = 3, messages = 4 } = {}) {
  for (let i = 0; i < conversations; i += 1) {
    const { conversation_id: id } = await client.createConversation({ title: `${name} zebra ${i}`, system_prompt: 's'.repeat(400) });
    for (let k = 0; k < messages; k += 1) {
      await client.post(`/conversations/${id}/messages`, { role: 'user', content: `${name} wrote giraffe ${k}` },
                        { headers: { 'Idempotency-Key': `${name}-${i}-${k}` }, expect: 201 });
    }
    await client.generate(id, 'Hello');
  }
  await client.createConversation({ title: `${name} soon gone`, ttl_seconds: 1 });
  await putFile(client, 'a.txt', `${name} a`);
  await putFile(client, 'deep/er/b.txt', `${name} b`);
}

async function everything(client) {
  const conversations = (await client.get('/conversations', { query: { limit: 200 }, expect: 200 })).json;
  const all = [];
  for (const { conversation_id: id, title } of conversations) {
    // It may go between the list and a look at it.
    if (!title.endsWith('soon gone')) all.push((await client.get(`/conversations/${id}`, { expect: 200 })).json);
  }
  const files = (await client.get('/files', { expect: 200 })).json;
  return { all, files };
}

const erase = (client, user) => client.call('DELETE', '/me', { query: { confirm: user } });

async function eraseToTheEnd(client, user) {
  const answer = await erase(client, user);
  assert.ok([200, 202].includes(answer.status), `${answer.status}`);
  await until(async () => (await client.get('/me', { expect: 200 })).json.erasing === false, 'the erasure to end', 180_000);
  return answer;
}

async function expectNothing(client) {
  const left = await everything(client);
  assert.deepEqual(left, { all: [], files: [] });
  const found = await client.get('/search', { query: { q: 'giraffe' } });
  if (found.status === 200) assert.deepEqual(found.json.results ?? found.json, []);
}

// One that has begun is waited for by an erasure.
async function beginUpload(t, server, client) {
  const url = new URL(server.baseUrl);
  const upload = net.connect(Number(url.port), url.hostname);
  upload.on('error', () => {});
  upload.write(`PUT /files/slow HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer ${client.token}\r\nContent-Length: 1000000\r\n\r\n`);
  afterwards(t, () => upload.destroy());
  await until(async () => /^colloquy_files_uploads 1$/m.test(await (await fetch(`${server.adminUrl}/metrics`)).text()), 'the upload');
  return upload;
}

// At once, since one of them waits for what takes long.
describe('erasing a user', { concurrency: 2 }, () => {
  test('takes everything of theirs, nothing of anybody else, and a new life begins', async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    const [alice, bob, al] = await Promise.all(['alice', 'bob', 'al'].map((user) => server.client(user)));
    for (const [client, name] of [[alice, 'alice'], [bob, 'bob'], [al, 'al']]) await fill(client, name);
    const before = [await everything(bob), await everything(al)];
    for (const query of [{}, { confirm: 'bob' }, { confirm: '' }]) await alice.call('DELETE', '/me', { query, expect: 422 });
    assert.equal((await everything(alice)).all.length, 3, 'nothing happens without the confirmation');
    const answer = await erase(alice, 'alice');
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.json, { user_id: 'alice', erasing: false });
    await expectNothing(alice);
    assert.deepEqual([await everything(bob), await everything(al)], before);
    // The keys of her requests are new ones.
    const { conversation_id: id } = await alice.createConversation({ title: 'again' });
    await alice.post(`/conversations/${id}/messages`, { role: 'user', content: 'another giraffe' },
                     { headers: { 'Idempotency-Key': 'alice-0-0' }, expect: 201 });
    await putFile(alice, 'a.txt', 'anew');
    assert.equal((await everything(alice)).all.length, 1);
    assert.equal((await erase(alice, 'alice')).status, 200);
    await expectNothing(alice);
    assert.deepEqual([await everything(bob), await everything(al)], before);
    const list = await rawRequest(server.adminUrl, 'GET', '/erased', { check: false });
    const lines = list.bytes.toString('utf8').trim().split('\n');
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^[0-9a-f]{64} \d+$/);
  });

  test('leaves nothing of theirs in the folder of files, and follows no link out of it', embeddedOnly('looks at the folder'), async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    const [alice, bob] = [await server.client('alice-who-goes'), await server.client('bob')];
    await fill(alice, 'alice-who-goes');
    await fill(bob, 'bob');
    const files = join(server.data, 'files');
    symlinkSync('/etc', join(files, 'alice-who-goes', 'deep', 'link'));
    assert.equal((await erase(alice, 'alice-who-goes')).status, 200);
    assert.ok(!existsSync(join(files, 'alice-who-goes')));
    assert.ok(existsSync('/etc/passwd'));
    assert.equal(existsSync(join(files, 'bob', 'a.txt')), true);
  });

  test('writes are 409 until it has ended; SIGKILL at any moment, and the next start goes on', async (t) => {
    const server = await startServer({ args: ['--removal-rate', '300'] });
    afterwards(t, () => server.close());
    let alice = await server.client('alice');
    let bob = await server.client('bob');
    await fill(bob, 'bob');
    const before = await everything(bob);
    for (let round = 0; round < (onDynamoDb ? 2 : 6); round += 1) {
      await fill(alice, 'alice', { conversations: 4, messages: 10 });
      const work = erase(alice, 'alice').catch(() => undefined);
      // Once it has begun, at some moment of it.
      let answered = false;
      work.then(() => { answered = true; });
      await until(async () => answered || (await alice.get('/me', { expect: 200 })).json.erasing, 'it to begin', 60_000);
      if ((await alice.get('/me', { expect: 200 })).json.erasing) {
        const refused = await alice.post('/conversations', { title: 'no' });
        if ((await alice.get('/me', { expect: 200 })).json.erasing) {
          assert.equal(refused.status, 409);
          assert.ok(refused.headers.get('retry-after'));
        }
      }
      await new Promise((resolve) => { setTimeout(resolve, round * 60); });
      await server.kill();
      await work;
      await server.start();
      alice = await server.client('alice');
      bob = await server.client('bob');
      // With other servers in sight, the one that was killed is waited for.
      await until(async () => (await alice.get('/me', { expect: 200 })).json.erasing === false, 'the erasure to end', 180_000);
      await expectNothing(alice);
      assert.deepEqual(await everything(bob), before);
    }
  });

  test('what takes long is answered 202, and a repeat waits for its end', embeddedOnly('it is the same with tables'), async (t) => {
    const server = await startServer({ args: ['--request-timeout', '60s'] });
    afterwards(t, () => server.close());
    const alice = await server.client('alice');
    await fill(alice, 'alice');
    const upload = await beginUpload(t, server, alice);
    const answer = await erase(alice, 'alice');
    assert.equal(answer.status, 202, JSON.stringify(answer.json));
    assert.deepEqual(answer.json, { user_id: 'alice', erasing: true });
    assert.ok(Number(answer.header('retry-after')) > 0);
    assert.equal((await alice.get('/me', { expect: 200 })).json.erasing, true);
    const repeat = erase(alice, 'alice');
    upload.destroy();
    const { status, json } = await repeat;
    assert.deepEqual({ status, json }, { status: 200, json: { user_id: 'alice', erasing: false } });
    await expectNothing(alice);
  });

  test('every later restore leaves them out, and has their new life', embeddedOnly('backs up'), async (t) => {
    const target = temporaryFolder();
    const server = await startServer({ args: ['--backup-to', target, '--backup-every', '200ms'] });
    afterwards(t, () => server.close());
    const [alice, bob] = [await server.client('alice'), await server.client('bob')];
    await fill(alice, 'alice');
    await fill(bob, 'bob');
    await new Promise((resolve) => { setTimeout(resolve, 2500); });
    const then = new Date().toISOString();
    await new Promise((resolve) => { setTimeout(resolve, 1100); });
    assert.equal((await erase(alice, 'alice')).status, 200);
    assert.equal(new Set(readdirSync(join(target, 'erased')).map((name) => name.split('-')[0])).size, 1);
    await alice.createConversation({ title: 'new life' });
    await server.stop();
    for (const [args, titles] of [[['--at', then], []], [[], ['new life']]]) {
      const data = join(temporaryFolder(), 'restored');
      const { code, stdout, stderr } = await runCommand(['restore', '--from', target, '--data', data, ...args]);
      assert.equal(code, 0, stderr + stdout);
      const restored = await startServer({ data });
      const [hers, his] = [await restored.client('alice'), await restored.client('bob')];
      assert.deepEqual((await hers.get('/conversations', { expect: 200 })).json.map(({ title }) => title), titles);
      assert.equal((await everything(his)).all.length, 3);
      // The source of the list for restores of older backups.
      const list = await rawRequest(restored.adminUrl, 'GET', '/erased', { check: false });
      assert.match(list.bytes.toString('utf8'), /^[0-9a-f]{64} \d+\n$/);
      await restored.close();
    }
  });

  test('is not done while the backup is out, whatever stands in its place', embeddedOnly('backs up'), async (t) => {
    const target = join(temporaryFolder(), 'backup');
    mkdirSync(target);
    const server = await startServer({ args: ['--backup-to', target, '--backup-every', '200ms'] });
    afterwards(t, () => server.close());
    const alice = await server.client('alice');
    await fill(alice, 'alice');
    const made = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(made.code, 0, made.stderr);
    const then = new Date().toISOString();
    await new Promise((resolve) => { setTimeout(resolve, 1100); });
    renameSync(target, `${target}.away`);
    mkdirSync(target);
    const answer = await erase(alice, 'alice');
    assert.equal(answer.status, 202, JSON.stringify(answer.json));
    assert.deepEqual(answer.json, { user_id: 'alice', erasing: true });
    await server.logged(({ event }) => event === 'backup.failed', 'the backup');
    await server.logged(({ event }) => event === 'user.erasing_failed', 'the erasure');
    const byHand = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(byHand.code, 1);
    assert.match(byHand.stderr, /is not there/);
    assert.deepEqual(readdirSync(target), []);
    assert.equal((await alice.get('/me', { expect: 200 })).json.erasing, true);
    rmdirSync(target);
    renameSync(`${target}.away`, target);
    await eraseToTheEnd(alice, 'alice');
    await server.logged(({ event }) => event === 'backup.recovered', 'the backup');
    await server.stop();
    const data = join(temporaryFolder(), 'restored');
    const { code, stdout, stderr } = await runCommand(['restore', '--from', target, '--data', data, '--at', then]);
    assert.equal(code, 0, stderr + stdout);
    assert.match(stdout, /^conversations: 0$/m);
  });

  test('one that is under way leaves them out of a restore, too', embeddedOnly('backs up'), async (t) => {
    const target = temporaryFolder();
    const server = await startServer({ args: ['--backup-to', target, '--backup-every', '200ms', '--request-timeout', '60s'] });
    afterwards(t, () => server.close());
    const alice = await server.client('alice');
    await fill(alice, 'alice');
    const made = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(made.code, 0, made.stderr);
    const then = made.stdout.match(/^last commit: +(\S+)$/m)[1];
    await new Promise((resolve) => { setTimeout(resolve, 100); });
    const upload = await beginUpload(t, server, alice);
    const erased = erase(alice, 'alice');
    await until(() => existsSync(join(target, 'erased')) && readdirSync(join(target, 'erased')).length > 0, 'the list');
    assert.equal((await alice.get('/me', { expect: 200 })).json.erasing, true);
    const { code, stdout, stderr } = await runCommand(['restore', '--from', target, '--data', join(temporaryFolder(), 'restored'), '--at', then]);
    assert.equal(code, 0, stderr + stdout);
    assert.match(stdout, /^conversations: 0$/m);
    upload.destroy();
    await erased;
    await eraseToTheEnd(alice, 'alice');
  });
});
