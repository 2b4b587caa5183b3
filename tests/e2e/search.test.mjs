// Search as a client sees it, on both stores; what the embedded store's index must survive is in ../fault/search.test.mjs.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { embeddedOnly, onDynamoDb } from './server.mjs';
import { serverOfSuite } from './setup.mjs';
import { until } from './wait.mjs';

const shown = ({ snippet }) => snippet.map(({ text, match }) => (match ? `[${text}]` : text)).join('');

async function search(client, q, query = {}) {
  return (await client.get('/search', { query: { q, ...query }, expect: 200 })).json;
}

// An index follows within moments.
async function found(client, q, count, query = {}) {
  let last;
  await until(async () => {
    last = (await search(client, q, query)).results;
    return last.length === count;
  }, `${count} results of ${q}`, 60_000).catch((error) => assert.fail(`${error.message}: ${JSON.stringify(last)}`));
  return last;
}

describe('search', () => {
  let server;
  let alice;
  let bob;
  serverOfSuite({ users: ['alice', 'bob'] }, async (made) => { ({ server, alice, bob } = made); });

  test('finds titles of the caller only, marked', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'The Übergang <b>of</b> walruses' });
    await bob.createConversation({ title: 'Übergang' });
    const [hit] = await found(alice, 'ubergang walrus', 1);
    assert.equal(hit.kind, 'title');
    assert.equal(hit.conversation_id, id);
    assert.equal(shown(hit), 'The [Übergang] <b>of</b> [walruses]');
    assert.equal((await search(bob, 'walruses')).results.length, 0);
  });

  test('finds messages within a conversation, of all its branches', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'branches' });
    const first = await alice.append(id, 'a pelican by the sea');
    await alice.post(`/conversations/${id}/messages`, { content: 'a pelican by the lake', edit_of: first.message_id }, { expect: 201 });
    const hits = await found(alice, 'pelican', 2, { conversation_id: id });
    assert.ok(hits.some((hit) => hit.message_id === first.message_id && hit.role === 'user' && shown(hit) === 'a [pelican] by the sea'));
    assert.equal((await found(alice, '"pelican by the lake"', 1, { conversation_id: id })).length, 1);
    await bob.get('/search', { query: { q: 'pelican', conversation_id: id }, expect: 404 });
  });

  test('finds questions and answers of turns', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'turns' });
    const turn = (await alice.post('/generate', { prompt: 'tell me of axolotls', max_tokens: 200 }, { query: { conversation_id: id }, expect: 200 })).json;
    const hits = await found(alice, 'axolotl', turn.generated_text.toLowerCase().includes('axolotl') ? 2 : 1, { conversation_id: id });
    assert.ok(hits.some((hit) => hit.message_id === turn.user_message.message_id));
    const word = turn.generated_text.match(/\p{L}{3,}/u)[0];
    await until(async () => (await search(alice, word, { conversation_id: id })).results.some(
      (hit) => hit.message_id === turn.message.message_id && hit.role === 'assistant'), `the answer by its word ${word}`);
  });

  test('what was renamed or deleted is not found any more', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'an ibex' });
    const message = await alice.append(id, 'a chamois');
    await found(alice, 'chamois', 1, { conversation_id: id });
    await found(alice, 'ibex', 1);
    await alice.delete(`/conversations/${id}/messages/${message.message_id}`, { expect: 204 });
    assert.equal((await search(alice, 'chamois', { conversation_id: id })).results.length, 0);
    await alice.patch(`/conversations/${id}`, { title: 'a marmot' }, { expect: 200 });
    assert.equal((await search(alice, 'ibex')).results.length, 0);
    await found(alice, 'marmot', 1);
    await alice.delete(`/conversations/${id}`, { expect: 204 });
    assert.equal((await search(alice, 'marmot')).results.length, 0);
  });

  test('what has expired is not found any more', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'a mayfly' });
    await found(alice, 'mayfly', 1);
    await alice.patch(`/conversations/${id}`, { ttl_seconds: 1 }, { expect: 200 });
    await until(async () => (await alice.get(`/conversations/${id}`)).status === 404, 'the conversation to expire');
    assert.equal((await search(alice, 'mayfly')).results.length, 0);
  });

  test('Chinese, Japanese and Korean are found without spaces', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: '我是中国人，住在東京都。한국어를 배워요' });
    for (const q of ['中国', '国人', '東京', '京都', '한국', '"住在東京"', '我']) {
      const hits = await found(alice, q, 1);
      assert.equal(hits[0].conversation_id, id, q);
    }
    assert.equal((await search(alice, '国中')).results.length, 0);
  });

  test('pages repeat nothing and leave out nothing', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'pages' });
    const all = new Set();
    for (let i = 0; i < 45; ++i) all.add((await alice.append(id, `lemming ${'lemming '.repeat(i % 5)}${i}`)).message_id);
    await until(async () => {
      const page = await search(alice, 'lemming', { conversation_id: id, limit: 50 });
      return page.results.length === all.size;
    }, 'all to be found');
    const seen = [];
    let path = `/search?q=lemming&limit=10&conversation_id=${id}`;
    while (path) {
      const answer = await alice.get(path, { expect: 200 });
      seen.push(...answer.json.results.map((hit) => hit.message_id));
      path = answer.link('next');
      await alice.append(id, 'one more lemming');
    }
    assert.equal(new Set(seen).size, seen.length, 'nothing twice');
    for (const message of all) assert.ok(seen.includes(message));
  });

  test('whether everything was looked at is said', async () => {
    const { conversation_id: id } = await alice.createConversation({ title: 'bounds' });
    if (!onDynamoDb) await until(async () => (await search(alice, 'bounds')).complete, 'the index to be whole');
    else assert.equal((await search(alice, 'bounds')).complete, false, 'messages are not searched over all conversations');
    assert.equal((await search(alice, 'bounds', { conversation_id: id })).complete, true);
  });

  test('every string is answered, and what is wrong is named', async () => {
    for (const q of ['"', '""', '*', 'a*', 'NEAR(a b)', 'AND', 'NOT x', '^a', '-a', 'words:x', '{a}', "';--", '\\', '\ufffd', '中', '🎉', '%', ' ', '!'.repeat(1024)]) {
      await alice.get('/search', { query: { q }, expect: 200 });
    }
    for (const [query, field] of [[{}, 'q'], [{ q: '' }, 'q'], [{ q: 'x'.repeat(1025) }, 'q'], [{ q: 'x', limit: 0 }, 'limit'], [{ q: 'x', limit: 51 }, 'limit'],
                                  [{ q: 'x', cursor: 'nonsense' }, 'cursor'], [{ q: 'x', conversation_id: 'nonsense' }, 'conversation_id']]) {
      const answer = await alice.get('/search', { query, expect: 422 });
      assert.deepEqual(answer.fields, [field], JSON.stringify(query));
    }
  });

  test('the log does not hold what was searched for', async () => {
    const answer = await alice.get('/search', { query: { q: 'topsecretquery' }, expect: 200 });
    await server.logOf(answer.requestId);
    assert.ok(!server.stderr.includes('topsecretquery'));
  });

  test('what was imported is found', async () => {
    const { conversation_id: id } = await bob.createConversation({ title: 'a quokka' });
    await bob.append(id, 'a quokka by the path');
    const { text } = await bob.get('/export', { expect: 200 });
    await alice.call('POST', '/import', { body: text, contentType: 'application/x-ndjson', expect: 200 });
    const hits = await found(alice, 'quokka', onDynamoDb ? 1 : 2);
    await found(alice, 'quokka', 2, { conversation_id: hits[0].conversation_id });
  });

  test('operators see the index and have it made anew', embeddedOnly('an index'), async () => {
    const rebuilt = await fetch(`${server.adminUrl}/search/rebuild`, { method: 'POST' });
    assert.equal(rebuilt.status, 202);
    await until(() => server.logs().filter((line) => line.event === 'search.rebuilt').length >= 2, 'the index to be made anew');
    const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
    assert.match(metrics, /^colloquy_search_documents \d/m);
    assert.match(metrics, /^colloquy_search_lag_seconds \d/m);
    assert.match(metrics, /^colloquy_search_seconds_count [1-9]/m);
  });
});
