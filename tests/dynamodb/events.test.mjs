// Live events of several servers on the same tables: what happens on one is told to the devices at every other.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { rawRequest } from '../e2e/client.mjs';
import { freePort, startMember, writeClusterKey } from '../e2e/cluster.mjs';
import { scripts, startFakeUpstream } from '../e2e/fake_upstream.mjs';
import { removeFolder, temporaryFolder } from '../e2e/server.mjs';
import { gate, until, withDeadline } from '../e2e/wait.mjs';
import { createTables, tableEnvironment, tableFlags } from './tables.mjs';

// What servers on one pair of tables need: { data, args, ports, key, start }.
async function cluster(t, count) {
  const upstream = await startFakeUpstream();
  afterwards(t, () => upstream.close());
  const tables = await createTables();
  const data = temporaryFolder();
  afterwards(t, () => removeFolder(data));
  const ports = await Promise.all(Array.from({ length: count }, freePort));
  const key = writeClusterKey(data);
  const flags = [...tableFlags(tables), ...upstream.flags, '--titles', 'prompt'];
  // The server on the port of that number. `peers`: the URLs of all, unless given.
  const start = async (number, { peers = ports.map((port) => `http://127.0.0.1:${port}`), keyFile = key, args = [], env = {} } = {}) => {
    const server = await startMember({ data, keyFile, port: ports[number], env: { ...tableEnvironment, ...env },
                                       args: [...flags, ...args, ...(peers.length ? ['--peers', peers.join(',')] : [])] });
    afterwards(t, () => server.close());
    return server;
  };
  return { upstream, data, ports, start };
}

const metric = async (server, name) => {
  const text = await (await fetch(new URL('/metrics', server.adminUrl))).text();
  return Number(text.split('\n').find((line) => line.startsWith(`${name} `))?.split(' ').at(-1) ?? 0);
};
const connected = (server, count) => until(
  async () => await metric(server, 'colloquy_event_peers{state="connected"}') === count, `${count} servers to be followed`);
const gaps = (server) => metric(server, 'colloquy_peer_event_gaps_total');

// A device of a user's that listens at a server.
async function listen(t, server, user = 'alice', options = {}) {
  const client = await server.client(user);
  const stop = new AbortController();
  const stream = await client.followEvents({ signal: stop.signal, ...options });
  afterwards(t, () => stop.abort());
  const device = {
    client, stop: () => stop.abort(),
    next: () => withDeadline(stream.next(), 'an event', 60_000),
    // The next events have these names.
    expect: async (...names) => {
      const events = [];
      for (const name of names) {
        const event = await device.next();
        assert.equal(event.name, name, JSON.stringify(event));
        events.push(event);
      }
      return events.map(({ data }) => data);
    },
  };
  if (!options.last) await device.expect('ready');
  return device;
}

const create = async (client, title) => (await client.createConversation({ title })).conversation_id;

describe('what happens on one server', () => {
  test('is told at the other, both ways, with turns and their ends, and to its own user alone', async (t) => {
    const { upstream, start } = await cluster(t, 2);
    const [one, other] = [await start(0), await start(1)];
    await Promise.all([connected(one, 1), connected(other, 1)]);
    const [here, there] = [await listen(t, one), await listen(t, other)];
    const stranger = await listen(t, other, 'bob');

    const id = await create(here.client, 'One');
    const expected = { conversation_id: id, title: 'One', pinned: false, archived: false };
    for (const device of [here, there]) {
      const [created] = await device.expect('conversation.created');
      assert.deepEqual({ ...created, ...expected }, created);
    }
    await there.client.patch(`/conversations/${id}`, { pinned: true }, { expect: 200 });
    for (const device of [here, there]) assert.equal((await device.expect('conversation.changed'))[0].pinned, true);
    const { message_id: message } = await here.client.append(id, 'Hello');
    await here.client.delete(`/conversations/${id}/messages/${message}`, { expect: 204 });
    for (const device of [here, there]) {
      const [created, deleted] = await device.expect('message.created', 'message.deleted');
      assert.deepEqual([created.message_id, created.role, deleted.message_id], [message, 'user', message]);
    }
    const held = gate();
    upstream.next(scripts.hold(held, 'so ', 'far'));
    const turn = await here.client.stream('/generate', { prompt: 'x', stream: true }, { query: { conversation_id: id } });
    for (const device of [here, there]) {
      const [prompt, answer] = await device.expect('message.created', 'message.created');
      assert.deepEqual([prompt.role, answer.role, answer.status], ['user', 'assistant', 'running']);
    }
    held.open();
    const done = (await turn.collect()).at(-1).data.message;
    for (const device of [here, there]) {
      const [ended] = await device.expect('message.changed');
      assert.deepEqual([ended.message_id, ended.status], [done.message_id, 'complete']);
    }
    await there.client.delete(`/conversations/${id}`, { expect: 204 });
    for (const device of [here, there]) await device.expect('conversation.deleted');
    // The first that bob hears is his own, from the other side.
    const his = await create(await one.client('bob'), 'His');
    assert.equal((await stranger.expect('conversation.created'))[0].conversation_id, his);
    assert.deepEqual([await gaps(one), await gaps(other)], [0, 0]);
  });

  test('is told at a server that joins later, and what happens there is told at the others, without a reset', async (t) => {
    const { start } = await cluster(t, 3);
    const [one, other] = [await start(0), await start(1)];
    await Promise.all([connected(one, 1), connected(other, 1)]);
    const device = await listen(t, one);
    const before = await create(device.client, 'before');
    await device.expect('conversation.created');
    const third = await start(2);
    const late = await listen(t, third);
    // At once, before the others have found it.
    const first = await create(late.client, 'first');
    assert.equal((await device.expect('conversation.created'))[0].conversation_id, first);
    await Promise.all([connected(one, 2), connected(other, 2), connected(third, 2)]);
    const second = await create(await other.client('alice'), 'second');
    assert.equal((await device.expect('conversation.created'))[0].conversation_id, second);
    // It is told what it may have missed as well: an event is a hint to read.
    let heard;
    do [heard] = await late.expect('conversation.created'); while ([before, first].includes(heard.conversation_id));
    assert.equal(heard.conversation_id, second);
    for (const server of [one, other, third]) assert.equal(await gaps(server), 0);
  });

  test('goes on in order through a burst', async (t) => {
    const { start } = await cluster(t, 2);
    const [one, other] = [await start(0), await start(1)];
    await connected(other, 1);
    const there = await listen(t, other);
    const client = await one.client('alice');
    const id = await create(client, 'many');
    await there.expect('conversation.created');
    const sent = [];
    for (let i = 0; i < 100; i += 1) sent.push((await client.append(id, `${i}`)).message_id);
    const heard = await there.expect(...sent.map(() => 'message.created'));
    assert.deepEqual(heard.map(({ message_id: message }) => message), sent);
  });
});

describe('a server that ends', () => {
  test('by SIGKILL: the devices at the other reload, and hear of it again when it is back', async (t) => {
    const { start } = await cluster(t, 2);
    const [one, other] = [await start(0), await start(1)];
    await connected(other, 1);
    const [alice, bob] = [await listen(t, other), await listen(t, other, 'bob')];
    await create(await one.client('alice'), 'before');
    await alice.expect('conversation.created');
    await one.kill();
    await one.start();
    for (const device of [alice, bob]) await device.expect('reset');
    await connected(other, 1);
    // Where it was away for so long that this was noticed, there is a second reset.
    const id = await create(await one.client('alice'), 'after');
    const [next] = [await alice.next()];
    const event = next.name === 'reset' ? await alice.next() : next;
    assert.deepEqual([event.name, event.data.conversation_id], ['conversation.created', id]);
    await other.logged(({ event: name }) => name === 'peer.events_missed', 'missed events');
  });

  test('by SIGKILL for good: the devices at the other reload, and hear what happens there', async (t) => {
    const { start } = await cluster(t, 2);
    const [one, other] = [await start(0), await start(1)];
    await connected(other, 1);
    const device = await listen(t, other);
    await one.kill();
    await device.expect('reset');
    const id = await create(device.client, 'alone');
    assert.equal((await device.expect('conversation.created'))[0].conversation_id, id);
    assert.equal(await metric(other, 'colloquy_event_peers{state="unreachable"}'), 1);
  });

  test('in order, and starts again: nobody reloads, and nothing is missed', async (t) => {
    const { upstream, start } = await cluster(t, 2);
    const [one, other] = [await start(0), await start(1)];
    await Promise.all([connected(one, 1), connected(other, 1)]);
    const device = await listen(t, other);
    // A turn that ends while its server does.
    const held = gate();
    upstream.next(scripts.hold(held, 'so ', 'far'));
    const turn = await (await one.client('alice')).stream('/generate', { prompt: 'x', stream: true });
    await device.expect('conversation.created', 'message.created', 'message.created');
    const stopped = one.stop();
    held.open();
    await turn.collect();
    const begun = Date.now();
    assert.deepEqual(await stopped, { code: 0, signal: null });
    assert.ok(Date.now() - begun < 2_500, 'it waited for the server that listens');
    await device.expect('message.changed');
    await one.start();
    const id = await create(await one.client('alice'), 'after');
    assert.equal((await device.expect('conversation.created'))[0].conversation_id, id);
    assert.equal(await gaps(other), 0);
  });
});

// A wire to a port of this machine, which can be cut. `seen`: what went over it, in Latin-1.
async function startWire(t, target) {
  const wire = { open: true, sockets: new Set(), seen: '' };
  const server = net.createServer((near) => {
    if (!wire.open) return near.destroy();
    const far = net.connect(target, '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]]) {
      wire.sockets.add(from);
      from.on('data', (bytes) => { wire.seen += bytes.toString('latin1'); to.write(bytes); });
      from.on('close', () => to.destroy());
      from.on('error', () => to.destroy());
    }
    return undefined;
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  wire.cut = () => {
    wire.open = false;
    for (const socket of wire.sockets) socket.destroy();
    wire.sockets.clear();
  };
  wire.url = `http://127.0.0.1:${server.address().port}`;
  afterwards(t, () => new Promise((resolve) => { wire.cut(); server.close(resolve); }));
  return wire;
}

describe('the connection of two servers', () => {
  test('that breaks is taken up again where it was, without a reset, and shows nothing to who listens in', async (t) => {
    const { ports, start } = await cluster(t, 2);
    const one = await start(0);
    const wire = await startWire(t, ports[0]);
    const other = await start(1, { peers: [wire.url] });
    await connected(other, 1);
    const device = await listen(t, other, 'alice-of-the-wire');
    const client = await one.client('alice-of-the-wire');
    for (let round = 0; round < 3; round += 1) {
      wire.cut();
      const ids = [await create(client, 'Secret title'), await create(client, 'Secret title')];
      wire.open = true;
      const heard = await device.expect('conversation.created', 'conversation.created');
      assert.deepEqual(heard.map(({ conversation_id: id }) => id), ids);
    }
    assert.equal(await gaps(other), 0);
    assert.match(wire.seen, /\/cluster\/events\?after=/);
    assert.doesNotMatch(wire.seen, /alice-of-the-wire|Secret title/);
  });

  test('may be of TLS, to a name', async (t) => {
    const { data, ports, start } = await cluster(t, 2);
    const [cert, key] = [join(data, 'tls.crt'), join(data, 'tls.key')];
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=server',
                             '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' });
    const peers = [`https://localhost:${ports[0]}`];
    await start(0, { peers, args: ['--tls-cert', cert, '--tls-key', key] });
    const trusting = await start(1, { peers, env: { SSL_CERT_FILE: cert } });
    await connected(trusting, 1);
  });
});

describe('servers that do not trust each other', () => {
  test('with two keys tell each other nothing', async (t) => {
    const { data, start } = await cluster(t, 2);
    const [one, other] = [await start(0), await start(1, { keyFile: writeClusterKey(data, 'another.key') })];
    const device = await listen(t, other);
    const refused = (server) => server.logged(({ event }) => event === 'peer.not_proven', 'a server that is not believed');
    await Promise.all([refused(one), refused(other)]);
    await create(await one.client('alice'), 'not told');
    const id = await create(device.client, 'told');
    assert.equal((await device.expect('conversation.created'))[0].conversation_id, id);
    for (const server of [one, other]) assert.equal(await metric(server, 'colloquy_event_peers{state="connected"}'), 0);
  });

  test('the path is closed to whoever has no key, and is not there without one', async (t) => {
    const { start } = await cluster(t, 2);
    const [one, alone] = [await start(0), await start(1, { peers: [], keyFile: null })];
    const token = await one.token('alice');
    const marks = [undefined, '', 'v1', `v1 ${Math.floor(Date.now() / 1000)} 00 - any ${'0'.repeat(64)}`,
                   `v1 ${Math.floor(Date.now() / 1000)} 00 - ${randomUUID()} ${'0'.repeat(64)}`];
    for (const path of ['/cluster/events', '/cluster/events?after=x']) {
      for (const mark of marks) {
        const headers = { Authorization: `Bearer ${token}`, ...(mark === undefined ? {} : { 'Colloquy-Peer': mark }) };
        assert.equal((await rawRequest(one.baseUrl, 'GET', path, { headers, check: false })).status, 401);
        assert.equal((await rawRequest(alone.baseUrl, 'GET', path, { headers, check: false })).status, 404);
      }
    }
  });
});

test('peers need a key and an address, and are URLs of servers', async (t) => {
  const { start } = await cluster(t, 1);
  await assert.rejects(start(0, { keyFile: null }), /--peers needs --advertise and --cluster-key-file/);
  for (const peer of ['10.0.0.7:8080', 'http://10.0.0.7/x', 'http://user@10.0.0.7', 'http://[::x]:1']) {
    await assert.rejects(start(0, { peers: [peer] }), /--peers/, peer);
  }
});
