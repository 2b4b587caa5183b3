import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { scripts, startFakeUpstream } from './fake_upstream.mjs';
import { onDynamoDb, startServer } from './server.mjs';
import { gate, until } from './wait.mjs';

const said = (messages) => messages.map(({ role, content }) => [role, content]);

describe('generate, with the demonstration model', () => {
  let server;
  let alice;
  before(async () => {
    server = await startServer();
    alice = await server.client('alice');
  });
  after(() => server?.close());

  test('a turn answers, and keeps prompt and answer', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const result = await alice.generate(id, 'Hello!', { metadata: { device: 'phone' } });
    assert.equal(result.prompt, 'Hello!');
    assert.equal(result.conversation_id, id);
    assert.ok(result.generated_text.length > 0);
    assert.equal(result.message.content, result.generated_text);
    assert.equal(result.message.role, 'assistant');
    assert.equal(result.message.status, 'complete');
    assert.equal(result.message.finish_reason, result.finish_reason);
    assert.deepEqual(result.message.usage, result.usage);
    assert.equal(result.num_tokens, result.usage.completion_tokens);
    assert.ok(result.num_tokens > 0);
    assert.equal(result.user_message.content, 'Hello!');
    assert.deepEqual(result.user_message.metadata, { device: 'phone' });
    const { conversation, messages } = await alice.conversation(id);
    assert.deepEqual(messages, [result.user_message, result.message]);
    assert.equal(conversation.message_count, 2);
  });

  test('the same conversation gets the same answers', async () => {
    const talk = async () => {
      const { conversation_id: id } = await alice.createConversation();
      const answers = [];
      for (const prompt of ['My cat is called Minka.', 'What is my cat called?']) {
        answers.push((await alice.generate(id, prompt)).generated_text);
      }
      return answers;
    };
    assert.deepEqual(await talk(), await talk());
  });

  test('the answer shows that the model remembers', async () => {
    const { conversation_id: id } = await alice.createConversation();
    await alice.generate(id, 'My cat is called Minka.');
    const { generated_text: text } = await alice.generate(id, 'What did we discuss?');
    assert.match(text, /Minka/);
  });

  test('without a conversation it makes one, titled from the prompt', async () => {
    const result = await alice.generate(undefined, 'Tell me of trains');
    const { conversation, messages } = await alice.conversation(result.conversation_id);
    assert.equal(conversation.title, 'Tell me of trains');
    assert.deepEqual(messages, [result.user_message, result.message]);
    const listed = (await alice.get('/conversations', { expect: 200 })).json;
    assert.equal(listed[0].conversation_id, result.conversation_id);
  });

  test('a title from a long or odd prompt is still a title', async () => {
    for (const prompt of ['🚂'.repeat(5000), `${'word '.repeat(2000)}`, '\n\n  lines\nand lines', ' ', '\u0000\u0001']) {
      const { conversation_id: id } = await alice.generate(undefined, prompt, { max_tokens: 3 });
      const { conversation, messages } = await alice.conversation(id);  // the contract limits the title's bytes
      assert.ok(conversation.title.length >= 1);
      assert.equal(messages[0].content, prompt);
    }
  });

  test('a stream is the answer in pieces, ids counting its bytes', async () => {
    const { conversation_id: id } = await alice.createConversation();
    await alice.append(id, 'Räder rollen 🚂 für den Zug');
    const stream = await alice.stream('/generate', { prompt: 'Wie geht’s? 🚂', stream: true }, { query: { conversation_id: id } });
    assert.match(stream.headers.get('cache-control') ?? '', /no-cache|no-store/);
    const events = await stream.collect();
    const [start, ...rest] = events;
    const done = rest.pop();
    assert.equal(done.name, 'done');
    assert.ok(rest.length > 1, 'the demonstration model streams');
    assert.equal(start.data.conversation_id, id);
    assert.equal(start.data.message_id, done.data.message.message_id);
    assert.equal(start.data.user_message_id, done.data.user_message.message_id);
    const { messages } = await alice.conversation(id);
    assert.deepEqual(messages.slice(1), [done.data.user_message, done.data.message]);
  });

  test('Accept: text/event-stream asks for a stream as well', async () => {
    const stream = await alice.stream('/generate', { prompt: 'Hello' }, { headers: { Accept: 'text/event-stream' } });
    assert.equal((await stream.collect()).at(-1).name, 'done');
    const plain = await alice.post('/generate', { prompt: 'Hello', stream: false }, { expect: 200 });
    assert.equal(typeof plain.json.generated_text, 'string');
  });

  test('max_tokens and stop end the answer', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const short = await alice.generate(id, 'Tell me something long', { max_tokens: 3 });
    assert.equal(short.finish_reason, 'length');
    assert.ok(short.num_tokens <= 3);
    const fresh = async (fields) => alice.generate((await alice.createConversation()).conversation_id, 'Hello there', fields);
    const whole = await fresh({});
    assert.equal(whole.finish_reason, 'stop');
    const word = whole.generated_text.split(' ')[3];
    const cut = whole.generated_text.slice(0, whole.generated_text.indexOf(word));
    for (const stop of [word, [word], ['never said ☃', word]]) {
      const stopped = await fresh({ stop });
      assert.equal(stopped.generated_text, cut);
      assert.equal(stopped.finish_reason, 'stop');
    }
  });

  test('what is out of bounds is refused by name and leaves nothing behind', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const refused = {
      max_tokens: [0, -1, 1.5, '5', null, true, 1e18], temperature: [-0.1, 2.1, 'hot', []], top_p: [0, 1.1, -1, '1'],
      top_k: [0, 1.5, 'x'], seed: [1.5, 'x', {}], stream: ['yes', 1], model: [5, '', 'no-such-model'],
      prompt: [5, null, '', [], {}], metadata: [5, []], stop: [5, '', ['a', 'b', 'c', 'd', 'e'], ['x'.repeat(257)], [5], ['']],
    };
    for (const [field, values] of Object.entries(refused)) {
      for (const value of values) {
        const body = { prompt: 'Hello', [field]: value };
        const answer = await alice.post('/generate', body, { query: { conversation_id: id } });
        assert.equal(answer.status, 422, `accepted ${JSON.stringify(body)}`);
        assert.equal(answer.fields[0].split('.')[0], field, `${JSON.stringify(body)} -> ${answer.fields}`);
      }
    }
    await alice.post('/generate', {}, { query: { conversation_id: id }, expect: 422 });
    assert.deepEqual((await alice.conversation(id)).messages, []);
  });

  test('a turn in a conversation that is not there makes nothing', async () => {
    const before = (await alice.get('/conversations?limit=200', { expect: 200 })).json.length;
    const query = { conversation_id: '01932f3e-5c00-7a4b-9c1d-2e3f405162a3' };
    await alice.post('/generate', { prompt: 'Hello' }, { query, expect: 404 });
    await alice.post('/generate', { prompt: 'Hello', stream: true }, { query, expect: 404 });
    await alice.post('/generate', { prompt: 'Hello' }, { query: { conversation_id: 'nonsense' }, expect: 404 });
    assert.equal((await alice.get('/conversations?limit=200', { expect: 200 })).json.length, before);
  });
});

describe('generate, with a model that shows what it is given', () => {
  let server;
  let upstream;
  let alice;
  before(async () => {
    upstream = await startFakeUpstream();
    server = await startServer({ args: upstream.flags });
    alice = await server.client('alice');
  });
  beforeEach(() => { upstream.queue.length = 0; });
  after(async () => {
    await server?.close();
    await upstream?.close();
  });

  test('the model sees exactly the newest five messages, then the prompt', async () => {
    const { conversation_id: id } = await alice.createConversation();
    for (let i = 1; i <= 8; i += 1) await alice.append(id, `fact ${i}`, { role: i % 2 ? 'user' : 'assistant' });
    await alice.generate(id, 'And now?');
    assert.deepEqual(said(upstream.lastMessages), [
      ['assistant', 'fact 4'], ['user', 'fact 5'], ['assistant', 'fact 6'], ['user', 'fact 7'], ['assistant', 'fact 8'],
      ['user', 'And now?']]);
    upstream.next(scripts.say('second answer'));
    await alice.generate(id, 'And then?');
    assert.deepEqual(said(upstream.lastMessages), [
      ['assistant', 'fact 6'], ['user', 'fact 7'], ['assistant', 'fact 8'], ['user', 'And now?'], ['assistant', 'ok'],
      ['user', 'And then?']]);
  });

  test('fewer messages are all seen; a new conversation sees the prompt alone', async () => {
    await alice.generate(undefined, 'First');
    assert.deepEqual(said(upstream.lastMessages), [['user', 'First']]);
    const { conversation_id: id } = await alice.createConversation();
    await alice.append(id, 'only this');
    await alice.generate(id, 'Then');
    assert.deepEqual(said(upstream.lastMessages), [['user', 'only this'], ['user', 'Then']]);
  });

  test('the system prompt comes first and is not one of the five', async () => {
    const { conversation_id: id } = await alice.createConversation();
    await alice.patch(`/conversations/${id}`, { system_prompt: 'Answer as a train.' }, { expect: 200 });
    for (let i = 1; i <= 6; i += 1) await alice.append(id, `m${i}`);
    await alice.generate(id, 'Go');
    assert.deepEqual(said(upstream.lastMessages),
                     [['system', 'Answer as a train.'], ...[2, 3, 4, 5, 6].map((i) => ['user', `m${i}`]), ['user', 'Go']]);
  });

  test('a deleted message is not remembered', async () => {
    const { conversation_id: id } = await alice.createConversation();
    await alice.append(id, 'keep');
    const secret = await alice.append(id, 'forget');
    await alice.delete(`/conversations/${id}/messages/${secret.message_id}`, { expect: 204 });
    await alice.generate(id, 'What?');
    assert.deepEqual(said(upstream.lastMessages), [['user', 'keep'], ['user', 'What?']]);
  });

  test('the prompt is durable before the model is called, the answer shows as running', async () => {
    const held = gate();
    const { conversation_id: id } = await alice.createConversation();
    const called = upstream.calls.length;
    upstream.next(scripts.hold(held, 'one ', 'two'));
    const answer = alice.generate(id, 'Count');
    await until(() => upstream.calls.length > called, 'the model to be called');
    const { conversation, messages } = await alice.conversation(id);
    assert.deepEqual(said(messages.slice(0, 1)), [['user', 'Count']]);
    assert.equal(messages[1].role, 'assistant');
    assert.equal(messages[1].status, 'running');
    assert.equal(conversation.message_count, onDynamoDb ? 0 : 2);  // the tables count a turn when it ends
    await alice.delete(`/conversations/${id}/messages/${messages[1].message_id}`, { expect: 409 });
    held.open();
    const { message } = await answer;
    assert.equal(message.message_id, messages[1].message_id);
    assert.equal(message.content, 'one two');
    await alice.delete(`/conversations/${id}/messages/${message.message_id}`, { expect: 204 });
  });

  test('a client that goes away mid-stream leaves a whole answer behind', async () => {
    const held = gate();
    const { conversation_id: id } = await alice.createConversation();
    upstream.next(scripts.hold(held, 'The beginning ', ['and ', 'the end.']));
    const abort = new AbortController();
    const stream = await alice.stream('/generate', { prompt: 'Go', stream: true },
                                      { query: { conversation_id: id }, signal: abort.signal });
    const start = await stream.next();
    assert.equal((await stream.next()).data.text, 'The beginning ');
    abort.abort();
    held.open();
    const path = `/conversations/${id}/messages/${start.data.message_id}`;
    const message = await until(async () => {
      const { json } = await alice.get(path, { expect: 200 });
      return json.status !== 'running' && json;
    }, 'the answer to be saved');
    assert.equal(message.status, 'complete');
    assert.equal(message.content, 'The beginning and the end.');
    assert.equal(message.finish_reason, 'stop');
  });

  test('a client that goes away before the answer leaves it behind as well', async () => {
    const held = gate();
    const { conversation_id: id } = await alice.createConversation();
    const called = upstream.calls.length;
    upstream.next(scripts.hold(held, 'a', 'b'));
    const abort = new AbortController();
    const gone = alice.post('/generate', { prompt: 'Go' }, { query: { conversation_id: id }, signal: abort.signal });
    await until(() => upstream.calls.length > called, 'the model to be called');
    abort.abort();
    await assert.rejects(gone, { name: 'AbortError' });
    held.open();
    const messages = await until(async () => {
      const now = (await alice.conversation(id)).messages;
      return now.length === 2 && now[1].status !== 'running' && now;
    }, 'the answer to be saved');
    assert.deepEqual(said(messages), [['user', 'Go'], ['assistant', 'ab']]);
    assert.equal(messages[1].status, 'complete');
  });

  test('a conversation does not expire under a running turn', async () => {
    const held = gate();
    const { conversation_id: id } = await alice.createConversation();
    const called = upstream.calls.length;
    upstream.next(scripts.hold(held, 'a', 'b'));
    const answer = alice.generate(id, 'Go');
    await until(() => upstream.calls.length > called, 'the model to be called');
    const { json: before } = await alice.patch(`/conversations/${id}`, { ttl_seconds: 1 }, { expect: 200 });
    await until(() => Date.now() / 1000 > before.updated_at + 3, 'the time to live to be over');
    const { conversation } = await alice.conversation(id);
    assert.ok(conversation.expires_at > Date.now() / 1000);
    held.open();
    assert.equal((await answer).generated_text, 'ab');
    await until(async () => (await alice.get(`/conversations/${id}`, { expect: [200, 404] })).status === 404, 'the conversation to expire');
  });

  test('deleting the conversation under a running turn leaves nothing behind', async () => {
    const held = gate();
    const { conversation_id: id } = await alice.createConversation();
    upstream.next(scripts.hold(held, 'a', 'b'));
    const stream = await alice.stream('/generate', { prompt: 'Go', stream: true }, { query: { conversation_id: id } });
    await stream.next();
    await alice.delete(`/conversations/${id}`, { expect: 204 });
    held.open();
    const last = (await stream.collect()).at(-1);
    assert.ok(['done', 'error'].includes(last.name));
    await alice.get(`/conversations/${id}`, { expect: 404 });
    assert.ok(!(await alice.get('/conversations', { expect: 200 })).json.some((one) => one.conversation_id === id));
  });

  test('many turns at once in one conversation all stand, each prompt before its answer', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const results = await Promise.all(Array.from({ length: 12 }, (_, i) => alice.generate(id, `prompt ${i}`)));
    const { messages, conversation } = await alice.conversation(id);
    assert.equal(conversation.message_count, 24);
    const place = new Map(messages.map((message, i) => [message.message_id, i]));
    for (const result of results) {
      assert.ok(place.get(result.user_message.message_id) < place.get(result.message.message_id));
    }
  });

  test('sampling options reach the model', async () => {
    await alice.generate(undefined, 'Go', { max_tokens: 9, temperature: 0.5, top_p: 0.25, seed: 42, stop: ['END'] });
    const { body } = upstream.calls.at(-1);
    assert.equal(body.model, 'test-model');
    assert.equal(body.stream, true);
    assert.equal(body.max_tokens ?? body.max_completion_tokens, 9);
    assert.deepEqual([body.temperature, body.top_p, body.seed, body.stop], [0.5, 0.25, 42, ['END']]);
    await alice.generate(undefined, 'Go');
    const plain = upstream.calls.at(-1).body;
    for (const name of ['temperature', 'top_p', 'seed', 'stop']) assert.equal(plain[name], undefined, name);
  });

  test('an answer cut at max_tokens by the model says so', async () => {
    upstream.next(scripts.say('so far', { finish: 'length' }));
    const result = await alice.generate(undefined, 'Go');
    assert.equal(result.finish_reason, 'length');
    assert.equal(result.message.status, 'complete');
    assert.deepEqual(result.usage, { prompt_tokens: 11, completion_tokens: 7 });
  });
});
