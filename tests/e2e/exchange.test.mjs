// Everything out, and in again: GET /export and POST /import.
import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { rawRequest } from './client.mjs';
import { onDynamoDb, startServer } from './server.mjs';
import { serverOfSuite } from './setup.mjs';
import { unzip } from './zip.mjs';

const kLines = 'application/x-ndjson';
const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));

async function exported(client) {
  const answer = await client.get('/export', { expect: 200 });
  return answer.text;
}
async function imported(client, body, contentType = kLines) {
  const { json } = await client.call('POST', '/import', { body, contentType, expect: 200 });
  return { results: json.slice(0, -1), sums: json.at(-1) };
}
// All that a user can see, without the ids of conversations and what an import does not keep.
async function everything(client) {
  const all = [];
  for (const { conversation_id: id } of (await client.get('/conversations', { query: { limit: 200 }, expect: 200 })).json) {
    const { json } = await client.get(`/conversations/${id}`, { query: { branches: 'all' }, expect: 200 });
    const { conversation_id: _, ...conversation } = json.conversation;
    all.push({ conversation, messages: json.messages });
  }
  return all.sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
}

async function fill(client) {
  const tree = await client.createConversation({ title: 'A "tree"\n', metadata: { colour: 'blue' }, system_prompt: 'Be brief.', context: { messages: 3 } });
  const id = tree.conversation_id;
  const turn = await client.generate(id, 'One');
  await client.post(`/conversations/${id}/messages/${turn.message.message_id}/regenerate`, {}, { expect: 200 });
  await client.generate(id, 'Two', { metadata: { k: 'v' } });
  await client.generate(id, 'Three', { edit_of: turn.user_message.message_id });
  await client.patch(`/conversations/${id}`, { pinned: true, active_message_id: turn.message.message_id }, { expect: 200 });
  await client.createConversation({ title: 'Empty', ttl_seconds: 5000 });
  const long = await client.createConversation({ title: 'Long', temporary: true });
  for (let i = 0; i < 5; i += 1) await client.append(long.conversation_id, `${i} ${'ü🦊'.repeat(50_000)}`, { client_message_id: `c${i}` });
}

describe('export and import', () => {
  let alice;
  let bob;
  serverOfSuite({ users: ['alice', 'bob', 'carol'] }, async (made) => {
    ({ alice, bob } = made);
    await fill(alice);
  });

  test('an export has all of the user, and nobody else\'s', async () => {
    const text = await exported(alice);
    const all = lines(text);
    assert.equal(all[0].format, 'colloquy');
    assert.deepEqual(all.at(-1), { type: 'end', conversations: 3, messages: 12 });
    assert.deepEqual(lines(await exported(bob)).map(({ type }) => type), ['export', 'end']);
  });

  test('what was exported is left alone where it is still there, and comes back where it is not', async () => {
    const text = await exported(alice);
    const before = await everything(alice);
    const again = await imported(alice, text);
    assert.deepEqual(again.results.map(({ status }) => status), ['already_there', 'already_there', 'already_there']);
    assert.deepEqual(await everything(alice), before);
    const into = await imported(bob, text);
    assert.deepEqual(into.sums, { type: 'end', complete: true, imported: 3, already_there: 0, refused: 0 });
    assert.deepEqual(await everything(bob), before, 'another account has the same');
    assert.equal((await imported(bob, text)).sums.already_there, 3);
    const ids = new Set((await alice.get('/conversations', { expect: 200 })).json.map((one) => one.conversation_id));
    for (const { conversation_id: id } of into.results) {
      assert.ok(!ids.has(id), 'an id of another account');
      await alice.get(`/conversations/${id}`, { expect: 404 });
    }
    // Imported conversations go on as any.
    const { conversation_id: id } = into.results.find(({ messages }) => messages === 7);
    await bob.generate(id, 'And on');
    for (const { conversation_id: each } of into.results) await bob.delete(`/conversations/${each}`, { expect: 204 });
    assert.deepEqual(await everything(alice), before);
  });

  test('a file that is cut off says so, and nothing of it comes in part', async () => {
    const text = await exported(alice);
    const whole = lines(text);
    for (const size of [0.2, 0.5, 0.9]) {
      const part = text.slice(0, Math.floor(text.length * size));
      const { sums, results } = await imported(alice, part);
      assert.equal(sums.complete, false);
      assert.equal(results.at(-1).status, 'refused');
    }
    assert.equal((await everything(alice)).length, whole.at(-1).conversations);
  });

  test('a ZIP archive has the same lines, and each conversation as Markdown', async () => {
    const { status, headers, bytes } = await rawRequest(alice.baseUrl, 'GET', '/export?format=zip',
                                                        { headers: { Authorization: `Bearer ${alice.token}` }, check: false });
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'application/zip');
    const files = unzip(bytes);
    assert.deepEqual(lines(files.get('export.jsonl')).slice(1), lines(await exported(alice)).slice(1));
    const names = [...files.keys()].filter((name) => name.startsWith('conversations/'));
    assert.equal(names.length, 3);
    const long = files.get(names.find((name) => name.includes('Long')));
    assert.ok(long.startsWith('# Long\n') && long.includes('## user, '));
  });

  test('the files on the volume are in the archive, and a line for each', async () => {
    const bytes = 'x'.repeat(700_000) + 'ü';
    const headers = { Authorization: `Bearer ${alice.token}` };
    for (const [path, body] of [['notes.txt', 'hello'], ['a%20folder/large.bin', bytes]]) {
      assert.equal((await rawRequest(alice.baseUrl, 'PUT', `/files/${path}`, { headers, body, check: false })).status, 201);
    }
    const listed = (await alice.get('/files', { expect: 200 })).json;
    const text = await exported(alice);
    const told = lines(text).filter(({ type }) => type === 'file');
    assert.deepEqual(told.map(({ path, size, etag }) => ({ path, size, etag })), listed.map(({ path, size, etag }) => ({ path, size, etag })));
    assert.equal((await imported(alice, text)).sums.complete, true);
    const archive = unzip((await rawRequest(alice.baseUrl, 'GET', '/export?format=zip', { headers, check: false })).bytes);
    assert.equal(archive.get('files/notes.txt'), 'hello');
    assert.equal(archive.get('files/a folder/large.bin'), bytes);
    assert.deepEqual(lines(archive.get('export.jsonl')).filter(({ type }) => type === 'file'), told);
    for (const { path } of listed) await alice.delete(`/files/${encodeURI(path)}`, { expect: 204 });
  });

  test('files that are none are refused', async () => {
    for (const body of ['', 'hello', '{}', '[1]', '{"type":"export","format":"colloquy","version":9}']) {
      await alice.call('POST', '/import', { body, contentType: kLines, expect: 422 });
    }
    await alice.call('POST', '/import', { body: '{}', contentType: 'text/plain', expect: 415 });
    await alice.get('/export', { query: { format: 'pdf' }, expect: 422 });
  });

  test('what was made in the future, has no message or a field of another kind is refused alone, with the reason', async () => {
    const head = { type: 'conversation', conversation_id: 'a', created_at: 1700000000, updated_at: 1700000000 };
    const message = { type: 'message', message_id: 'm', role: 'user', content: 'x', timestamp: 1700000000 };
    const file = (...all) => [{ type: 'export', format: 'colloquy', version: 1 }, ...all, { type: 'end' }].map((line) => JSON.stringify(line)).join('\n');
    const inTwoDays = Math.floor(Date.now() / 1000) + 2 * 86_400;
    const { results, sums } = await imported(alice, file(
      { ...head, created_at: 9e18 }, message, { ...head, created_at: inTwoDays }, message, head, { ...message, timestamp: inTwoDays },
      head, { ...message, attachments: 'a' }, head, { ...message, metadata: 'a' }));
    const reasons = [/created_at is more than a day ahead/, /created_at is more than a day ahead/, /A message was made in the future/, /attachments/, /metadata/];
    assert.equal(sums.refused, reasons.length);
    for (const [i, reason] of reasons.entries()) assert.match(results[i].reason, reason);
    const foreign = await imported(alice, JSON.stringify([{ id: 'e', mapping: {} }, { id: 'f', chat: {} }]), 'application/json');
    for (const { status, reason } of foreign.results) {
      assert.equal(status, 'refused');
      assert.match(reason, /no message/);
    }
    const soon = await imported(alice, file({ ...head, conversation_id: 'soon', created_at: inTwoDays - 86_400 - 3600 }, message));
    assert.equal(soon.results[0].status, 'imported');
    const { conversation } = await alice.conversation(soon.results[0].conversation_id);
    assert.ok(conversation.created_at <= Date.now() / 1000);
    await alice.delete(`/conversations/${soon.results[0].conversation_id}`, { expect: 204 });
  });

  test('ChatGPT\'s and Open WebUI\'s files come in, with their branches, once', async () => {
    const message = (role, text, time) => ({ author: { role }, create_time: time, content: { content_type: 'text', parts: [text] }, metadata: {} });
    const chatGpt = [{
      title: 'Tea', create_time: 1700000000.5, update_time: 1700000100, conversation_id: 'c-1', current_node: 'b',
      mapping: {
        root: { id: 'root', message: null, parent: null, children: ['q'] },
        q: { id: 'q', message: message('user', 'Which tea?', 1700000001), parent: 'root', children: ['a', 'b'] },
        a: { id: 'a', message: message('assistant', 'Green.', 1700000002), parent: 'q', children: [] },
        b: { id: 'b', message: message('assistant', 'Black.', 1700000003), parent: 'q', children: [] },
      },
    }];
    const first = await imported(alice, JSON.stringify(chatGpt), 'application/json');
    assert.equal(first.results[0].status, 'imported');
    assert.equal((await imported(alice, JSON.stringify(chatGpt), 'application/json')).results[0].status, 'already_there');
    const { conversation, messages } = await alice.conversation(first.results[0].conversation_id);
    assert.equal(conversation.title, 'Tea');
    assert.equal(conversation.created_at, 1700000000);
    assert.equal(conversation.branch_count, 2);
    assert.deepEqual(messages.map(({ content }) => content), ['Which tea?', 'Black.']);
    const webUi = [{ id: 'w', title: 'Rain', created_at: 1700000000, updated_at: 1700000050, chat: { history: { currentId: 'b', messages: {
      a: { id: 'a', parentId: null, role: 'user', content: 'Will it rain?', timestamp: 1700000001 },
      b: { id: 'b', parentId: 'a', role: 'assistant', content: 'Yes.', timestamp: 1700000002, model: 'm' } } } } }];
    const { results } = await imported(alice, JSON.stringify(webUi), 'application/json');
    const rain = await alice.conversation(results[0].conversation_id);
    assert.deepEqual(rain.messages.map(({ role, content }) => [role, content]), [['user', 'Will it rain?'], ['assistant', 'Yes.']]);
  });
});

describe('a SIGKILL in the middle of an import', () => {
  test('leaves every conversation whole or not there, and a repeat brings the rest', async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    let carol = await server.client('carol');
    const kConversations = 60;
    const file = ['{"type":"export","format":"colloquy","version":1}'];
    const uuid = (n, kind) => `01932f3e-5c00-7${kind}00-8000-${String(n).padStart(12, '0')}`;
    for (let i = 0; i < kConversations; i += 1) {
      file.push(JSON.stringify({ type: 'conversation', conversation_id: uuid(i, 0), title: `c${i}`, created_at: 1700000000 + i, updated_at: 1700000000 + i }));
      for (let k = 0; k < 10; k += 1) {
        file.push(JSON.stringify({ type: 'message', message_id: uuid(k, 1), ...(k > 0 ? { parent_id: uuid(k - 1, 1) } : {}), role: 'user', content: `${k} ${'x'.repeat(2000)}`, timestamp: 1700000000, active: true }));
      }
    }
    file.push(JSON.stringify({ type: 'end', conversations: kConversations, messages: kConversations * 10 }));
    const body = file.join('\n');
    const all = async () => (await carol.get('/conversations', { query: { limit: 200 }, expect: 200 })).json;
    // On DynamoDB the one that was under way is waited for, up to two minutes.
    for (let round = 0; round < (onDynamoDb ? 1 : 3); round += 1) {
      const before = (await all()).length;
      const work = imported(carol, body).catch(() => undefined);
      while ((await all()).length < Math.min(before + 5, kConversations)) { /* it goes on */ }
      await server.kill();
      await work;
      await server.start();
      carol = await server.client('carol');
      for (const { conversation_id: id, message_count: count } of await all()) {
        assert.equal(count, 10);
        assert.equal((await carol.conversation(id)).messages.length, 10);
      }
    }
    const { sums } = await imported(carol, body);
    assert.equal(sums.imported + sums.already_there, kConversations);
    const there = await all();
    assert.equal(there.length, kConversations);
    assert.equal(new Set(there.map(({ title }) => title)).size, kConversations);
  });
});

// A file of so many conversations with one message of so many bytes each.
function* pieces(conversations, bytes) {
  const uuid = (n, kind) => `01932f3e-5c00-7${kind}00-8000-${String(n).padStart(12, '0')}`;
  yield '{"type":"export","format":"colloquy","version":1}\n';
  for (let i = 0; i < conversations; i += 1) {
    yield `${JSON.stringify({ type: 'conversation', conversation_id: uuid(i, 0), title: `c${i}`, created_at: 1700000000, updated_at: 1700000000 })}\n${
      JSON.stringify({ type: 'message', message_id: uuid(i, 1), role: 'user', content: 'x'.repeat(bytes), timestamp: 1700000000, active: true })}\n`;
  }
  yield `${JSON.stringify({ type: 'end', conversations, messages: conversations })}\n`;
}

// Sends it as it is made; `cut` breaks off after so many pieces. Resolves with the answer's text, or undefined.
function sendPieces(client, all, { cut = Infinity } = {}) {
  return new Promise((resolve) => {
    const url = new URL('/import', client.baseUrl);
    const request = http.request({ host: url.hostname, port: url.port, method: 'POST', path: '/import', agent: false,
                                   headers: { Authorization: `Bearer ${client.token}`, 'Content-Type': kLines } }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => { text += part; });
      response.on('end', () => resolve({ status: response.statusCode, text }));
      response.on('error', () => resolve(undefined));
    });
    let wake = () => {};
    request.on('error', () => resolve(undefined));
    request.on('drain', () => wake());
    request.on('close', () => { wake(); resolve(undefined); });
    const send = async () => {
      let sent = 0;
      for (const piece of all) {
        if (sent === cut) request.destroy();
        if (request.destroyed) return;
        sent += 1;
        if (!request.write(piece)) await new Promise((drained) => { wake = drained; });
      }
      request.end();
    };
    send();
  });
}

describe('a large import', () => {
  test('is read while it arrives, whatever other bodies may have, and comes once after a cut', async (t) => {
    const cache = onDynamoDb ? [] : ['--block-cache', '8MiB'];
    const server = await startServer({ args: ['--max-body-bytes', '64KiB', '--max-import-size', '200MiB', ...cache] });
    afterwards(t, () => server.close());
    const dave = await server.client('dave');
    const kConversations = onDynamoDb ? 400 : 1000;
    await sendPieces(dave, pieces(kConversations, 50_000), { cut: Math.floor(kConversations / 2) });
    const answer = await sendPieces(dave, pieces(kConversations, 50_000));
    assert.equal(answer.status, 200);
    const results = lines(answer.text);
    const sums = results.at(-1);
    assert.equal(sums.complete, true);
    assert.equal(sums.imported + sums.already_there, kConversations);
    if (!onDynamoDb) assert.ok(sums.already_there > 0, 'what came before the cut stayed');
    assert.equal(results.length, kConversations + 1);
    const again = lines((await sendPieces(dave, pieces(kConversations, 50_000))).text).at(-1);
    assert.equal(again.already_there, kConversations);
  });

  test('past --max-import-size is refused, at once where it is declared, and told in the last line where it is not', async (t) => {
    const server = await startServer({ args: ['--max-import-size', '1MiB'] });
    afterwards(t, () => server.close());
    const dave = await server.client('dave');
    await dave.call('POST', '/import', { body: 'x'.repeat(1100 * 1024), contentType: kLines, expect: 413 });
    const answer = await sendPieces(dave, pieces(3000, 500));
    if (answer?.status === 200) {
      const last = lines(answer.text).at(-1);
      assert.equal(last.complete, false);
      assert.ok(last.reason);
    } else if (answer) {
      assert.equal(answer.status, 413);
    }
  });
});

// Begins an import that stays under way until its body is ended.
async function openImport(client) {
  const url = new URL('/import', client.baseUrl);
  const request = http.request({ host: url.hostname, port: url.port, method: 'POST', path: '/import', agent: false,
                                 headers: { Authorization: `Bearer ${client.token}`, 'Content-Type': kLines, Expect: '100-continue' } });
  const answer = new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
  });
  const continued = new Promise((resolve) => { request.on('continue', () => resolve('continue')); });
  request.flushHeaders();
  const first = await Promise.race([continued, answer]);
  return { refused: first === 'continue' ? undefined : first, end: async (text) => { request.end(text); return answer; } };
}

describe('what an import may take', () => {
  const kEmpty = '{"type":"export","format":"colloquy","version":1}\n{"type":"end"}\n';

  test('two of a user and eight of all go on at once, and the next are told to wait', async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    const open = [];
    for (const user of ['a', 'b', 'c', 'd']) {
      const client = await server.client(user);
      for (let i = 0; i < 2; i += 1) open.push(await openImport(client));
      if (user === 'a') {
        const { refused } = await openImport(client);
        assert.equal(refused.status, 429);
        assert.ok(Number(refused.headers['retry-after']) >= 1);
      }
    }
    assert.ok(open.every(({ refused }) => refused === undefined));
    const last = await server.client('e');
    const { refused } = await openImport(last);
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    for (const one of open) assert.equal((await one.end(kEmpty)).status, 200);
    assert.equal((await imported(last, kEmpty)).sums.complete, true);
  });

  test('a file of refusals is not read to its end, and its answer is bounded', async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    const client = await server.client('a');
    const answer = await sendPieces(client, ['[{"mapping":1}', ...Array.from({ length: 40 }, () => ',{}'.repeat(1000)), ']']);
    const results = lines(answer.text);
    assert.ok(results.length < 10_100, `${results.length}`);
    assert.equal(results.at(-1).complete, false);
    assert.match(results.at(-1).reason, /refused/);
    const long = await imported(client, JSON.stringify([{ id: 'x'.repeat(100_000), mapping: {} }]), 'application/json');
    assert.ok(long.results[0].source_id.length <= 200);
  });

  test('its conversations count as requests, up to a minute of them', async (t) => {
    const server = await startServer({ args: ['--requests-per-minute', '20'] });
    afterwards(t, () => server.close());
    const client = await server.client('a');
    const { sums } = await imported(client, [...pieces(40, 10)].join(''));
    assert.equal(sums.imported, 40);
    const refused = await client.get('/conversations', { expect: 429 });
    assert.ok(Number(refused.header('retry-after')) <= 10, 'of 40 conversations 20 were counted');
    await (await server.client('b')).get('/conversations', { expect: 200 });
  });
});

describe('what an export may take', () => {
  test('two of a user go on at once, and the next is told to wait', async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    const client = await server.client('a');
    const body = [...pieces(200, 100_000)].join('');
    assert.equal((await imported(client, body)).sums.imported, 200);
    const begin = () => new Promise((resolve, reject) => {
      const url = new URL('/export', client.baseUrl);
      http.get({ host: url.hostname, port: url.port, path: '/export', agent: false, headers: { Authorization: `Bearer ${client.token}` } }, resolve).on('error', reject);
    });
    // Nobody reads them yet.
    const held = [await begin(), await begin()];
    assert.deepEqual(held.map(({ statusCode }) => statusCode), [200, 200]);
    const refused = await client.get('/export', { expect: 429 });
    assert.ok(Number(refused.header('retry-after')) >= 1);
    for (const one of held) {
      let bytes = 0;
      for await (const part of one) bytes += part.length;
      assert.ok(bytes > 20_000_000);
    }
    await client.get('/export', { expect: 200 });
  });
});
