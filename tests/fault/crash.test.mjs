// Kills the server under load, again and again, and looks for every message that it acknowledged.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { followPages } from '../e2e/client.mjs';
import { scripts, startFakeUpstream } from '../e2e/fake_upstream.mjs';
import { startServer } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';

const kRounds = Number(process.env.COLLOQUY_CRASH_ROUNDS ?? 12);
const kWriters = 8;

// One client that writes into one conversation, a message at a time, and sends again under the same key what got no answer.
class Writer {
  constructor(number) {
    this.number = number;
    this.acknowledged = [];  // { id, content } in the order of writing
    this.pending = undefined;
  }
  async begin(client) {
    this.conversationId ??= (await client.createConversation({ title: `writer ${this.number}` })).conversation_id;
  }
  async write(client) {
    this.pending ??= { key: randomUUID(), content: `${this.number}:${this.acknowledged.length} ${'ü'.repeat((this.acknowledged.length * 37) % 500)}` };
    const { json } = await client.post(`/conversations/${this.conversationId}/messages`, { content: this.pending.content },
                                       { headers: { 'Idempotency-Key': this.pending.key }, expect: 201 });
    assert.equal(json.content, this.pending.content);
    this.acknowledged.push({ id: json.message_id, content: json.content });
    this.pending = undefined;
  }
  async check(client, round) {
    const { conversation, messages } = await client.conversation(this.conversationId);
    const found = messages.map((message) => ({ id: message.message_id, content: message.content }));
    const known = found.slice(0, this.acknowledged.length);
    assert.deepEqual(known, this.acknowledged, `round ${round}: an acknowledged message is missing, changed or out of order`);
    // At most the one that got no answer may stand behind them.
    assert.ok(found.length <= this.acknowledged.length + 1, `round ${round}: ${found.length - known.length} too many`);
    if (found.length > known.length) assert.equal(found.at(-1).content, this.pending?.content);
    assert.equal(conversation.message_count, messages.length, `round ${round}: the count is wrong`);
  }
}

describe('SIGKILL', () => {
  test(`under load, ${kRounds} times: nothing acknowledged is lost, nothing is there twice`, async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    const writers = Array.from({ length: kWriters }, (_, i) => new Writer(i));
    for (let round = 0; round < kRounds; round += 1) {
      const client = await server.client('alice');
      for (const writer of writers) {
        await writer.begin(client);
        await writer.check(client, round);
      }
      let killed = false;
      const written = () => writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0);
      const target = written() + kWriters * 3 + Math.floor(Math.random() * 150);
      const work = writers.map(async (writer) => {
        while (!killed) {
          try {
            await writer.write(client);
          } catch (error) {
            if (!killed || error.name === 'AssertionError' || error.name === 'ContractViolation') throw error;
          }
        }
      });
      const failure = Promise.all(work).then(() => undefined, (error) => error);
      let failed;
      failure.then((error) => { failed = error; });
      await until(() => failed || written() >= target, 'the writers to write');
      killed = true;
      await server.kill();
      const error = await failure;
      if (error) throw error;
      await server.start();
    }
    const client = await server.client('alice');
    for (const writer of writers) {
      await writer.check(client, kRounds);
      if (writer.pending) await writer.write(client);
      await writer.check(client, kRounds);
    }
    const listed = (await followPages(client, '/conversations?limit=3', 'next')).flat();
    assert.deepEqual(listed.map((one) => one.conversation_id).sort(), writers.map((writer) => writer.conversationId).sort());
  });

  test('in the middle of answers: the prompts are there, the answers show as interrupted, a retry does not ask again', async (t) => {
    const upstream = await startFakeUpstream();
    afterwards(t, () => upstream.close());
    const server = await startServer({ args: upstream.flags });
    afterwards(t, () => server.close());
    let alice = await server.client('alice');
    const { conversation_id: id } = await alice.createConversation();
    upstream.otherwise = scripts.stall(['some ', 'words']);
    const key = { 'Idempotency-Key': randomUUID() };
    const query = { conversation_id: id };
    const starts = [];
    for (let i = 0; i < 3; i += 1) {
      const headers = i === 0 ? key : {};
      const stream = await alice.stream('/generate', { prompt: `prompt ${i}`, stream: true }, { query, headers });
      starts.push((await stream.next()).data);
      await stream.next();
      stream.collect().catch(() => {});
    }
    await server.kill();
    await server.start();
    alice = await server.client('alice');
    const { conversation, messages } = await alice.conversation(id);
    assert.equal(conversation.message_count, 6);
    for (const [i, start] of starts.entries()) {
      const at = messages.findIndex((message) => message.message_id === start.user_message_id);
      assert.equal(messages[at].content, `prompt ${i}`);
      const answer = messages.find((message) => message.message_id === start.message_id);
      assert.equal(answer.status, 'interrupted');
    }
    const calls = upstream.calls.length;
    const again = await alice.stream('/generate', { prompt: 'prompt 0', stream: true }, { query, headers: key });
    const events = await again.collect();
    assert.equal(events[0].data.message_id, starts[0].message_id);
    assert.equal(upstream.calls.length, calls, 'the model was called again');
    assert.equal((await alice.conversation(id)).messages.length, 6);

    upstream.otherwise = scripts.say('whole again');
    assert.equal((await alice.generate(id, 'go on')).generated_text, 'whole again');
    await alice.delete(`/conversations/${id}/messages/${starts[1].message_id}`, { expect: 204 });
  });

  test('right after deletions: what was deleted stays away', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    let alice = await server.client('alice');
    const made = await Promise.all(Array.from({ length: 10 }, () => alice.createConversation()));
    for (const { conversation_id: id } of made) await Promise.all(Array.from({ length: 20 }, (_, i) => alice.append(id, `m${i}`)));
    const [gone, kept] = [made.slice(0, 7), made.slice(7)];
    await Promise.all(gone.map(({ conversation_id: id }) => alice.delete(`/conversations/${id}`, { expect: 204 })));
    await server.kill();
    await server.start();
    alice = await server.client('alice');
    for (const { conversation_id: id } of gone) await alice.get(`/conversations/${id}`, { expect: 404 });
    for (const { conversation_id: id } of kept) assert.equal((await alice.conversation(id)).messages.length, 20);
    assert.equal((await alice.get('/conversations', { expect: 200 })).json.length, 3);
  });

  test('while it starts: the next start is as good as any', async (t) => {
    const server = await startServer();
    afterwards(t, () => server.close());
    const made = await (await server.client('alice')).createConversation();
    for (let i = 0; i < 5; i += 1) {
      await server.kill();
      await server.start();
    }
    assert.deepEqual((await (await server.client('alice')).get('/conversations', { expect: 200 })).json, [made]);
  });
});
