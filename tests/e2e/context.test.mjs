// How much of a conversation the model is given: the server's way, the conversation's own, and what it is told of it.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { scripts, startFakeUpstream } from './fake_upstream.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';

const explain = async (client, id, prompt, expect = 200, fields = {}) =>
  (await client.post(`/conversations/${id}/context`, { prompt, ...fields }, { expect })).json;
const sent = (messages) => messages.map(({ role, content }) => ({ role, content }));

describe('the context of a conversation', () => {
  let upstream;
  let alice;
  let bob;
  serverOfSuite({ upstream: true, users: ['alice', 'bob'], args: ['--openai-models', 'other-model', '--max-content-bytes', '64KiB'] },
                (made) => ({ upstream, alice, bob } = made));
  beforeEach(() => { upstream.queue.length = 0; upstream.otherwise = scripts.say('ok'); });

  // A conversation of so many pairs.
  async function dialogue(pairs, fields = {}) {
    const { conversation_id: id } = await alice.createConversation(fields);
    for (let i = 1; i <= pairs; i += 1) {
      await alice.append(id, `question number ${i}`);
      await alice.append(id, `answer number ${i}`, { role: 'assistant' });
    }
    return id;
  }
  // What is explained must be what the endpoint then receives.
  async function sameAsSent(id, prompt) {
    const explained = await explain(alice, id, prompt);
    const calls = upstream.calls.length;
    await alice.generate(id, prompt);
    assert.equal(upstream.calls.length, calls + 1, 'explaining asks no model');
    assert.deepEqual(sent(explained.messages), upstream.lastMessages);
    assert.equal(explained.tokens, explained.messages.reduce((sum, { tokens }) => sum + tokens, 0));
    return explained;
  }

  test('the server\'s five messages, explained as they are sent', async () => {
    const id = await dialogue(4, { system_prompt: 'Be brief.' });
    const explained = await sameAsSent(id, 'and now?');
    assert.deepEqual(explained.policy, { messages: 5, summary: false });
    assert.equal(explained.policy_source, 'server');
    assert.equal(explained.model, 'test-model');
    assert.equal(explained.tokens_estimated, true);
    assert.deepEqual(explained.messages.map(({ source }) => source), ['system_prompt', ...Array(5).fill('message'), 'prompt']);
    const { messages } = await alice.conversation(id);
    assert.deepEqual(explained.left_out, messages.slice(0, 3).map(({ message_id, role }) =>
      ({ message_id, role, reason: 'messages', summarized: false })));
    assert.deepEqual(explained.messages.slice(1, -1).map(({ message_id }) => message_id), messages.slice(3, 8).map(({ message_id }) => message_id));
  });

  test('a conversation\'s own number, set when it is made and later', async () => {
    const id = await dialogue(6, { context: { messages: 2 } });
    assert.deepEqual((await alice.conversation(id)).conversation.context, { messages: 2 });
    let explained = await sameAsSent(id, 'first');
    assert.deepEqual(explained.messages.map(({ content }) => content), ['question number 6', 'answer number 6', 'first']);
    assert.equal(explained.policy_source, 'conversation');
    const patched = (await alice.patch(`/conversations/${id}`, { context: { messages: 9 } }, { expect: 200 })).json;
    assert.deepEqual(patched.context, { messages: 9 });
    explained = await sameAsSent(id, 'second');
    assert.equal(explained.messages.length, 10);
    await alice.patch(`/conversations/${id}`, { context: { messages: 0 } }, { expect: 200 });
    assert.equal((await sameAsSent(id, 'third')).messages.length, 1);
    const back = (await alice.patch(`/conversations/${id}`, { context: null }, { expect: 200 })).json;
    assert.ok(!('context' in back));
    assert.equal((await sameAsSent(id, 'fourth')).messages.length, 6);
  });

  test('a budget of tokens cuts whole pairs, and says so', async () => {
    const id = await dialogue(30, { context: { tokens: 100 } });
    const explained = await sameAsSent(id, 'how much?');
    assert.ok(explained.tokens <= 100, String(explained.tokens));
    assert.equal(explained.messages[0].role, 'user');
    const history = explained.messages.slice(0, -1);
    assert.ok(history.length >= 4 && history.length % 2 === 0, String(history.length));
    assert.ok(explained.tokens + history[0].tokens + history[1].tokens > 100, 'another pair would have fitted');
    assert.ok(explained.left_out.every(({ reason }) => reason === 'tokens'));
    assert.equal(explained.left_out.length, 60 - history.length);
  });

  test('a budget reads as far as it goes, and not further than it must', async () => {
    const id = await dialogue(30, { context: { tokens: 100_000_000 } });
    const explained = await sameAsSent(id, 'all of it');
    assert.equal(explained.messages.length, 61);
    assert.deepEqual(explained.left_out, []);
  });

  test('with both numbers both hold, and each can be taken away', async () => {
    const id = await dialogue(6, { context: { messages: 3, tokens: 10_000 } });
    assert.equal((await explain(alice, id, 'x')).messages.length, 4);
    const patched = (await alice.patch(`/conversations/${id}`, { context: { messages: null } }, { expect: 200 })).json;
    assert.deepEqual(patched.context, { tokens: 10_000 });
    assert.equal((await explain(alice, id, 'x')).messages.length, 13);
  });

  test('a prompt that does not fit is refused before anything is saved', async () => {
    const id = await dialogue(1, { context: { tokens: 20 }, system_prompt: 'Be brief.' });
    const long = 'word '.repeat(40);
    const calls = upstream.calls.length;
    for (const path of [`/generate?conversation_id=${id}`, `/conversations/${id}/context`]) {
      const { json, fields } = await alice.post(path, { prompt: long }, { expect: 413 });
      assert.deepEqual(fields, ['prompt']);
      assert.match(json.errors[0].message, /tokens/);
    }
    assert.equal(upstream.calls.length, calls);
    assert.equal((await alice.conversation(id)).messages.length, 2);
    assert.equal((await sameAsSent(id, 'fits')).messages.length, 2);
  });

  test('what was begun under a larger budget is still answered to its repeat', async () => {
    const id = await dialogue(0, { context: { tokens: 1000 } });
    const options = { query: { conversation_id: id }, headers: { 'Idempotency-Key': `budget-${id}` }, expect: 200 };
    const prompt = 'word '.repeat(40);
    const first = (await alice.post('/generate', { prompt }, options)).json;
    await alice.patch(`/conversations/${id}`, { context: { tokens: 5 } }, { expect: 200 });
    const again = (await alice.post('/generate', { prompt }, options)).json;
    assert.equal(again.message.message_id, first.message.message_id);
  });

  test('answers without a text are left out, and say why', async () => {
    const id = await dialogue(1);
    upstream.next(scripts.status(500, {}));
    await alice.post('/generate', { prompt: 'fails' }, { query: { conversation_id: id }, expect: 503 });
    const explained = await sameAsSent(id, 'again');
    assert.deepEqual(explained.left_out.map(({ role, reason }) => [role, reason]), [['assistant', 'no_text']]);
  });

  test('bounds and types are checked, and each field is named', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const refused = async (context, field) => {
      for (const call of [() => alice.post('/conversations', { context }, { expect: 422 }),
                          () => alice.patch(`/conversations/${id}`, { context }, { expect: 422 })]) {
        assert.deepEqual((await call()).fields, [field], JSON.stringify(context));
      }
    };
    await refused({ messages: 1001 }, 'context.messages');
    await refused({ messages: -1 }, 'context.messages');
    await refused({ messages: 1.5 }, 'context.messages');
    await refused({ tokens: 0 }, 'context.tokens');
    await refused({ tokens: 100_000_001 }, 'context.tokens');
    await refused({ tokens: 'many' }, 'context.tokens');
    await refused({ summary: 1 }, 'context.summary');
    await refused({ massages: 3 }, 'context.massages');
    await refused('all', 'context');
    await refused([], 'context');
    await alice.post('/conversations', { context: null }, { expect: 201 });
    await alice.post('/conversations', { context: {} }, { expect: 201 });
  });

  test('explaining is refused as a turn is', async () => {
    const id = await dialogue(1);
    await bob.post(`/conversations/${id}/context`, { prompt: 'x' }, { expect: 404 });
    await alice.post(`/conversations/${id}/context`, {}, { expect: 422 });
    await alice.post(`/conversations/${id}/context`, { prompt: '' }, { expect: 422 });
    await alice.post(`/conversations/${id}/context`, { prompt: 'x', model: 'none' }, { expect: 422 });
    await alice.post(`/conversations/${id}/context`, { prompt: 'x'.repeat(65 * 1024) }, { expect: 413 });
    assert.equal((await explain(alice, id, 'x', 200, { model: 'other-model' })).model, 'other-model');
  });
});

test('a context of its own survives a restart', async (t) => {
  const { server, alice } = await serverOfTest(t);
  const made = await alice.createConversation({ context: { tokens: 123, summary: false } });
  await server.restart();
  const again = await server.client('alice');
  assert.deepEqual((await again.conversation(made.conversation_id)).conversation.context, { tokens: 123, summary: false });
  const explained = await explain(again, made.conversation_id, 'three words here');
  assert.deepEqual([explained.tokens, explained.tokens_estimated], [3, false]);
});

describe('what the model makes in the background', () => {
  const isTitle = ({ body }) => body.messages[0].content.includes('titles');
  const isSummary = ({ body }) => body.messages[0].content.startsWith('You keep the summary');
  // Answers each kind of call with words of its own.
  const voices = ({ title = '"A Good Title."', summary = 'In short.' } = {}) => (response, call) =>
    scripts.say(isTitle(call) ? title : isSummary(call) ? summary : 'ok')(response, call);

  test('a title after the first turn, which a user\'s own outlives', async (t) => {
    const { server, upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--titles', 'model'] });
    upstream.otherwise = voices();
    const { conversation_id: id, usage } = await alice.generate(undefined, 'Tell me of trains.');
    const title = async (of) => (await alice.get(`/conversations/${of}`, { expect: 200 })).json.conversation.title;
    await until(async () => await title(id) === 'A Good Title', 'the title');
    assert.deepEqual(usage, { prompt_tokens: 11, completion_tokens: 7 });
    await alice.put(`/conversations/${id}/title`, { title: 'Mine' }, { expect: 200 });
    await alice.generate(id, 'more');
    const given = await alice.createConversation({ title: 'Given' });
    await alice.generate(given.conversation_id, 'Hi');
    const untitled = await alice.createConversation();
    await alice.generate(untitled.conversation_id, 'Hi');
    await until(async () => await title(untitled.conversation_id) === 'A Good Title', 'the title of the default one');
    assert.equal(await title(id), 'Mine');
    assert.equal(await title(given.conversation_id), 'Given');
    assert.equal(upstream.calls.filter(isTitle).length, 2);
    const metrics = await (await fetch(new URL('/metrics', server.adminUrl))).text();
    assert.match(metrics, /colloquy_background_tokens_total\{kind="prompt",purpose="title"\} 22/);
    assert.match(metrics, /colloquy_tokens_total\{kind="prompt"\} 44/);
  });

  test('by default the model gives a title where it is not the demonstration', async (t) => {
    const upstream = await startFakeUpstream();
    afterwards(t, () => upstream.close());
    upstream.otherwise = voices();
    const made = await serverOfTest(t, { args: upstream.modelFlags });
    const { conversation_id: id } = await made.alice.generate(undefined, 'Tell me of trains.');
    await until(async () => (await made.alice.conversation(id)).conversation.title === 'A Good Title', 'the title');
    const demo = await serverOfTest(t);
    const told = await demo.alice.generate(undefined, 'Tell me of trains.');
    await demo.server.stop();  // in order: what was begun in the background is over
    await demo.server.start();
    const again = await demo.server.client('alice');
    assert.equal((await again.conversation(told.conversation_id)).conversation.title, 'Tell me of trains.');
  });

  test('where it is to be the prompt, the model is asked once', async (t) => {
    const { upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--titles', 'prompt'] });
    const { conversation_id: id } = await alice.generate(undefined, 'Tell me of trains.');
    await alice.generate(id, 'more');
    assert.equal(upstream.calls.length, 2);
    assert.equal((await alice.conversation(id)).conversation.title, 'Tell me of trains.');
  });

  test('a summary of what fell out, which goes with a message that it covers', async (t) => {
    const { upstream, alice } = await serverOfTest(t, { upstream: true });
    upstream.otherwise = voices();
    const { conversation_id: id } = await alice.createConversation({ system_prompt: 'Be kind.', context: { messages: 2, summary: true } });
    await alice.generate(id, 'one');
    await alice.generate(id, 'two');
    const summary = async () => (await explain(alice, id, 'x')).summary;
    await until(summary, 'the summary');
    const explained = await explain(alice, id, 'three');
    assert.equal(explained.messages[0].content, 'Be kind.\n\nSummary of the earlier conversation:\nIn short.');
    assert.deepEqual([explained.summary.text, explained.summary.given], ['In short.', true]);
    assert.deepEqual(explained.left_out.map(({ summarized }) => summarized), [true, true]);
    upstream.otherwise = scripts.status(500, {});
    await alice.post('/generate', { prompt: 'three' }, { query: { conversation_id: id }, expect: 503 });
    const turn = upstream.calls.findLast(({ body }) => body.messages.at(-1).content === 'three');
    assert.deepEqual(turn.body.messages, sent(explained.messages));
    const { messages } = await alice.conversation(id);
    await alice.delete(`/conversations/${id}/messages/${messages[0].message_id}`, { expect: 204 });
    assert.equal(await summary(), undefined);
    assert.equal((await explain(alice, id, 'x')).messages[0].content, 'Be kind.');
  });
});
