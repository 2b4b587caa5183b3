// Users' files: written whole or not at all, read in parts, listed, kept apart; and nothing that a client or another program on
// the volume does leads out of the user's folder.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { followPages, rawRequest, rawSocket } from './client.mjs';
import { contract } from './contract.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { embeddedOnly, startServer } from './server.mjs';
import { until } from './wait.mjs';

const kUploads = '.colloquy-uploads';

const authorization = (client) => ({ Authorization: `Bearer ${client.token}` });

// A request whose answer may be of any type, held to the contract; { status, headers, bytes, json }.
async function send(client, method, path, { headers = {}, body, expect } = {}) {
  const response = await fetch(new URL(path, client.baseUrl), {
    method, body, headers: { ...authorization(client), ...headers }, ...(body?.getReader ? { duplex: 'half' } : {}) });
  const pathname = new URL(path, client.baseUrl).pathname;
  const head = contract.checkHead({ method, pathname, status: response.status, headers: response.headers });
  const bytes = Buffer.from(await response.arrayBuffer());
  const json = contract.checkBody(head, { method, status: response.status, headers: response.headers, text: bytes.toString() });
  if (expect !== undefined) assert.equal(response.status, expect, `${method} ${path} -> ${response.status} ${bytes.subarray(0, 300)}`);
  return { status: response.status, headers: response.headers, bytes, json, etag: response.headers.get('etag') };
}
const put = (client, path, body, options = {}) => send(client, 'PUT', `/files/${path}`, { body, ...options });
const get = (client, path, options = {}) => send(client, 'GET', `/files/${path}`, options);

const folderOf = (server) => join(server.data, 'files');
const drafts = (server) => readdirSync(join(folderOf(server), kUploads)).flatMap((one) =>
  readdirSync(join(folderOf(server), kUploads, one)).filter((name) => name !== 'lock'));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('base64');

// Sends a raw request whose body comes when the test says so.
function openUpload(client, path, headers) {
  const url = new URL(client.baseUrl);
  const socket = net.connect(Number(url.port), url.hostname);
  let text = '';
  socket.on('data', (data) => { text += data; });
  socket.on('error', () => {});
  const head = { Host: 'here', ...authorization(client), ...headers };
  socket.write(`PUT /files/${path} HTTP/1.1\r\n${Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  return { socket, said: () => text };
}

describe('files', () => {
  let server;
  let alice;
  let bob;
  serverOfSuite({ users: ['alice', 'bob'] }, async (made) => { ({ server, alice, bob } = made); });

  test('what is written is read, replaced and deleted', async () => {
    const made = await put(alice, 'notes/today.txt', 'Buy milk.', { expect: 201 });
    assert.equal(made.headers.get('location'), '/files/notes/today.txt');
    assert.deepEqual({ ...made.json, etag: 0, modified_at: 0 },
                     { path: 'notes/today.txt', size: 9, content_type: 'text/plain; charset=utf-8', etag: 0, modified_at: 0 });
    assert.equal(made.json.etag, made.etag);
    const read = await get(alice, 'notes/today.txt', { expect: 200 });
    assert.equal(read.bytes.toString(), 'Buy milk.');
    assert.equal(read.etag, made.etag);
    assert.equal(read.headers.get('content-length'), '9');
    const replaced = await put(alice, 'notes/today.txt', 'Buy bread.', { expect: 200 });
    assert.notEqual(replaced.etag, made.etag);
    assert.equal((await get(alice, 'notes/today.txt', { expect: 200 })).bytes.toString(), 'Buy bread.');
    await send(alice, 'DELETE', '/files/notes/today.txt', { expect: 204 });
    await get(alice, 'notes/today.txt', { expect: 404 });
    await send(alice, 'DELETE', '/files/notes/today.txt', { expect: 404 });
    assert.ok(!existsSync(join(folderOf(server), 'alice', 'notes')), 'the empty folder is gone');
  });

  test('a large file goes through whole, both with a length and in chunks, and another program sees the same', async () => {
    const bytes = randomBytes(9 * 1024 * 1024 + 7);
    await put(alice, 'large.bin', bytes, { headers: { 'Content-Digest': `sha-256=:${sha256(bytes)}:` }, expect: 201 });
    assert.ok(readFileSync(join(folderOf(server), 'alice', 'large.bin')).equals(bytes));
    assert.ok((await get(alice, 'large.bin', { expect: 200 })).bytes.equals(bytes));
    const stream = new ReadableStream({ start(controller) {
      for (let at = 0; at < bytes.length; at += 100_001) controller.enqueue(bytes.subarray(at, at + 100_001));
      controller.close();
    } });
    await put(alice, 'large.bin', stream, { expect: 200 });
    assert.ok((await get(alice, 'large.bin', { expect: 200 })).bytes.equals(bytes));
    assert.deepEqual(drafts(server), []);
  });

  test('what another program writes is read, and changes the tag, also in place and with its old time', async () => {
    const folder = join(folderOf(server), 'alice');
    writeFileSync(join(folder, 'theirs.txt'), 'one');
    const first = await get(alice, 'theirs.txt', { expect: 200 });
    assert.equal(first.bytes.toString(), 'one');
    execFileSync('sh', ['-c', 'touch -r theirs.txt stamp; printf two > theirs.txt; touch -r stamp theirs.txt; rm stamp'], { cwd: folder });
    const second = await get(alice, 'theirs.txt', { expect: 200 });
    assert.equal(second.bytes.toString(), 'two');
    assert.notEqual(first.etag, second.etag);
    await put(alice, 'theirs.txt', 'three', { headers: { 'If-Match': first.etag }, expect: 412 });
    await put(alice, 'theirs.txt', 'three', { headers: { 'If-Match': second.etag }, expect: 200 });
  });

  test('conditions decide, also among many at once', async () => {
    const only = { 'If-None-Match': '*' };
    const tries = await Promise.all(Array.from({ length: 12 }, (_, i) => put(alice, 'race.txt', `${i}`, { headers: only })));
    assert.deepEqual(tries.map((one) => one.status).sort(), [201, ...Array(11).fill(412)]);
    const winner = tries.findIndex((one) => one.status === 201);
    const read = await get(alice, 'race.txt', { expect: 200 });
    assert.equal(read.bytes.toString(), String(winner));
    const match = { 'If-Match': read.etag };
    const next = await Promise.all(Array.from({ length: 12 }, (_, i) => put(alice, 'race.txt', `next ${i}`, { headers: match })));
    assert.deepEqual(next.map((one) => one.status).sort(), [200, ...Array(11).fill(412)]);
    const now = await get(alice, 'race.txt', { expect: 200 });
    assert.equal((await get(alice, 'race.txt', { headers: { 'If-None-Match': now.etag }, expect: 304 })).bytes.length, 0);
    await get(alice, 'race.txt', { headers: { 'If-None-Match': `W/${now.etag}` }, expect: 304 });
    // A date is said once a later change cannot have the same.
    assert.equal(now.headers.get('last-modified'), null);
    const then = new Date('2024-02-29T12:00:00Z');
    utimesSync(join(folderOf(server), 'alice', 'race.txt'), then, then);
    const settled = await get(alice, 'race.txt', { expect: 200 });
    assert.equal(settled.headers.get('last-modified'), then.toUTCString());
    await get(alice, 'race.txt', { headers: { 'If-Modified-Since': then.toUTCString() }, expect: 304 });
    await put(alice, 'race.txt', 'x', { headers: { 'If-None-Match': `W/${settled.etag}` }, expect: 412 });
    await get(alice, 'race.txt', { headers: { 'If-Modified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT' }, expect: 200 });
    await get(alice, 'race.txt', { headers: { 'If-Match': '"0"' }, expect: 412 });
    await get(alice, 'race.txt', { headers: { 'If-Match': 'nonsense' }, expect: 400 });
    await put(alice, 'race.txt', 'x', { headers: { 'If-Unmodified-Since': 'Sun, 06 Nov 1994 08:49:37 GMT' }, expect: 412 });
    await put(alice, 'absent.txt', 'x', { headers: { 'If-Match': '*' }, expect: 412 });
    await send(alice, 'DELETE', '/files/race.txt', { headers: { 'If-Match': '"0"' }, expect: 412 });
    await send(alice, 'DELETE', '/files/race.txt', { headers: { 'If-None-Match': `W/${settled.etag}` }, expect: 412 });
    await send(alice, 'DELETE', '/files/race.txt', { headers: { 'If-Match': settled.etag }, expect: 204 });
  });

  test('many writers of one path: the last one wins, and never a mix', async () => {
    const bodies = Array.from({ length: 8 }, (_, i) => Buffer.alloc(300_000, 65 + i));
    await put(alice, 'mix.bin', bodies[0], { expect: 201 });
    let writing = true;
    const writers = Promise.all(bodies.map(async (body) => {
      for (let i = 0; i < 6; i += 1) await put(alice, 'mix.bin', body, { expect: 200 });
    })).finally(() => { writing = false; });
    while (writing) {
      const { bytes } = await get(alice, 'mix.bin', { expect: 200 });
      assert.ok(bodies.some((body) => body.equals(bytes)), 'a mix');
    }
    await writers;
  });

  test('parts: one range, a suffix, what is past the end, If-Range', async () => {
    const bytes = randomBytes(1_000_000);
    const { etag } = await put(alice, 'parts.bin', bytes, { expect: 201 });
    const part = async (range, from, to, headers = {}) => {
      const answer = await get(alice, 'parts.bin', { headers: { Range: range, ...headers }, expect: 206 });
      assert.equal(answer.headers.get('content-range'), `bytes ${from}-${to - 1}/1000000`, range);
      assert.equal(answer.headers.get('content-length'), String(to - from));
      assert.ok(answer.bytes.equals(bytes.subarray(from, to)), range);
    };
    await part('bytes=0-0', 0, 1);
    await part('bytes=10-19', 10, 20);
    await part('bytes=999990-', 999990, 1_000_000);
    await part('bytes=5-99999999999999999999', 5, 1_000_000);
    await part('bytes=-7', 999993, 1_000_000);
    await part('bytes=-9999999', 0, 1_000_000);
    await part('BYTES = 3-4', 3, 5);
    await part('bytes=1-2', 1, 3, { 'If-Range': etag });
    for (const range of ['bytes=1000000-', 'bytes=-0', 'bytes=99999999999999999999-']) {
      const none = await get(alice, 'parts.bin', { headers: { Range: range }, expect: 416 });
      assert.equal(none.headers.get('content-range'), 'bytes */1000000');
    }
    const whole = [{ Range: 'bytes=1-2,4-5' }, { Range: 'bytes=2-1' }, { Range: 'lines=1-2' }, { Range: 'bytes=x-2' }, { Range: 'bytes=' },
                   { Range: 'bytes=1-2', 'If-Range': '"0"' }, { Range: 'bytes=1-2', 'If-Range': `W/${etag}` },
                   { Range: 'bytes=1-2', 'If-Range': new Date().toUTCString() }];
    for (const headers of whole) assert.equal((await get(alice, 'parts.bin', { headers, expect: 200 })).bytes.length, 1_000_000);
    await put(alice, 'empty', '', { expect: 201 });
    await get(alice, 'empty', { headers: { Range: 'bytes=0-' }, expect: 416 });
    assert.equal((await get(alice, 'empty', { expect: 200 })).bytes.length, 0);
  });

  test('HEAD says what GET would, without a body', async () => {
    const { bytes } = await get(alice, 'parts.bin', { expect: 200 });
    const head = await rawRequest(server.baseUrl, 'HEAD', '/files/parts.bin', { headers: authorization(alice), check: false });
    assert.equal(head.status, 200);
    assert.equal(head.headers.get('content-length'), String(bytes.length));
    assert.equal(head.bytes.length, 0);
    const none = await rawRequest(server.baseUrl, 'HEAD', '/files/none', { headers: authorization(alice), check: false });
    assert.equal(none.status, 404);
  });

  test('a browser runs nothing of it', async () => {
    for (const [name, type, disposition] of [
      ['a.html', 'text/html; charset=utf-8', 'attachment; filename="a.html"'], ['a.SVG', 'image/svg+xml', 'attachment; filename="a.SVG"'],
      ['a.png', 'image/png', 'inline; filename="a.png"'], ['b', 'application/octet-stream', 'attachment; filename="b"'],
      ['"x";y.txt', 'text/plain; charset=utf-8', 'inline; filename="_x_;y.txt"; filename*=UTF-8\'\'%22x%22%3By.txt'],
      ['Grüße 東京.pdf', 'application/pdf', 'attachment; filename="Gr__e __.pdf"; filename*=UTF-8\'\'Gr%C3%BC%C3%9Fe%20%E6%9D%B1%E4%BA%AC.pdf']]) {
      await put(alice, `types/${encodeURIComponent(name)}`, '<script>', { expect: 201 });
      const { headers } = await get(alice, `types/${encodeURIComponent(name)}`, { expect: 200 });
      assert.equal(headers.get('content-type'), type);
      assert.equal(headers.get('content-disposition'), disposition);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.match(headers.get('content-security-policy'), /sandbox/);
      assert.equal(headers.get('content-encoding'), null);
    }
  });

  test('the list is in the order of bytes, in pages, by prefix', async () => {
    const carol = await server.client('carol');
    const names = ['a', 'a-b', 'a.txt', 'b/1', 'b/2/x', 'b/2/y', 'b/2.txt', 'b-', 'b0', 'ü', 'Z', 'c/d/e/f/g', '.hidden'];
    for (const name of names) await put(carol, name, name, { expect: 201 });
    const bytewise = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    const paths = (list) => list.map((one) => one.path);
    for (const limit of [1, 2, 5, 200]) {
      const pages = await followPages(carol, `/files?limit=${limit}`, 'next');
      assert.deepEqual(paths(pages.flat()), [...names].sort(bytewise), `limit ${limit}`);
      assert.ok(pages.every((page) => page.length <= limit));
    }
    for (const prefix of ['a', 'b/', 'b/2', 'b', 'c/d', 'c/d/e/f/g', 'zz', 'b/2/', '.']) {
      const pages = await followPages(carol, `/files?limit=2&prefix=${encodeURIComponent(prefix)}`, 'next');
      assert.deepEqual(paths(pages.flat()), names.filter((name) => name.startsWith(prefix)).sort(bytewise), prefix);
    }
    const [one] = (await carol.get('/files?limit=1', { expect: 200 })).json;
    assert.equal(one.etag, (await get(carol, one.path, { expect: 200 })).etag);
    await carol.get('/files?cursor=xyz', { expect: 422 });
    await carol.get('/files?limit=0', { expect: 422 });
    assert.deepEqual((await (await server.client('nobody')).get('/files', { expect: 200 })).json, []);
  });

  test('each user has a folder of their own, whatever they are called', async () => {
    await put(alice, 'mine.txt', 'alice\'s', { expect: 201 });
    await put(bob, 'mine.txt', 'bob\'s', { expect: 201 });
    assert.equal((await get(alice, 'mine.txt', { expect: 200 })).bytes.toString(), 'alice\'s');
    const odd = ['user_123', '../alice', 'alice/', '.', '..', '.colloquy-uploads', 'Alice', 'alice%2F', 'alice/..', 'lost+found', 'ä', 'x'.repeat(256), `${'x'.repeat(255)}y`, '/', '%'];
    for (const name of odd) {
      const client = await server.client(name);
      await get(client, 'mine.txt', { expect: 404 });
      await put(client, 'mine.txt', name, { expect: 201 });
      assert.equal((await client.get('/files', { expect: 200 })).json.length, 1, name);
    }
    for (const name of odd) assert.equal((await get(await server.client(name), 'mine.txt', { expect: 200 })).bytes.toString(), name);
    assert.equal(readFileSync(join(folderOf(server), 'user_123', 'mine.txt'), 'utf8'), 'user_123');
    assert.equal((await get(alice, 'mine.txt', { expect: 200 })).bytes.toString(), 'alice\'s');
    assert.deepEqual(readdirSync(folderOf(server)).filter((name) => name.startsWith('.')), [kUploads]);
  });

  test('no path leads out', async () => {
    await put(alice, 'traversal/kept.txt', 'kept', { expect: 201 });
    writeFileSync(join(folderOf(server), 'outside.txt'), 'not to be read');
    const before = readdirSync(folderOf(server)).sort();
    const up = ['..', '%2e%2e', '%2E%2E', '.%2e', '%2e.', '%252e%252e', '%c0%ae%c0%ae', '%e0%80%ae%e0%80%ae', '%f0%80%80%ae', '%uff0e%uff0e', '..%00', '%00..', '..;', '...', '..%20', '..%09', '..%0d%0a', '%ef%bc%8e%ef%bc%8e'];
    const slash = ['/', '%2f', '%2F', '%5c', '\\', '%252f', '%c0%af', '%e0%80%af', '//', '/./', '%2f%2f', '%e2%88%95', '%ef%bc%8f'];
    const targets = ['outside.txt', 'bob/mine.txt', 'etc/passwd', '../token.key'];
    const paths = [];
    for (const one of up) for (const between of slash) for (const target of targets) {
      paths.push(`${one}${between}${target}`, `${one}${between}${one}${between}${one}${between}${target}`, `traversal/${one}${between}${one}${between}${target}`);
    }
    paths.push('/etc/passwd', '%2fetc%2fpasswd', '//etc/passwd', 'file:///etc/passwd', 'C:%5cwindows', '~/x', '.', '..', '', 'a//b', 'a/', './a', 'a/./b', 'a/..', 'traversal/../../outside.txt',
               '%00', 'a%00b', 'a%0ab', 'a%7fb', 'a%c2%85b', '%ff', '%80', 'a%', 'a%2', 'a%zz', 'x'.repeat(256), Array(33).fill('a').join('/'), Array(300).fill('abcd').join('/'));
    for (const path of paths) {
      for (const method of ['GET', 'DELETE', 'PUT']) {
        const body = method === 'PUT' ? 'intruder' : undefined;
        const answer = await rawRequest(server.baseUrl, method, `/files/${path}`, { headers: authorization(alice), body, check: false });
        const said = `${method} ${path} -> ${answer.status} ${answer.bytes.subarray(0, 200)}`;
        assert.ok(answer.status < 500, said);
        if (method !== 'PUT') assert.ok([400, 404, 405].includes(answer.status) || (method === 'GET' && path === '' && answer.status === 200), said);
        assert.ok(!answer.bytes.includes('not to be read') && !answer.bytes.includes('root:'), said);
        if (method === 'PUT' && answer.status < 300) {
          // A strange name, but a new one within the folder; it is deleted again.
          assert.equal(answer.status, 201, said);
          const name = decodeURIComponent(answer.headers.get('location').slice('/files/'.length));
          assert.ok(!name.split('/').includes('..') && existsSync(join(folderOf(server), 'alice', name)), said);
          await rawRequest(server.baseUrl, 'DELETE', `/files/${path}`, { headers: authorization(alice), check: false });
        }
      }
    }
    assert.equal(readFileSync(join(folderOf(server), 'outside.txt'), 'utf8'), 'not to be read');
    assert.equal((await get(bob, 'mine.txt', { expect: 200 })).bytes.toString(), 'bob\'s');
    assert.deepEqual(readdirSync(folderOf(server)).sort(), before);
    rmSync(join(folderOf(server), 'outside.txt'));
  });

  test('links, FIFOs, devices and folders that others put there are as if they were not', async () => {
    const folder = join(folderOf(server), 'dave');
    const dave = await server.client('dave');
    await put(dave, 'real.txt', 'real', { expect: 201 });
    const outside = mkdtempSync(join(tmpdir(), 'colloquy-outside-'));
    writeFileSync(join(outside, 'secret.txt'), 'secret');
    symlinkSync(join(outside, 'secret.txt'), join(folder, 'link.txt'));
    symlinkSync(outside, join(folder, 'linked'));
    symlinkSync('real.txt', join(folder, 'inner.txt'));
    symlinkSync('loop', join(folder, 'loop'));
    linkSync(join(outside, 'secret.txt'), join(folder, 'hard.txt'));
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    mkdirSync(join(folder, 'folder'));
    const socket = net.createServer().listen(join(folder, 'socket'));
    for (const path of ['link.txt', 'linked', 'linked/secret.txt', 'inner.txt', 'loop', 'loop/x', 'hard.txt', 'fifo', 'fifo/x', 'folder', 'socket', 'real.txt/x']) {
      await get(dave, path, { expect: 404 });
      await send(dave, 'DELETE', `/files/${path}`, { expect: 404 });
    }
    assert.deepEqual((await dave.get('/files', { expect: 200 })).json.map((one) => one.path), ['real.txt']);
    for (const path of ['linked/new.txt', 'fifo/x', 'real.txt/x', 'folder', 'linked', 'loop/x']) {
      const answer = await put(dave, path, 'x');
      assert.ok(path === 'linked' ? answer.status === 201 : answer.status === 409, `${path}: ${answer.status}`);
    }
    await put(dave, 'link.txt', 'own', { expect: 201 });
    assert.equal(readFileSync(join(outside, 'secret.txt'), 'utf8'), 'secret');
    assert.deepEqual(readdirSync(outside), ['secret.txt']);
    socket.close();
    rmSync(outside, { recursive: true });
  });

  test('a folder that is swapped for a link while it is read and written never leads out', async () => {
    const eve = await server.client('eve');
    const outside = mkdtempSync(join(tmpdir(), 'colloquy-outside-'));
    writeFileSync(join(outside, 'f'), 'secret');
    await put(eve, 'd/f', 'inside', { expect: 201 });
    const folder = join(folderOf(server), 'eve');
    symlinkSync(outside, join(folder, 'l'));
    let swapping = true;
    const at = (name) => join(folder, name);
    // The server may make a folder `d` of its own meanwhile; then this one is thrown away.
    const attempt = (step) => { try { step(); return true; } catch { return false; } };
    let swapped = 0;
    const swaps = (async () => {
      while (swapping) {
        attempt(() => renameSync(at('d'), at('d2')));
        if (attempt(() => renameSync(at('l'), at('d')))) swapped += 1;
        await new Promise(setImmediate);
        if (lstatSync(at('d'), { throwIfNoEntry: false })?.isSymbolicLink()) renameSync(at('d'), at('l'));
        attempt(() => rmSync(at('d'), { recursive: true }));
        attempt(() => renameSync(at('d2'), at('d')));
        await new Promise(setImmediate);
      }
    })();
    for (let i = 0; i < 150; i += 1) {
      const read = await get(eve, 'd/f');
      assert.ok(read.status === 404 || read.bytes.toString() === 'inside', read.bytes.toString());
      const written = await put(eve, 'd/f', 'inside');
      assert.ok([200, 201, 409, 503].includes(written.status), String(written.status));
      await send(eve, 'DELETE', '/files/d/g');
    }
    swapping = false;
    await swaps;
    assert.ok(swapped > 50, String(swapped));
    assert.equal(readFileSync(join(outside, 'f'), 'utf8'), 'secret');
    assert.deepEqual(readdirSync(outside), ['f']);
    rmSync(outside, { recursive: true });
  });

  test('a declared digest is kept, or nothing is written', async () => {
    const digest = (value) => ({ 'Content-Digest': value });
    await put(alice, 'sum', 'abc', { headers: digest(`sha-256=:${sha256('abc')}:`), expect: 201 });
    const other = await put(alice, 'sum', 'abd', { headers: digest(`sha-256=:${sha256('abc')}:`), expect: 422 });
    assert.equal(other.json.errors[0].field, 'Content-Digest');
    const sha512 = createHash('sha512').update('abd').digest('base64');
    await put(alice, 'sum', 'abd', { headers: digest(`md5=:AAAA:, sha-512=:${sha512}:`), expect: 200 });
    await put(alice, 'sum', 'abd', { headers: digest(`sha-256=:${sha256('abc')}:, sha-512=:${sha512}:`), expect: 422 });
    await put(alice, 'sum', 'abd', { headers: digest('md5=:kAFQmDzST7DWlj99KOF/cg==:'), expect: 422 });
    await put(alice, 'sum', 'abd', { headers: digest('sha-256=:AAAA:'), expect: 422 });
    await put(alice, 'sum', 'abd', { headers: digest('sha-256=abc'), expect: 400 });
    await put(alice, 'sum', 'abd', { headers: { 'Content-Encoding': 'gzip' }, expect: 415 });
    await put(alice, 'sum', 'abd', { headers: { 'Content-Range': 'bytes 0-2/3' }, expect: 400 });
    assert.equal((await get(alice, 'sum', { expect: 200 })).bytes.toString(), 'abd');
    assert.deepEqual(drafts(server), []);
  });

  test('what can be refused is refused before the body, and before 100 Continue; a good one is continued', async () => {
    const big = { 'Content-Length': String(1 << 20), Expect: '100-continue' };
    for (const [path, headers, status] of [['sum', { 'If-None-Match': '*' }, 412], ['sum', { Authorization: 'Bearer no' }, 401],
                                           ['sum/x', {}, 409], ['%2e%2e/x', {}, 422], ['sum', { 'Content-Length': String(1 << 30) }, 413]]) {
      const upload = openUpload(alice, path, { ...big, ...headers });
      await until(() => upload.said().includes('\r\n\r\n'), 'the refusal');
      assert.match(upload.said(), new RegExp(`^HTTP/1.1 ${status} `), path);
      assert.match(upload.said(), /Connection: close/);
      upload.socket.destroy();
    }
    const upload = openUpload(alice, 'continued', { 'Content-Length': '5', Expect: '100-continue' });
    await until(() => upload.said() === 'HTTP/1.1 100 Continue\r\n\r\n', '100 Continue');
    upload.socket.write('hello');
    await until(() => upload.said().includes('HTTP/1.1 201 '), 'the answer');
    upload.socket.destroy();
    assert.equal((await get(alice, 'continued', { expect: 200 })).bytes.toString(), 'hello');
  });

  test('an upload that is cut off, or badly framed, leaves the old file and nothing else', async () => {
    await put(alice, 'cut.txt', 'old', { expect: 201 });
    for (const [headers, body] of [[{ 'Content-Length': '100000' }, 'x'.repeat(5000)], [{ 'Transfer-Encoding': 'chunked' }, `1000\r\n${'x'.repeat(4096)}\r\n`],
                                   [{ 'Transfer-Encoding': 'chunked' }, `1000\r\n${'x'.repeat(4096)}\r\nzzz\r\n`]]) {
      const upload = openUpload(alice, 'cut.txt', headers);
      upload.socket.end(body);
      await until(() => upload.said().includes('HTTP/1.1 400 '), 'the refusal');
      const gone = openUpload(alice, 'cut.txt', headers);
      gone.socket.write(body);
      await until(() => drafts(server).length > 0 || body.includes('zzz'), 'the upload to begin');
      gone.socket.resetAndDestroy();
      await until(() => drafts(server).length === 0, 'the upload to be cleaned up');
    }
    assert.equal((await get(alice, 'cut.txt', { expect: 200 })).bytes.toString(), 'old');
  });

  test('the body of a refused upload is never taken for a request', async () => {
    const smuggled = `GET /files HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${alice.token}\r\n\r\n`;
    const url = new URL(server.baseUrl);
    const socket = net.connect({ port: Number(url.port), host: url.hostname, allowHalfOpen: true });
    const ended = new Promise((resolve) => { socket.on('close', resolve); });
    let said = '';
    socket.on('data', (piece) => { said += piece; });
    socket.on('error', () => {});
    socket.write(`PUT /files/a?%zz HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${alice.token}\r\nContent-Length: ${smuggled.length}\r\n\r\n`);
    await until(() => said.includes('HTTP/1.1 400 '), 'the refusal');
    socket.end(smuggled);
    await ended;
    assert.equal(said.match(/HTTP\/1\.1 /g).length, 1);
    assert.match(said, /connection: close/i);
  });

  test('requests behind an upload on the same connection are answered', async () => {
    const head = (method, length) => `${method} /files/behind.txt HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${alice.token}\r\n${length === undefined ? '' : `Content-Length: ${length}\r\n`}`;
    const said = (await rawSocket(server.baseUrl, `${head('PUT', 3)}\r\nabc${head('GET')}\r\n${head('PUT', 2)}If-None-Match: *\r\n\r\nno${head('DELETE')}\r\n${head('GET')}Connection: close\r\n\r\n`)).toString();
    assert.deepEqual([...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]), ['201', '200', '412', '204', '404']);
  });

  test('metrics and log tell of it', async () => {
    const text = await (await fetch(`${server.adminUrl}/metrics`)).text();
    assert.match(text, /colloquy_files_received_bytes_total [1-9]/);
    assert.match(text, /colloquy_files_sent_bytes_total [1-9]/);
    assert.match(text, /colloquy_files_operations_total\{operation="put",outcome="ok"\} [1-9]/);
    assert.match(text, /colloquy_files_operations_total\{operation="put",outcome="precondition_failed"\} [1-9]/);
    const uploads = async () => (await (await fetch(`${server.adminUrl}/metrics`)).text()).match(/^colloquy_files_uploads (\d+)/m)[1];
    await until(async () => await uploads() === '0', 'the uploads to be over');
    const { headers } = await put(alice, 'logged', 'x', { expect: 201 });
    const line = await server.logOf(headers.get('x-request-id'));
    assert.equal(line.route, '/files/{path...}');
  });
});

describe('files within limits', () => {
  test('quotas of bytes and of files: 507, nothing half written, and room again after a deletion', async (t) => {
    const { server, alice, bob } = await serverOfTest(t, { users: ['alice', 'bob'], args: ['--files-quota', '100KiB', '--files-quota-count', '5'] });
    const chunked = (bytes) => new ReadableStream({ start(controller) {
      for (let at = 0; at < bytes; at += 10_000) controller.enqueue(Buffer.alloc(10_000));
      controller.close();
    } });
    await put(alice, 'a', Buffer.alloc(60_000), { expect: 201 });
    for (const body of [Buffer.alloc(60_000), chunked(600_000)]) {
      const { headers } = await put(alice, 'b', body, { expect: 507 });
      assert.equal((await server.logOf(headers.get('x-request-id'))).level, 'info', 'a user\'s limit is no fault of the server\'s');
    }
    await put(alice, 'a', Buffer.alloc(90_000), { expect: 200 });
    await put(bob, 'a', Buffer.alloc(90_000), { expect: 201 });
    assert.deepEqual((await alice.get('/files', { expect: 200 })).json.map((one) => [one.path, one.size]), [['a', 90_000]]);
    await send(alice, 'DELETE', '/files/a', { expect: 204 });
    const many = await Promise.all(Array.from({ length: 9 }, (_, i) => put(alice, `n${i}`, 'x')));
    assert.deepEqual(many.map((one) => one.status).sort(), [...Array(5).fill(201), ...Array(4).fill(507)]);
    const race = await Promise.all(Array.from({ length: 6 }, () => put(alice, 'n0', Buffer.alloc(50_000))));
    assert.ok(race.some((one) => one.status === 200 || one.status === 201));
    const total = (await alice.get('/files', { expect: 200 })).json.reduce((sum, one) => sum + one.size, 0);
    assert.ok(total <= 100 * 1024, String(total));
    assert.deepEqual(drafts(server), []);
  });

  test('a floor of free space: 507', async (t) => {
    const { server, alice } = await serverOfTest(t, { args: ['--files-min-free', '1024TiB'].map((one) => one.replace('1024TiB', String(2 ** 49))) });
    const { headers } = await put(alice, 'a', 'x', { expect: 507 });
    const { level, detail } = await server.logOf(headers.get('x-request-id'));
    assert.deepEqual([level, detail], ['warning', 'less than --files-min-free would be left free on the volume']);
    assert.deepEqual((await alice.get('/files', { expect: 200 })).json, []);
  });

  test('a full file system in the middle of an upload: 507, and nothing is left', async (t) => {
    const small = mkdtempSync(join(tmpdir(), 'colloquy-small-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', small], { stdio: 'ignore' });
    } catch {
      rmSync(small, { recursive: true });
      return t.skip('mounting is not allowed here');
    }
    afterwards(t, () => {
      execFileSync('umount', [small]);
      rmSync(small, { recursive: true });
    });
    const { alice } = await serverOfTest(t, { args: ['--files', small, '--files-min-free', '0'] });
    await put(alice, 'a', Buffer.alloc(1_000_000, 1), { expect: 201 });
    const endless = new ReadableStream({ start(controller) {
      for (let i = 0; i < 60; i += 1) controller.enqueue(Buffer.alloc(65_536));
      controller.close();
    } });
    await put(alice, 'a', endless, { expect: 507 });
    assert.equal((await get(alice, 'a', { expect: 200 })).bytes.length, 1_000_000);
    await put(alice, 'b', Buffer.alloc(500_000), { expect: 201 });
  });

  test('a file past --max-file-size is 413, declared or not; other bodies keep their own limit', async (t) => {
    const { server, alice } = await serverOfTest(t, { args: ['--max-file-size', '10MiB', '--max-body-bytes', '64KiB'] });
    await put(alice, 'a', Buffer.alloc(9 << 20), { expect: 201 });
    await put(alice, 'a', Buffer.alloc(11 << 20), { expect: 413 });
    const upload = openUpload(alice, 'a', { 'Transfer-Encoding': 'chunked' });
    upload.socket.write(`B00000\r\n`);
    for (let i = 0; i < 11; i += 1) upload.socket.write(Buffer.alloc(1 << 20));
    await until(() => upload.said().includes('HTTP/1.1 413 '), 'the refusal');
    upload.socket.destroy();
    assert.equal((await get(alice, 'a', { expect: 200 })).bytes.length, 9 << 20);
    await alice.post('/conversations', { title: 'x'.repeat(70_000) }, { expect: 413 });
    await until(() => drafts(server).length === 0, 'the upload to be cleaned up');
  });

  test('a sender that is too slow is 408; one that is slow but steady is served', async (t) => {
    const { server, alice } = await serverOfTest(t, { args: ['--request-timeout', '1s'] });
    const slow = openUpload(alice, 'slow', { 'Content-Length': '100' });
    slow.socket.write('x');
    await until(() => slow.said().includes('HTTP/1.1 408 '), 'the refusal');
    const steady = openUpload(alice, 'steady', { 'Content-Length': String(2 << 20) });
    const piece = Buffer.alloc(256 << 10);
    for (let i = 0; i < 8; i += 1) {
      steady.socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 300));  // longer than the deadline in all
    }
    await until(() => steady.said().includes('HTTP/1.1 201 '), 'the answer');
    steady.socket.destroy();
    await until(() => drafts(server).length === 0, 'the upload to be cleaned up');
  });

  test('a reader that does not read is cut off', async (t) => {
    const { alice, server } = await serverOfTest(t, { args: ['--write-timeout', '1s'] });
    await put(alice, 'big', Buffer.alloc(64 << 20), { expect: 201 });
    const url = new URL(server.baseUrl);
    const socket = net.connect(Number(url.port), url.hostname);
    socket.pause();
    socket.on('error', () => {});
    socket.write(`GET /files/big HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${alice.token}\r\n\r\n`);
    const open = async () => Number((await (await fetch(`${server.adminUrl}/metrics`)).text()).match(/^colloquy_http_connections (\d+)/m)[1]);
    const lines = () => server.logs().filter((line) => line.event === 'request' && line.cut_off);
    await until(() => lines().length > 0, 'the reader to be cut off');
    socket.destroy();
    await open();
  });
});

describe('files and the process', () => {
  test('they survive a restart; what was being written when it was killed does not, and the old file is whole', async (t) => {
    const { server, alice } = await serverOfTest(t, {});
    await put(alice, 'kept.txt', 'kept', { expect: 201 });
    const upload = openUpload(alice, 'kept.txt', { 'Content-Length': '1000000' });
    upload.socket.write('x'.repeat(600_000));
    await until(() => drafts(server).length === 1, 'the upload to begin');
    await server.kill();
    assert.equal(drafts(server).length, 1);
    await server.start();
    const again = await server.client('alice');
    assert.deepEqual(drafts(server), []);
    assert.equal((await get(again, 'kept.txt', { expect: 200 })).bytes.toString(), 'kept');
    await server.logged((line) => line.event === 'files.swept' && line.uploads === 1, 'the sweep');
  });

  test('another server on the same volume keeps its uploads when this one starts', async (t) => {
    const { server, alice } = await serverOfTest(t, {});
    const upload = openUpload(alice, 'slow.txt', { 'Content-Length': '600000' });
    upload.socket.write('x'.repeat(300_000));
    await until(() => drafts(server).length === 1, 'the upload to begin');
    const other = await startServer({ args: ['--files', folderOf(server)] });
    afterwards(t, () => other.close());
    assert.equal(drafts(server).length, 1);
    upload.socket.write('x'.repeat(300_000));
    await until(() => upload.said().includes('HTTP/1.1 201 '), 'the answer');
    upload.socket.destroy();
    assert.equal((await get(alice, 'slow.txt', { expect: 200 })).bytes.length, 600_000);
  });

  test('a folder that holds the server\'s own data is refused', async (t) => {
    const data = mkdtempSync(join(tmpdir(), 'colloquy-data-'));
    afterwards(t, () => rmSync(data, { recursive: true, force: true }));
    for (const files of [data, join(data, 'store'), join(data, 'store', 'x'), join(data, 'search'), join(data, '..'), '/']) {
      await assert.rejects(startServer({ data, args: ['--files', files] }), /--files/, files);
    }
    const files = mkdtempSync(join(tmpdir(), 'colloquy-files-'));
    afterwards(t, () => rmSync(files, { recursive: true, force: true }));
    mkdirSync(join(files, 'alice'));
    writeFileSync(join(files, 'alice', 'key'), 'k'.repeat(40));
    await assert.rejects(startServer({ data, args: ['--files', files, '--token-key-file', join(files, 'alice', 'key')] }), /--files/);
  });

  test('a folder that holds the master key or the keyring is refused', embeddedOnly('with tables the keys are in one'), async (t) => {
    const [data, files] = ['data', 'files'].map((name) => mkdtempSync(join(tmpdir(), `colloquy-${name}-`)));
    afterwards(t, () => { for (const folder of [data, files, `${data}-keys`]) rmSync(folder, { recursive: true, force: true }); });
    mkdirSync(join(files, 'alice'));
    for (const [masterKey, keyring] of [[join(files, 'alice', 'master.key'), `${data}-keys`], [join(data, 'master.key'), join(files, 'keys')]]) {
      writeFileSync(masterKey, randomBytes(32).toString('base64'), { mode: 0o600 });
      const encryption = ['--encryption', 'file', '--master-key-file', masterKey, '--keyring', keyring];
      await assert.rejects(startServer({ data, args: ['--files', files, ...encryption] }), /--(files|keyring)/);
    }
  });

  test('a folder that holds the backups is refused', embeddedOnly('tables are not backed up into a folder'), async (t) => {
    const files = mkdtempSync(join(tmpdir(), 'colloquy-files-'));
    afterwards(t, () => rmSync(files, { recursive: true, force: true }));
    await assert.rejects(startServer({ args: ['--files', files, '--backup-to', join(files, 'backup')] }), /--files/);
  });

  test('with --files off every call is 501', async (t) => {
    const off = await serverOfTest(t, { args: ['--files', 'off'] });
    await put(off.alice, 'a', 'x', { expect: 501 });
    await off.alice.get('/files', { expect: 501 });
    await assert.rejects(startServer({ args: ['--files', 'off', '--files-quota', '1MiB'] }), /--files off/);
  });

  test('where the default folder cannot be used every call is 501, and the log says why', embeddedOnly('with tables there is no default folder'), async (t) => {
    const data = mkdtempSync(join(tmpdir(), 'colloquy-data-'));
    afterwards(t, () => rmSync(data, { recursive: true, force: true }));
    writeFileSync(join(data, 'files'), 'not a folder');
    const { server, alice } = await serverOfTest(t, { data });
    await alice.get('/files', { expect: 501 });
    await alice.post('/conversations', {}, { expect: 201 });
    await server.logged((line) => line.event === 'files.none' && /--files/.test(line.detail), 'the folder');
  });
});
