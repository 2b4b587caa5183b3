// Any second can be had back as it was, while several clients write at once: each operation of which a client had the answer by
// then is in it whole, none that was begun later is, and what was under way is whole or not there.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { followPages } from './client.mjs';
import { embeddedOnly, removeFolder, runCommand, startServer, temporaryFolder } from './server.mjs';
import { until } from './wait.mjs';

const kUsers = ['alice', 'bob'];
const kWriters = 6;
const kSeconds = 4;
const kText = 'some words of it '.repeat(40);

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Operations by when they were begun and when their answer was there, in milliseconds of the clock that the server has too.
const isDone = (operation, at) => operation.ended <= at;
const isBegun = (operation, at) => operation.begun <= at;
const isUnderWay = (operation, at) => isBegun(operation, at) && !isDone(operation, at);

// Of one conversation or message. In it, absent from it, or either.
function placeOf({ made, deleted }, at) {
  if (!isBegun(made, at) || (deleted && isDone(deleted, at))) return 'absent';
  return isDone(made, at) && !(deleted && isBegun(deleted, at)) ? 'there' : 'either';
}

// What several writers have done, by the answers that they had.
class Log {
  constructor() {
    this.conversations = new Map();  // id: { user, made, deleted, titles: [{ title, …times }], messages: Map of { content, made, deleted } }
    this.operations = [];
  }

  // Notes the times of what `act` does; undefined where it found nothing to do it to.
  async timed(act) {
    const operation = { begun: Date.now(), ended: Infinity };
    const result = await act();
    operation.ended = Date.now();
    if (result.status === 404) return undefined;
    this.operations.push(operation);
    return { operation, json: result.json };
  }

  async create(client, user, title) {
    const { operation, json } = await this.timed(() => client.post('/conversations', { title }, { expect: 201 }));
    this.conversations.set(json.conversation_id, { user, made: operation, titles: [{ ...operation, title }], messages: new Map() });
  }
  async append(client, id, content) {
    const done = await this.timed(() => client.post(`/conversations/${id}/messages`, { content }, { expect: [201, 404] }));
    if (done) this.conversations.get(id).messages.set(done.json.message_id, { content, made: done.operation });
  }
  async rename(client, id, title) {
    const done = await this.timed(() => client.patch(`/conversations/${id}`, { title }, { expect: [200, 404] }));
    if (done) this.conversations.get(id).titles.push({ ...done.operation, title });
  }
  async removeMessage(client, id, message) {
    const done = await this.timed(() => client.delete(`/conversations/${id}/messages/${message}`, { expect: [204, 404] }));
    if (done) this.conversations.get(id).messages.get(message).deleted = done.operation;
  }
  async remove(client, id) {
    const done = await this.timed(() => client.delete(`/conversations/${id}`, { expect: [204, 404] }));
    if (done) this.conversations.get(id).deleted = done.operation;
  }

  // Throws for what a restore of that moment has that it must not have, or the other way round.
  compare(restored, at) {
    for (const id of restored.keys()) assert.ok(this.conversations.has(id), `${id} was never acknowledged`);
    for (const [id, noted] of this.conversations) {
      const found = restored.get(id);
      const place = placeOf(noted, at);
      if (place === 'there') assert.ok(found, `${id} is lost`);
      if (place === 'absent') assert.ok(!found, `${id} is there`);
      if (found) this.compareOne(noted, found, at);
    }
  }
  compareOne({ user, titles, messages }, found, at) {
    assert.equal(found.user, user);
    const { title, message_count: count } = found.conversation;
    const given = titles.find((one) => one.title === title);
    assert.ok(given && isBegun(given, at), `the title ${title}`);
    const later = titles.find((one) => one.begun > given.ended && isDone(one, at));
    assert.ok(!later, `the title ${title} in the place of ${later?.title}`);
    assert.equal(count, found.messages.length);
    const there = new Map(found.messages.map((message) => [message.message_id, message]));
    for (const id of there.keys()) assert.ok(messages.has(id), `message ${id} was never acknowledged`);
    for (const [id, { content, ...noted }] of messages) {
      const place = placeOf(noted, at);
      if (place === 'there') assert.ok(there.has(id), `message ${id} is lost`);
      if (place === 'absent') assert.ok(!there.has(id), `message ${id} is there`);
      assert.equal(there.get(id)?.content ?? content, content);
    }
    let begun = 0;
    for (const id of there.keys()) {
      const { made } = messages.get(id);
      assert.ok(made.ended >= begun, `message ${id} is behind one that was begun when it was there`);
      begun = Math.max(begun, made.begun);
    }
  }
}

async function write(server, log, number, ends) {
  const clients = Object.fromEntries(await Promise.all(kUsers.map(async (user) => [user, await server.client(user)])));
  for (let step = 0; Date.now() < ends; step += 1) {
    const user = kUsers[(number + step) % kUsers.length];
    const client = clients[user];
    const name = `${number}-${step}`;
    const own = [...log.conversations].filter(([, one]) => one.user === user && !one.deleted);
    const [id, one] = own[(number * 7 + step * 3) % Math.max(own.length, 1)] ?? [];
    const message = [...one?.messages ?? []].find(([, { deleted }]) => !deleted)?.[0];
    const kind = own.length < 4 ? 0 : step % 9;
    if (kind === 0) await log.create(client, user, `title ${name}`);
    else if (kind === 4 && own.length > 8) await log.remove(client, id);
    else if (kind === 2 || kind === 7) await log.rename(client, id, `renamed ${name}`);
    else if (kind === 5 && message) await log.removeMessage(client, id, message);
    else await log.append(client, id, `${name} ${kText}`);
    await pause(number);
  }
}

async function held(server) {
  const all = new Map();
  for (const user of kUsers) {
    const client = await server.client(user);
    for (const { conversation_id: id } of (await followPages(client, '/conversations?limit=50', 'next')).flat()) {
      const { conversation } = await client.conversation(id);
      const messages = (await followPages(client, `/conversations/${id}/messages?limit=200`, 'prev')).reverse().flat();
      all.set(id, { user, conversation, messages });
    }
  }
  return all;
}

// Whole seconds, and the milliseconds in which most was under way.
function momentsOf(log, began) {
  const seconds = Array.from({ length: kSeconds - 1 }, (_, i) => (Math.ceil(began / 1000) + i) * 1000);
  const busy = [...new Set(log.operations.map(({ begun }) => begun))]
    .map((at) => ({ at, count: log.operations.filter((one) => isUnderWay(one, at)).length }))
    .sort((a, b) => b.count - a.count);
  assert.ok(busy[0].count > 1, 'the writers did not write at once');
  return [...seconds, ...busy.slice(0, 2).map(({ at }) => at)];
}

test('restores at several seconds of concurrent writes have what was acknowledged', embeddedOnly('tables have their own'), async (t) => {
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  const target = join(folder, 'backup');
  mkdirSync(target);
  const server = await startServer({ args: ['--backup-to', target, '--backup-every', '100ms'] });
  afterwards(t, () => server.close());
  const log = new Log();
  const began = Date.now();
  const ends = (Math.ceil(began / 1000) + kSeconds - 1) * 1000;
  const writing = Promise.all(Array.from({ length: kWriters }, (_, number) => write(server, log, number, ends)));
  // Bases in the middle of it.
  for (let i = 0; i < 2; i += 1) {
    await pause(700);
    const made = await runCommand(['backup', '--data', server.data, '--to', target]);
    assert.equal(made.code, 0, made.stderr);
  }
  await writing;
  const written = Date.now();
  await until(async () => {
    const text = await (await fetch(`${server.adminUrl}/metrics`)).text();
    return Number(text.match(/^colloquy_backup_age_seconds (\S+)$/m)[1]) * 1000 < Date.now() - written;
  }, 'what was written to be shipped');
  log.compare(await held(server), Infinity);
  const moments = momentsOf(log, began);
  t.diagnostic(`${log.operations.length} operations; under way: ${moments.map((at) => log.operations.filter((one) => isUnderWay(one, at)).length)}`);
  for (const at of moments) {
    const data = join(folder, `restored-${at}`);
    const moment = new Date(at).toISOString();
    const { code, stdout, stderr } = await runCommand(['restore', '--from', target, '--at', moment, '--data', data]);
    assert.equal(code, 0, stderr + stdout);
    const restored = await startServer({ data });
    try {
      log.compare(await held(restored), at);
    } finally {
      await restored.close();
    }
  }
});
