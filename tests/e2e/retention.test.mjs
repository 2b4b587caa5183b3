// The server's retention, and conversations that are temporary.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { onDynamoDb, temporaryFolder } from './server.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';

const kDay = 24 * 3600;
const gone = (client, id) => until(async () => (await client.get(`/conversations/${id}`)).status === 404, `${id} to expire`);

describe('temporary conversations', () => {
  let alice;
  serverOfSuite({}, (made) => { ({ alice } = made); });

  test('show that they are, and when they go', async () => {
    const made = await alice.createConversation({ temporary: true });
    assert.equal(made.temporary, true);
    assert.equal(made.ttl_seconds, kDay);
    assert.equal(made.expires_at, made.updated_at + kDay);
    const own = await alice.createConversation({ temporary: true, ttl_seconds: 60 });
    assert.equal(own.ttl_seconds, 60);
    assert.equal(own.temporary, true);
    const usual = await alice.createConversation({ temporary: false });
    assert.ok(!('temporary' in usual) && !('expires_at' in usual));
  });

  test('can be kept after all, and others made temporary', async () => {
    const { conversation_id: id } = await alice.createConversation({ temporary: true });
    const patch = async (fields) => (await alice.patch(`/conversations/${id}`, fields, { expect: 200 })).json;
    const kept = await patch({ temporary: false });
    assert.ok(!('temporary' in kept) && !('expires_at' in kept));
    assert.equal((await patch({ temporary: true })).ttl_seconds, kDay);
    assert.ok(!('temporary' in await patch({ ttl_seconds: null })));
    assert.equal((await patch({ temporary: true, ttl_seconds: 5000 })).ttl_seconds, 5000);
    const refused = await alice.patch(`/conversations/${id}`, { temporary: true, ttl_seconds: null }, { expect: 422 });
    assert.deepEqual(refused.fields, ['ttl_seconds']);
  });

  test('can be begun by a prompt', async () => {
    const { conversation_id: id } = await alice.generate(undefined, 'Hello', { temporary: true });
    assert.equal((await alice.conversation(id)).conversation.temporary, true);
    const { fields } = await alice.post('/generate', { prompt: 'Hello', temporary: true },
                                        { query: { conversation_id: id }, expect: 422 });
    assert.deepEqual(fields, ['temporary']);
  });
});

describe('what has expired', () => {
  test('has no answer to follow, and is in no export', async (t) => {
    const { alice } = await serverOfTest(t);
    const turn = await alice.generate(undefined, 'An aardvark');
    const { conversation_id: id, message: { message_id: answer } } = turn;
    const { conversation_id: kept } = await alice.createConversation({ title: 'kept' });
    assert.equal((await alice.generation(id, answer)).status, 'complete');
    const all = async (format) => Buffer.from(await (await fetch(new URL(`/export?format=${format}&files=false`, alice.baseUrl), {
      headers: { Authorization: `Bearer ${alice.token}` } })).arrayBuffer()).toString('latin1');
    assert.ok((await all('jsonl')).includes(id));
    await alice.patch(`/conversations/${id}`, { ttl_seconds: 1 }, { expect: 200 });
    await gone(alice, id);
    await alice.generation(id, answer, { expect: 404 });
    await alice.follow(id, answer, { expect: 404 });
    await alice.cancel(id, answer, { expect: 404 });
    for (const format of ['jsonl', 'zip']) {
      const text = await all(format);
      assert.ok(!text.includes(id) && !text.includes('aardvark'), format);
      assert.ok(format === 'zip' || text.includes(kept));
    }
  });

  // The service does it on tables, by an attribute that is put off for as long as a conversation lives.
  test('messages of a living conversation are renewed, and counted', onDynamoDb ? {} : { skip: 'of tables only' }, async (t) => {
    const { server, alice } = await serverOfTest(t, { args: ['--retention', '4s'] });
    const counted = async () => Number((await (await fetch(`${server.adminUrl}/metrics`)).text())
      .match(/^colloquy_store_renewed_messages_total (\d+)$/m)[1]);
    const { conversation_id: id } = await alice.createConversation();
    for (let i = 0; i < 3; i += 1) await alice.append(id, `message ${i}`);
    const before = await counted();
    const pause = () => new Promise((resolve) => { setTimeout(resolve, 2600); });
    await pause();
    const { json } = await alice.put(`/conversations/${id}/title`, { title: 'Lives on' }, { expect: 200 });
    // A period after they were written. What is written only now has its own time.
    await pause();
    await alice.append(id, 'more');
    await until(async () => await counted() > before, 'the renewal');
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    assert.equal(await counted() - before, 3);
    assert.ok(json.expires_at < (await alice.conversation(id)).conversation.expires_at);
  });
});

describe('--retention', () => {
  test('expires what has no time to live of its own, and says when', async (t) => {
    const { alice } = await serverOfTest(t, { args: ['--retention', '3s'] });
    const usual = await alice.createConversation();
    assert.ok(!('ttl_seconds' in usual));
    assert.equal(usual.expires_at, usual.updated_at + 3);
    const longer = await alice.createConversation({ ttl_seconds: 1000 });
    const stream = onDynamoDb ? undefined : await alice.followEvents();
    if (stream) assert.equal((await stream.next()).name, 'ready');
    await gone(alice, usual.conversation_id);
    const listed = (await alice.get('/conversations', { expect: 200 })).json;
    assert.deepEqual(listed.map((one) => one.conversation_id), [longer.conversation_id]);
    if (stream) {
      const { name, data } = await stream.next();
      assert.equal(name, 'conversation.deleted');
      assert.equal(data.conversation_id, usual.conversation_id);
    }
    const back = (await alice.patch(`/conversations/${longer.conversation_id}`, { ttl_seconds: null }, { expect: 200 })).json;
    assert.equal(back.expires_at, back.updated_at + 3);
  });

  test('holds for what stood before it; taken off in time, nothing goes', async (t) => {
    const data = temporaryFolder();
    const { server, alice: before } = await serverOfTest(t, { data });
    const { conversation_id: id } = await before.createConversation();
    const message = await before.append(id, 'Hello');
    await server.stop();
    await server.start({ args: ['--retention', '1h'] });
    let alice = await server.client('alice');
    assert.equal((await alice.conversation(id)).conversation.expires_at, message.timestamp + 3600);
    await server.stop();
    await server.start({ args: [] });
    alice = await server.client('alice');
    const { conversation, messages } = await alice.conversation(id);
    assert.ok(!('expires_at' in conversation));
    assert.equal(messages.length, 1);
    await server.stop();
    await server.start({ args: ['--retention', '1s'] });
    alice = await server.client('alice');
    await gone(alice, id);
    assert.deepEqual((await alice.get('/conversations', { expect: 200 })).json, []);
  });
});
