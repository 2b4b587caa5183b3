// A client is cut off at every event of a turn, and somebody goes on, or nobody: what is saved is whole, and the same for all.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { startCluster } from './cluster.mjs';
import { scripts } from './fake_upstream.mjs';
import { onDynamoDb } from './server.mjs';
import { gate, until } from './wait.mjs';

const kPieces = ['ü', 'nd ', '🚂', ' so'];
const kWhole = kPieces.join('');
const kEvents = kPieces.length + 2;  // start and done
const textOf = (events) => events.filter(({ name }) => name === 'token').map(({ data }) => data.text).join('');
const openAll = (gates) => gates.forEach((one) => one.open());

describe('a turn whose client is cut off', () => {
  let here;
  let elsewhere;  // another server on the same tables; the same one on the embedded store
  let upstream;
  startCluster((made) => { ({ upstream, clients: [here, elsewhere] } = made); });

  // Runs a turn, cuts its client off after `events` events, and returns what the client had.
  async function cutAfter(events) {
    const gates = kPieces.map(() => gate());
    upstream.next(scripts.stepwise(gates, kPieces));
    const calls = upstream.calls.length;
    const { conversation_id: id } = await here.createConversation();
    const abort = new AbortController();
    const stream = await here.stream('/generate', { prompt: 'Hello', stream: true },
                                     { query: { conversation_id: id }, signal: abort.signal });
    await until(() => upstream.calls.length > calls, 'the model to be called');
    let had;
    for (let seen = 0; seen < events; seen += 1) {
      if (seen >= 1 && seen <= kPieces.length) gates[seen - 1].open();
      const event = await stream.next();
      if (event.name === 'start') had = '';
      if (event.name === 'token') had += event.data.text;
    }
    abort.abort();
    const message = (await here.conversation(id)).messages.at(-1).message_id;
    return { gates, id, message, had, ended: events === kEvents };
  }

  const modes = {
    'the client resumes here': ({ id, message, had }) => here.follow(id, message, { had }),
    'the client resumes on another server': ({ id, message, had }) => elsewhere.follow(id, message, { had }),
    'another device follows from the start': ({ id, message }) => elsewhere.follow(id, message),
    'nobody follows': () => undefined,
  };
  for (const [name, follow] of Object.entries(modes)) {
    test(`${name}, cut at every event`, async () => {
      for (let events = 0; events <= kEvents; events += 1) {
        const turn = await cutAfter(events);
        const resumes = name.startsWith('the client');
        if (turn.ended && resumes) {
          const server = name.endsWith('here') ? here : elsewhere;
          assert.equal(await server.follow(turn.id, turn.message, { had: `${kWhole}.`, expect: 204 }), undefined);
        }
        const stream = await follow(turn);
        openAll(turn.gates);
        const heard = stream && await stream.collect();
        const saved = await until(async () => {
          const { json } = await here.get(`/conversations/${turn.id}/messages/${turn.message}`, { expect: 200 });
          return json.status === 'complete' && json;
        }, 'the answer to be saved');
        assert.equal(saved.content, kWhole);
        if (heard) {
          assert.equal((resumes ? turn.had ?? '' : '') + textOf(heard), kWhole, `cut after ${events}`);
          assert.equal(heard.at(-1).name, 'done');
          assert.deepEqual(heard.at(-1).data.message, saved);
        }
        // In tables the conversation's count follows its answer.
        await until(async () => (await here.conversation(turn.id)).conversation.message_count === 2, 'the turn to be counted');
        const [one, other] = await Promise.all([here.conversation(turn.id), elsewhere.conversation(turn.id)]);
        assert.deepEqual(one, other);
        assert.deepEqual(one.messages.at(-1), saved);
        assert.equal(one.messages.length, 2);
      }
    });
  }

  test('a hundred sendings of one request at once, over all servers, are one turn', async () => {
    for (const makes of ['a conversation', 'a message']) {
      const calls = upstream.calls.length;
      const held = gate();
      upstream.next(scripts.hold(held, 'once ', 'only'));
      const query = makes === 'a message' ? { conversation_id: (await here.createConversation()).conversation_id } : {};
      const headers = { 'Idempotency-Key': randomUUID() };
      const send = (_, i) => (i % 2 ? here : elsewhere).post('/generate', { prompt: 'Hello' }, { query, headers, expect: 200 });
      const answers = Array.from({ length: 100 }, send);
      await until(() => upstream.calls.length > calls, 'the model to be called');
      held.open();
      const results = await Promise.all(answers);
      assert.equal(upstream.calls.length, calls + 1, onDynamoDb ? 'over two servers' : 'on one server');
      for (const { json } of results) {
        assert.equal(json.generated_text, 'once only');
        assert.deepEqual(json.message, results[0].json.message);
      }
      assert.equal((await here.conversation(results[0].json.conversation_id)).messages.length, 2);
    }
  });
});
