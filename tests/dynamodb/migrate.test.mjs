// Moves conversations between the stores and compares what the API answers before and after.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { followPages } from '../e2e/client.mjs';
import { scripts, startFakeUpstream } from '../e2e/fake_upstream.mjs';
import { binary, cleanEnvironment, runCommand, startServer, temporaryFolder } from '../e2e/server.mjs';
import { callTables, createTables, endpoint, rowsOf, tableEnvironment, tableFlags } from './tables.mjs';

const kUsers = ['alice', 'bob', 'Größe/用户', 'carol'];
const kConversations = Number(process.env.COLLOQUY_MIGRATE_CONVERSATIONS ?? 240);
const kLong = 'ä…'.repeat(90_000);  // 450,000 bytes: more than an item may have

const place = (tables, kind = 'dynamodb') => `${kind}:${tables.conversations},${tables.messages}`;
const places = (from, to, progress) => ['migrate', '--from', from, '--to', to, '--progress', progress,
  ...([from, to].every((side) => side.startsWith('rocksdb:')) ? [] : ['--dynamodb-endpoint', endpoint])];

async function migrate(from, to, progress = join(temporaryFolder(), 'progress')) {
  return runCommand(places(from, to, progress), { env: tableEnvironment });
}

async function migrated(from, to, progress) {
  const result = await migrate(from, to, progress);
  assert.equal(result.code, 0, result.stderr);
  const [, source, target] = result.stdout.match(/^from: (.*)\nto: {3}(.*)\n$/);
  assert.equal(source, target);
  return { ...result, counts: source };
}

// Everything that the API says of these users' conversations.
async function snapshot(server, users = kUsers) {
  const all = {};
  for (const user of users) {
    const client = await server.client(user);
    const lists = await followPages(client, '/conversations?limit=200', 'next');
    all[user] = [];
    for (const listed of lists.flat()) {
      const path = `/conversations/${listed.conversation_id}`;
      const { etag, json } = await client.get(path, { expect: 200 });
      const pages = (await followPages(client, `${path}/messages?limit=200`, 'prev')).reverse();
      all[user].push({ listed, etag, conversation: json.conversation, messages: pages.flat() });
    }
  }
  return all;
}

const messagesOf = (all) => Object.values(all).flat().reduce((sum, { messages }) => sum + messages.length, 0);

// Of every kind that the API can make.
async function fill(client, number) {
  const made = await client.createConversation({
    title: number % 5 === 0 ? undefined : `Number ${number} \u0000\ud83d\ude80`,
    ...(number % 4 === 0 ? { metadata: { app: 'test', empty: '', 'ключ': 'ü'.repeat(number) } } : {}),
    ...(number % 6 === 0 ? { system_prompt: 'Be brief. '.repeat(number * 3) } : {}),
    ...(number % 7 === 0 ? { ttl_seconds: 86_400 + number } : {}),
  });
  const id = made.conversation_id;
  for (let i = 0; i < number % 6; i += 1) {
    await client.append(id, `message ${i} of ${number} "\\ \n`, i === 2 ? { metadata: { i: `${i}` }, client_message_id: `c-${i}` } : {});
  }
  if (number % 9 === 0) await client.generate(id, `What is ${number}?`);
  if (number % 10 === 0) await client.patch(`/conversations/${id}`, { pinned: true, archived: number % 20 === 0 }, { contentType: 'application/merge-patch+json', expect: 200 });
  if (number % 11 === 0) {
    const deleted = await client.append(id, 'to be deleted');
    await client.delete(`/conversations/${id}/messages/${deleted.message_id}`, { expect: 204 });
  }
  if (number % 50 === 3) await client.append(id, `${number}${kLong}`);
  if (number % 40 === 1) await client.delete(`/conversations/${id}`, { expect: 204 });
}

// A server's data folder with conversations of every kind, and what its API says of them.
async function makeData() {
  const data = temporaryFolder();
  const upstream = await startFakeUpstream();
  const server = await startServer({ data, args: upstream.flags });
  try {
    const clients = await Promise.all(kUsers.map((user) => server.client(user)));
    const work = clients.map(async (client, which) => {
      for (let number = which; number < kConversations; number += clients.length) await fill(client, number);
    });
    await Promise.all(work);
    const long = await clients[0].createConversation({ title: 'long' });
    await Promise.all(Array.from({ length: 1_200 }, (_, i) => clients[0].append(long.conversation_id, `${i} ${'x'.repeat(i % 900)}`)));
    // An answer whose server dies.
    upstream.queue.push(scripts.stall(['half an ans']));
    const stream = await clients[1].stream('/generate', { prompt: 'Are you there?', stream: true });
    await stream.next();
  } finally {
    await server.kill();
    await upstream.close();
  }
  const all = await servedFrom(data);
  const interrupted = all.bob.flatMap(({ messages }) => messages).filter(({ status }) => status === 'interrupted');
  assert.equal(interrupted.length, 1);
  return { data, all };
}

async function servedFrom(data, args = [], users = kUsers) {
  const server = await startServer({ data, args, env: tableEnvironment });
  try {
    return await snapshot(server, users);
  } finally {
    await server.stop();
  }
}

let made;
before(async () => { made = await makeData(); });

const copyOf = (data) => {
  const copy = temporaryFolder();
  cpSync(data, copy, { recursive: true });
  return copy;
};

describe('colloquy migrate', () => {
  test('to the tables and back again: the API answers the same', async () => {
    const tables = await createTables();
    const { counts } = await migrated(`rocksdb:${made.data}`, place(tables));
    const conversations = Object.values(made.all).flat().length;
    assert.match(counts, new RegExp(`^${conversations} conversations, ${messagesOf(made.all)} messages, \\d{7} bytes of content, checksum [0-9a-f]{16}$`));
    assert.deepEqual(await servedFrom(copyOf(made.data), tableFlags(tables)), made.all);

    const back = join(temporaryFolder(), 'data');
    const again = await migrated(place(tables), `rocksdb:${back}`);
    assert.equal(again.counts, counts);
    assert.deepEqual(await servedFrom(back), made.all);

    // Between two folders, too.
    const third = temporaryFolder();
    await migrated(`rocksdb:${back}`, `rocksdb:${third}`);
    assert.deepEqual(await servedFrom(third), made.all);
  });

  test('a store that was moved into takes writes, and counts right', async () => {
    const data = temporaryFolder();
    const progress = join(data, 'progress');
    await migrated(`rocksdb:${made.data}`, `rocksdb:${data}`, progress);
    assert.ok(!existsSync(progress), 'the progress file is gone when it is done');
    const server = await startServer({ data });
    try {
      const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text();
      assert.equal(Number(metrics.match(/^colloquy_store_messages (\d+)$/m)?.[1]), messagesOf(made.all), metrics.match(/.*messages.*/g)?.join('\n'));
      const client = await server.client('alice');
      const [first] = made.all.alice.filter(({ messages }) => messages.length > 0);
      const id = first.conversation.conversation_id;
      const added = await client.append(id, 'after the move');
      const { conversation, messages } = await client.conversation(id);
      assert.equal(messages.at(-1).message_id, added.message_id);
      assert.ok(added.message_id > first.messages.at(-1).message_id);
      assert.equal(conversation.message_count, first.conversation.message_count + 1);
    } finally {
      await server.close();
    }
  });

  test('a second run changes nothing', async () => {
    const tables = await createTables();
    const first = await migrated(`rocksdb:${made.data}`, place(tables));
    const rows = await scan(tables.messages);
    const second = await migrated(`rocksdb:${made.data}`, place(tables));
    assert.equal(second.counts, first.counts);
    assert.deepEqual(await scan(tables.messages), rows);
  });

  for (const direction of ['into the tables', 'into a folder']) {
    test(`killed again and again ${direction}, it goes on and doubles nothing`, async () => {
      const tables = await createTables();
      const folder = temporaryFolder();
      const from = direction === 'into the tables' ? `rocksdb:${made.data}` : place(tables);
      const to = direction === 'into the tables' ? place(tables) : `rocksdb:${folder}`;
      if (direction !== 'into the tables') await migrated(`rocksdb:${made.data}`, place(tables));
      const progress = join(temporaryFolder(), 'progress');
      let kills = 0;
      let wentOn = 0;
      for (let patienceMs = 50; ; patienceMs += 25) {
        const how = await killedAfter(from, to, progress, Math.random() * patienceMs);
        if (how.stderr.includes('going on where the last run ended')) wentOn += 1;
        if (how.signal === 'SIGKILL') {
          kills += 1;
          continue;
        }
        assert.equal(how.code, 0, how.stderr);
        break;
      }
      assert.ok(kills >= 3, `killed ${kills} times only`);
      assert.ok(wentOn >= 1);
      const all = direction === 'into the tables' ? await servedFrom(copyOf(made.data), tableFlags(tables)) : await servedFrom(folder);
      assert.deepEqual(all, made.all);
    });
  }

  test('a difference is an error that names it', async () => {
    const tables = await createTables();
    await migrated(`rocksdb:${made.data}`, place(tables));
    const { conversation, messages } = made.all.carol.find(({ messages: some }) => some.length > 1);
    await callTables('UpdateItem', {
      TableName: tables.messages, Key: { conversation_id: { S: conversation.conversation_id }, message_id: { S: messages[1].message_id } },
      UpdateExpression: 'SET content = :c', ExpressionAttributeValues: { ':c': { S: 'forged' } } });
    const { code, stderr } = await migrate(`rocksdb:${made.data}`, place(tables));
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`the message ${messages[1].message_id} of the conversation ${conversation.conversation_id} of carol differs in the target`));
  });
});

async function killedAfter(from, to, progress, ms) {
  const child = spawn(binary, places(from, to, progress), { env: cleanEnvironment(tableEnvironment), stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  const [code, signal] = await new Promise((resolve) => { child.on('close', (...how) => resolve(how)); });
  clearTimeout(timer);
  return { code, signal, stderr };
}

async function scan(table) {
  return (await rowsOf(table)).map((row) => JSON.stringify(Object.entries(row).sort())).sort();
}

const put = (table, item) => callTables('PutItem', { TableName: table, Item: item });

async function putAll(table, items) {
  for (let at = 0; at < items.length; at += 25) {
    const RequestItems = { [table]: items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } })) };
    const { UnprocessedItems } = await callTables('BatchWriteItem', { RequestItems });
    assert.deepEqual(UnprocessedItems, {});
  }
}

// Rows as the source system writes them: ids are random, times are seconds.
function sourceConversation(user, createdAt, messageCount) {
  const id = randomUUID();
  const conversation = { user_id: { S: user }, conversation_id: { S: id }, title: { S: `made at ${createdAt}` },
                         created_at: { N: `${createdAt}` }, updated_at: { N: `${createdAt + messageCount}` }, message_count: { N: '0' } };
  const messages = Array.from({ length: messageCount }, (_, i) => ({
    conversation_id: { S: id }, message_id: { S: randomUUID() }, role: { S: i % 2 === 0 ? 'user' : 'assistant' },
    // A prompt and its answer within the same second.
    content: { S: `${i}: ${'y'.repeat(messageCount > 500 ? 1_500 : 5)}` }, timestamp: { N: `${createdAt + (i - (i % 2))}` }, user_id: { S: user } }));
  return { conversation, messages };
}

describe('the source system\'s tables', () => {
  let tables;
  let rows;
  before(async () => {
    tables = await createTables();
    rows = [];
    for (let i = 0; i < 60; i += 1) rows.push(sourceConversation(i % 3 === 0 ? 'dora' : 'emil', 1_600_000_000 + ((i * 7_919) % 60) * 1000, i % 8));
    rows.push(sourceConversation('dora', 1_650_000_000, 2_500));
    await putAll(tables.conversations, rows.map(({ conversation }) => conversation));
    await putAll(tables.messages, rows.flatMap(({ messages }) => messages));
  });

  const expected = (user) => rows.filter(({ conversation }) => conversation.user_id.S === user)
    .sort((a, b) => Number(b.conversation.created_at.N) - Number(a.conversation.created_at.N));

  for (const target of ['rocksdb', 'dynamodb']) {
    test(`come out in the order of time in ${target}, and are served`, async () => {
      const data = temporaryFolder();
      const made = await createTables();
      const to = target === 'rocksdb' ? `rocksdb:${data}` : place(made);
      const first = await migrated(place(tables, 'source'), to);
      const second = await migrated(place(tables, 'source'), to);
      assert.equal(second.counts, first.counts);
      const all = await servedFrom(data, target === 'rocksdb' ? [] : tableFlags(made), ['dora', 'emil']);
      for (const user of ['dora', 'emil']) {
        const wanted = expected(user);
        assert.deepEqual(all[user].map(({ listed }) => [listed.title, listed.created_at, listed.updated_at, listed.message_count]),
                         wanted.map(({ conversation: c, messages }) => [c.title.S, Number(c.created_at.N), Number(c.updated_at.N), messages.length]));
        for (const [i, { messages }] of all[user].entries()) {
          assert.deepEqual(messages.map((m) => [m.role, m.content, m.timestamp]),
                           wanted[i].messages.map((m) => [m.role.S, m.content.S, Number(m.timestamp.N)]));
          const ids = messages.map((m) => m.message_id);
          assert.deepEqual(ids, [...new Set(ids)].sort());
          assert.ok(ids.every((id) => id[14] === '7'));
        }
      }
    });
  }

  test('get the same ids wherever they are moved to', async () => {
    const digest = async (data) => createHash('sha256').update(JSON.stringify(await servedFrom(data, [], ['dora', 'emil']))).digest('hex');
    const folders = [temporaryFolder(), temporaryFolder()];
    for (const folder of folders) await migrated(place(tables, 'source'), `rocksdb:${folder}`);
    assert.equal(await digest(folders[0]), await digest(folders[1]));
  });

  test('as --from dynamodb: they are refused, and source: is named', async () => {
    const { code, stderr } = await migrate(place(tables), `rocksdb:${temporaryFolder()}`);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`${tables.conversations} has ids that are not in the order of time.*--from source:${tables.conversations}`));
  });

  test('a row that cannot be moved is named', async () => {
    const bad = await createTables();
    const { conversation, messages } = sourceConversation('dora', 1_600_000_000, 3);
    messages[1].role = { S: 'bot' };
    await put(bad.conversations, conversation);
    await putAll(bad.messages, messages);
    const { code, stderr } = await migrate(place(bad, 'source'), `rocksdb:${temporaryFolder()}`);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`The message ${messages[1].message_id.S} of the conversation ${conversation.conversation_id.S} in ${bad.messages} cannot be moved: its role`));
  });
});

describe('what cannot be moved is refused by name', () => {
  const refused = async (args, pattern) => {
    const { code, stderr } = await runCommand(['migrate', ...args], { env: tableEnvironment });
    assert.equal(code, 1, stderr);
    assert.match(stderr, pattern);
  };
  const nowhere = () => ['--progress', join(temporaryFolder(), 'progress')];

  test('a folder that a server has open', async () => {
    const server = await startServer();
    try {
      await refused(['--from', `rocksdb:${server.data}`, '--to', `rocksdb:${temporaryFolder()}`, ...nowhere()], /Another process has the store open.*store/);
      await refused(['--from', `rocksdb:${made.data}`, '--to', `rocksdb:${server.data}`, ...nowhere()], /Another process has the store open.*store/);
    } finally {
      await server.close();
    }
  });

  test('a folder without a store, and tables that are not there', async () => {
    const empty = temporaryFolder();
    await refused(['--from', `rocksdb:${empty}`, '--to', `rocksdb:${temporaryFolder()}`, ...nowhere()], new RegExp(`There is no store in ${empty}/store`));
    assert.ok(!existsSync(join(empty, 'store')), 'nothing was made');
    const tables = await createTables();
    const missing = ['--dynamodb-endpoint', endpoint, ...nowhere()];
    await refused(['--from', `rocksdb:${made.data}`, '--to', `dynamodb:${tables.conversations},nope`, ...missing], /The table nope is not there/);
    await refused(['--from', 'source:nope-a,nope-b', '--to', place(tables), ...missing], /The table nope-a is not there/);
    await refused(['--from', `dynamodb:${tables.messages},${tables.conversations}`, '--to', `rocksdb:${temporaryFolder()}`, ...missing], /has other keys than user_id and conversation_id/);
  });

  test('arguments that say nothing, or too much', async () => {
    await refused([], /--from is needed/);
    await refused(['--from', 'rocksdb:a'], /--to is needed/);
    await refused(['--from', 'a', '--to', 'rocksdb:b'], /--from "a" must begin with rocksdb:, dynamodb: or source:/);
    await refused(['--from', 'source:', '--to', 'rocksdb:b'], /--from "source:" must name two tables/);
    await refused(['--from', 'dynamodb:a b,ccc', '--to', 'rocksdb:b'], /--from "dynamodb:a b,ccc" must be 3 to 255/);
    await refused(['--from', 'rocksdb:a', '--to', 'source:aaa,bbb'], /--to cannot be source/);
    await refused(['--from', 'dynamodb:', '--to', 'dynamodb:', '--dynamodb-endpoint', endpoint], /--from and --to are the same store/);
    await refused(['--from', `rocksdb:${made.data}`, '--to', `rocksdb:${made.data}/.`, ...nowhere()], /are the same store/);
    await refused(['--from', 'rocksdb:a', '--to', 'rocksdb:b', '--dynamodb-region', 'x'], /--dynamodb-region has no effect/);
    await refused(['--form', 'rocksdb:a'], /--form is not a setting/);
  });

  test('the progress file of another move, and what is none', async () => {
    const file = join(temporaryFolder(), 'progress');
    writeFileSync(file, 'a shopping list\n');
    const args = ['--from', `rocksdb:${made.data}`, '--to', `rocksdb:${temporaryFolder()}`, '--progress', file];
    await refused(args, new RegExp(`The progress file ${file} is not one of this program's`));
    assert.equal(readFileSync(file, 'utf8'), 'a shopping list\n');
  });
});
