import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { scripts, startFakeUpstream } from './fake_upstream.mjs';
import { startServer } from './server.mjs';
import { gate, until } from './wait.mjs';

const withKey = (key = randomUUID()) => ({ 'Idempotency-Key': key });

describe('idempotency keys', () => {
  let server;
  let upstream;
  let alice;
  before(async () => {
    upstream = await startFakeUpstream();
    server = await startServer({ args: upstream.flags });
    alice = await server.client('alice');
  });
  beforeEach(() => { upstream.queue.length = 0; });
  after(async () => {
    await server?.close();
    await upstream?.close();
  });

  test('a repeated POST /conversations makes one conversation', async () => {
    const bob = await server.client('bob');
    const headers = withKey();
    const first = await bob.post('/conversations', { title: 'once' }, { headers, expect: 201 });
    const again = await bob.post('/conversations', { title: 'once' }, { headers, expect: 201 });
    assert.deepEqual(again.json, first.json);
    assert.equal(again.header('location'), first.header('location'));
    assert.equal((await bob.get('/conversations', { expect: 200 })).json.length, 1);
  });

  test('a repeated turn that failed with nothing said stays an error, and asks the model once', async () => {
    const headers = withKey();
    const before = upstream.calls.length;
    upstream.next(scripts.status(500, {}));
    for (const body of [{ prompt: 'x' }, { prompt: 'x' }]) {
      await alice.post('/generate', body, { headers, expect: 503 });
    }
    assert.equal(upstream.calls.length, before + 1);
  });

  test('a repeated POST of a message saves one message', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const headers = withKey();
    const send = () => alice.post(`/conversations/${id}/messages`, { content: 'once' }, { headers, expect: 201 });
    const first = await send();
    const others = await Promise.all(Array.from({ length: 10 }, send));
    for (const other of others) assert.deepEqual(other.json, first.json);
    assert.equal((await alice.conversation(id)).conversation.message_count, 1);
  });

  test('a repeated turn calls the model once and returns the saved answer', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const headers = withKey();
    const calls = upstream.calls.length;
    upstream.next(scripts.say('the only answer'));
    const send = () => alice.post('/generate', { prompt: 'Hello' }, { query: { conversation_id: id }, headers, expect: 200 });
    const first = await send();
    const again = await send();
    assert.deepEqual(again.json, first.json);
    assert.equal(upstream.calls.length, calls + 1);
    assert.equal((await alice.conversation(id)).messages.length, 2);
  });

  test('a repeated turn without a conversation makes one conversation', async () => {
    const carol = await server.client('carol');
    const headers = withKey();
    const first = await carol.post('/generate', { prompt: 'Hello' }, { headers, expect: 200 });
    const again = await carol.post('/generate', { prompt: 'Hello' }, { headers, expect: 200 });
    assert.deepEqual(again.json, first.json);
    assert.equal((await carol.get('/conversations', { expect: 200 })).json.length, 1);
  });

  test('twenty repeats at once join one running turn', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const headers = withKey();
    const held = gate();
    const calls = upstream.calls.length;
    upstream.next(scripts.hold(held, 'one ', 'answer'));
    const send = () => alice.post('/generate', { prompt: 'Hello' }, { query: { conversation_id: id }, headers, expect: 200 });
    const answers = Array.from({ length: 20 }, send);
    await until(() => upstream.calls.length > calls, 'the model to be called');
    answers.push(send());
    held.open();
    const results = await Promise.all(answers);
    assert.equal(upstream.calls.length, calls + 1);
    assert.equal(new Set(results.map((result) => result.json.message.message_id)).size, 1);
    assert.ok(results.every((result) => result.json.generated_text === 'one answer'));
    assert.equal((await alice.conversation(id)).conversation.message_count, 2);
  });

  test('a repeated stream joins from the beginning, running or over', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const headers = withKey();
    const held = gate();
    const calls = upstream.calls.length;
    upstream.next(scripts.hold(held, 'ünd ', 'so'));
    const open = () => alice.stream('/generate', { prompt: 'Hello', stream: true }, { query: { conversation_id: id }, headers });
    const first = await open();
    const start = await first.next();
    assert.equal((await first.next()).data.text, 'ünd ');
    const second = await open();
    assert.deepEqual(await second.next(), start);
    held.open();
    const ends = [(await first.collect()).at(-1), (await second.collect()).at(-1), (await (await open()).collect()).at(-1)];
    for (const end of ends) assert.deepEqual(end, ends[0]);
    assert.equal(ends[0].data.generated_text, 'ünd so');
    assert.equal(upstream.calls.length, calls + 1);
  });

  test('a client that lost its answer gets it by asking again', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const headers = withKey();
    const held = gate();
    const calls = upstream.calls.length;
    upstream.next(scripts.hold(held, 'still ', 'here'));
    const abort = new AbortController();
    const query = { conversation_id: id };
    const lost = alice.post('/generate', { prompt: 'Hello' }, { query, headers, signal: abort.signal });
    await until(() => upstream.calls.length > calls, 'the model to be called');
    abort.abort();
    await assert.rejects(lost, { name: 'AbortError' });
    const again = alice.post('/generate', { prompt: 'Hello' }, { query, headers, expect: 200 });
    held.open();
    assert.equal((await again).json.generated_text, 'still here');
    assert.equal(upstream.calls.length, calls + 1);
  });

  test('the same key with another request is refused and changes nothing', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const other = await alice.createConversation();
    const path = `/conversations/${id}/messages`;
    const headers = withKey();
    await alice.post(path, { content: 'one' }, { headers, expect: 201 });
    const refused = await alice.post(path, { content: 'two' }, { headers, expect: 422 });
    assert.deepEqual(refused.fields, ['Idempotency-Key']);
    await alice.post(`/conversations/${other.conversation_id}/messages`, { content: 'one' }, { headers, expect: 422 });
    const turn = withKey();
    await alice.post('/generate', { prompt: 'one' }, { query: { conversation_id: id }, headers: turn, expect: 200 });
    await alice.post('/generate', { prompt: 'two' }, { query: { conversation_id: id }, headers: turn, expect: 422 });
    const birth = withKey();
    await alice.post('/conversations', { title: 'one' }, { headers: birth, expect: 201 });
    await alice.post('/conversations', { title: 'two' }, { headers: birth, expect: 422 });
    assert.equal((await alice.conversation(id)).conversation.message_count, 3);
    assert.equal((await alice.conversation(other.conversation_id)).conversation.message_count, 0);
  });

  test('a key belongs to its user', async () => {
    const headers = withKey();
    const bob = await server.client('bob');
    const one = await alice.post('/conversations', { title: 'same' }, { headers, expect: 201 });
    const two = await bob.post('/conversations', { title: 'same' }, { headers, expect: 201 });
    assert.notEqual(one.json.conversation_id, two.json.conversation_id);
  });

  test('a key outlives a restart', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const headers = withKey();
    const send = () => alice.post('/generate', { prompt: 'Hello' }, { query: { conversation_id: id }, headers, expect: 200 });
    const first = await send();
    const calls = upstream.calls.length;
    await server.restart();
    alice = await server.client('alice');
    assert.deepEqual((await send()).json, first.json);
    assert.equal(upstream.calls.length, calls);
  });

  test('what a key made, it does not make again once that is deleted', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const path = `/conversations/${id}/messages`;
    const headers = withKey();
    const { json } = await alice.post(path, { content: 'one' }, { headers, expect: 201 });
    await alice.delete(`${path}/${json.message_id}`, { expect: 204 });
    const refused = await alice.post(path, { content: 'one' }, { headers, expect: 409 });
    assert.match(refused.json.detail, /deleted/);
    assert.equal((await alice.conversation(id)).conversation.message_count, 0);
    await alice.delete(`/conversations/${id}`, { expect: 204 });
    await alice.post(path, { content: 'one' }, { headers, expect: 404 });  // the conversation in the path is gone
  });

  test('a deleted conversation is not made again by its key', async () => {
    const headers = withKey();
    const made = await alice.post('/conversations', { title: 'once' }, { headers, expect: 201 });
    await alice.delete(`/conversations/${made.json.conversation_id}`, { expect: 204 });
    const refused = await alice.post('/conversations', { title: 'once' }, { headers, expect: 409 });
    assert.match(refused.json.detail, /deleted/);
  });

  test('a deleted turn is not run again by its key', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const [turn, birth] = [withKey(), withKey()];
    const query = { conversation_id: id };
    const { json } = await alice.post('/generate', { prompt: 'x' }, { query, headers: turn, expect: 200 });
    const made = await alice.post('/generate', { prompt: 'x' }, { headers: birth, expect: 200 });
    const calls = upstream.calls.length;
    await alice.delete(`/conversations/${id}/messages/${json.message.message_id}`, { expect: 204 });
    await alice.post('/generate', { prompt: 'x' }, { query, headers: turn, expect: 409 });
    await alice.delete(`/conversations/${id}`, { expect: 204 });
    await alice.post('/generate', { prompt: 'x' }, { query, headers: turn, expect: 404 });
    await alice.delete(`/conversations/${made.json.conversation_id}`, { expect: 204 });
    await alice.post('/generate', { prompt: 'x' }, { headers: birth, expect: 409 });
    assert.equal(upstream.calls.length, calls);
  });

  test('a key is one for all routes: the same body elsewhere is another request', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const headers = withKey();
    await alice.post('/conversations', {}, { headers, expect: 201 });
    const message = await alice.post(`/conversations/${id}/messages`, { content: 'x' }, { headers, expect: 422 });
    const turn = await alice.post('/generate', { prompt: 'x' }, { headers, expect: 422 });
    assert.deepEqual([message.fields, turn.fields], [['Idempotency-Key'], ['Idempotency-Key']]);
    const named = { client_message_id: 'phone-2' };
    await alice.append(id, 'x', named);
    const clash = await alice.post('/generate', { prompt: 'x', ...named }, { query: { conversation_id: id }, expect: 422 });
    assert.deepEqual(clash.fields, ['client_message_id']);
    assert.equal((await alice.conversation(id)).conversation.message_count, 1);
  });

  test('with a header and a client_message_id the header alone counts', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const [one, two] = [withKey(), withKey()];
    const path = `/conversations/${id}/messages`;
    const body = { content: 'x', client_message_id: 'phone-3' };
    const first = await alice.post(path, body, { headers: one, expect: 201 });
    const second = await alice.post(path, body, { headers: two, expect: 201 });
    assert.notEqual(second.json.message_id, first.json.message_id);
    assert.deepEqual((await alice.post(path, body, { headers: one, expect: 201 })).json, first.json);
  });

  test('a key must be 1 to 255 printable characters', async () => {
    for (const key of ['', 'x'.repeat(256), 'ü']) {
      const refused = await alice.post('/conversations', {}, { headers: withKey(key), expect: 422 });
      assert.deepEqual(refused.fields, ['Idempotency-Key']);
    }
    await alice.post('/conversations', {}, { headers: withKey(`${randomUUID()}${'x'.repeat(219)}`), expect: 201 });
  });

  test('a client_message_id serves as a key within its conversation', async () => {
    const one = await alice.createConversation();
    const two = await alice.createConversation();
    const body = { content: 'Hello', client_message_id: 'phone-1' };
    const send = (id, fields = {}) => alice.append(id, 'Hello', { ...body, ...fields });
    const first = await send(one.conversation_id);
    assert.deepEqual(await send(one.conversation_id), first);
    assert.notEqual((await send(two.conversation_id)).message_id, first.message_id);
    const refused = await alice.post(`/conversations/${one.conversation_id}/messages`, { ...body, content: 'Other' }, { expect: 422 });
    assert.deepEqual(refused.fields, ['client_message_id']);
    assert.equal((await alice.conversation(one.conversation_id)).conversation.message_count, 1);
  });

  test('a client_message_id serves as the key of a turn', async () => {
    for (const query of [{ conversation_id: (await alice.createConversation()).conversation_id }, {}]) {
      const calls = upstream.calls.length;
      const body = { prompt: 'Hello', client_message_id: randomUUID() };
      const send = (fields = {}) => alice.post('/generate', { ...body, ...fields }, { query, expect: 200 });
      const answers = await Promise.all([send(), send(), send()]);
      answers.push(await send());
      for (const answer of answers) assert.deepEqual(answer.json, answers[0].json);
      assert.equal(upstream.calls.length, calls + 1);
      assert.equal(answers[0].json.user_message.client_message_id, body.client_message_id);
      const other = await alice.post('/generate', { ...body, prompt: 'Other' }, { query, expect: 422 });
      assert.deepEqual(other.fields, ['client_message_id']);
      assert.equal(upstream.calls.length, calls + 1);
    }
  });
});
