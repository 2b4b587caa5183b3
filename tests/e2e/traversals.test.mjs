// Published lists of path traversals (of Debian's package wfuzz, which ./test unpacks into build/traversals), each string
// sent as it stands and percent-encoded: nothing outside the user's folder is read or made.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { embeddedOnly, removeFolder, startServer, temporaryFolder } from './server.mjs';
import { zipOf } from './zip.mjs';

const kLists = ['vulns/dirTraversal.txt', 'vulns/dirTraversal-nix.txt', 'vulns/dirTraversal-win.txt', 'Injections/Traversal.txt'];
const kFolder = new URL('../../build/traversals/usr/share/wfuzz/wordlist/', import.meta.url);
const kConnections = 16;
const kTargets = ['etc/passwd', 'etc/shadow', 'etc/hosts', 'boot.ini', 'windows/win.ini', 'passwd', 'outside.txt'];

// As latin1, so that each byte stays what it is.
function publishedStrings() {
  const strings = new Set();
  for (const list of kLists) {
    for (const line of readFileSync(new URL(list, kFolder), 'latin1').split(/\r?\n/)) if (line !== '') strings.add(line);
  }
  return [...strings];
}

const encoded = (line) => line.replace(/[^A-Za-z0-9]/g, (one) => `%${one.charCodeAt(0).toString(16).padStart(2, '0')}`);

const decoded = (path) => Buffer.from(path.replace(/%([0-9a-f]{2})/gi, (_, byte) => String.fromCharCode(parseInt(byte, 16))),
                                      'latin1').toString();

// Raw requests one after the other over a connection, which is made anew where the server has ended it.
class Sender {
  constructor(baseUrl) {
    this.url = new URL(baseUrl);
    this.text = '';
  }

  // { status, head, body }, as latin1.
  async send(head, body = '') {
    if (this.socket?.over) this.close();
    this.socket ??= this.#connect();
    const { socket } = this;
    socket.write(`${head}${body}`, 'latin1');
    for (;;) {
      const answer = this.#take();
      if (answer) {
        if (/^connection: *close/im.test(answer.head)) this.close();
        return answer;
      }
      assert.ok(this.socket === socket && !socket.over, `no whole answer: ${JSON.stringify(head)} ${this.text.slice(0, 300)}`);
      await new Promise((resolve) => { this.heard = resolve; });
    }
  }

  close() {
    this.socket?.destroy();
    this.socket = undefined;
    this.text = '';
  }

  #connect() {
    const socket = net.connect(Number(this.url.port), this.url.hostname);
    const tell = () => this.heard?.();
    socket.setEncoding('latin1').setNoDelay(true);
    socket.on('data', (text) => { if (this.socket === socket) this.text += text; tell(); });
    socket.on('error', () => {});
    socket.on('close', () => { socket.over = true; tell(); });
    return socket;
  }

  #take() {
    const end = this.text.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const head = this.text.slice(0, end);
    const status = Number(head.split(' ', 2)[1]);
    const length = Number(head.match(/^content-length: *(\d+)/im)?.[1] ?? 0);
    assert.doesNotMatch(head, /^transfer-encoding/im);
    if (this.text.length < end + 4 + length) return undefined;
    const body = this.text.slice(end + 4, end + 4 + length);
    this.text = this.text.slice(end + 4 + length);
    return { status, head, body };
  }
}

// The names and texts of all files below, but in what the server itself changes.
function filesBelow(folder, leaveOut) {
  const found = {};
  const look = (at) => {
    if (leaveOut.includes(at)) return;
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) look(path);
      else if (entry.isFile()) found[relative(folder, path)] = readFileSync(path, 'latin1');
    }
  };
  look(folder);
  return found;
}

// A server with users of whom alice and bob have a file, and what the strings are after above and beside the users' folders, at
// each level.
async function surrounded(t) {
  const strings = publishedStrings();
  assert.ok(strings.length > 1500, `only ${strings.length} strings`);
  const top = temporaryFolder();
  afterwards(t, () => removeFolder(top));
  const data = join(top, 'one', 'two', 'data');
  const files = join(data, 'files');
  const secret = `outside-${randomBytes(12).toString('hex')}`;
  for (const level of [files, data, join(top, 'one', 'two'), join(top, 'one'), top]) {
    for (const target of kTargets) {
      mkdirSync(join(level, target, '..'), { recursive: true });
      writeFileSync(join(level, target), secret);
    }
  }
  const server = await startServer({ data, args: ['--files', files, '--log-level', 'error'] });
  afterwards(t, () => server.close());
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((user) => server.client(user)));
  const authorization = (client) => `Host: here\r\nAuthorization: Bearer ${client.token}\r\n`;
  const first = new Sender(server.baseUrl);
  for (const [client, path] of [[alice, 'kept.txt'], [bob, 'etc/passwd']]) {
    const made = await first.send(`PUT /files/${path} HTTP/1.1\r\n${authorization(client)}Content-Length: ${secret.length}\r\n\r\n`,
                                  client === bob ? secret : 'x'.repeat(secret.length));
    assert.equal(made.status, 201);
  }
  first.close();
  const changing = [join(files, 'alice'), join(files, 'carol'), join(files, '.colloquy-uploads'), join(data, 'store'), join(data, 'search')];
  const before = filesBelow(top, changing);
  const key = readFileSync(join(data, 'token.key'), 'latin1').trim();
  // Throws for an answer with something in it that is not the caller's.
  const check = (answer, asked) => {
    const said = `${asked} -> ${answer.status} ${answer.body.slice(0, 300)}`;
    assert.ok(answer.status < 500, said);
    assert.ok(!answer.body.includes(secret) && !answer.body.includes(key) && !/root:.*:0:/.test(answer.body), said);
    return said;
  };
  const assertNothingElse = () => assert.deepEqual(filesBelow(top, changing), before);
  return { strings, files, secret, server, alice, carol, authorization, check, assertNothingElse };
}

// Does it for each, over several connections.
async function eachOf(items, server, act) {
  const left = items.values();
  const work = async () => {
    const sender = new Sender(server.baseUrl);
    for (const item of left) await act(sender, item);
    sender.close();
  };
  await Promise.all(Array.from({ length: kConnections }, work));
}

test('no published traversal reads or makes anything outside the user\'s folder', embeddedOnly('files are the same with tables'), async (t) => {
  const { strings, files, secret, server, alice, authorization, check, assertNothingElse } = await surrounded(t);
  const paths = new Set(strings.flatMap((line) => [
    `/files/${line}`, `/files/${encoded(line)}`,
    ...(line.startsWith('/') ? [`/files${line}`] : []),
  ]));
  const made = new Set();
  const there = new Set();  // 412
  const statuses = {};
  await eachOf([...paths].flatMap((path) => ['GET', 'PUT'].map((method) => [method, path])), server, async (sender, [method, path]) => {
    // So that a file of this machine which is found after all is not written over, but answered 412.
    const head = method === 'PUT' ? 'If-None-Match: *\r\nContent-Length: 8\r\n' : '';
    const answer = await sender.send(`${method} ${path} HTTP/1.1\r\n${authorization(alice)}${head}\r\n`, head && 'intruder');
    const said = check(answer, `${method} ${JSON.stringify(path)}`);
    statuses[`${method} ${answer.status}`] = (statuses[`${method} ${answer.status}`] ?? 0) + 1;
    if (method !== 'PUT') return;
    assert.ok(answer.status === 201 || answer.status >= 400, said);
    if (answer.status === 201) made.add(decoded(answer.head.match(/^location: *\/files\/(\S+)/im)[1]));
    if (answer.status === 412) there.add(decoded(path.slice('/files/'.length).split('?')[0]));
  });
  t.diagnostic(JSON.stringify({ strings: strings.length, ...statuses }));

  assertNothingElse();
  // What was answered 201 is in the user's own folder, whatever it is called, and nothing else is.
  const { 'kept.txt': kept, ...own } = filesBelow(join(files, 'alice'), []);
  assert.equal(kept, 'x'.repeat(secret.length));
  assert.deepEqual(Object.keys(own).sort(), [...made].sort());
  for (const path of there) assert.ok(Object.hasOwn(own, path), `another file stood at ${path}`);
  for (const [path, text] of Object.entries(own)) assert.equal(text, 'intruder', path);
});

test('nor does one that is attached, listed by, or a name in an archive', embeddedOnly('files are the same with tables'), async (t) => {
  const { strings, files, server, alice, carol, authorization, check, assertNothingElse } = await surrounded(t);
  const { conversation_id: id } = await alice.createConversation();
  const post = (path, client, type, body) => `POST ${path} HTTP/1.1\r\n${authorization(client)}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`;
  await eachOf(strings, server, async (sender, line) => {
    const body = Buffer.from(JSON.stringify({ content: 'x', attachments: [{ path: line }] })).toString('latin1');
    const attached = await sender.send(post(`/conversations/${id}/messages`, alice, 'application/json', body), body);
    const said = check(attached, `attached ${JSON.stringify(line)}`);
    assert.equal(attached.status, 422, said);
    assert.match(attached.body, /attachments\[0\]\.path/, said);
    for (const prefix of [line, encoded(line)]) {
      const listed = await sender.send(`GET /files?prefix=${prefix} HTTP/1.1\r\n${authorization(alice)}\r\n`);
      const answer = check(listed, `the list of ${JSON.stringify(prefix)}`);
      // A `&` or `#` in the middle of one ends the prefix.
      if (listed.status === 200) assert.ok(JSON.parse(listed.body).every(({ path }) => path === 'kept.txt'), answer);
      else assert.ok([400, 422].includes(listed.status), answer);
    }
  });
  assert.equal((await alice.conversation(id)).messages.length, 0);

  const imported = new Set();
  const kPiece = 100;
  const pieces = Array.from({ length: Math.ceil(strings.length / kPiece) }, (_, i) => strings.slice(i * kPiece, (i + 1) * kPiece));
  const sender = new Sender(server.baseUrl);
  for (const piece of pieces) {
    const names = [...new Set(piece.flatMap((line) => [`files/${line}`, line]))];
    const lines = ['{"type":"export","format":"colloquy","version":1}', '{"type":"end","conversations":0,"messages":0}'].join('\n');
    const body = zipOf([...names.map((name) => [name, 'intruder']), ['export.jsonl', lines]]).toString('latin1');
    const answer = await sender.send(post('/import', carol, 'application/zip', body), body);
    const said = check(answer, 'an archive');
    assert.equal(answer.status, 200, said);
    for (const one of Buffer.from(answer.body, 'latin1').toString().trim().split('\n').map((text) => JSON.parse(text))) {
      if (one.type === 'file' && one.status === 'imported') imported.add(one.path);
    }
  }
  sender.close();
  t.diagnostic(`${imported.size} names were made`);
  assertNothingElse();
  const own = filesBelow(join(files, 'carol'), []);
  assert.deepEqual(Object.keys(own).sort(), [...imported].sort());
  for (const [path, text] of Object.entries(own)) assert.equal(text, 'intruder', path);
});
