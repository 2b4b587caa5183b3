// Every call that a request makes of the tables fails in every way, one after the other.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { afterwards, undoAll } from '../e2e/cleanup.mjs';
import { startServer } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { backgroundFaults, faults, startFaultyProxy } from './faulty_proxy.mjs';
import { addMessages, callTables, createTables, endpoint, hasRows, tableEnvironment, tableFlags } from './tables.mjs';

const kLasting = ['throttled', 'done, then reset'];
const kOutageMs = 1_500;  // of lasting faults, where the server itself goes on trying for longer
const undo = [];
let proxy;
let tables;
let patient;  // a client of a server that tries a call for longer than one fault lasts
let hasty;    // a client of one that soon gives up

async function startOnProxy(callTimeout, ...more) {
  const server = await startServer({ env: tableEnvironment, args: [...tableFlags(tables, proxy.url),
    '--dynamodb-timeout', '500ms', '--dynamodb-call-timeout', callTimeout, ...more, '--log-level', 'error'] });
  undo.push(() => server.close());
  return server.client('alice');
}

before(async () => {
  tables = await createTables();
  proxy = await startFaultyProxy(endpoint);
  undo.push(() => proxy.close());
  patient = await startOnProxy('10s');
  hasty = await startOnProxy('400ms');
});
after(() => undoAll(undo));

const kOutcomes = [200, 201, 204, 503];
const keyed = (state) => (state.key ? { 'Idempotency-Key': state.key } : {});
const contents = ({ messages }) => messages.map((message) => message.content);

async function conversationWith(client, count) {
  const { conversation_id: id } = await client.createConversation();
  for (let i = 0; i < count; i += 1) await client.append(id, `before ${i}`);
  return { id, earlier: Array.from({ length: count }, (_, i) => `before ${i}`) };
}

// The bytes of the attribute `branches`: of each its parent, its fork and its first message.
const idBytes = (id) => Buffer.from(id.replaceAll('-', ''), 'hex');
const branchBytes = (branches) => Buffer.concat([Buffer.from([1]),
  ...branches.flatMap(([parent, fork, first]) => [Buffer.from([parent]), idBytes(fork), idBytes(first)])]);

// A conversation whose active way is not its newest branch: who goes on there begins another one.
async function conversationWithBranches(client, count) {
  const state = await conversationWith(client, count);
  const { message_id: first } = await client.append(state.id, 'gone');
  await client.delete(`/conversations/${state.id}/messages/${first}`, { expect: 204 });
  const { messages } = await client.conversation(state.id);
  const branches = branchBytes([[0, messages[0].message_id, first]]).toString('base64');
  await callTables('UpdateItem', { TableName: tables.conversations, Key: { user_id: { S: 'alice' }, conversation_id: { S: state.id } },
    UpdateExpression: 'SET branches = :b, active_up_to = :u',
    ExpressionAttributeValues: { ':b': { B: branches }, ':u': { S: messages.at(-1).message_id } } });
  return state;
}

async function countBranches(state) {
  const { Item } = await callTables('GetItem', { TableName: tables.conversations, ConsistentRead: true,
    Key: { user_id: { S: 'alice' }, conversation_id: { S: state.id } } });
  return (Buffer.from(Item.branches.B, 'base64').length - 1) / 33;
}

// A whole read, whose count says what it shows. A turn whose answer is not saved yet is counted when it is.
async function wholeRead(client, id) {
  const whole = (await client.get(`/conversations/${id}`, { expect: 200 })).json;
  const running = whole.messages.filter((message) => message.status === 'running').length;
  assert.equal(whole.conversation.message_count, whole.messages.length - 2 * running, JSON.stringify(whole));
  return whole;
}

// What was there before, and then the messages of the request: all where it was acknowledged, else all or none.
async function checkAdded(client, state, answer, added) {
  const found = contents(await wholeRead(client, state.id));
  assert.deepEqual(found.slice(0, state.earlier.length), state.earlier);
  const rest = found.slice(state.earlier.length);
  if (answer.status !== 503) assert.deepEqual(rest, added(answer.json));
  else assert.ok(rest.length === 0 || rest[0] === state.text, JSON.stringify(found));
  assert.ok(rest.filter((content) => content === state.text).length <= 1, 'it is there twice');
}

// The conversations that a request may have made, by what they were to be called.
async function named(client, title) {
  const { json } = await client.get('/conversations', { query: { limit: 200 }, expect: 200 });
  return json.filter((conversation) => conversation.title === title);
}

const turnAdded = (json) => [json.prompt, json.generated_text];
const generate = (client, state) => client.post('/generate', { prompt: state.text, max_tokens: 3 }, {
  query: state.id ? { conversation_id: state.id } : {}, headers: keyed(state), expect: kOutcomes });

// What is asked of the server: prepare() makes the state, act() sends the request (again), check() looks afterwards.
const requests = {
  'create a conversation': {
    prepare: async () => ({ text: randomUUID() }),
    act: (client, state) => client.post('/conversations', { title: state.text }, { headers: keyed(state), expect: kOutcomes }),
    check: async (client, state, answer) => {
      const made = await named(client, state.text);
      if (answer.status !== 503) assert.deepEqual(made, [answer.json]);
      assert.ok(made.length <= 1, 'it is there twice');
    },
  },
  'append a message': {
    prepare: async (client) => ({ ...await conversationWith(client, 1), text: randomUUID() }),
    act: (client, state) => client.post(`/conversations/${state.id}/messages`, { content: state.text },
                                        { headers: keyed(state), expect: kOutcomes }),
    check: (client, state, answer) => checkAdded(client, state, answer, (json) => [json.content]),
  },
  'a turn': {
    isTurn: true,
    prepare: async (client) => ({ ...await conversationWith(client, 2), text: randomUUID() }),
    act: generate,
    check: (client, state, answer) => checkAdded(client, state, answer, turnAdded),
  },
  'a turn that begins a branch': {
    isTurn: true,
    prepare: async (client) => ({ ...await conversationWithBranches(client, 2), text: randomUUID() }),
    act: generate,
    check: async (client, state, answer) => {
      await checkAdded(client, state, answer, turnAdded);
      const branches = await countBranches(state);
      if (answer.status !== 503) assert.equal(branches, 2);
      else assert.ok(branches <= 2, `${branches} branches`);
    },
  },
  'a first turn': {
    isTurn: true,
    prepare: async () => ({ text: randomUUID() }),
    act: generate,
    check: async (client, state, answer) => {
      const made = await named(client, state.text);
      assert.ok(made.length <= 1, 'its conversation is there twice');
      if (answer.status !== 503) assert.equal(made[0]?.conversation_id, answer.json.conversation_id);
      for (const { conversation_id: id } of made) await checkAdded(client, { ...state, id, earlier: [] }, answer, turnAdded);
    },
  },
  'delete a message': {
    noKey: true,
    prepare: async (client) => {
      const { id, earlier } = await conversationWith(client, 3);
      const { messages } = await client.conversation(id);
      return { id, earlier, message: messages[1].message_id };
    },
    act: (client, state) => client.delete(`/conversations/${state.id}/messages/${state.message}`, { expect: [...kOutcomes, 404] }),
    check: async (client, state, answer) => {
      const found = contents(await wholeRead(client, state.id));
      const left = [state.earlier[0], state.earlier[2]];
      if (answer.status !== 503 || found.length === 2) assert.deepEqual(found, left);
      else assert.deepEqual(found, state.earlier);
    },
  },
  'change a conversation': {
    noKey: true,
    prepare: async (client) => ({ ...await conversationWith(client, 1), text: randomUUID() }),
    act: (client, state) => client.patch(`/conversations/${state.id}`, { title: state.text, metadata: { a: 'b' } }, { expect: kOutcomes }),
    check: async (client, state, answer) => {
      const { conversation } = await wholeRead(client, state.id);
      if (answer.status === 200) assert.equal(conversation.title, state.text);
      assert.equal(conversation.title === state.text, conversation.metadata?.a === 'b', 'half of it was done');
    },
  },
  'delete a conversation': {
    noKey: true,
    prepare: (client) => conversationWith(client, 1),
    act: (client, state) => client.delete(`/conversations/${state.id}`, { expect: [...kOutcomes, 404] }),
    check: async (client, state, answer) => {
      const found = await client.get(`/conversations/${state.id}`, { expect: [200, 404] });
      if (answer.status !== 503) assert.equal(found.status, 404);
      else if (found.status === 200) assert.deepEqual(contents(found.json), state.earlier);
    },
  },
  'read a conversation': {
    noKey: true,
    prepare: (client) => conversationWith(client, 2),
    act: (client, state) => client.get(`/conversations/${state.id}`, { expect: kOutcomes }),
    check: (client, state, answer) => {
      if (answer.status === 200) assert.deepEqual(contents(answer.json), state.earlier);
    },
  },
};

function checkClean(answer) {
  if (answer.status !== 503) return;
  assert.match(answer.header('content-type'), /^application\/problem\+json/);
  assert.ok(Number(answer.header('retry-after')) >= 1, 'Retry-After');
}

async function countOnce(request, key) {
  const state = { ...await request.prepare(patient), key: key && randomUUID() };
  proxy.forget();
  const answer = await request.act(patient, state);
  const calls = proxy.count();
  assert.ok(answer.status < 300 && calls > 0);
  await request.check(patient, state, answer);
  return calls;
}

// The least of five, for a call of the work in the background may come before the answer does.
async function countCalls(request, key) {
  const counts = [];
  for (let nth = 0; nth < 5; nth += 1) counts.push(await countOnce(request, key));
  return Math.min(...counts);
}

// Sent again, it is done once, and from then on every answer is the same.
async function checkRetries(request, client, state) {
  let answer;
  await until(async () => {
    answer = await request.act(client, state);
    checkClean(answer);
    return answer.status !== 503;
  }, 'an answer to a retry');
  await request.check(client, state, answer);
  const again = await request.act(client, state);
  const idOf = ({ json }) => json && (json.message_id ?? json.message?.message_id ?? json.conversation_id);
  if (state.key) assert.equal(idOf(again), idOf(answer));
  await request.check(client, state, answer.status === 404 ? { status: 204 } : answer);
}

async function one(request, key, nth, fault) {
  const state = { ...await request.prepare(patient), key: key && randomUUID() };
  proxy.spoil(fault, nth);
  const answer = await request.act(patient, state);
  proxy.heal();
  assert.ok(answer.status < 300, `one fault is mended by trying again: ${answer.status} ${answer.text}`);
  await request.check(patient, state, answer);
  if (key) await checkRetries(request, patient, state);
}

async function lasting(request, key, nth, fault) {
  const state = { ...await request.prepare(patient), key: key && randomUUID() };
  proxy.spoil(fault, nth, { lasting: true });
  const outage = request.isTurn ? setTimeout(() => proxy.heal(), kOutageMs) : undefined;
  const answer = await request.act(hasty, state);
  clearTimeout(outage);
  proxy.heal();
  checkClean(answer);
  if (!request.isTurn) assert.equal(answer.status, 503, answer.text);
  await request.check(hasty, state, answer);
  if (key || request.noKey) await checkRetries(request, hasty, state);
  return answer.status;
}

async function everyCase(t, run, kinds, request, key) {
  const calls = await countCalls(request, key);
  for (const fault of kinds) {
    for (let nth = 1; nth <= calls; nth += 1) {
      try {
        await run(request, key, nth, fault);
      } catch (error) {
        throw new Error(`call ${nth} of ${calls}, ${fault}: ${error.message}`, { cause: error });
      } finally {
        proxy.heal();
      }
    }
  }
  t.diagnostic(`${calls} calls`);
}

for (const [name, request] of Object.entries(requests)) {
  for (const key of request.noKey ? [false] : [false, true]) {
    describe(`${name}${key ? ' with a key' : ''}`, () => {
      test('one call fails: it is sent again, and nobody notices', (t) =>
        everyCase(t, one, Object.keys(faults), request, key));
      test('all calls from one on fail for a while: done or a clean 503, and whole afterwards', (t) =>
        everyCase(t, lasting, kLasting, request, key));
    });
  }
}

test('while the answer cannot be saved the client hears so, and it is saved later', async () => {
  const state = { ...await conversationWith(patient, 1), key: randomUUID(), text: 'say something' };
  const matches = ({ operation, body }) => operation === 'PutItem' && body.includes('"assistant"');
  proxy.spoil('failed', 1, { lasting: true, matches });
  const answer = await generate(hasty, state);
  assert.equal(answer.status, 503);
  checkClean(answer);
  const { messages } = await wholeRead(hasty, state.id);
  assert.equal(messages.at(-1).status, 'running');
  proxy.heal();
  await checkRetries(requests['a turn'], hasty, state);
});

test('a stream of events that is taken up again while the tables are out begins anew, and is not refused', async (t) => {
  const stop = new AbortController();
  afterwards(t, () => stop.abort());
  const ready = await (await hasty.followEvents({ signal: stop.signal })).next();
  await hasty.createConversation({ title: 'told to nobody' });
  proxy.spoil('failed', 1, { lasting: true, matches: ({ operation }) => operation === 'GetItem' });
  const again = await hasty.followEvents({ signal: stop.signal, last: ready.id });
  const reset = await again.next();
  assert.equal(reset.name, 'reset');
  proxy.heal();
  const on = await hasty.followEvents({ signal: stop.signal, last: reset.id });
  await hasty.createConversation({ title: 'told' });
  const event = await on.next();
  assert.deepEqual([event.name, event.data.title], ['conversation.created', 'told']);
});

test('a whole read of many pages mends a count that a crash has left behind', async () => {
  const { conversation_id: id } = await patient.createConversation();
  await addMessages(tables, 'alice', id, 450);
  const before = (await patient.get(`/conversations/${id}`, { expect: 200 })).json;
  assert.equal(before.messages.length, 450);
  const { conversation } = (await patient.get(`/conversations/${id}`, { expect: 200 })).json;
  assert.equal(conversation.message_count, 450);
  await patient.append(id, 'one more');
  assert.equal((await patient.get(`/conversations/${id}`, { expect: 200 })).json.conversation.message_count, 451);
});

describe('a deletion is finished in the background', () => {
  let sweeper;  // a client of a server that does not wait for a minute until it tries again
  before(async () => {
    sweeper = await startOnProxy('10s', '--dynamodb-sweep-interval', '200ms');
  });
  for (const fault of Object.keys(backgroundFaults)) {
    test(`whichever of its calls is ${fault}`, async () => {
      const kCalls = 6;
      for (let nth = 1; nth <= kCalls; nth += 1) {
        const { conversation_id: id } = await sweeper.createConversation();
        await addMessages(tables, 'alice', id, 60);
        const isOfBatch = fault === 'not all processed';
        const matches = ({ operation, body }) => body.includes(id) && (isOfBatch ? operation === 'BatchWriteItem' : !['GetItem', 'DeleteItem'].includes(operation));
        proxy.spoil(fault, nth, { matches });
        await sweeper.delete(`/conversations/${id}`, { expect: [204, 503] });
        await until(async () => !await hasRows(tables.messages, id), `the deletion, call ${nth}`);
        proxy.heal();
        await sweeper.get(`/conversations/${id}`, { expect: 404 });
      }
    });
  }
});
