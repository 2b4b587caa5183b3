// Turns of two servers on the same tables: followed, stopped and repeated through the one that does not run them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { rawRequest } from '../e2e/client.mjs';
import { startMember, writeClusterKey } from '../e2e/cluster.mjs';
import { scripts, startFakeUpstream } from '../e2e/fake_upstream.mjs';
import { removeFolder, temporaryFolder } from '../e2e/server.mjs';
import { gate, until } from '../e2e/wait.mjs';
import { createTables, tableEnvironment, tableFlags } from './tables.mjs';

// Two servers with these key files (undefined: alone), and alice's clients of each.
async function twoServers(t, { keys = ['shared', 'shared'], args = [] } = {}) {
  const upstream = await startFakeUpstream();
  afterwards(t, () => upstream.close());
  const tables = await createTables();
  const data = temporaryFolder();
  afterwards(t, () => removeFolder(data));
  const files = new Map([...new Set(keys)].map((name) => [name, name && writeClusterKey(data, name)]));
  const servers = [];
  for (const name of keys) {
    const server = await startMember({ data, keyFile: files.get(name), env: tableEnvironment,
                                       args: [...tableFlags(tables), ...upstream.flags, ...args] });
    afterwards(t, () => server.close());
    servers.push(server);
  }
  const [runs, asks] = await Promise.all(servers.map((server) => server.client('alice')));
  return { upstream, servers, runs, asks };
}

// A turn on the first server that has said `before`, and waits for the gate to say `after`.
async function begin({ upstream, runs }, before, after, headers = {}) {
  const held = gate();
  upstream.next(scripts.hold(held, before, after));
  const { conversation_id: id } = await runs.createConversation();
  const query = { conversation_id: id };
  const stream = await runs.stream('/generate', { prompt: 'Hello', stream: true }, { query, headers });
  const message = (await stream.next()).data.message_id;
  for (let heard = ''; heard !== before; ) heard += (await stream.next()).data.text;
  return { held, id, message, stream, query };
}

const textOf = (events) => events.filter(({ name }) => name === 'token').map(({ data }) => data.text).join('');

describe('a turn that another server runs', () => {
  test('is followed, read and stopped through this one', async (t) => {
    const both = await twoServers(t);
    const { asks } = both;
    const { id, message, stream } = await begin(both, 'ünd ', 'never');
    const state = await asks.generation(id, message);
    assert.deepEqual([state.status, state.message.content, state.bytes], ['running', 'ünd ', 5]);
    const followers = await Promise.all(Array.from({ length: 5 }, () => asks.follow(id, message, { had: 'ü' })));
    const cancelled = await asks.cancel(id, message);
    assert.deepEqual([cancelled.status, cancelled.content], ['cancelled', 'ünd ']);
    const end = (await stream.collect()).at(-1);
    for (const follower of followers) {
      const events = await follower.collect();
      assert.equal(textOf(events), 'nd ');
      assert.deepEqual(events.at(-1), end);
    }
    assert.deepEqual(await asks.cancel(id, message), cancelled);
  });

  test('is asked about within the trace of who asks', async (t) => {
    const both = await twoServers(t);
    const { asks, servers } = both;
    const { id, message, stream } = await begin(both, 'x', 'never');
    const headersOf = (trace) => ({ traceparent: `00-${trace}-b7ad6b7169203331-01` });
    const traces = { GET: '1'.repeat(32), DELETE: '2'.repeat(32) };
    const follower = await asks.follow(id, message, { headers: headersOf(traces.GET) });
    await asks.call('DELETE', `/conversations/${id}/generations/${message}`, { headers: headersOf(traces.DELETE), expect: 200 });
    await Promise.all([follower.collect(), stream.collect()]);
    for (const [method, trace] of Object.entries(traces)) {
      const lines = await Promise.all(servers.map((server) =>
        server.logged((line) => line.event === 'request' && line.trace_id === trace && line.method === method, `${method} of ${trace}`)));
      assert.notEqual(lines[0].span_id, lines[1].span_id);
      assert.notEqual(lines[0].route, lines[1].route);
    }
  });

  test('belongs to its user there too', async (t) => {
    const both = await twoServers(t);
    const { id, message, held, stream } = await begin(both, 'x', 'y');
    const bob = await both.servers[1].client('bob');
    await bob.generation(id, message, { expect: 404 });
    await bob.cancel(id, message, { expect: 404 });
    held.open();
    assert.equal((await stream.collect()).at(-1).data.generated_text, 'xy');
  });

  test('is joined by a repeat of its request', async (t) => {
    const both = await twoServers(t);
    const headers = { 'Idempotency-Key': randomUUID() };
    const { query, held, stream } = await begin(both, 'so ', 'far', headers);
    const again = await both.asks.stream('/generate', { prompt: 'Hello', stream: true }, { query, headers });
    held.open();
    const events = await again.collect();
    assert.equal(textOf(events), 'so far');
    assert.deepEqual(events.at(-1), (await stream.collect()).at(-1));
    assert.equal(both.upstream.calls.length, 1);
  });

  test('whose server is killed: the follower is told, and sees it interrupted as soon as that server is back', async (t) => {
    const both = await twoServers(t, { args: ['--partial-save-interval', '100ms'] });
    const { servers, asks, upstream } = both;
    const headers = { 'Idempotency-Key': randomUUID() };
    const { id, message, query, stream } = await begin(both, 'ünd ', 'never', headers);
    const follower = await asks.follow(id, message);
    for (let heard = ''; heard !== 'ünd '; ) {
      const event = await follower.next();
      if (event.name === 'token') heard += event.data.text;
    }
    await until(async () => (await asks.get(`/conversations/${id}/messages/${message}`, { expect: 200 })).json.content === 'ünd ',
                'the text so far to be saved');
    await Promise.all([assert.rejects(stream.collect()), servers[0].kill()]);
    const lost = (await follower.collect()).at(-1);
    assert.deepEqual([lost.name, lost.id, lost.data.status], ['error', undefined, 503]);
    // What is saved is there meanwhile.
    const events = await (await asks.follow(id, message, { had: 'ü' })).collect();
    assert.deepEqual(events.map(({ name }) => name), ['token', 'error']);
    assert.equal(textOf(events), 'nd ');
    assert.equal((await asks.generation(id, message)).status, 'running');
    await asks.cancel(id, message, { expect: 503 });

    await servers[0].start();
    for (const client of [asks, await servers[0].client('alice')]) {
      const state = await client.generation(id, message);
      assert.deepEqual([state.status, state.message.content], ['interrupted', 'ünd ']);
      const after = await (await client.follow(id, message, { had: 'ü' })).collect();
      assert.deepEqual(after.map(({ name }) => name), ['token', 'done']);
      assert.equal((await client.cancel(id, message)).status, 'interrupted');
      const retry = await client.post('/generate', { prompt: 'Hello', stream: true }, { query, headers, expect: 200 });
      assert.equal(retry.json.at(-1).data.message.status, 'interrupted');
    }
    assert.equal(upstream.calls.length, 1);
  });

  test('whose server is stopped: the follower gets what was said to its end', async (t) => {
    const both = await twoServers(t, { args: ['--shutdown-timeout', '10s'] });
    const { id, message, held, stream } = await begin(both, 'so ', 'far');
    const follower = await both.asks.follow(id, message);
    const ends = Promise.all([follower.collect(), stream.collect()]);
    const stopped = both.servers[0].stop();
    held.open();
    for (const events of await ends) assert.equal(events.at(-1).data.generated_text, 'so far');
    assert.deepEqual(await stopped, { code: 0, signal: null });
  });

  test('a server that only follows stops at once', async (t) => {
    const both = await twoServers(t);
    const { id, message, held, stream } = await begin(both, 'so ', 'far');
    const follower = await both.asks.follow(id, message);
    const told = follower.collect();
    assert.deepEqual(await both.servers[1].stop(), { code: 0, signal: null });
    assert.equal((await told).at(-1).name, 'error');
    held.open();
    assert.equal((await stream.collect()).at(-1).data.generated_text, 'so far');
  });
});

test('servers speak TLS to each other, and to nobody whose certificate they do not trust', async (t) => {
  const upstream = await startFakeUpstream();
  afterwards(t, () => upstream.close());
  const tables = await createTables();
  const data = temporaryFolder();
  afterwards(t, () => removeFolder(data));
  const [cert, key] = [join(data, 'tls.crt'), join(data, 'tls.key')];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=server',
                           '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const member = async (args, env) => {
    const server = await startMember({ data, keyFile, args: [...tableFlags(tables), ...upstream.flags, ...args], env: { ...tableEnvironment, ...env } });
    afterwards(t, () => server.close());
    return server;
  };
  const keyFile = writeClusterKey(data);
  const runs = await member(['--tls-cert', cert, '--tls-key', key]);
  const trusting = await (await member([], { SSL_CERT_FILE: cert })).client('alice');
  const other = await (await member([])).client('alice');
  const { conversation_id: id } = await trusting.createConversation();
  const held = gate();
  upstream.next(scripts.hold(held, 'so ', 'far'));
  const headers = { Authorization: `Bearer ${await runs.token('alice')}`, 'Content-Type': 'application/json' };
  const whole = rawRequest(runs.baseUrl, 'POST', `/generate?conversation_id=${id}`,
                           { headers, body: JSON.stringify({ prompt: 'Hello' }), ca: readFileSync(cert) });
  const message = await until(async () => (await trusting.conversation(id)).messages[1]?.message_id, 'the turn to begin');
  const follower = await trusting.follow(id, message);
  assert.deepEqual((await (await other.follow(id, message)).collect()).map(({ name }) => name), ['start', 'error']);
  held.open();
  assert.equal(textOf(await follower.collect()), 'so far');
  assert.equal((await whole).status, 200);
});

describe('servers that do not trust each other', () => {
  for (const [name, keys] of [['with two keys', ['one', 'two']], ['without a key', [undefined, undefined]]]) {
    test(`${name}: what is saved is shown, and nothing is asked of the other`, async (t) => {
      const both = await twoServers(t, { keys });
      const { asks } = both;
      const { id, message, held, stream } = await begin(both, 'so ', 'far');
      const events = await (await asks.follow(id, message)).collect();
      assert.deepEqual(events.map(({ name: event }) => event), ['start', 'error']);
      assert.equal((await asks.generation(id, message)).status, 'running');
      await asks.cancel(id, message, { expect: 503 });
      held.open();
      await stream.collect();
      assert.equal((await asks.generation(id, message)).message.content, 'so far');
    });
  }

  test('the path of the servers is closed to whoever has no key, and is not there without one', async (t) => {
    const both = await twoServers(t, { keys: ['one', undefined] });
    const { id, message, held, stream } = await begin(both, 'so ', 'far');
    const path = `/cluster/generations/${id}/${message}`;
    const token = both.runs.token;
    const instance = randomUUID();
    const marks = [undefined, '', 'v1', `v1 ${Math.floor(Date.now() / 1000)} 00 616c696365 ${instance} ${'0'.repeat(64)}`];
    for (const method of ['GET', 'DELETE', 'HEAD']) {
      for (const mark of marks) {
        const headers = { Authorization: `Bearer ${token}`, ...(mark === undefined ? {} : { 'Colloquy-Peer': mark }) };
        assert.equal((await rawRequest(both.servers[0].baseUrl, method, path, { headers, check: false })).status, 401);
        assert.equal((await rawRequest(both.servers[1].baseUrl, method, path, { headers, check: false })).status, 404);
      }
    }
    held.open();
    assert.equal((await stream.collect()).at(-1).data.generated_text, 'so far');
  });
});
