// Files that a message names: looked for when it is sent, listed with it ever after, and deleted with its conversation where that
// is asked for.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { startServer } from './server.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { afterwards } from './cleanup.mjs';

const paths = (...names) => names.map((path) => ({ path }));
const write = (client, path, body = 'x') => client.call('PUT', `/files/${path}`, { body, expect: [200, 201] });
const remove = (client, path) => client.delete(`/files/${path}`, { expect: 204 });
const names = async (client) => (await client.get('/files', { query: { limit: 200 }, expect: 200 })).json.map(({ path }) => path);
const messages = async (client, id, query = {}) => (await client.get(`/conversations/${id}/messages`, { query, expect: 200 })).json;

describe('attachments', () => {
  let server;
  let alice;
  let bob;
  serverOfSuite({ users: ['alice', 'bob'] }, async (made) => {
    ({ server, alice, bob } = made);
    for (const path of ['a.txt', 'notes/"é".txt', 'b']) await write(alice, encodeURI(path));
    await write(bob, 'bobs.txt');
  });

  test('a message shows what it was given, in that order, in every read', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const attachments = paths('notes/"é".txt', 'a.txt');
    const message = await alice.append(id, 'see', { attachments });
    assert.deepEqual(message.attachments, attachments);
    const { json } = await alice.get(`/conversations/${id}/messages/${message.message_id}`, { expect: 200 });
    assert.deepEqual(json, message);
    assert.deepEqual((await alice.conversation(id)).messages, [message]);
    assert.deepEqual(await messages(alice, id, { branches: 'all' }), [{ ...message, active: true }]);
    assert.ok(!('attachments' in await alice.append(id, 'none', { attachments: [] })));
  });

  test('a turn keeps them with the prompt, in the answer, the stream and what follows it; the model is not told', async () => {
    const attachments = paths('b', 'a.txt');
    const turn = await alice.generate(undefined, 'What is in it?', { attachments });
    assert.deepEqual(turn.user_message.attachments, attachments);
    assert.ok(!('attachments' in turn.message));
    assert.doesNotMatch(turn.message.content, /a\.txt/);
    const id = turn.conversation_id;
    assert.deepEqual((await messages(alice, id))[0], turn.user_message);
    assert.deepEqual((await alice.generation(id, turn.message.message_id)).user_message, turn.user_message);
    const stream = await alice.stream('/generate', { prompt: 'again', stream: true, attachments: paths('b') }, { query: { conversation_id: id } });
    const done = (await stream.collect()).at(-1);
    assert.deepEqual(done.data.user_message.attachments, paths('b'));
    const edited = await alice.generate(id, 'in other words', { edit_of: turn.user_message.message_id });
    assert.ok(!('attachments' in edited.user_message), 'in other words, with other attachments');
    const context = (await alice.post(`/conversations/${id}/context`, { prompt: 'x' }, { expect: 200 })).text;
    assert.doesNotMatch(context, /a\.txt/);
  });

  test('what cannot be attached is refused, and nothing is written', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const many = Array.from({ length: 33 }, (_, i) => ({ path: String(i) }));
    const cases = [
      [paths('a.txt', 'nowhere.txt'), ['attachments[1].path']],
      [paths('bobs.txt'), ['attachments[0].path']],
      [paths('notes'), ['attachments[0].path']],
      [paths('a.txt', '../bob/bobs.txt', '/a', 'a\\b', 'a\u0000', ''), [1, 2, 3, 4, 5].map((i) => `attachments[${i}].path`)],
      [paths('a.txt', 'a.txt'), ['attachments[1].path']],
      [paths('x'.repeat(2000)), ['attachments[0].path']],
      [[{ path: 1 }, {}, { path: 'b', size: 3 }], ['attachments[0].path', 'attachments[1].path', 'attachments[2].size']],
      [['a.txt'], ['attachments[0]']],
      ['a.txt', ['attachments']],
      [null, ['attachments']],
      [many, ['attachments']],
    ];
    for (const [attachments, fields] of cases) {
      const answer = await alice.post(`/conversations/${id}/messages`, { content: 'x', attachments }, { expect: 422 });
      assert.deepEqual(answer.fields, fields, JSON.stringify(attachments).slice(0, 100));
      const turn = await alice.post('/generate', { prompt: 'x', attachments }, { query: { conversation_id: id }, expect: 422 });
      assert.deepEqual(turn.fields, fields);
    }
    for (const role of ['assistant', 'system']) {
      const answer = await alice.post(`/conversations/${id}/messages`, { role, content: 'x', attachments: paths('b') }, { expect: 422 });
      assert.deepEqual(answer.fields, ['attachments']);
    }
    assert.deepEqual(await messages(alice, id), []);
  });

  test('32 of the longest paths go with a message', async () => {
    const { conversation_id: id } = await bob.createConversation();
    const long = (i) => `${`${'d'.repeat(200)}/`.repeat(5)}${String(i).padStart(19, '0')}`;
    const attachments = Array.from({ length: 32 }, (_, i) => ({ path: long(i) }));
    for (const { path } of attachments) await write(bob, path);
    const metadata = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`${i}`.padStart(64, 'k'), 'v'.repeat(2048)]));
    const message = await bob.append(id, 'é'.repeat(149_000), { attachments, metadata });
    assert.deepEqual(await messages(bob, id), [message]);
    await bob.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: 204 });
    assert.deepEqual(await names(bob), ['bobs.txt']);
  });

  test('a deleted file stays listed, and a repeat is answered without it', async () => {
    await write(alice, 'gone.txt');
    const { conversation_id: id } = await alice.createConversation();
    const fields = { attachments: paths('gone.txt') };
    const again = { headers: { 'Idempotency-Key': 'gone' }, expect: 201 };
    const first = (await alice.post(`/conversations/${id}/messages`, { content: 'see', ...fields }, again)).json;
    const turn = { headers: { 'Idempotency-Key': 'gone turn' }, query: { conversation_id: id }, expect: 200 };
    const answered = (await alice.post('/generate', { prompt: 'see', ...fields }, turn)).json;
    await remove(alice, 'gone.txt');
    assert.deepEqual((await alice.post(`/conversations/${id}/messages`, { content: 'see', ...fields }, again)).json, first);
    assert.deepEqual((await alice.post('/generate', { prompt: 'see', ...fields }, turn)).json, answered);
    assert.deepEqual((await messages(alice, id))[0].attachments, fields.attachments);
    const other = await alice.post(`/conversations/${id}/messages`, { content: 'see', ...fields }, { headers: { 'Idempotency-Key': 'new' }, expect: 422 });
    assert.deepEqual(other.fields, ['attachments[0].path']);
  });

  test('an export has them, and an import takes them back', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'to be moved' });
    const message = await alice.append(id, 'see', { attachments: paths('b', 'a.txt') });
    const text = (await alice.get('/export', { expect: 200 })).text;
    const line = text.split('\n').find((one) => one.includes(message.message_id));
    assert.deepEqual(JSON.parse(line).attachments, message.attachments);
    await bob.call('POST', '/import', { body: text, contentType: 'application/x-ndjson', expect: 200 });
    const list = (await bob.get('/conversations', { expect: 200 })).json;
    const moved = list.find(({ title }) => title === 'to be moved');
    assert.deepEqual((await messages(bob, moved.conversation_id)).map(({ attachments }) => attachments), [message.attachments]);
    const bad = text.replaceAll('"path":"b"', '"path":"../b"').replaceAll('"conversation_id":"0', '"conversation_id":"1');
    const { json } = await bob.call('POST', '/import', { body: bad, contentType: 'application/x-ndjson', expect: 200 });
    assert.ok(json.some(({ status, reason }) => status === 'refused' && /attachment/.test(reason)));
    // Deleting the import deletes nothing of alice's.
    await write(bob, 'b');
    await bob.delete(`/conversations/${moved.conversation_id}`, { query: { files: 'delete' }, expect: 204 });
    assert.deepEqual(await names(bob), ['bobs.txt']);
    assert.ok((await names(alice)).includes('b'));
  });
});

describe('files and the conversation that is deleted', () => {
  let server;
  let alice;
  let bob;
  serverOfSuite({ users: ['alice', 'bob'] }, async (made) => { ({ server, alice, bob } = made); });

  // With files on two branches, and on more pages of messages than one.
  async function conversationWithFiles() {
    for (const path of ['one', 'two/three', 'shared', 'kept']) await write(alice, path);
    const { conversation_id: id } = await alice.createConversation();
    const first = await alice.append(id, 'one', { attachments: paths('one', 'shared') });
    await alice.append(id, 'in other words', { edit_of: first.message_id, attachments: paths('two/three') });
    return id;
  }

  test('files stay unless they are to be deleted', async () => {
    for (const query of [{}, { files: 'keep' }]) {
      const id = await conversationWithFiles();
      await alice.delete(`/conversations/${id}`, { query, expect: 204 });
      assert.deepEqual(await names(alice), ['kept', 'one', 'shared', 'two/three']);
    }
    const id = await conversationWithFiles();
    for (const files of ['', 'yes', 'DELETE']) {
      const { fields } = await alice.delete(`/conversations/${id}`, { query: { files }, expect: 422 });
      assert.deepEqual(fields, ['files']);
    }
    await alice.conversation(id);
  });

  test('files=delete deletes those of all branches, and no others', async () => {
    const id = await conversationWithFiles();
    await write(bob, 'one');
    const { conversation_id: other } = await alice.createConversation();
    const message = await alice.append(other, 'elsewhere', { attachments: paths('shared') });
    await remove(alice, 'two/three');  // gone already
    await bob.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: 404 });
    assert.deepEqual(await names(alice), ['kept', 'one', 'shared']);
    await alice.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: 204 });
    assert.deepEqual(await names(alice), ['kept']);
    assert.deepEqual(await names(bob), ['one']);
    assert.deepEqual(await messages(alice, other), [message]);
    await alice.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: 404 });
  });

  test('with another version than If-Match has, nothing is deleted', async () => {
    const id = await conversationWithFiles();
    const { etag } = await alice.get(`/conversations/${id}`, { expect: 200 });
    await alice.patch(`/conversations/${id}`, { pinned: true }, { expect: 200 });
    await alice.delete(`/conversations/${id}`, { query: { files: 'delete' }, headers: { 'If-Match': etag }, expect: 412 });
    assert.deepEqual(await names(alice), ['kept', 'one', 'shared', 'two/three']);
    const { etag: now } = await alice.get(`/conversations/${id}`, { expect: 200 });
    await alice.delete(`/conversations/${id}`, { query: { files: 'delete' }, headers: { 'If-Match': now }, expect: 204 });
    assert.deepEqual(await names(alice), ['kept']);
  });

  test('messages that are written meanwhile are looked at too, or refused', async () => {
    const { conversation_id: id } = await alice.createConversation();
    for (let i = 0; i < 40; i += 1) await write(alice, `many/${i}`);
    for (let i = 0; i < 20; i += 1) await alice.append(id, String(i), { attachments: paths(`many/${i}`) });
    const deleted = alice.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: [204, 503] });
    const taken = Array.from({ length: 20 }, (_, i) => `many/${i}`);
    for (let i = 20; i < 40; i += 1) {
      const body = { content: String(i), attachments: paths(`many/${i}`) };
      const { status } = await alice.post(`/conversations/${id}/messages`, body, { expect: [201, 404] });
      if (status === 404) break;
      taken.push(`many/${i}`);
    }
    if ((await deleted).status === 503) await alice.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: 204 });
    await alice.get(`/conversations/${id}`, { expect: 404 });
    const left = new Set(await names(alice));
    assert.deepEqual(taken.filter((path) => left.has(path)), []);
  });

  test('killed in the middle, the same request finishes it', async (t) => {
    const { server: mortal, alice: user } = await serverOfTest(t, {});
    const { conversation_id: id } = await user.createConversation();
    const count = 60;
    for (let i = 0; i < count; i += 1) await write(user, `f/${i}`);
    for (let i = 0; i < count; i += 20) {
      await user.append(id, 'files', { attachments: Array.from({ length: 20 }, (_, n) => ({ path: `f/${i + n}` })) });
    }
    const asked = user.delete(`/conversations/${id}`, { query: { files: 'delete' } }).catch(() => undefined);
    while ((await names(user)).length > count - 5) { /* until some are gone */ }
    await mortal.kill();
    const answer = await asked;
    await mortal.start();
    const again = await mortal.client('alice');
    if (answer?.status !== 204) {
      const still = await again.get(`/conversations/${id}`, { expect: [200, 404] });
      if (still.status === 200) {
        assert.equal(still.json.messages.flatMap(({ attachments }) => attachments).length, count, 'all are listed until the end');
        await again.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: 204 });
      }
    }
    await again.get(`/conversations/${id}`, { expect: 404 });
    assert.deepEqual(await names(again), []);
  });

  test('without files there is nothing to attach, and files=delete is 501', async (t) => {
    const off = await startServer({ args: ['--files', 'off'] });
    afterwards(t, () => off.close());
    const user = await off.client('alice');
    const { conversation_id: id } = await user.createConversation();
    const { fields } = await user.post(`/conversations/${id}/messages`, { content: 'x', attachments: paths('a') }, { expect: 422 });
    assert.deepEqual(fields, ['attachments']);
    await user.delete(`/conversations/${id}`, { query: { files: 'delete' }, expect: 501 });
    await user.delete(`/conversations/${id}`, { expect: 204 });
  });
});
