import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { followPages } from './client.mjs';
import { serverOfSuite } from './setup.mjs';

const kMiB = 1024 * 1024;
const kSomeId = '01932f3e-5c0a-7000-8000-00000000000a';
const ids = (messages) => messages.map((message) => message.message_id);
const nextMillisecond = async () => {
  for (const begin = Date.now(); Date.now() === begin;) await new Promise(setImmediate);
};

describe('messages', () => {
  let server;
  let alice;
  serverOfSuite({}, (made) => ({ server, alice } = made));

  async function conversationOf(count) {
    const { conversation_id: id } = await alice.createConversation();
    const messages = [];
    for (let i = 0; i < count; i += 1) messages.push(await alice.append(id, `message ${i}`));
    return { id, path: `/conversations/${id}/messages`, messages };
  }

  test('an appended message is kept as it was given', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const answer = await alice.post(`/conversations/${id}/messages`,
      { role: 'user', content: 'Hello', metadata: { device: 'phone' }, client_message_id: 'phone-17' }, { expect: 201 });
    const { message_id: messageId, timestamp, ...rest } = answer.json;
    assert.deepEqual(rest, { role: 'user', content: 'Hello', metadata: { device: 'phone' }, client_message_id: 'phone-17' });
    assert.ok(Math.abs(timestamp - Date.now() / 1000) < 600);
    assert.equal(answer.header('location'), `/conversations/${id}/messages/${messageId}`);
    assert.deepEqual((await alice.get(answer.header('location'), { expect: 200 })).json, answer.json);
    assert.deepEqual((await alice.conversation(id)).messages, [answer.json]);
  });

  test('any role may be appended, user by default', async () => {
    const { conversation_id: id } = await alice.createConversation();
    assert.equal((await alice.append(id, 'a')).role, 'user');
    assert.equal((await alice.append(id, 'b', { role: 'system' })).role, 'system');
    const answer = await alice.append(id, 'c', { role: 'assistant' });
    assert.equal(answer.role, 'assistant');
    assert.equal(answer.status, 'complete');
    const refused = await alice.post(`/conversations/${id}/messages`, { role: 'robot', content: 'd' }, { expect: 422 });
    assert.deepEqual(refused.fields, ['role']);
  });

  test('message_count and updated_at follow what is written and deleted', async () => {
    const { id, messages } = await conversationOf(3);
    const { conversation } = await alice.conversation(id);
    assert.equal(conversation.message_count, 3);
    assert.ok(conversation.updated_at >= messages[2].timestamp);
    await alice.delete(`/conversations/${id}/messages/${messages[1].message_id}`, { expect: 204 });
    const after = await alice.conversation(id);
    assert.equal(after.conversation.message_count, 2);
    assert.deepEqual(ids(after.messages), [messages[0].message_id, messages[2].message_id]);
    await alice.get(`/conversations/${id}/messages/${messages[1].message_id}`, { expect: 404 });
    await alice.delete(`/conversations/${id}/messages/${messages[1].message_id}`, { expect: 404 });
  });

  test('ids rise within a conversation, however fast its messages come', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const made = await Promise.all(Array.from({ length: 60 }, (_, i) => alice.append(id, `at once ${i}`)));
    const { messages, conversation } = await alice.conversation(id);
    assert.deepEqual(ids(messages), ids(made).sort());
    assert.equal(conversation.message_count, 60);
    const later = await alice.append(id, 'later');
    assert.ok(later.message_id > messages.at(-1).message_id);
  });

  test('a message of one conversation is not one of another', async () => {
    const one = await conversationOf(1);
    const other = await conversationOf(1);
    const path = `/conversations/${other.id}/messages/${one.messages[0].message_id}`;
    await alice.get(path, { expect: 404 });
    await alice.delete(path, { expect: 404 });
    assert.equal((await alice.conversation(one.id)).messages.length, 1);
  });

  test('the default page is the newest, oldest first, and leads back to the beginning', async () => {
    const { path, messages } = await conversationOf(57);
    const page = await alice.get(path, { expect: 200 });
    assert.deepEqual(ids(page.json), ids(messages).slice(7));
    for (const limit of [1, 10, 19, 56, 57, 58, 200]) {
      const pages = await followPages(alice, `${path}?limit=${limit}`, 'prev');
      assert.deepEqual(ids([...pages].reverse().flat()), ids(messages), `limit ${limit}`);
      assert.ok(pages.every((one) => one.length <= limit && one.length > 0));
    }
  });

  test('before gives the newest of the older, after the oldest of the newer', async () => {
    const { path, messages } = await conversationOf(12);
    const all = ids(messages);
    const get = async (query) => (await alice.get(path, { query, expect: 200 }));
    assert.deepEqual(ids((await get({ before: all[6], limit: 4 })).json), all.slice(2, 6));
    assert.deepEqual(ids((await get({ after: all[6], limit: 4 })).json), all.slice(7, 11));
    assert.deepEqual((await get({ before: all[0] })).json, []);
    assert.deepEqual((await get({ after: all[11] })).json, []);
    assert.equal((await get({ before: all[0] })).link('prev'), undefined);
    assert.equal((await get({ after: all[11] })).link('next'), undefined);
    const forward = await followPages(alice, `${path}?after=${all[0]}&limit=3`, 'next');
    assert.deepEqual(ids(forward.flat()), all.slice(1));
    const back = await followPages(alice, `${path}?before=${all[11]}&limit=5`, 'prev');
    assert.deepEqual(ids(back.reverse().flat()), all.slice(0, 11));
  });

  test('paging goes on from a message that was deleted', async () => {
    const { path, messages } = await conversationOf(6);
    const all = ids(messages);
    await alice.delete(`${path}/${all[3]}`, { expect: 204 });
    assert.deepEqual(ids((await alice.get(path, { query: { before: all[3] }, expect: 200 })).json), all.slice(0, 3));
    assert.deepEqual(ids((await alice.get(path, { query: { after: all[3] }, expect: 200 })).json), all.slice(4));
  });

  test('the conversation itself pages in the same way when asked to', async () => {
    const { id, messages } = await conversationOf(9);
    const all = ids(messages);
    const get = async (query) => (await alice.get(`/conversations/${id}`, { query, expect: 200 })).json;
    assert.deepEqual(ids((await get({})).messages), all);
    assert.deepEqual(ids((await get({ limit: 4 })).messages), all.slice(5));
    assert.deepEqual(ids((await get({ limit: 4, before: all[5] })).messages), all.slice(1, 5));
    assert.deepEqual(ids((await get({ limit: 2, after: all[5] })).messages), all.slice(6, 8));
    assert.equal((await get({ limit: 1 })).conversation.message_count, 9);
  });

  test('the conversation gives a page before a message, and all after one', async () => {
    const { id, messages } = await conversationOf(57);
    const all = ids(messages);
    const get = async (query) => ids((await alice.get(`/conversations/${id}`, { query, expect: 200 })).json.messages);
    assert.deepEqual(await get({ before: all[55] }), all.slice(5, 55));
    assert.deepEqual(await get({ before: all[3] }), all.slice(0, 3));
    assert.deepEqual(await get({ before: all[0] }), []);
    assert.deepEqual(await get({ after: all[1] }), all.slice(2));
    assert.deepEqual(await get({ after: all[56] }), []);
    assert.deepEqual(await get({ limit: 200 }), all);
  });

  test('before and after are places in time, whether there is a message or not', async () => {
    const { path, messages } = await conversationOf(4);
    await nextMillisecond();  // ids are in the order of time between conversations, but not within a millisecond
    const between = await conversationOf(1);  // a later message, of another conversation
    await nextMillisecond();
    const later = (await alice.post(path, { content: 'later' }, { expect: 201 })).json.message_id;
    const all = [...ids(messages), later];
    const elsewhere = between.messages[0].message_id;
    const get = async (query) => ids((await alice.get(path, { query, expect: 200 })).json);
    assert.deepEqual(await get({ before: elsewhere }), all.slice(0, 4));
    assert.deepEqual(await get({ after: elsewhere }), [later]);
    const [first, last] = ['00000000-0000-7000-8000-000000000000', 'ffffffff-ffff-7fff-bfff-ffffffffffff'];
    assert.deepEqual(await get({ after: first }), all);
    assert.deepEqual(await get({ before: last }), all);
    assert.deepEqual(await get({ before: first }), []);
    assert.deepEqual(await get({ after: last }), []);
  });

  test('the greatest page is 200, of a name given twice the last counts, and empty is no error', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const path = `/conversations/${id}/messages`;
    for (const query of ['', '?limit=200', `?before=${kSomeId}`, `?after=${kSomeId}&limit=1`]) {
      const answer = await alice.get(path + query, { expect: 200 });
      assert.deepEqual(answer.json, [], query);
      assert.equal(answer.header('link'), undefined, query);
      assert.deepEqual((await alice.get(`/conversations/${id}${query}`, { expect: 200 })).json.messages, []);
    }
    for (let i = 0; i < 4; i += 1) await Promise.all(Array.from({ length: 51 }, (_, k) => alice.append(id, `m${i * 51 + k}`)));
    const pages = await followPages(alice, `${path}?limit=200`, 'prev');
    assert.deepEqual(pages.map((page) => page.length), [200, 4]);
    assert.equal((await alice.get(`${path}?limit=7&limit=3`, { expect: 200 })).json.length, 3);
    for (const name of ['before', 'after']) {
      await alice.get(path, { query: { [name]: kSomeId.toUpperCase() }, expect: 422 });
      await alice.get(path, { query: { [name]: '' }, expect: 422 });
    }
  });

  test('before and after together are refused, and so are limits out of bounds', async () => {
    const { id, path, messages } = await conversationOf(2);
    const [first, second] = ids(messages);
    for (const target of [path, `/conversations/${id}`]) {
      await alice.get(target, { query: { before: second, after: first }, expect: 422 });
      for (const limit of ['0', '201', '-1', 'ten', '', '1.5', '1e1', ' 1', '99999999999999999999']) {
        const refused = await alice.get(target, { query: { limit }, expect: 422 });
        assert.deepEqual(refused.fields, ['limit'], limit);
      }
      await alice.get(target, { query: { before: 'nonsense' }, expect: 422 });
      await alice.get(target, { query: { after: 'nonsense' }, expect: 422 });
    }
  });

  test('without a limit all messages come, more than any page holds', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const count = 450;
    for (let i = 0; i < count; i += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, k) => alice.append(id, `m${i + k}`)));
    }
    const { messages } = await alice.conversation(id);
    assert.equal(messages.length, count);
    assert.deepEqual(ids(messages), [...ids(messages)].sort());
    assert.equal(new Set(messages.map((message) => message.content)).size, count);
  });

  test('a conversation deleted while it is read ends the list short, and is no error of the server', async () => {
    const { conversation_id: id } = await alice.createConversation();
    // More than the sockets of both sides hold.
    const count = 32;
    for (let i = 0; i < count; i += 1) await alice.append(id, 'x'.repeat(kMiB));
    const url = new URL(`/conversations/${id}`, server.baseUrl);
    const response = await new Promise((resolve, reject) => {
      http.get(url, { headers: { Authorization: `Bearer ${alice.token}`, 'X-Request-Id': 'slow-reader' } }, resolve).on('error', reject);
    });
    assert.equal(response.statusCode, 200);  // nothing reads its body yet
    await alice.delete(`/conversations/${id}`, { expect: 204 });
    let bytes = 0;
    response.on('data', (piece) => { bytes += piece.length; });
    const error = await new Promise((resolve) => { response.on('error', resolve).on('end', resolve); });
    assert.equal(error?.code, 'ECONNRESET', 'the list looks whole');
    assert.equal(response.complete, false);
    assert.ok(bytes > 0 && bytes < count * kMiB, `${bytes} bytes came`);
    assert.equal((await server.logOf('slow-reader')).cut_off, true);
    await alice.get('/conversations', { expect: 200 });
    assert.deepEqual(server.logs().filter((line) => line.level === 'error'), []);
    await server.logged((line) => line.event === 'http.stream_cut' && line.level === 'info', 'the cut');
  });

  test('1 MiB of content is kept to the byte, one byte more is refused', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const path = `/conversations/${id}/messages`;
    for (const content of ['x'.repeat(kMiB), '🚂'.repeat(kMiB / 4), '\u0001'.repeat(kMiB)]) {
      const message = await alice.append(id, content);
      const read = await alice.get(`${path}/${message.message_id}`, { expect: 200 });
      assert.ok(message.content === content && read.json.content === content);
    }
    for (const content of ['x'.repeat(kMiB + 1), `${'🚂'.repeat(kMiB / 4)}x`]) {
      await alice.post(path, { content }, { expect: [413, 422] });
    }
    assert.equal((await alice.conversation(id)).conversation.message_count, 3);
  });

  test('a page of great messages ends early and says that there is more', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const made = [];
    for (let i = 0; i < 7; i += 1) made.push(await alice.append(id, String(i).repeat(kMiB)));
    const path = `/conversations/${id}/messages`;
    const pages = await followPages(alice, path, 'prev');
    assert.ok(pages.length > 1, 'seven MiB came as one page');
    assert.deepEqual(ids(pages.reverse().flat()), ids(made));
    const forward = await followPages(alice, `${path}?after=${made[0].message_id}`, 'next');
    assert.deepEqual(ids(forward.flat()), ids(made).slice(1));
    assert.deepEqual(ids((await alice.conversation(id)).messages), ids(made));
  });

  test('odd text comes back as it was', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const texts = ['\u0000', 'a\u0000b', '\u0001\u001f\u007f', '\u2028\u2029', '\ufeff', '\uffff', 'e\u0301', '👩‍👩‍👧‍👦', '\u202eabc',
                   '"\\/\b\f\n\r\t', '\r\n\r\n', 'data: x\n\n', '𝄞'.repeat(999), ' ', '\n'];
    for (const content of texts) assert.equal((await alice.append(id, content)).content, content);
    assert.deepEqual((await alice.conversation(id)).messages.map((message) => message.content), texts);
  });

  test('what is not Unicode text is refused and nothing of it kept', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const path = `/conversations/${id}/messages`;
    const send = (body) => alice.call('POST', path, { body, contentType: 'application/json', expect: [400, 422] });
    const around = (bytes) => Buffer.concat([Buffer.from('{"content":"'), Buffer.from(bytes), Buffer.from('"}')]);
    for (const bytes of [[0xff], [0xc3], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xf0, 0x80, 0x80, 0x80]]) {
      await send(around(bytes));
    }
    for (const escape of ['\\ud800', '\\udc00', '\\ud800x', '\\ud800\\ud800']) await send(around(Buffer.from(escape)));
    assert.deepEqual((await alice.conversation(id)).messages, []);
    const pair = await alice.call('POST', path, { body: around(Buffer.from('\\ud83d\\ude82')), contentType: 'application/json', expect: 201 });
    assert.equal(pair.json.content, '🚂');
  });

  test('metadata keeps to its limits', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const path = `/conversations/${id}/messages`;
    const pairs = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, `v${i}`]));
    const most = { ...pairs(15), ['k'.repeat(64)]: 'ü'.repeat(1024) };
    assert.deepEqual((await alice.append(id, 'x', { metadata: most })).metadata, most);
    assert.equal((await alice.append(id, 'x', { metadata: {} })).metadata, undefined);
    const refused = async (metadata, field) => {
      const answer = await alice.post(path, { content: 'x', metadata }, { expect: 422 });
      assert.ok(answer.fields.every((name) => name.startsWith(field)), `${answer.fields} for ${field}`);
    };
    await refused(pairs(17), 'metadata');
    await refused({ ['k'.repeat(65)]: 'v' }, 'metadata');
    await refused({ key: 'ü'.repeat(1025) }, 'metadata.key');
    await refused({ key: 1 }, 'metadata.key');
    await refused({ key: null }, 'metadata.key');
    await refused({ key: { deep: 'x' } }, 'metadata.key');
    await refused({ '': 'v' }, 'metadata');
    await refused([], 'metadata');
    await refused('x', 'metadata');
    assert.equal((await alice.conversation(id)).conversation.message_count, 2);
  });
});
