import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serverOfSuite } from './setup.mjs';

describe('PATCH, ETag and If-Match', () => {
  let server;
  let alice;
  serverOfSuite({}, (made) => ({ server, alice } = made));

  const path = (conversation) => `/conversations/${conversation.conversation_id}`;

  test('a patch changes what it names and nothing else', async () => {
    const made = await alice.createConversation({ title: 'old' });
    let expected = made;
    for (const patch of [{ pinned: true }, { archived: true }, { system_prompt: 'Be brief.' }, { metadata: { a: '1' } },
                         { pinned: false }, {}]) {
      expected = { ...expected, ...patch };
      const { json } = await alice.patch(path(made), patch, { expect: 200 });
      assert.deepEqual(json, expected);
      assert.deepEqual((await alice.conversation(made.conversation_id)).conversation, expected);
    }
  });

  test('metadata is merged, null removes a label', async () => {
    const made = await alice.createConversation();
    const patch = async (metadata) => (await alice.patch(path(made), { metadata }, { expect: 200 })).json.metadata;
    assert.deepEqual(await patch({ a: '1', b: '2' }), { a: '1', b: '2' });
    assert.deepEqual(await patch({ b: '3', c: '4' }), { a: '1', b: '3', c: '4' });
    assert.deepEqual(await patch({ a: null, absent: null }), { b: '3', c: '4' });
    assert.deepEqual(await patch({}), { b: '3', c: '4' });
    assert.deepEqual(await patch(null), {});
  });

  test('the labels left after merging keep to their limit', async () => {
    const made = await alice.createConversation();
    const pairs = (from, to) => Object.fromEntries(Array.from({ length: to - from }, (_, i) => [`k${from + i}`, 'v']));
    await alice.patch(path(made), { metadata: pairs(0, 16) }, { expect: 200 });
    assert.deepEqual((await alice.patch(path(made), { metadata: pairs(16, 17) }, { expect: 422 })).fields, ['metadata']);
    const swapped = await alice.patch(path(made), { metadata: { k0: null, ...pairs(16, 17) } }, { expect: 200 });
    assert.equal(Object.keys(swapped.json.metadata).length, 16);
  });

  test('a lifetime is set, shown, and taken away', async () => {
    const made = await alice.createConversation();
    const set = (await alice.patch(path(made), { ttl_seconds: 600 }, { expect: 200 })).json;
    assert.equal(set.expires_at, set.updated_at + 600);
    const removed = (await alice.patch(path(made), { ttl_seconds: null }, { expect: 200 })).json;
    assert.deepEqual(removed, made);
  });

  test('a system prompt is taken away by null or by nothing', async () => {
    const made = await alice.createConversation({ system_prompt: 'x' });
    assert.equal((await alice.patch(path(made), { system_prompt: null }, { expect: 200 })).json.system_prompt, undefined);
    await alice.patch(path(made), { system_prompt: 'ü'.repeat(32768) }, { expect: 200 });
    assert.equal((await alice.patch(path(made), { system_prompt: '' }, { expect: 200 })).json.system_prompt, undefined);
  });

  test('application/merge-patch+json is welcome too', async () => {
    const made = await alice.createConversation();
    await alice.patch(path(made), { pinned: true }, { contentType: 'application/merge-patch+json', expect: 200 });
  });

  test('what is not valid is refused by name, and the whole patch with it', async () => {
    const made = await alice.createConversation({ title: 'old' });
    const wrong = {
      title: ['', 5, null, 'x'.repeat(1025), ['x']], pinned: ['true', 1, null], archived: [0, {}],
      system_prompt: [5, 'ü'.repeat(32769), []], metadata: ['x', [], 5, { k: 5 }, { k: 'x'.repeat(2049) }, { ['x'.repeat(65)]: 'v' }],
      ttl_seconds: [0, -1, 1.5, '60', 315360001, 1e300, true], updated_at: [5], nonsense: [null], conversation_id: [made.conversation_id],
    };
    for (const [field, values] of Object.entries(wrong)) {
      for (const value of values) {
        const answer = await alice.patch(path(made), { pinned: true, [field]: value }, { expect: 422 });
        assert.ok(answer.fields.length > 0 && answer.fields.every((name) => name.split('.')[0] === field), `${field}: ${answer.fields}`);
      }
    }
    assert.deepEqual((await alice.conversation(made.conversation_id)).conversation, made);
  });

  test('every change gives a new ETag, and no two states share one', async () => {
    const created = await alice.post('/conversations', {}, { expect: 201 });
    const at = path(created.json);
    const tags = [created.etag];
    tags.push((await alice.patch(at, { pinned: true }, { expect: 200 })).etag);
    tags.push((await alice.put(`${at}/title`, { title: 'new' }, { expect: 200 })).etag);
    await alice.append(created.json.conversation_id, 'hello');
    tags.push((await alice.get(at, { expect: 200 })).etag);
    await alice.generate(created.json.conversation_id, 'hello');
    tags.push((await alice.get(at, { expect: 200 })).etag);
    assert.equal(new Set(tags).size, tags.length, String(tags));
  });

  test('If-Match with the current version succeeds, with an old one it does not', async () => {
    const created = await alice.post('/conversations', { title: 'mine' }, { expect: 201 });
    const at = path(created.json);
    const seen = { 'If-Match': created.etag };
    const changed = await alice.patch(at, { pinned: true }, { headers: seen, expect: 200 });
    await alice.patch(at, { pinned: false }, { headers: seen, expect: 412 });
    await alice.put(`${at}/title`, { title: 'lost' }, { headers: seen, expect: 412 });
    await alice.delete(at, { headers: seen, expect: 412 });
    assert.deepEqual((await alice.conversation(created.json.conversation_id)).conversation, changed.json);
    for (const other of ['W/"1"', '"no-such-version"', '""', `W/${changed.etag}`, `"x", W/${changed.etag}`]) {
      await alice.patch(at, { pinned: false }, { headers: { 'If-Match': other }, expect: 412 });
    }
    for (const odd of ['1', '"', '*, "1"', '"1" "2"', 'x'.repeat(5000), ',']) {
      await alice.patch(at, { pinned: false }, { headers: { 'If-Match': odd }, expect: 400 });
      await alice.put(`${at}/title`, { title: 'lost' }, { headers: { 'If-Match': odd }, expect: 400 });
      await alice.delete(at, { headers: { 'If-Match': odd }, expect: 400 });
    }
    await alice.patch(at, { archived: true }, { headers: { 'If-Match': '*' }, expect: 200 });
    const now = (await alice.get(at, { expect: 200 })).etag;
    await alice.delete(at, { headers: { 'If-Match': now }, expect: 204 });
  });

  test('If-Match with a list succeeds where the current version is in it', async () => {
    const created = await alice.post('/conversations', {}, { expect: 201 });
    const at = path(created.json);
    const list = (...tags) => ({ headers: { 'If-Match': tags.join(', ') } });
    const second = await alice.patch(at, { pinned: true }, { ...list('"other"', created.etag, '"999"'), expect: 200 });
    await alice.patch(at, { pinned: false }, { ...list(created.etag, '"999"', `W/${second.etag}`), expect: 412 });
    const third = await alice.put(`${at}/title`, { title: 'listed' }, { ...list(created.etag, second.etag), expect: 200 });
    await alice.delete(at, { ...list(created.etag, second.etag), expect: 412 });
    await alice.delete(at, { ...list(second.etag, third.etag), expect: 204 });
    await alice.delete(at, { ...list(second.etag, third.etag), expect: 404 });
  });

  test('of many who change the same version, one wins', async () => {
    const created = await alice.post('/conversations', {}, { expect: 201 });
    const headers = { 'If-Match': created.etag };
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
      alice.patch(path(created.json), { title: `writer ${i}` }, { headers, expect: [200, 412] })));
    const winners = answers.filter((answer) => answer.status === 200);
    assert.equal(winners.length, 1);
    assert.deepEqual((await alice.conversation(created.json.conversation_id)).conversation, winners[0].json);
  });

  test('patches of different fields at the same time all stand', async () => {
    const made = await alice.createConversation();
    await Promise.all([alice.patch(path(made), { pinned: true }), alice.patch(path(made), { archived: true }),
                       alice.patch(path(made), { title: 'new' }), alice.patch(path(made), { system_prompt: 's' }),
                       ...Array.from({ length: 8 }, (_, i) => alice.append(made.conversation_id, `m${i}`))]);
    const { conversation } = await alice.conversation(made.conversation_id);
    const { pinned, archived, title, system_prompt: prompt, message_count: count } = conversation;
    assert.deepEqual([pinned, archived, title, prompt, count], [true, true, 'new', 's', 8]);
  });

  test('labels that many set at the same time all stand', async () => {
    const made = await alice.createConversation();
    const labels = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`k${i}`, `v${i}`]));
    await Promise.all(Object.entries(labels).map(([key, value]) =>
      alice.patch(path(made), { metadata: { [key]: value } }, { expect: 200 })));
    assert.deepEqual((await alice.conversation(made.conversation_id)).conversation.metadata, labels);
  });
});
