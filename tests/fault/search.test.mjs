// What the index of search must survive: SIGKILL while it is fed and made, its files gone or damaged while they are used.
import assert from 'node:assert/strict';
import { closeSync, existsSync, fstatSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { startServer } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';

const kRounds = Number(process.env.COLLOQUY_CRASH_ROUNDS ?? 12);
const kWriters = 6;

// A number as a word of letters, of which none is the beginning of another.
const word = (number) => `w${String(number).split('').map((digit) => 'abcdefghij'[digit]).join('')}z`;

async function pages(client, q) {
  const found = [];
  let complete = true;
  let path = `/search?q=${encodeURIComponent(q)}&limit=50`;
  while (path) {
    const answer = await client.get(path, { expect: 200 });
    found.push(...answer.json.results);
    complete &&= answer.json.complete;
    path = answer.link('next');
  }
  return { found, complete };
}

// Until exactly these messages are found; by then the index is whole.
async function holds(client, q, ids, what) {
  let seen;
  await until(async () => {
    seen = await pages(client, q);
    return seen.complete && seen.found.length === ids.size;
  }, what, 60_000).catch((error) => assert.fail(`${error.message}: ${seen.found.length} of ${ids.size}, complete: ${seen.complete}`));
  assert.deepEqual(new Set(seen.found.map((hit) => hit.message_id)), ids, what);
}

const indexFiles = (server) => {
  const folder = join(server.data, 'search');
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('index-')).map((name) => join(folder, name)) : [];
};

function damage(path) {
  const file = openSync(path, 'r+');
  const { size } = fstatSync(file);
  for (let at = 24; at < size; at += 61) writeSync(file, Buffer.from([0x5a]), 0, 1, at);
  closeSync(file);
}

describe('the index of search', () => {
  test(`SIGKILL ${kRounds} times while it is fed: everything acknowledged is found, nothing twice`, async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    const kept = new Set();
    let number = 0;
    for (let round = 0; round < kRounds; round += 1) {
      const client = await server.client('alice');
      let killed = false;
      const writers = Array.from({ length: kWriters }, async () => {
        const { conversation_id: id } = await client.createConversation({ title: 'a writer' });
        const mine = [];
        for (let i = 0; !killed; i += 1) {
          const message = await client.append(id, `heron ${word(number += 1)}`);
          kept.add(message.message_id);
          mine.push(message.message_id);
          if (i % 9 !== 8) continue;
          const gone = mine.shift();
          kept.delete(gone);  // what has no answer may be there or not: it is looked at below
          await client.delete(`/conversations/${id}/messages/${gone}`, { expect: 204 });
        }
      });
      const ended = Promise.allSettled(writers);
      const target = kept.size + kWriters * 3 + Math.floor(Math.random() * 150);
      let over = false;
      ended.then(() => { over = true; });
      await until(() => over || kept.size >= target, 'the writers to write');
      assert.ok(!over, 'the writers do not end by themselves');
      killed = true;
      await server.kill();
      // A call in flight may never hear of it.
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2000))]);
      await server.start();
    }
    const client = await server.client('alice');
    // What was sent and not answered before the kill may be there as well; the store says.
    const there = new Set();
    let path = '/conversations?limit=200';
    while (path) {
      const answer = await client.get(path, { expect: 200 });
      for (const { conversation_id: id } of answer.json) {
        for (const message of (await client.conversation(id)).messages) there.add(message.message_id);
      }
      path = answer.link('next');
    }
    for (const id of kept) assert.ok(there.has(id), 'an acknowledged message is missing in the store');
    await holds(client, 'heron', there, 'all that the store has to be found');
  });

  test('SIGKILL while it is made anew: it is taken up again', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    let client = await server.client('alice');
    const ids = new Set();
    for (let i = 0; i < 40; i += 1) {
      const { conversation_id: id } = await client.createConversation({ title: `conversation ${i}` });
      for (let j = 0; j < 5; j += 1) ids.add((await client.append(id, `an egret ${'and so on '.repeat(200)} ${word(i * 5 + j)}`)).message_id);
    }
    for (let round = 0; round < 5; round += 1) {
      await server.kill();
      if (round === 0) rmSync(join(server.data, 'search'), { recursive: true, force: true });
      await server.start();
      await fetch(`${server.adminUrl}/search/rebuild`, { method: 'POST' });
      await new Promise((resolve) => setTimeout(resolve, round * 15));
    }
    client = await server.client('alice');
    await holds(client, 'egret', ids, 'everything to be found');
    await until(() => indexFiles(server).filter((name) => name.endsWith('.db')).length === 1, 'one index to be left');
  });

  test('its folder deleted, its files damaged, while they are used: it serves on and makes it anew', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    let client = await server.client('alice');
    const { conversation_id: id } = await client.createConversation({ title: 'birds' });
    const ids = new Set();
    const write = async (count) => {
      for (let i = 0; i < count; i += 1) ids.add((await client.append(id, `a bittern ${word(ids.size)} ${'reeds '.repeat(50)}`)).message_id);
    };
    await write(300);
    await holds(client, 'bittern', ids, 'all to be found');
    rmSync(join(server.data, 'search'), { recursive: true });
    await write(10);
    await holds(client, 'bittern', ids, 'all to be found after the folder was deleted');
    for (const file of indexFiles(server)) if (existsSync(file)) damage(file);
    await write(10);
    for (let i = 0; i < 20; i += 1) await client.get('/search', { query: { q: `bittern ${word(i)}` }, expect: 200 });
    await server.restart();
    client = await server.client('alice');
    for (const file of indexFiles(server)) if (existsSync(file)) damage(file);
    await server.restart();
    client = await server.client('alice');
    await write(10);
    await holds(client, 'bittern', ids, 'all to be found after the files were damaged');
    await server.logged(({ event }) => event === 'search.index_damaged' || event === 'search.index_unusable', 'the damage');
  });

  test('switched off and on again: what was written meanwhile is found', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    let client = await server.client('alice');
    const { conversation_id: id } = await client.createConversation({ title: 'birds' });
    const ids = new Set([(await client.append(id, 'a plover')).message_id]);
    await holds(client, 'plover', ids, 'the first');
    await server.restart({ args: ['--search', 'off'] });
    client = await server.client('alice');
    await client.get('/search', { query: { q: 'plover' }, expect: 404 });
    assert.ok(!existsSync(join(server.data, 'search')), 'no index is left');
    ids.add((await client.append(id, 'another plover')).message_id);
    await server.restart();
    client = await server.client('alice');
    await holds(client, 'plover', ids, 'both');
  });
});
