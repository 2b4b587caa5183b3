// DELETE /me with two servers on one set of tables and one folder of files: one is asked, and the other writes all the while;
// and whichever of them is killed or stopped in the middle. Each test waits most of its time, so they wait at once.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { removeFolder, runCommand, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { addMessages, countRows, createTables, endpoint, rowsOf, tableEnvironment, tableFlags } from './tables.mjs';

const kLines = 'application/x-ndjson';
// A server that was killed is waited for, until its row is over and its claim as well.
const kKilledMs = 240_000;
const now = () => performance.now();
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function encryption(data) {
  const file = join(data, 'master.key');
  writeFileSync(file, (await runCommand(['keys', 'create'])).stdout, { mode: 0o600 });
  const keys = ['--dynamodb-keys-table', `${randomUUID()}-keys`];
  const { code, stderr } = await runCommand(['keys', 'create-table', ...keys, '--dynamodb-endpoint', endpoint], { env: tableEnvironment });
  assert.equal(code, 0, stderr);
  return ['--encryption', 'file', '--master-key-file', file, ...keys];
}

async function twoServers(t, { encrypted }) {
  const tables = await createTables();
  const data = temporaryFolder();  // for one token key
  afterwards(t, () => removeFolder(data));
  const args = [...tableFlags(tables), '--files', join(data, 'files'), '--dynamodb-sweep-interval', '500ms',
                ...(encrypted ? await encryption(data) : [])];
  const servers = [];
  for (let i = 0; i < 2; i += 1) {
    const server = await startServer({ data, env: tableEnvironment, args });
    afterwards(t, () => server.close());
    servers.push(server);
  }
  return { tables, one: servers[0], other: servers[1] };
}

const exportLine = (line) => `${JSON.stringify(line)}\n`;
const importHead = exportLine({ type: 'export', format: 'colloquy', version: 1 });
const importedConversation = (title) =>
  exportLine({ type: 'conversation', conversation_id: randomUUID(), title, created_at: 1700000000, updated_at: 1700000000 })
  + exportLine({ type: 'message', message_id: randomUUID(), role: 'user', content: title, timestamp: 1700000000, active: true });

// A user who does everything at once through one server, and remembers of each thing when it was begun and acknowledged.
class Load {
  constructor(server, client) {
    Object.assign(this, { server, client, things: [], stopped: false, gone: false });
  }
  start() {
    this.work = Promise.all([this.#again('message', (text) => this.#append(text)), this.#again('turn', (text) => this.#turn(text)),
      this.#again('file', (text) => this.#upload(text)), this.#again('import', (text) => this.#import(text))]);
    this.work.catch(() => {});
  }
  async stop() {
    this.stopped = true;
    await this.work;
  }
  async #again(kind, make) {
    while (!this.stopped && !this.gone) {
      const thing = { kind, text: randomUUID(), began: now() };
      try {
        if (await make(thing.text)) this.things.push({ ...thing, acknowledged: now() });
      } catch (error) {
        if (!this.gone || error.name === 'AssertionError') throw error;
      }
      await pause(20);
    }
  }
  async #append(text) {
    const made = await this.client.post('/conversations', { title: text }, { expect: [201, 409, 503] });
    if (made.status !== 201) return false;
    const path = `/conversations/${made.json.conversation_id}/messages`;
    const { status } = await this.client.post(path, { content: text }, { headers: { 'Idempotency-Key': text }, expect: [201, 404, 409, 503] });
    return status === 201;
  }
  async #turn(text) {
    const { status, json } = await this.client.post('/generate', { prompt: text, max_tokens: 2 }, { expect: [200, 404, 409, 503] });
    return status === 200 && json.message.status === 'complete';
  }
  async #upload(text) {
    return (await this.client.call('PUT', `/files/${text}`, { body: text, expect: [201, 409, 503] })).status === 201;
  }
  async #import(text) {
    const body = importHead + importedConversation(text) + exportLine({ type: 'end', conversations: 1, messages: 1 });
    const { status, json } = await this.client.call('POST', '/import', { body, contentType: kLines, expect: [200, 409, 503] });
    return status === 200 && json.at(-1).imported === 1;
  }
  // At least so many of each kind that were begun after a time.
  async made(count, since = 0) {
    const enough = () => ['message', 'turn', 'file', 'import'].every(
      (kind) => this.things.filter((thing) => thing.kind === kind && thing.began >= since).length >= count);
    await Promise.race([until(() => this.stopped || enough(), 'the load to run'), this.work]);
    assert.ok(enough());
  }
}

// Uploads, or imports, without an end of its own; resolves when the server has had enough of it.
function endless(client, method, path, contentType, piece) {
  const url = new URL(path, client.baseUrl);
  return new Promise((resolve) => {
    const request = http.request({ host: url.hostname, port: url.port, method, path: url.pathname, agent: false,
                                   headers: { Authorization: `Bearer ${client.token}`, 'Content-Type': contentType } });
    let timer;
    const end = (status) => { clearInterval(timer); request.destroy(); resolve(status); };
    request.on('response', (response) => { response.resume(); response.on('close', () => end(response.statusCode)); });
    request.on('error', () => end(undefined));
    timer = setInterval(() => { if (!request.destroyed) request.write(piece()); }, 20);
  });
}

async function allOf(client) {
  const texts = new Set();
  const conversations = [];
  let path = '/conversations?limit=200';
  while (path) {
    const page = await client.get(path, { expect: 200 });
    conversations.push(...page.json);
    path = page.link('next');
  }
  for (const { conversation_id: id, title } of conversations) {
    texts.add(title);
    const { json } = await client.get(`/conversations/${id}/messages`, { expect: 200 });
    for (const { content } of json) texts.add(content);
  }
  for (const { path: name } of (await client.get('/files', { expect: 200 })).json) texts.add(name);
  return texts;
}

// What was acknowledged before the erasure began is gone, and what was begun when it had ended is there.
async function check({ clients, tables, loads, began, ended, lost = [] }) {
  for (const client of clients) {
    const there = await allOf(client);
    for (const { kind, text, began: at, acknowledged } of loads.flatMap(({ things }) => things)) {
      if (acknowledged < began) assert.ok(!there.has(text), `a ${kind} of before is there`);
      if (at > ended) assert.ok(there.has(text), `a ${kind} of the new life is not there`);
    }
    for (const text of lost) assert.ok(!there.has(text), 'what was begun before went on after the end');
  }
  const conversations = new Set((await rowsOf(tables.conversations)).map((row) => row.conversation_id.S));
  for (const row of await rowsOf(tables.messages)) {
    if (row.timestamp) assert.ok(conversations.has(row.conversation_id.S), 'a message has no conversation');
  }
}

const erase = (client, user) => client.call('DELETE', '/me', { query: { confirm: user }, expect: [200, 202] });
const isErasing = async (client) => (await client.get('/me', { expect: 200 })).json.erasing;

// So much that it takes a while.
async function fill(client, tables, user) {
  const { conversation_id: id } = await client.createConversation();
  await addMessages(tables, user, id, 2500);
}

describe('two servers, and one user who goes', { concurrency: true }, () => {
  for (const encrypted of [false, true]) {
    test(`the other writes, uploads and imports all the while${encrypted ? ', encrypted' : ''}`, async (t) => {
      const { tables, one, other } = await twoServers(t, { encrypted });
      const [asks, writes] = [await one.client('alice'), await other.client('alice')];
      await fill(asks, tables, 'alice');
      const bob = await other.client('bob');
      const { conversation_id: bobs } = await bob.createConversation({ title: 'his' });
      const load = new Load(other, writes);
      load.start();
      await load.made(3);
      const lost = [randomUUID()];
      let first = importHead;
      const importing = endless(writes, 'POST', '/import', kLines, () => {
        const text = randomUUID();
        lost.push(text);
        const piece = first + importedConversation(text);
        first = '';
        return piece;
      });
      const uploading = endless(writes, 'PUT', `/files/${lost[0]}`, 'text/plain', () => 'x'.repeat(1000));
      await until(async () => (await allOf(asks)).has(lost[3]), 'the import to run');
      const began = now();
      await erase(asks, 'alice');
      await until(async () => !await isErasing(asks), 'the erasure to end');
      const ended = now();
      await Promise.all([importing, uploading]);
      await load.made(3, ended);
      await load.stop();
      await check({ clients: [asks, writes], tables, loads: [load], began, ended, lost });
      assert.equal((await bob.conversation(bobs)).conversation.title, 'his');
      // Nobody waits for those who have left, and no row tells of them.
      await one.stop();
      const quick = now();
      await erase(writes, 'alice');
      await until(async () => !await isErasing(writes), 'the erasure to end');
      assert.ok(now() - quick < 45_000, 'it waited for a server that had stopped in order');
      await other.stop();
      assert.equal(await countRows(tables.messages, 'looking#'), 0);
    });
  }

  // Who is asked ('one') or who writes ('other'), and how it goes.
  for (const [who, how, encrypted] of [['other', 'SIGKILL', true], ['one', 'SIGKILL', false], ['one', 'SIGTERM', true]]) {
    test(`${who === 'one' ? 'the one that was asked' : 'the other'} gets ${how} in the middle${encrypted ? ', encrypted' : ''}`, async (t) => {
      const servers = await twoServers(t, { encrypted });
      const { tables, one, other } = servers;
      await fill(await one.client('alice'), tables, 'alice');
      const loads = [new Load(one, await one.client('alice')), new Load(other, await other.client('alice'))];
      for (const load of loads) load.start();
      for (const load of loads) await load.made(2);
      const leaves = servers[who];
      const stays = leaves === one ? other : one;
      const client = await stays.client('alice');
      const began = now();
      const asked = erase(await one.client('alice'), 'alice').catch(() => undefined);
      await until(async () => await isErasing(client), 'the erasure to begin');
      loads.find(({ server }) => server === leaves).gone = true;
      await leaves.stop(how);
      await asked;
      await until(async () => !await isErasing(client), 'the erasure to end', kKilledMs);
      const ended = now();
      const load = loads.find(({ server }) => server === stays);
      await load.made(2, ended);
      await leaves.start();
      const again = new Load(leaves, await leaves.client('alice'));
      again.start();
      await again.made(2);
      for (const each of [...loads, again]) await each.stop();
      await check({ clients: [client, again.client], tables, loads: [...loads, again], began, ended });
    });
  }
});
