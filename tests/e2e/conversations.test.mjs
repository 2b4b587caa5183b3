import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { followPages } from './client.mjs';
import { serverOfSuite } from './setup.mjs';
import { until } from './wait.mjs';

describe('conversations', () => {
  let server;
  let alice;
  serverOfSuite({}, (made) => ({ server, alice } = made));

  test('a new conversation is empty and points to itself', async () => {
    const before = Math.floor(Date.now() / 1000);
    const answer = await alice.post('/conversations', { title: 'My Chat' }, { expect: 201 });
    const { conversation_id: id, ...rest } = answer.json;
    assert.equal(answer.header('location'), `/conversations/${id}`);
    assert.ok(rest.created_at >= before - 1 && rest.created_at <= Date.now() / 1000 + 1);
    assert.equal(rest.updated_at, rest.created_at);
    assert.deepEqual({ ...rest, created_at: 0, updated_at: 0 },
                     { title: 'My Chat', created_at: 0, updated_at: 0, message_count: 0, pinned: false, archived: false, metadata: {} });
    const read = await alice.get(answer.header('location'), { expect: 200 });
    assert.deepEqual(read.json, { conversation: answer.json, messages: [] });
    assert.equal(read.etag, answer.etag);
  });

  test('without a title it is "New Conversation", with an empty object or no body at all', async () => {
    assert.equal((await alice.createConversation({})).title, 'New Conversation');
    const bare = await alice.call('POST', '/conversations', { expect: 201 });
    assert.equal(bare.json.title, 'New Conversation');
    const typed = await alice.call('POST', '/conversations', { contentType: 'application/json', body: '', expect: 201 });
    assert.equal(typed.json.title, 'New Conversation');
  });

  test('takes its system prompt, labels and lifetime at birth', async () => {
    const made = await alice.createConversation({ title: 'Full', system_prompt: 'Be brief.', metadata: { colour: 'blue' },
                                                  ttl_seconds: 3600 });
    assert.equal(made.system_prompt, 'Be brief.');
    assert.deepEqual(made.metadata, { colour: 'blue' });
    assert.equal(made.ttl_seconds, 3600);
    assert.equal(made.expires_at, made.updated_at + 3600);
    assert.deepEqual((await alice.conversation(made.conversation_id)).conversation, made);
  });

  test('titles may be any text up to 1024 bytes', async () => {
    for (const title of ['Ünïcödé ☃ 🚂', 'x'.repeat(1024), '🚂'.repeat(256), 'a"b\\c\n\td', '<script>alert(1)</script>']) {
      assert.equal((await alice.createConversation({ title })).title, title);
    }
    for (const title of ['x'.repeat(1025), '🚂'.repeat(257), '']) {
      const refused = await alice.post('/conversations', { title }, { expect: 422 });
      assert.deepEqual(refused.fields, ['title']);
    }
  });

  test('the list has the newest first, page by page, each once', async () => {
    const carol = await server.client('carol');
    const made = [];
    for (let i = 0; i < 23; i += 1) made.push((await carol.createConversation({ title: `chat ${i}` })).conversation_id);
    made.reverse();
    const whole = await carol.get('/conversations', { expect: 200 });
    assert.deepEqual(whole.json.map((one) => one.conversation_id), made);
    assert.equal(whole.link('next'), undefined);
    for (const limit of [1, 5, 22, 23, 200]) {
      const pages = await followPages(carol, `/conversations?limit=${limit}`, 'next');
      assert.deepEqual(pages.flat().map((one) => one.conversation_id), made, `limit ${limit}`);
      assert.ok(pages.every((page) => page.length <= limit));
    }
  });

  test('a page stays true while conversations come and go', async () => {
    const dora = await server.client('dora');
    const made = [];
    for (let i = 0; i < 6; i += 1) made.push((await dora.createConversation()).conversation_id);
    made.reverse();
    const first = await dora.get('/conversations?limit=2', { expect: 200 });
    await dora.createConversation({ title: 'later' });
    await dora.delete(`/conversations/${made[1]}`, { expect: 204 });  // the one the cursor stands on
    await dora.delete(`/conversations/${made[2]}`, { expect: 204 });
    const rest = await followPages(dora, first.link('next'), 'next');
    assert.deepEqual(rest.flat().map((one) => one.conversation_id), made.slice(3));
  });

  test('the list by activity has the last active first', async () => {
    const fay = await server.client('fay');
    const made = [];
    for (let i = 0; i < 3; i += 1) made.push((await fay.createConversation()).conversation_id);
    const second = new Date().getSeconds();
    await until(() => new Date().getSeconds() !== second);  // times are whole seconds
    await fay.post(`/conversations/${made[0]}/messages`, { content: 'hello' }, { expect: 201 });
    for (const limit of [1, 2, 3]) {
      const pages = await followPages(fay, `/conversations?sort=updated&limit=${limit}`, 'next');
      assert.deepEqual(pages.flat().map((one) => one.conversation_id), [made[0], made[2], made[1]], `limit ${limit}`);
    }
    const created = await fay.get('/conversations?sort=created', { expect: 200 });
    assert.deepEqual(created.json.map((one) => one.conversation_id), [...made].reverse());
    assert.deepEqual((await fay.get('/conversations?sort=name', { expect: 422 })).fields, ['sort']);
    for (const cursor of ['x', '1', `.${made[0]}`, `1.${made[0]}x`, made[0], `1x.${made[0]}`]) {
      const refused = await fay.get(`/conversations?sort=updated&cursor=${cursor}`, { expect: 422 });
      assert.deepEqual(refused.fields, ['cursor'], cursor);
    }
  });

  test('the list pages by 50 unless told otherwise', async () => {
    const emil = await server.client('emil');
    await Promise.all(Array.from({ length: 51 }, () => emil.createConversation()));
    const page = await emil.get('/conversations', { expect: 200 });
    assert.equal(page.json.length, 50);
    assert.equal((await emil.get(page.link('next'), { expect: 200 })).json.length, 1);
  });

  test('a title is set by the query, as the source document does, or by a body', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'old' });
    const byQuery = await alice.call('PUT', `/conversations/${id}/title?title=New Title`, { expect: 200 });
    assert.equal(byQuery.json.title, 'New Title');
    const encoded = await alice.call('PUT', `/conversations/${id}/title`, { query: { title: 'a&b=c+d ü 🚂' }, expect: 200 });
    assert.equal(encoded.json.title, 'a&b=c+d ü 🚂');
    const byBody = await alice.put(`/conversations/${id}/title`, { title: 'By body' }, { expect: 200 });
    assert.equal(byBody.json.title, 'By body');
    assert.deepEqual((await alice.conversation(id)).conversation, byBody.json);
    await alice.call('PUT', `/conversations/${id}/title`, { expect: [415, 422] });
    const none = await alice.put(`/conversations/${id}/title`, {}, { expect: 422 });
    assert.deepEqual(none.fields, ['title']);
    await alice.call('PUT', `/conversations/${id}/title?title=${'x'.repeat(1025)}`, { expect: 422 });
    await alice.call('PUT', `/conversations/${id}/title?title=`, { expect: 422 });
    assert.equal((await alice.conversation(id)).conversation.title, 'By body');
  });

  test('a deleted conversation is gone at once, for every route', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const message = await alice.append(id, 'hello');
    await alice.delete(`/conversations/${id}`, { expect: 204 });
    await alice.get(`/conversations/${id}`, { expect: 404 });
    await alice.get(`/conversations/${id}/messages`, { expect: 404 });
    await alice.get(`/conversations/${id}/messages/${message.message_id}`, { expect: 404 });
    await alice.delete(`/conversations/${id}/messages/${message.message_id}`, { expect: 404 });
    await alice.post(`/conversations/${id}/messages`, { content: 'more' }, { expect: 404 });
    await alice.post('/generate', { prompt: 'more' }, { query: { conversation_id: id }, expect: 404 });
    await alice.put(`/conversations/${id}/title`, { title: 'x' }, { expect: 404 });
    await alice.patch(`/conversations/${id}`, { pinned: true }, { expect: 404 });
    await alice.delete(`/conversations/${id}`, { expect: 404 });
    const listed = await followPages(alice, '/conversations?limit=200', 'next');
    assert.ok(!listed.flat().some((one) => one.conversation_id === id));
  });

  test('reading does not change updated_at or the version', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const first = await alice.get(`/conversations/${id}`, { expect: 200 });
    await alice.get(`/conversations/${id}/messages`, { expect: 200 });
    await alice.get('/conversations', { expect: 200 });
    const second = await alice.get(`/conversations/${id}`, { expect: 200 });
    assert.deepEqual(second.json, first.json);
    assert.equal(second.etag, first.etag);
  });

  test('a conversation past its lifetime is as if it had never been', async () => {
    const frida = await server.client('frida');
    const { conversation_id: id } = await frida.createConversation({ ttl_seconds: 1 });
    const kept = await frida.createConversation({ ttl_seconds: 315360000 });
    await until(async () => (await frida.get(`/conversations/${id}`, { expect: [200, 404] })).status === 404, 'the end of its lifetime');
    await frida.post(`/conversations/${id}/messages`, { content: 'x' }, { expect: 404 });
    await frida.post('/generate', { prompt: 'x' }, { query: { conversation_id: id }, expect: 404 });
    await frida.patch(`/conversations/${id}`, { ttl_seconds: null }, { expect: 404 });
    assert.deepEqual((await frida.get('/conversations', { expect: 200 })).json, [kept]);
  });

  test('everything is there after a restart', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'kept', metadata: { a: 'b' }, system_prompt: 's' });
    await alice.append(id, 'first');
    await alice.generate(id, 'second');
    const whole = await alice.get(`/conversations/${id}`, { expect: 200 });
    const list = await alice.get('/conversations', { expect: 200 });
    await server.restart();
    alice = await server.client('alice');
    const again = await alice.get(`/conversations/${id}`, { expect: 200 });
    assert.deepEqual(again.json, whole.json);
    assert.equal(again.etag, whole.etag);
    assert.deepEqual((await alice.get('/conversations', { expect: 200 })).json, list.json);
  });
});
