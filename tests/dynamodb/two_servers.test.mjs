// Two servers on the same tables, and one of them is killed.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { removeFolder, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { addMessages, countRows, createTables, hasRows, tableEnvironment, tableFlags } from './tables.mjs';

const kUsers = ['alice', 'bob', 'carol'];
const kWritesBeforeTheKill = 40;
const kWritesInAll = 120;

async function twoServers(t) {
  const tables = await createTables();
  const data = temporaryFolder();  // for one token key
  afterwards(t, () => removeFolder(data));
  const options = { data, env: tableEnvironment,
                    args: [...tableFlags(tables), '--dynamodb-sweep-interval', '500ms', '--log-level', 'warning'] };
  const one = await startServer(options);
  afterwards(t, () => one.close());
  const other = await startServer(options);
  afterwards(t, () => other.close());
  return { tables, one, other };
}

const found = async (client, id) => (await client.get(`/conversations/${id}`, { expect: 200 })).json;
const ids = (messages) => messages.map((message) => message.message_id);

// What a user is sure of: all that was acknowledged, by content.
class Writer {
  constructor(user, conversation) {
    Object.assign(this, { user, conversation, acknowledged: new Map(), unsure: [] });
  }
  async write(client, turn) {
    const text = randomUUID();
    const headers = { 'Idempotency-Key': text };
    this.unsure.push(text);
    if (turn) {
      const { json } = await client.post('/generate', { prompt: text, max_tokens: 2 },
                                         { query: { conversation_id: this.conversation }, headers, expect: 200 });
      this.acknowledged.set(json.user_message.message_id, text).set(json.message.message_id, json.generated_text);
    } else {
      const { json } = await client.post(`/conversations/${this.conversation}/messages`, { content: text }, { headers, expect: 201 });
      this.acknowledged.set(json.message_id, text);
    }
  }
  check({ conversation, messages }) {
    const there = new Map(messages.map((message) => [message.message_id, message.content]));
    for (const [id, content] of this.acknowledged) assert.equal(there.get(id), content, `${this.user}: ${id}`);
    assert.deepEqual(ids(messages), ids(messages).toSorted(), 'the ids ascend');
    assert.equal(new Set(ids(messages)).size, messages.length);
    for (const text of this.unsure) assert.ok(messages.filter(({ content }) => content === text).length <= 1, 'there twice');
    // A turn that the killed server ran is counted when its lease is over.
    const running = messages.filter(({ status }) => status === 'running').length;
    assert.equal(conversation.message_count, messages.length - 2 * running);
  }
}

test('one is killed under load: nothing acknowledged is lost, and the other does not notice', async (t) => {
  const { one, other } = await twoServers(t);
  const writers = [];
  for (const user of kUsers) {
    const client = await other.client(user);
    await one.token(user);
    writers.push(new Writer(user, (await client.createConversation()).conversation_id));
  }
  const written = { one: 0, other: 0 };
  let killed = false;
  const loadOf = (server, name) => writers.flatMap((writer) => [false, true].map(async (turn) => {
    while (written.other < kWritesInAll) {
      const client = await server.client(writer.user);
      try {
        await writer.write(client, turn);
        written[name] += 1;
      } catch (error) {
        // The killed one's connections break, and while it is away it is not there.
        if (name === 'other' || !killed || error.name === 'AssertionError') throw error;
        await until(() => server.child, 'the killed server to come back');
      }
    }
  }));
  const load = Promise.all([...loadOf(one, 'one'), ...loadOf(other, 'other')]);
  load.catch(() => {});
  await until(() => written.one >= kWritesBeforeTheKill, 'the load to run');
  killed = true;
  await one.kill();
  await one.start();
  await load;
  assert.ok(written.one > kWritesBeforeTheKill, 'the restarted server serves');
  for (const writer of writers) {
    const [a, b] = [await one.client(writer.user), await other.client(writer.user)];
    await found(a, writer.conversation);  // mends the count
    const [seenByOne, seenByOther] = [await found(a, writer.conversation), await found(b, writer.conversation)];
    assert.deepEqual(seenByOne, seenByOther);
    writer.check(seenByOther);
  }
  assert.deepEqual(other.logs().filter(({ level }) => level === 'error' || level === 'warning'), []);
});

// DynamoDB Local erases some 500 rows a second: 100,000 take it longer than ./test may.
const kLong = Number(process.env.COLLOQUY_TEST_LONG_CONVERSATION ?? 10_000);

test('the server that deletes a long conversation is killed: it is gone at once, and the other one finishes', async (t) => {
  const { tables, one, other } = await twoServers(t);
  const client = await one.client('alice');
  const { conversation_id: id } = await client.createConversation();
  await addMessages(tables, 'alice', id, kLong);
  await client.delete(`/conversations/${id}`, { expect: 204 });
  assert.ok(await hasRows(tables.messages, id), 'it waited until all was gone');
  await until(async () => await countRows(tables.messages, id) < kLong, 'the purge to begin');
  await one.kill();
  assert.ok(await hasRows(tables.messages, id), 'nothing was left for the other');
  const survivor = await other.client('alice');
  await survivor.get(`/conversations/${id}`, { expect: 404 });
  assert.deepEqual((await survivor.get('/conversations', { expect: 200 })).json, []);
  await until(async () => !await hasRows(tables.messages, id), 'the other server to finish the purge', 120_000 + 10 * kLong);
});
