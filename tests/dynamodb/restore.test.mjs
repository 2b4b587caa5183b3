// `colloquy restore --store dynamodb`, against a stand-in for what DynamoDB Local lacks of point-in-time recovery.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { binary, cleanEnvironment, runCommand, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { startRecoveryStandIn } from './recovery_stand_in.mjs';
import { callTables, countRows, createTables, encryptionFlags, endpoint, rowsOf, tableEnvironment, tableFlags, tablesCommand } from './tables.mjs';

const page = readFileSync(new URL('../../docs/dynamodb.md', import.meta.url), 'utf8');
const moment = (at) => new Date(at * 1000).toISOString().replace('.000', '');
let standIn;
let number = 0;

before(async () => { standIn = await startRecoveryStandIn(); });
after(() => standIn.close());

function arguments_(tables, at, suffix, more = []) {
  return ['restore', '--store', 'dynamodb', '--at', moment(at), '--suffix', suffix, '--dynamodb-endpoint', standIn.url, ...tables.flags, ...more];
}
const restore = (tables, at, suffix, more) => runCommand(arguments_(tables, at, suffix, more), { env: tableEnvironment });
const newSuffix = () => `-restored-${++number}`;

// The names of the new tables, and flags for them.
function restoredTables(tables, suffix) {
  const names = { conversations: tables.conversations + suffix, messages: tables.messages + suffix };
  return { ...names, flags: ['--dynamodb-conversations-table', names.conversations, '--dynamodb-messages-table', names.messages] };
}

// Begins with the window that reaches up to now, since a test does not wait five minutes.
function reachable(tables) {
  standIn.enable(tables.conversations, tables.messages);
  for (const table of [tables.conversations, tables.messages]) standIn.recovery.get(table).latest = Math.floor(Date.now() / 1000) + 3600;
}
const arnOf = async (table) => (await callTables('DescribeTable', { TableName: table })).Table.TableArn;

async function allMessages(client, id) {
  const { json } = await client.get(`/conversations/${id}/messages`, { query: { limit: 100 }, expect: 200 });
  return (json.messages ?? json).map(({ message_id, role, content }) => ({ message_id, role, content }));
}

// Two users' conversations, of whom one is erased after the second that is restored, while the other's are changed.
async function lived() {
  const tables = await createTables();
  const server = await startServer({ args: tableFlags(tables), env: tableEnvironment });
  const alice = await server.client('alice');
  const bob = await server.client('bob');
  const { conversation_id: id } = await alice.createConversation({ title: 'Then' });
  const { conversation_id: deleted } = await alice.createConversation({ title: 'Deleted later' });
  await alice.append(id, 'what was said');
  await alice.append(id, 'a long text '.repeat(50_000));
  await alice.append(deleted, 'still there');
  const bobs = [];
  for (let i = 0; i < 3; ++i) {
    const { json } = await bob.post('/conversations', { title: `Bob ${i}` }, { headers: { 'Idempotency-Key': `bob-${i}` }, expect: 201 });
    await bob.append(json.conversation_id, 'of bob');
    await bob.append(json.conversation_id, 'a long text of bob '.repeat(30_000));
    bobs.push(json.conversation_id);
  }
  const then = await allMessages(alice, id);
  const at = await standIn.snapshot(tables.conversations, tables.messages);
  await alice.append(id, 'said later');
  await alice.delete(`/conversations/${deleted}`, { expect: 204 });
  await bob.delete('/me', { query: { confirm: 'bob' } });
  await until(async () => (await bob.get('/me', { expect: 200 })).json.erasing === false, 'bob to be erased');
  reachable(tables);
  return { tables, server, at, id, deleted, bobs, then };
}

async function assertRestored({ id, deleted, bobs, then }, restored, alsoAlive) {
  const server = await startServer({ args: tableFlags(restored), env: tableEnvironment });
  try {
    const alice = await server.client('alice');
    const bob = await server.client('bob');
    assert.deepEqual(await allMessages(alice, id), then);
    assert.equal((await allMessages(alice, deleted)).length, 1);
    assert.deepEqual((await bob.get('/conversations', { expect: 200 })).json, []);
    for (const his of bobs) {
      assert.equal(await countRows(restored.messages, his), 0, 'a message of an erased user');
      assert.equal((await bob.get(`/conversations/${his}`)).status, 404);
    }
    if (alsoAlive) await alsoAlive(server);
  } finally {
    await server.close();
  }
}

async function assertSetUp(restored) {
  for (const table of [restored.conversations, restored.messages]) {
    const { TimeToLiveDescription } = await callTables('DescribeTimeToLive', { TableName: table });
    assert.deepEqual(TimeToLiveDescription, { TimeToLiveStatus: 'ENABLED', AttributeName: 'ttl' });
    assert.ok(standIn.recovery.has(table), 'recovery is off');
  }
  const { code, stdout } = await tablesCommand('check', restored.flags, { at: standIn.url });
  assert.equal(code, 0, stdout);
}

describe('colloquy restore --store dynamodb', () => {
  let life;
  before(async () => { life = await lived(); });
  after(() => life.server.close());

  test('makes new tables as the old were at a second, without who was erased since, and sets them up', async () => {
    const { tables, at } = life;
    const arn = await arnOf(tables.messages);
    const tags = [{ Key: 'team', Value: 'chat' }, { Key: 'aws:stack', Value: 'x' }, { Key: 'cost', Value: '7' }];
    standIn.tags.set(arn, tags);
    standIn.recovery.get(tables.messages).days = 7;
    await callTables('UpdateTable', { TableName: tables.conversations, DeletionProtectionEnabled: true });
    const suffix = newSuffix();
    standIn.calls = [];
    const { code, stdout, stderr } = await restore(tables, at, suffix);
    assert.equal(code, 0, stderr);
    const used = new Set(standIn.calls.flatMap(({ operation, tables: names, target }) =>
      [...names, ...(target ? [target] : [])].map((name) => `${operation} ${name}`)));
    const restored = restoredTables(tables, suffix);
    assert.match(stdout, /^conversations: 2$/m);
    assert.match(stdout, /^left out: +3 of erased users$/m);
    assert.ok(stdout.includes(`--dynamodb-conversations-table ${restored.conversations}`), stdout);
    await assertSetUp(restored);
    assert.deepEqual(standIn.tags.get(await arnOf(restored.messages)), [tags[0], tags[2]]);
    assert.equal(standIn.recovery.get(restored.messages).days, 7);
    const { Table } = await callTables('DescribeTable', { TableName: restored.conversations });
    assert.equal(Table.DeletionProtectionEnabled, true);
    await assertRestored(life, restored, async (server) => {
      // The list goes along, for the next restore.
      const listed = await (await fetch(`${server.adminUrl}/erased`)).text();
      assert.ok(listed.includes(createHash('sha256').update('bob').digest('hex')), listed);
      assert.ok(!server.logs().some(({ event }) => event === 'tables.unusual'), server.stderr);
    });
    // The page's policy allows what was done, and nothing else but what the service does for itself.
    const { Statement } = JSON.parse(page.slice(page.indexOf('What `colloquy restore --store dynamodb` needs')).match(/```json\n([^]*?)```/)[1]);
    const allowed = new Set(Statement.flatMap(({ Action, Resource }) => Action.flatMap((action) => Resource.map((resource) => {
      const name = resource.match(/table\/(.*)$/)[1];
      const base = name.startsWith('conversations') ? tables.conversations : tables.messages;
      return `${action.replace('dynamodb:', '')} ${base}${name.endsWith('-restored') ? suffix : ''}`;
    }))));
    assert.deepEqual([...used].filter((use) => !allowed.has(use)), [], 'it needs what the policy does not allow');
    const ofTheService = new Set(['BatchWriteItem', 'DeleteItem', 'GetItem', 'PutItem', 'Query', 'Scan', 'UpdateItem']);
    // Where classes differ, or a table has no conversations that are renewed.
    const sometimes = new Set(['UpdateTable', 'TagResource']);
    const unused = [...allowed].filter((use) => !used.has(use)).map((use) => use.split(' '))
      .filter(([action, name]) => !sometimes.has(action) && !(ofTheService.has(action) && name.endsWith(suffix)));
    assert.deepEqual(unused, [], 'the policy allows what is never used');
    const again = await restore(tables, at, suffix);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /has ended before: nothing was changed/);
    await callTables('UpdateTable', { TableName: tables.conversations, DeletionProtectionEnabled: false });
  });

  test('refuses a second that is not to be had, naming the bounds, and begins nothing', async () => {
    const { tables } = life;
    const now = Math.floor(Date.now() / 1000);
    const bounds = { earliest: now - 1000, latest: now - 300, days: 35 };
    for (const table of [tables.conversations, tables.messages]) standIn.recovery.set(table, { ...bounds });
    standIn.recovery.get(tables.messages).earliest = now - 900;
    standIn.calls = [];
    for (const at of [now - 950, now - 299, now + 60]) {
      const { code, stderr } = await restore(tables, at, newSuffix());
      assert.equal(code, 1);
      assert.ok(stderr.includes(`${moment(at)} cannot be restored: the service has ${moment(now - 900)} to ${moment(now - 300)} (never the last five minutes`), stderr);
    }
    standIn.recovery.delete(tables.messages);
    const off = await restore(tables, now - 400, newSuffix());
    assert.match(off.stderr, new RegExp(`Point-in-time recovery of the table ${tables.messages} is off`));
    assert.equal(standIn.count('RestoreTableToPointInTime'), 0);
    reachable(tables);
  });

  test('says where the service has no point-in-time recovery', async () => {
    const flags = [...life.tables.flags, '--dynamodb-endpoint', endpoint];
    const { code, stderr } = await runCommand(['restore', '--store', 'dynamodb', '--at', moment(life.at), '--suffix', newSuffix(), ...flags], { env: tableEnvironment });
    assert.equal(code, 1);
    assert.match(stderr, /This service has no point-in-time recovery, as DynamoDB Local has none/);
  });

  test('refuses new tables that are there and not of this restore', async () => {
    const { tables, at } = life;
    const suffix = newSuffix();
    const other = restoredTables(tables, suffix);
    await tablesCommand('create', other.flags);
    standIn.calls = [];
    const { code, stderr } = await restore(tables, at, suffix);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`The table ${other.conversations} is there already, and was not made by a restore`));
    assert.equal(standIn.count('RestoreTableToPointInTime'), 0);
    const second = newSuffix();
    assert.equal((await restore(tables, at, second)).code, 0);
    const another = await restore(tables, at + 1, second);
    assert.equal(another.code, 1);
    assert.match(another.stderr, new RegExp(`is there already, and is .* as of ${moment(at)}`));
  });

  test('wants what it needs, and refuses what has no effect', async () => {
    const { flags } = life.tables;
    const say = async (...args) => (await runCommand(['restore', '--store', 'dynamodb', ...flags, ...args], { env: tableEnvironment })).stderr;
    assert.match(await say('--suffix', '-new'), /--at is needed/);
    assert.match(await say('--at', '2026-11-22T10:15:00Z'), /--suffix or --prefix is needed/);
    assert.match(await say('--at', '2026-11-22T10:15:00.5Z', '--suffix', '-new'), /is no whole second/);
    assert.match(await say('--at', '2026-11-22T10:15:00Z', '--suffix', '-n w'), /the new table's name .* must be/);
    assert.match(await say('--at', '2026-11-22T10:15:00Z', '--suffix', '-new', '--from', 'x'), /--from has no effect with --store dynamodb/);
    const { stderr } = await runCommand(['restore', '--from', 'x', '--data', 'y', '--suffix', '-new']);
    assert.match(stderr, /--suffix has no effect without --store dynamodb/);
  });

  test('goes on after throttling, of every call that it makes', async () => {
    const { tables, at } = life;
    standIn.calls = [];
    assert.equal((await restore(tables, at, newSuffix())).code, 0);
    for (const operation of new Set(standIn.calls.map((call) => call.operation))) standIn.refuse(operation, 'ThrottlingException', 2);
    standIn.refuse('RestoreTableToPointInTime', 'LimitExceededException');
    const suffix = newSuffix();
    const { code, stderr } = await restore(tables, at, suffix);
    assert.equal(code, 0, stderr);
    assert.deepEqual(standIn.refusals, []);
    await assertRestored(life, restoredTables(tables, suffix));
  });

  test('waits no longer than it is told, says that the service goes on, and goes on waiting', async () => {
    const { tables, at } = life;
    const suffix = newSuffix();
    standIn.ready = false;
    standIn.calls = [];
    try {
      for (let i = 0; i < 2; ++i) {
        const { code, stderr } = await restore(tables, at, suffix, ['--wait', '1s']);
        assert.equal(code, 1);
        assert.match(stderr, /its restore \(CREATING, 0 min\) is not done in the time given .*run the same command again/);
      }
    } finally {
      standIn.ready = true;
    }
    assert.equal((await restore(tables, at, suffix)).code, 0);
    assert.equal(standIn.count('RestoreTableToPointInTime'), 2);
    await assertRestored(life, restoredTables(tables, suffix));
  });

  test('says when the service has given a restore up', async () => {
    const { tables, at } = life;
    const suffix = newSuffix();
    const { messages } = restoredTables(tables, suffix);
    standIn.ready = false;
    const ended = restore(tables, at, suffix);
    await until(() => standIn.restored.has(messages), 'the restore to begin');
    await until(() => standIn.calls.at(-1)?.operation === 'DescribeTable', 'it to wait');
    standIn.gone = [restoredTables(tables, suffix).conversations];
    const { code, stderr } = await ended;
    standIn.ready = true;
    standIn.gone = [];
    assert.equal(code, 1);
    assert.match(stderr, /The service has given up the restore of/);
  });

  test('is repeated after SIGKILL at any of its calls, and no server begins on what is not done', async (t) => {
    const { tables, at } = life;
    let unfinished = 0;
    let ended = false;
    const began = Date.now();
    let calls = 0;
    for (let k = 1; !ended; k += 1) {
      const suffix = newSuffix();
      const child = spawn(binary, arguments_(tables, at, suffix), { env: cleanEnvironment(tableEnvironment), stdio: 'ignore' });
      standIn.calls = [];
      standIn.kill = { at: k, process: child };
      const [, signal] = await once(child, 'exit');
      standIn.kill = undefined;
      ended = signal !== 'SIGKILL';
      const restored = restoredTables(tables, suffix);
      // The call at which it was killed was not carried out.
      if (!ended && standIn.calls.slice(0, -1).some(({ operation, tables: [name] }) => operation === 'PutItem' && name === restored.messages) && unfinished++ < 3) {
        const refused = await runCommand(['serve', '--data', temporaryFolder(), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', ...tableFlags(restored)],
                                         { env: tableEnvironment });
        assert.match(refused.stderr, /its restore has not ended: run colloquy restore again/);
      }
      const { code, stdout, stderr } = await restore(tables, at, suffix);
      assert.equal(code, 0, `killed at call ${k}: ${stderr}`);
      assert.match(stdout, /^conversations: 2$|ended before/m);
      for (const his of life.bobs) assert.equal(await countRows(restored.messages, his), 0, `killed at call ${k}`);
      await assertSetUp(restored);
      calls = k - 1;
    }
    t.diagnostic(`${calls} calls, ${Date.now() - began} ms`);
    assert.ok(unfinished > 1);
  });

  test('leaves out who is named in a file, and who is erased while it goes on', async () => {
    const { tables, at } = life;
    const name = createHash('sha256').update('alice').digest('hex');
    const file = join(temporaryFolder(), 'erased');
    writeFileSync(file, `${name} ${at * 1000 + 1}\n`);
    const suffix = newSuffix();
    const { code, stdout, stderr } = await restore(tables, at, suffix, ['--erased', file]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^conversations: 0$/m);
    assert.equal(await countRows(restoredTables(tables, suffix).messages, life.id), 0);
  });
});

describe('encrypted tables', () => {
  test('come back encrypted: their mark comes along, and the keys that there are now open what they have', async () => {
    const tables = await createTables();
    const data = temporaryFolder();
    const flags = await encryptionFlags(data);
    const server = await startServer({ args: [...tableFlags(tables), ...flags], env: tableEnvironment });
    const ids = {};
    for (const user of ['alice', 'bob']) {
      const client = await server.client(user);
      ids[user] = (await client.generate(undefined, `clandestine of ${user}`)).conversation_id;
    }
    const alice = await server.client('alice');
    const then = await allMessages(alice, ids.alice);
    const at = await standIn.snapshot(tables.conversations, tables.messages);
    await alice.append(ids.alice, 'said later');
    const bob = await server.client('bob');
    await bob.delete('/me', { query: { confirm: 'bob' } });
    await until(async () => (await bob.get('/me', { expect: 200 })).json.erasing === false, 'bob to be erased');
    await server.close();
    reachable(tables);
    const suffix = newSuffix();
    const { code, stdout, stderr } = await restore(tables, at, suffix);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^left out: +1 of erased users$/m);
    const restored = restoredTables(tables, suffix);
    const rows = [...await rowsOf(restored.conversations), ...await rowsOf(restored.messages)];
    assert.ok(!JSON.stringify(rows).includes('clandestine'));
    await assert.rejects(startServer({ args: tableFlags(restored), env: tableEnvironment }), /encrypted with the keyring .*it needs --encryption/);
    const other = await encryptionFlags(temporaryFolder());
    await assert.rejects(startServer({ args: [...tableFlags(restored), ...other], env: tableEnvironment }), /was encrypted with the keyring/);
    const there = await startServer({ args: [...tableFlags(restored), ...flags], env: tableEnvironment });
    try {
      assert.deepEqual(await allMessages(await there.client('alice'), ids.alice), then);
      assert.deepEqual((await (await there.client('bob')).get('/conversations', { expect: 200 })).json, []);
    } finally {
      await there.close();
    }
  });
});

describe('what has expired since', () => {
  for (const [what, flags, made] of [['by its own time to live', [], { ttl_seconds: 5 }], ['by the retention of the servers', ['--retention', '5s'], {}]]) {
    test(`${what} is hidden, or kept where that is asked for`, async () => {
      const tables = await createTables();
      const server = await startServer({ args: [...tableFlags(tables), ...flags], env: tableEnvironment });
      const alice = await server.client('alice');
      const { conversation_id: id } = await alice.createConversation({ title: 'Short', ...made });
      await alice.append(id, 'soon gone');
      const at = await standIn.snapshot(tables.conversations, tables.messages);
      await until(async () => (await alice.get(`/conversations/${id}`)).status === 404, 'it to expire');
      await server.close();
      reachable(tables);
      for (const keep of [false, true]) {
        const suffix = newSuffix();
        const { code, stdout, stderr } = await restore(tables, at, suffix, keep ? ['--keep-expired'] : []);
        assert.equal(code, 0, stderr);
        if (keep) assert.match(stdout, /^kept: +1 that/m);
        const restored = restoredTables(tables, suffix);
        const there = await startServer({ args: [...tableFlags(restored), ...flags], env: tableEnvironment });
        const client = await there.client('alice');
        const { status, json } = await client.get(`/conversations/${id}`);
        assert.equal(status, keep ? 200 : 404);
        if (keep) {
          assert.ok((json.conversation ?? json).expires_at > Date.now() / 1000 + 9 * 365 * 86_400);
          assert.equal((await allMessages(client, id)).length, 1);
          const { Items } = await callTables('Scan', { TableName: restored.messages });
          const ours = Items.filter(({ conversation_id: { S } }) => S === id);
          assert.ok(ours.length > 0 && ours.every(({ ttl }) => Number(ttl.N) > Date.now() / 1000 + 9 * 365 * 86_400));
        }
        await there.close();
      }
    });
  }
});
