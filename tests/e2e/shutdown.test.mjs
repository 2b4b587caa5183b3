import assert from 'node:assert/strict';
import net from 'node:net';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { rawSocket } from './client.mjs';
import { scripts } from './fake_upstream.mjs';
import { embeddedOnly, onDynamoDb, removeFolder, startServer, temporaryFolder } from './server.mjs';
import { serverOfTest } from './setup.mjs';
import { gate, until } from './wait.mjs';

const withUpstream = (t, args = []) => serverOfTest(t, { upstream: true, args });

const refused = async (server) => {
  try {
    return (await rawSocket(server.baseUrl, 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', { end: false })).length === 0;
  } catch (error) {
    assert.equal(error.code, 'ECONNREFUSED');
    return true;
  }
};

describe('shutdown', () => {
  test('an idle server ends at once, with code 0, whoever is connected', async (t) => {
    const { server, alice } = await serverOfTest(t);
    await alice.createConversation();  // leaves a connection open
    const begun = Date.now();
    assert.deepEqual(await server.stop('SIGTERM'), { code: 0, signal: null });
    assert.ok(Date.now() - begun < 20_000, 'it waited for idle connections');
  });

  test('SIGINT is as good as SIGTERM', async (t) => {
    const { server } = await serverOfTest(t);
    assert.deepEqual(await server.stop('SIGINT'), { code: 0, signal: null });
  });

  test('asked to end the moment that it listens, it ends in order', async (t) => {
    const { server } = await serverOfTest(t);
    for (let i = 0; i < 10; i += 1) {
      assert.deepEqual(await server.stop(i % 2 ? 'SIGINT' : 'SIGTERM'), { code: 0, signal: null }, `start ${i}`);
      await server.start();
    }
  });

  test('asked twice it does not wait for a running turn, and loses nothing that it acknowledged', async (t) => {
    const { upstream, server, alice } = await withUpstream(t);
    const { conversation_id: id } = await alice.createConversation();
    upstream.next(scripts.stall(['begun']));
    const stream = await alice.stream('/generate', { prompt: 'go', stream: true }, { query: { conversation_id: id } });
    await stream.next();
    stream.collect().catch(() => {});
    server.signal('SIGTERM');
    await until(() => refused(server), 'the listener to close');
    const how = await server.stop('SIGTERM');
    assert.notDeepEqual(how, { code: 0, signal: null });
    await server.start();
    const { messages } = await (await server.client('alice')).conversation(id);
    const left = onDynamoDb ? 'running' : 'interrupted';  // in the tables, for any server may run it until its lease is over
    assert.deepEqual(messages.map((message) => [message.role, message.status]), [['user', undefined], ['assistant', left]]);
  });

  test('those who wait to be accepted are answered first', async (t) => {
    const { server } = await serverOfTest(t);
    server.signal('SIGSTOP');
    const request = 'GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const waiting = Array.from({ length: 40 }, () => rawSocket(server.baseUrl, request, { end: false }));
    const { hostname, port } = new URL(server.baseUrl);
    await new Promise((resolve, reject) => {  // connects after those, so they are all waiting
      net.connect(Number(port), hostname, resolve).on('error', reject).unref();
    });
    server.signal('SIGTERM');
    server.signal('SIGCONT');
    for (const answer of await Promise.all(waiting)) assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
    // Under the thread sanitizer a signal sent to a stopped process may wait for the next one.
    await until(() => server.logs().some(({ event }) => event === 'server.stopping'), 'the stop', 5000).catch(() => server.signal('SIGTERM'));
    assert.deepEqual(await server.ended(), { code: 0, signal: null });
  });

  test('a running turn is finished, its client answered, and everything is there after', async (t) => {
    const { upstream, server, alice } = await withUpstream(t);
    const { conversation_id: id } = await alice.createConversation();
    const held = gate();
    upstream.next(scripts.hold(held, 'before ', 'and after'), scripts.hold(held, 'streamed ', 'to the end'));
    const calls = upstream.calls.length;
    const plain = alice.post('/generate', { prompt: 'one' }, { query: { conversation_id: id }, expect: 200 });
    await until(() => upstream.calls.length === calls + 1, 'the first call');
    const stream = await alice.stream('/generate', { prompt: 'two', stream: true }, { query: { conversation_id: id } });
    await stream.next();
    await stream.next();
    server.signal('SIGTERM');
    await until(() => refused(server), 'the listener to close');
    held.open();
    const result = (await plain).json;
    assert.equal(result.generated_text, 'before and after');
    const done = (await stream.collect()).at(-1);
    assert.equal(done.name, 'done');
    assert.deepEqual(await server.ended(), { code: 0, signal: null });

    await server.start();
    const { messages } = await (await server.client('alice')).conversation(id);
    assert.equal(messages.length, 4);
    for (const message of [result.message, done.data.message]) {
      assert.deepEqual(messages.find((one) => one.message_id === message.message_id), message);
    }
  });

  test('a turn that does not end is cut after the bound, and what it said is kept', async (t) => {
    const { upstream, server, alice } = await withUpstream(t, ['--shutdown-timeout', '1s']);
    const { conversation_id: id } = await alice.createConversation();
    upstream.next(scripts.stall(['said ', 'before ', 'the end']));
    const stream = await alice.stream('/generate', { prompt: 'go', stream: true }, { query: { conversation_id: id } });
    const start = await stream.next();
    let text = '';
    while (text !== 'said before the end') text += (await stream.next()).data.text;
    const rest = stream.collect().catch(() => []);
    assert.deepEqual(await server.stop('SIGTERM'), { code: 0, signal: null });
    const last = (await rest).at(-1);
    if (last) assert.equal(last.name, 'error');

    await server.start();
    const message = (await (await server.client('alice')).get(`/conversations/${id}/messages/${start.data.message_id}`, { expect: 200 })).json;
    assert.equal(message.content, 'said before the end');
    assert.equal(message.status, 'interrupted');
  });

  test('a second server on the same data is refused, and the first goes on', embeddedOnly('any number may share the tables'), async (t) => {
    const data = temporaryFolder();
    afterwards(t, () => removeFolder(data));
    const { server } = await serverOfTest(t, { data });
    await assert.rejects(startServer({ data }), /did not start/);
    await (await server.client('alice')).createConversation();
  });

  test('a stopped server leaves its port and data to the next, many times', async (t) => {
    const { server } = await serverOfTest(t);
    const made = [];
    for (let i = 0; i < 5; i += 1) {
      made.unshift(await (await server.client('alice')).createConversation({ title: `run ${i}` }));
      await server.restart();
    }
    assert.deepEqual((await (await server.client('alice')).get('/conversations', { expect: 200 })).json, made);
  });
});
