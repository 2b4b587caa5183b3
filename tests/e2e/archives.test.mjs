// ZIP archives in: those of GET /export, of other programs, and those that are none.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { rawRequest } from './client.mjs';
import { removeFolder, startServer, temporaryFolder } from './server.mjs';
import { serverOfSuite } from './setup.mjs';
import { until } from './wait.mjs';
import { crc32, deflateRawSync, zipOf } from './zip.mjs';

const lines = (text) => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
const of = (client) => ({ Authorization: `Bearer ${client.token}` });

async function archiveOf(client) {
  const answer = await rawRequest(client.baseUrl, 'GET', '/export?format=zip', { headers: of(client), check: false });
  assert.equal(answer.status, 200);
  return answer.bytes;
}
async function imported(client, body, { contentType = 'application/zip', expect = 200 } = {}) {
  const { json, fields } = await client.call('POST', '/import', { body, contentType, expect });
  if (expect !== 200) return { fields, json };
  return { results: json.slice(0, -1), sums: json.at(-1), files: json.filter(({ type }) => type === 'file') };
}
async function putFile(client, name, body, { expect = 201 } = {}) {
  const { status } = await rawRequest(client.baseUrl, 'PUT', `/files/${encodeURI(name)}`, { headers: of(client), body, check: false });
  assert.equal(status, expect, name);
}
async function bytesOf(client, name) {
  const answer = await rawRequest(client.baseUrl, 'GET', `/files/${encodeURI(name)}`, { headers: of(client), check: false });
  return answer.status === 200 ? answer.bytes : undefined;
}
// What an export says, but what an import does not keep: ids of conversations, and with them the order of those that were made
// within one second; when a file was written, its tag.
async function told(client) {
  const { text } = await client.get('/export', { expect: 200 });
  const parts = [];  // each conversation with its messages
  for (const { conversation_id: _, modified_at: __, etag: ___, ...line } of lines(text).slice(1)) {
    if (line.type === 'message') parts.at(-1).push(line);
    else parts.push([line]);
  }
  const key = ([{ type, created_at: time, title, path: name }]) => `${type} ${time} ${title ?? name}`;
  return parts.sort((a, b) => (key(a) < key(b) ? -1 : 1)).flat();
}

const kChatGpt = JSON.stringify([{ title: 'Tea', create_time: 1700000000, update_time: 1700000100, conversation_id: 'c-1', current_node: 'q',
                                   mapping: { q: { id: 'q', message: { author: { role: 'user' }, create_time: 1700000001, content: { content_type: 'text', parts: ['Which tea?'] }, metadata: {} }, parent: null, children: [] } } }]);
const kOurs = '{"type":"export","format":"colloquy","version":1}\n'
  + '{"type":"conversation","conversation_id":"01932f3e-5c00-7000-8000-000000000001","title":"One","created_at":1700000000,"updated_at":1700000000}\n'
  + '{"type":"end"}\n';

describe('an archive of an export', () => {
  let server;
  let alice;
  let bob;
  let carol;
  let dave;
  serverOfSuite({ users: ['alice', 'bob', 'carol', 'dave'] }, async (made) => {
    ({ server, alice, bob, carol, dave } = made);
    const { conversation_id: id } = await alice.createConversation({ title: 'A "tree"', metadata: { colour: 'blue' } });
    const turn = await alice.generate(id, 'One');
    await alice.generate(id, 'Two', { edit_of: turn.user_message.message_id });
    const { conversation_id: long } = await alice.createConversation({ title: 'Long' });
    for (let i = 0; i < 3; i += 1) await alice.append(long, `${i} ${'ü🦊'.repeat(50_000)}`);
    await putFile(alice, 'notes.txt', 'hello');
    await putFile(alice, 'empty', '');
    await putFile(alice, 'a folder/ü.bin', Buffer.from(Array.from({ length: 900_000 }, (_, i) => (i * i) % 251)));
    await putFile(alice, 'zeroes', Buffer.alloc(2_000_000));
  });

  test('is a ZIP archive to another program', async (t) => {
    const folder = temporaryFolder();
    afterwards(t, () => removeFolder(folder));
    const file = path.join(folder, 'export.zip');
    fs.writeFileSync(file, await archiveOf(alice));
    assert.match(execFileSync('unzip', ['-t', file], { encoding: 'utf8' }), /No errors detected/);
  });

  test('brings all back into another account and onto another server, files too', async (t) => {
    const archive = await archiveOf(alice);
    const before = await told(alice);
    assert.equal(before.filter(({ type }) => type === 'file').length, 4);
    const other = await startServer({});
    afterwards(t, () => other.close());
    for (const client of [bob, await other.client('erin')]) {
      const first = await imported(client, archive);
      assert.deepEqual(first.sums, { type: 'end', complete: true, imported: 2, already_there: 0, refused: 0, files: { imported: 4, already_there: 0, refused: 0 } });
      assert.deepEqual(await told(client), before);
      assert.deepEqual(await bytesOf(client, 'a folder/ü.bin'), await bytesOf(alice, 'a folder/ü.bin'));
      const again = await imported(client, archive, { contentType: 'application/octet-stream' });
      assert.deepEqual(again.sums, { type: 'end', complete: true, imported: 0, already_there: 2, refused: 0, files: { imported: 0, already_there: 4, refused: 0 } });
      assert.deepEqual(await told(client), before);
    }
  });

  test('comes back however well it packs', async (t) => {
    const client = await server.client('zeroes');
    await putFile(client, 'zeroes', Buffer.alloc(20 << 20));
    await client.createConversation({ title: 'After it' });
    const archive = await archiveOf(client);
    assert.ok(archive.length > (20 << 20) / 60, `${archive.length} bytes`);
    assert.ok(archive.length < (20 << 20) / 10, `${archive.length} bytes`);
    const folder = temporaryFolder();
    afterwards(t, () => removeFolder(folder));
    fs.writeFileSync(path.join(folder, 'export.zip'), archive);
    assert.match(execFileSync('unzip', ['-t', path.join(folder, 'export.zip')], { encoding: 'utf8' }), /No errors detected/);
    const other = await server.client('zeroes-again');
    const { sums } = await imported(other, archive);
    assert.deepEqual(sums, { type: 'end', complete: true, imported: 1, already_there: 0, refused: 0, files: { imported: 1, already_there: 0, refused: 0 } });
    assert.deepEqual(await bytesOf(other, 'zeroes'), Buffer.alloc(20 << 20));
  });

  test('refuses conversations of no known format alone, by their entry\'s name', async () => {
    const good = [['files/first', 'first'], ['conversations-001.json', kChatGpt]];
    for (const [i, text] of ['', 'hello', '[]', '{"type":"export","format":"colloquy","version":9}\n', '{"a":1}'.repeat(50_000)].entries()) {
      const client = await server.client(`unknown-${i}`);
      for (const [first, ...rest] of [[['conversations.json', text], ...good], [...good, ['conversations.json', text]]]) {
        const { results, sums } = await imported(client, zipOf([first, ...rest]));
        assert.equal(sums.complete, true, JSON.stringify(sums));
        assert.equal(sums.refused, 1, JSON.stringify(results));
        assert.equal(sums.imported + sums.already_there, 1);
        assert.match(results.find(({ status }) => status === 'refused').reason, /^conversations\.json is of no format that is known: (The file|Line 1) /);
      }
      assert.equal(String(await bytesOf(client, 'first')), 'first');
      const { json } = await imported(client, zipOf([['conversations.json', text], ['chat.html', '<p>']]), { expect: 422 });
      assert.match(JSON.stringify(json), /conversations\.json is of no format that is known/);
    }
  });

  test('leaves a file that is there as it is, and says so', async () => {
    await putFile(carol, 'notes.txt', 'mine');
    await putFile(carol, 'zeroes', Buffer.alloc(2_000_001));
    await putFile(carol, 'empty', '');
    const { files, sums } = await imported(carol, await archiveOf(alice));
    assert.deepEqual(sums.files, { imported: 1, already_there: 1, refused: 2 });
    assert.deepEqual(files.find((file) => file.path === 'notes.txt'), { type: 'file', status: 'refused', path: 'notes.txt', reason: 'Another file has this path, and stays.' });
    assert.deepEqual(files.find((file) => file.path === 'empty'), { type: 'file', status: 'already_there', path: 'empty', size: 0 });
    assert.equal(String(await bytesOf(carol, 'notes.txt')), 'mine');
    assert.equal((await bytesOf(carol, 'zeroes')).length, 2_000_001);
  });

  test('that is cut off says so wherever it is, and no file of it comes in part', async () => {
    const archive = await archiveOf(alice);
    const sizes = new Map((await alice.get('/files', { expect: 200 })).json.map((file) => [file.path, file.size]));
    for (const share of [0.3, 0.6, 0.9, 0.9999]) {
      const client = await server.client(`cut-${share * 10000}`);
      const { sums } = await imported(client, archive.subarray(0, Math.floor(archive.length * share)));
      assert.equal(sums.complete, false);
      assert.equal(sums.reason, 'The archive is cut off.');
      for (const file of (await client.get('/files', { expect: 200 })).json) assert.equal(file.size, sizes.get(file.path));
      // And the whole of it brings the rest.
      assert.equal((await imported(client, archive)).sums.complete, true);
      assert.deepEqual(await told(client), await told(alice));
    }
    await imported(dave, archive.subarray(0, 100), { expect: 422 });
  });

  test('of another program comes in: as ChatGPT sends it, packed or stored, with its sizes before or behind', async (t) => {
    const folder = temporaryFolder();
    afterwards(t, () => removeFolder(folder));
    fs.mkdirSync(path.join(folder, 'files/deep'), { recursive: true });
    fs.writeFileSync(path.join(folder, 'chat.html'), '<p>'.repeat(1000));
    fs.writeFileSync(path.join(folder, 'conversations.json'), kChatGpt);
    fs.writeFileSync(path.join(folder, 'files/deep/a.txt'), 'a'.repeat(100));
    const zip = (...args) => execFileSync('zip', ['-q', '-r', ...args], { cwd: folder, maxBuffer: 1 << 24 });
    zip('before.zip', 'chat.html', 'conversations.json', 'files');
    zip('-0', 'stored.zip', 'conversations.json', 'files');
    const streamed = zip('-fd', '-', 'chat.html', 'conversations.json', 'files');
    const all = [fs.readFileSync(path.join(folder, 'before.zip')), fs.readFileSync(path.join(folder, 'stored.zip')), streamed];
    for (const [i, archive] of all.entries()) {
      const client = await server.client(`other-${i}`);
      const { sums } = await imported(client, archive, { contentType: 'application/x-zip-compressed' });
      assert.deepEqual(sums, { type: 'end', complete: true, imported: 1, already_there: 0, refused: 0, files: { imported: 1, already_there: 0, refused: 0 } });
      assert.equal(String(await bytesOf(client, 'deep/a.txt')), 'a'.repeat(100));
    }
    // In parts.
    const parts = zipOf([['conversations-000.json', kChatGpt], ['conversations-001.json', kChatGpt.replace('c-1', 'c-2')], ['conversations-of-others.json', '?']]);
    assert.equal((await imported(await server.client('parts'), parts)).sums.imported, 2);
  });

  test('reaches nothing but the user\'s own folder', async () => {
    const client = await server.client('mallory');
    const names = ['files/../../alice/notes.txt', 'files//etc/passwd', 'files/a/../../b', 'files/./a', 'files/a\\b', 'files/a\0b', 'files/\n',
                   `files/${'x'.repeat(300)}`, `files/${'a/'.repeat(40)}b`, Buffer.from('files/\xff', 'latin1')];
    const archive = zipOf([...names.map((name) => [name, 'x']), ['../files/x', 'x'], ['/files/y', 'y'], ['FILES/z', 'z'], ['files/good', 'x'], ['export.jsonl', kOurs]]);
    const { files, sums } = await imported(client, archive);
    assert.deepEqual(sums, { type: 'end', complete: true, imported: 1, already_there: 0, refused: 0, files: { imported: 1, already_there: 0, refused: names.length } });
    assert.ok(files.slice(0, -1).every(({ reason }) => reason.startsWith('Its path must')), JSON.stringify(files));
    assert.equal(files[9].path, '%FF');
    assert.deepEqual((await client.get('/files', { expect: 200 })).json.map((file) => file.path), ['good']);
    assert.equal(String(await bytesOf(alice, 'notes.txt')), 'hello');
  });

  test('that is damaged, encrypted or too well packed ends with a reason, and what it had before that stays', async () => {
    const good = [['files/first', 'first'], ['export.jsonl', kOurs]];
    const damaged = zipOf([...good, ['files/second', 'second'.repeat(1000)]]);
    damaged[damaged.indexOf('files/second') + 15] ^= 0x55;
    const wrongSum = zipOf([...good, ['files/second', 'second', { crc: 1 }]]);
    const encrypted = zipOf([...good, ['files/second', 'x', { flags: 1 }]]);
    const bzip = zipOf([...good, ['files/second', 'x', { method: 12 }]]);
    // 64 MiB each: one time, and then the same bytes again.
    const zeroes = Buffer.alloc(64 << 20);
    const packed = { packed: deflateRawSync(zeroes, { level: 9 }), crc: crc32(zeroes), size: zeroes.length };
    const bomb = zipOf([...good, ...Array.from({ length: 8 }, (_, i) => [`bomb/${i}`, '', packed])]);
    const bad = [[damaged, /damaged in entry 3/], [wrongSum, /damaged in entry 3/], [encrypted, /Entry 3 .* is encrypted/], [bzip, /pack it by deflate/], [bomb, /100 times/]];
    for (const [i, [archive, reason]] of bad.entries()) {
      const client = await server.client(`bad-${i}`);
      const { sums } = await imported(client, archive);
      assert.match(sums.reason, reason);
      assert.deepEqual({ ...sums, reason: '' }, { type: 'end', complete: false, imported: 1, already_there: 0, refused: 0, files: { imported: 1, already_there: 0, refused: 0 }, reason: '' });
      assert.deepEqual((await client.get('/files', { expect: 200 })).json.map((file) => file.path), ['first']);
    }
    for (const archive of ['PK', 'PK\x03\x04', 'PKhello', zipOf([]), zipOf([['other.txt', 'x']]), zipOf([['conversations.json', 'hello']])]) {
      await imported(dave, archive, { expect: 422 });
    }
  });
});

describe('what a server does not take of an archive', () => {
  test('is refused file by file: past the quota, past the size of one, past --max-import-size unpacked', async (t) => {
    const server = await startServer({ args: ['--files-quota', '1MiB', '--max-file-size', '600KiB', '--max-import-size', '2MiB'] });
    afterwards(t, () => server.close());
    const client = await server.client('alice');
    const archive = zipOf([['files/a', 'a'.repeat(500 * 1024)], ['files/b', 'b'.repeat(700 * 1024)], ['files/c', 'c'.repeat(500 * 1024)],
                           ['files/d', 'd'.repeat(400 * 1024)], ['files/e', 'e'], ['export.jsonl', kOurs]]);
    const { files, sums } = await imported(client, archive);
    assert.deepEqual(files.map(({ status }) => status), ['imported', 'refused', 'imported', 'refused', 'imported']);
    assert.equal(sums.complete, true);
    const large = `${kOurs.replace('{"type":"end"}\n', '')}${' '.repeat(3 << 20)}{"type":"end"}\n`;
    const { sums: end } = await imported(client, zipOf([['files/e', 'e'], ['export.jsonl', large]]));
    assert.equal(end.complete, false);
    assert.match(end.reason, /larger, unpacked/);
  });

  test('counts as refusals where it keeps no files at all, which are not read to their end', async (t) => {
    const server = await startServer({ args: ['--files', 'off'] });
    afterwards(t, () => server.close());
    const client = await server.client('alice');
    const few = await imported(client, zipOf([['files/a', 'a'], ['export.jsonl', kOurs]]));
    assert.deepEqual(few.files, [{ type: 'file', status: 'refused', path: 'a', reason: 'This server keeps no files.' }]);
    assert.equal(few.sums.imported, 1);
    const many = zipOf(Array.from({ length: 10_500 }, (_, i) => [`files/${i}`, '']));
    const headers = { ...of(client), 'Content-Type': 'application/zip' };
    const answer = await rawRequest(client.baseUrl, 'POST', '/import', { headers, body: many });
    const results = lines(String(answer.bytes));
    assert.equal(results.length, 10_002, 'sent meanwhile, up to the bound');
    assert.deepEqual(results.at(-1).files, { imported: 0, already_there: 0, refused: 10_001 });
    assert.match(results.at(-1).reason, /More than 10000 .* refused/);
  });
});

describe('an upload of an archive that breaks off', () => {
  // Sends so much of it and stays; resolves once the server has taken the first file.
  async function begin(client, archive, bytes) {
    const url = new URL('/import', client.baseUrl);
    const request = http.request({ host: url.hostname, port: url.port, method: 'POST', path: '/import', agent: false,
                                   headers: { ...of(client), 'Content-Type': 'application/zip', 'Content-Length': archive.length } });
    const ended = new Promise((resolve) => {
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part) => { text += part; }).on('end', () => resolve({ status: response.statusCode, text })).on('error', () => resolve(undefined));
      });
      request.on('error', () => resolve(undefined));
    });
    request.write(archive.subarray(0, bytes));
    await until(async () => (await client.get('/files', { expect: 200 })).json.some((file) => file.path === 'first'), 'the first file');
    return { request, ended };
  }
  const kLarge = randomBytes(800 * 1024);
  const archive = zipOf([['files/first', 'first'], ['files/large', kLarge], ['export.jsonl', kOurs]]);

  test('leaves no file in part, and nothing of it counts to the quota', async (t) => {
    const server = await startServer({ args: ['--files-quota', '1MiB'] });
    afterwards(t, () => server.close());
    const client = await server.client('alice');
    for (let round = 0; round < 3; round += 1) {
      const { request, ended } = await begin(client, archive, 700 * 1024);
      request.destroy();
      await ended;
    }
    // The imports that were cut end by themselves; before, a third of the user's is too many.
    await until(async () => {
      const { status, json } = await client.call('POST', '/import', { body: archive, contentType: 'application/zip' });
      assert.ok(status === 200 || status === 429, JSON.stringify(json));
      return status === 200 && json.at(-1).files.refused === 0;
    }, 'the whole to be taken');
    assert.deepEqual((await client.get('/files', { expect: 200 })).json.map(({ path: name, size }) => [name, size]), [['first', 5], ['large', kLarge.length]]);
    assert.deepEqual(await bytesOf(client, 'large'), kLarge);
  });

  test('by its size has given all back when the client hears of it', async (t) => {
    const server = await startServer({ args: ['--max-import-size', '2MiB', '--files-quota', '3MiB', '--max-file-size', '3MiB'] });
    afterwards(t, () => server.close());
    const client = await server.client('alice');
    // In chunks, so that its size shows only as it comes.
    const large = zipOf([['files/large', randomBytes(2560 * 1024)]]);
    const chunks = Array.from({ length: Math.ceil(large.length / 65536) }, (_, i) => large.subarray(i * 65536, (i + 1) * 65536));
    const headers = { ...of(client), 'Content-Type': 'application/zip', 'Transfer-Encoding': 'chunked' };
    for (let round = 0; round < 3; round += 1) {
      const answer = await rawRequest(client.baseUrl, 'POST', '/import', { headers, body: chunks, check: false });
      assert.equal(answer.status, 413);
      // What the first had taken is needed by the second.
      const { sums } = await imported(client, zipOf([['files/next', randomBytes(1900 * 1024)]]));
      assert.deepEqual(sums.files, { imported: 1, already_there: 0, refused: 0 });
      await client.delete('/files/next', { expect: 204 });
    }
  });

  test('by a SIGKILL has what was whole before, and the same archive brings the rest', async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    let client = await server.client('alice');
    const { ended } = await begin(client, archive, 700 * 1024);
    await server.kill();
    await ended;
    await server.start();
    client = await server.client('alice');
    assert.deepEqual((await client.get('/files', { expect: 200 })).json.map((file) => file.path), ['first']);
    const { sums } = await imported(client, archive);
    assert.deepEqual(sums, { type: 'end', complete: true, imported: 1, already_there: 0, refused: 0, files: { imported: 1, already_there: 1, refused: 0 } });
  });

  test('by the erasure of its user brings nothing back', async (t) => {
    const server = await startServer({});
    afterwards(t, () => server.close());
    const client = await server.client('alice');
    const { request, ended } = await begin(client, archive, 700 * 1024);
    const erasure = client.delete('/me', { query: { confirm: 'alice' }, expect: [200, 202] });
    await until(async () => (await client.post('/conversations', {}, { expect: [201, 409] })).status === 409, 'the erasure to begin');
    request.end(archive.subarray(700 * 1024));
    const answer = await ended;
    if (answer) assert.equal(answer.status, 409, answer.text);
    await erasure;
    await until(async () => (await client.get('/me', { expect: 200 })).json.erasing === false, 'the erasure to end');
    assert.deepEqual((await client.get('/files', { expect: 200 })).json, []);
    assert.deepEqual((await client.get('/conversations', { expect: 200 })).json, []);
  });
});
