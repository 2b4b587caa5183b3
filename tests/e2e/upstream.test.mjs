// The openai provider against an endpoint that misbehaves in every way we know.
import assert from 'node:assert/strict';
import net from 'node:net';
import { beforeEach, describe, test } from 'node:test';
import { scripts, streamBytes } from './fake_upstream.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';

const kKey = 'sk-test-9a8b7c6d';
const kShort = ['--openai-first-token-timeout', '3s', '--openai-idle-timeout', '3s'];

describe('an OpenAI-compatible model', () => {
  let server;
  let upstream;
  let alice;
  serverOfSuite({ upstream: true, args: ['--openai-models', 'other-model', ...kShort], env: { COLLOQUY_OPENAI_API_KEY: kKey } }, (made) => ({ server, upstream, alice } = made));
  beforeEach(() => { upstream.queue.length = 0; upstream.otherwise = scripts.say('ok'); });

  const ask = (expect, fields = {}) => alice.post('/generate', { prompt: 'Hello', ...fields }, { expect });
  // The newest conversation's answer, once it no longer runs.
  const lastAnswer = () => until(async () => {
    const [newest] = (await alice.get('/conversations?limit=1', { expect: 200 })).json;
    const { messages } = await alice.conversation(newest.conversation_id);
    return messages.length === 2 && messages[1].status !== 'running' && messages[1];
  }, 'the answer to end');

  // What comes of a turn whose model fails after `said`: an error, and what was said is kept.
  async function failsAfter(said, script, statuses = [503]) {
    upstream.otherwise = script;
    const { json } = await ask(said === '' ? statuses : 200);
    if (said !== '') assert.deepEqual([json.finish_reason, json.generated_text], ['error', said]);
    let kept = await lastAnswer();
    assert.deepEqual([kept.content, kept.status, kept.finish_reason], [said, 'failed', 'error']);

    const stream = await alice.stream('/generate', { prompt: 'Hello', stream: true });
    const events = await stream.collect();
    const last = events.pop();
    assert.equal(last.name, 'error');
    assert.ok(statuses.includes(last.data.status), JSON.stringify(last.data));
    assert.equal(events.slice(1).map((event) => event.data.text).join(''), said);
    kept = await lastAnswer();
    assert.deepEqual([kept.content, kept.status], [said, 'failed']);
    return last.data;
  }

  test('the key goes to the endpoint and nowhere else', async () => {
    await ask(200);
    assert.equal(upstream.calls.at(-1).headers.authorization, `Bearer ${kKey}`);
    upstream.next(scripts.status(401, { error: { message: `Incorrect API key provided: ${kKey}` } }));
    const { text } = await ask([200, 503]);
    assert.ok(!text.includes(kKey));
    assert.ok(!server.stderr.includes(kKey) && !server.stdout.includes(kKey));
  });

  test('a request may name a listed model, and no other', async () => {
    const answer = await ask(200, { model: 'other-model' });
    assert.equal(upstream.calls.at(-1).body.model, 'other-model');
    assert.equal(answer.json.message.model, 'other-model');
    const calls = upstream.calls.length;
    assert.deepEqual((await ask(422, { model: 'gpt-unknown' })).fields, ['model']);
    assert.equal(upstream.calls.length, calls);
  });

  test('the endpoint\'s counts are the usage; without them it is estimated', async () => {
    upstream.next(scripts.say('yes', { usage: { prompt_tokens: 123, completion_tokens: 45 } }));
    assert.deepEqual((await ask(200)).json.usage, { prompt_tokens: 123, completion_tokens: 45 });
    upstream.next(scripts.say('yes indeed', { usage: null }));
    const { usage } = (await ask(200)).json;
    assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
  });

  test('text cut anywhere, inside a character or a line, arrives whole', async () => {
    const pieces = ['Zug ', '🚂', ' fährt ', '👩‍👩‍👧', ' los…'];
    const bytes = streamBytes(pieces);
    for (const size of [1, 2, 3, 7, 64]) {
      const cut = [];
      for (let at = 0; at < bytes.length; at += size) cut.push(bytes.subarray(at, at + size));
      upstream.next(scripts.bytes(cut));
      const stream = await alice.stream('/generate', { prompt: 'Hello', stream: true });
      assert.equal((await stream.collect()).at(-1).data.generated_text, pieces.join(''), `pieces of ${size} bytes`);
    }
  });

  test('CRLF, comments, spaces left out, other events and unknown fields are understood', async () => {
    const text = streamBytes(['one ', 'two']).toString();
    const variants = [text.replaceAll('\n', '\r\n'), text.replaceAll('data: ', 'data:'), `: hello\n\n${text}`,
                      text.replaceAll('data: {', ': keep\ndata: {'), text.replaceAll('data: {', 'event: x\nid: 7\nretry: 5\ndata: {'),
                      text.replaceAll('"delta":', '"logprobs":null,"unknown":{"a":[1]},"delta":'), text.replaceAll('"content":"one "', '"content":"one ","reasoning_content":null')];
    for (const variant of variants) {
      upstream.next(scripts.bytes([variant]));
      assert.equal((await ask(200)).json.generated_text, 'one two', variant.slice(0, 120));
    }
  });

  test('an answer of nothing is an answer', async () => {
    upstream.next(scripts.say([]));
    const { json } = await ask(200);
    assert.deepEqual([json.generated_text, json.message.content, json.message.status], ['', '', 'complete']);
  });

  test('a slow but steady answer is waited for', async () => {
    upstream.next(scripts.slow(Array.from({ length: 12 }, (_, i) => `${i} `), 400));
    assert.equal((await ask(200)).json.generated_text, '0 1 2 3 4 5 6 7 8 9 10 11 ');
  });

  test('an endpoint that never begins is given up', () => failsAfter('', scripts.stallBeforeHead()));
  test('one that stalls is given up, what it said is kept', () => failsAfter('so far', scripts.stall(['so ', 'far'])));
  test('one that is cut off is an error, what it said is kept', () => failsAfter('half a', scripts.cut(['half ', 'a'])));
  test('one that ends without saying so is an error too', () => failsAfter('half a', scripts.endEarly(['half ', 'a'])));
  test('a 500 is an error of the model', () => failsAfter('', scripts.status(500, { error: { message: 'CUDA out of memory at 0xdeadbeef' } })));
  test('a 401 is the operator\'s matter, not the client\'s', () => failsAfter('', scripts.status(401, { error: { message: 'bad key' } })));
  test('a 404 for the model is so too', () => failsAfter('', scripts.status(404, { error: { message: 'no such model' } })));

  test('a 429 is passed on with its Retry-After', async () => {
    upstream.otherwise = scripts.status(429, { error: { message: 'slow down' } }, { 'Retry-After': '7' });
    const answer = await ask(429);
    assert.equal(answer.header('retry-after'), '7');
    assert.equal((await lastAnswer()).status, 'failed');
  });

  test('garbage in place of an answer is an error that shows none of it', async () => {
    const garbage = [
      scripts.bytes(['<html>CUDA secret</html>'], 'text/html'), scripts.bytes(['data: {CUDA secret\n\n']), scripts.bytes(['data: []\n\n']),
      scripts.bytes(['data: {"choices":"CUDA secret"}\n\n']), scripts.bytes(['data: {"choices":[{"delta":{"content":5}}]}\n\n']),
      scripts.bytes([Buffer.from([0xff, 0xfe, 0, 0, 10, 10])]), scripts.bytes([Buffer.from('data: {"choices":[{"delta":{"content":"\u00ff"}}]}\n\n', 'latin1')]),
      scripts.bytes(['data: null\n\n']), scripts.bytes([]), scripts.bytes([`data: ${'['.repeat(50_000)}\n\n`]),
      scripts.bytes(['data: {"error":{"message":"CUDA secret"}}\n\n']), scripts.status(200, 'CUDA secret', { 'Content-Type': 'text/plain' }),
    ];
    for (const [i, script] of garbage.entries()) {
      upstream.otherwise = script;
      const { status, text, json } = await ask([200, 503]);
      if (status === 200) assert.equal(json.finish_reason, 'error', `garbage ${i}`);
      assert.doesNotMatch(text, /CUDA/, `garbage ${i}`);
      assert.equal((await lastAnswer()).status, 'failed', `garbage ${i}`);
    }
  });

  test('a line or an answer without end is cut, and memory with it', async () => {
    upstream.otherwise = async (response, call) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: ');
      const block = 'x'.repeat(1024 * 1024);
      for (let i = 0; i < 64 && !call.closed; i += 1) {
        if (!response.write(block)) await new Promise((resolve) => { response.once('drain', resolve); response.once('close', resolve); });
      }
      response.end();
    };
    await ask([200, 503]);
    assert.equal((await lastAnswer()).status, 'failed');
    upstream.otherwise = scripts.say(Array.from({ length: 40 }, () => 'y'.repeat(65_536)));  // 2.5 MiB, past a message's limit
    const { json } = await ask(200);
    assert.equal(json.finish_reason, 'length');
    assert.equal(Buffer.byteLength(json.generated_text), 1024 * 1024);
  });

  test('its error hides what the endpoint said, and the next turn is as good as new', async () => {
    upstream.next(scripts.status(500, { error: { message: 'CUDA secret' } }));
    const { text } = await ask([200, 503]);
    assert.doesNotMatch(text, /CUDA/);
    upstream.queue.length = 0;
    assert.equal((await ask(200)).json.generated_text, 'ok');
  });

  test('a failed answer is no context of its own, but what was said is', async () => {
    const { conversation_id: id } = await alice.createConversation();
    upstream.otherwise = scripts.cut(['part of it']);
    await alice.post('/generate', { prompt: 'one' }, { query: { conversation_id: id }, expect: [200, 503] });
    await until(async () => (await alice.conversation(id)).messages[1]?.status === 'failed', 'the answer to fail');
    upstream.otherwise = scripts.status(500, {});
    await alice.post('/generate', { prompt: 'two' }, { query: { conversation_id: id }, expect: [200, 503] });
    upstream.otherwise = scripts.say('ok');
    await alice.generate(id, 'three');
    assert.ok(upstream.lastMessages.every((message) => message.content !== ''), JSON.stringify(upstream.lastMessages));
    assert.deepEqual(upstream.lastMessages.at(-1), { role: 'user', content: 'three' });
  });

  test('answers that failed with nothing said take no place among the newest five', async () => {
    const { conversation_id: id } = await alice.createConversation();
    for (const content of ['1', '2', '3', '4']) await alice.append(id, content);
    upstream.otherwise = scripts.status(500, {});
    for (const prompt of ['5', '6']) {
      await alice.post('/generate', { prompt }, { query: { conversation_id: id }, expect: [200, 503] });
    }
    upstream.otherwise = scripts.say('ok');
    await alice.generate(id, 'now');
    assert.deepEqual(upstream.lastMessages.map(({ content }) => content), ['2', '3', '4', '5', '6', 'now']);
  });
});

describe('an endpoint that is not there, and other settings', () => {
  test('unreachable is 503, and the prompt is kept', async (t) => {
    const port = await new Promise((resolve) => {
      const probe = net.createServer().listen(0, '127.0.0.1', () => { const { port: free } = probe.address(); probe.close(() => resolve(free)); });
    });
    const { alice } = await serverOfTest(t, { args: ['--model', 'openai', '--openai-base-url', `http://127.0.0.1:${port}/v1`, '--openai-model', 'x'] });
    const { conversation_id: id } = await alice.createConversation();
    await alice.post('/generate', { prompt: 'kept' }, { query: { conversation_id: id }, expect: 503 });
    const { messages } = await alice.conversation(id);
    assert.equal(messages[0].content, 'kept');
    assert.equal(messages[1].status, 'failed');
  });

  test('strict alternation merges neighbours and drops a leading answer', async (t) => {
    const { upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--openai-strict-alternation', 'true'] });
    const { conversation_id: id } = await alice.createConversation();
    for (const [role, content] of [['assistant', 'a0'], ['user', 'u1'], ['user', 'u2'], ['assistant', 'a3'], ['user', 'u4']]) await alice.append(id, content, { role });
    await alice.generate(id, 'u5');
    const seen = upstream.lastMessages;
    assert.deepEqual(seen.map((message) => message.role), ['user', 'assistant', 'user']);
    assert.match(seen[0].content, /u1[^]*u2/);
    assert.match(seen[2].content, /u4[^]*u5/);
  });

  test('the number of messages of context is the operator\'s', async (t) => {
    const { server, upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--context-messages', '2'] });
    const { conversation_id: id } = await alice.createConversation();
    for (const content of ['a', 'b', 'c']) await alice.append(id, content);
    await alice.generate(id, 'd');
    assert.deepEqual(upstream.lastMessages.map((message) => message.content), ['b', 'c', 'd']);
    await server.restart({ args: [...upstream.flags, '--context-messages', '0'] });
    await (await server.client('alice')).generate(id, 'e');
    assert.deepEqual(upstream.lastMessages.map((message) => message.content), ['e']);
  });

  test('a budget of tokens cuts the context in whole pairs', async (t) => {
    // An endpoint's tokens are estimated: a word of four letters is one, and a message is four more. Twelve a message here.
    const { upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--context-tokens', '40'] });
    const words = (name) => `${name} aaaa bbbb cccc`;
    upstream.next(scripts.say(words('answer 1')), scripts.say(words('answer 2')), scripts.say(words('answer 3')));
    const { conversation_id: id } = await alice.generate(undefined, words('prompt 1'));
    await alice.generate(id, words('prompt 2'));
    await alice.generate(id, words('prompt 3'));
    const given = upstream.calls.at(-1).body.messages.map((message) => message.content.replace(' aaaa bbbb cccc', ''));
    assert.deepEqual(given, ['prompt 2', 'answer 2', 'prompt 3']);
  });

  test('a turn that takes too long is ended, and what it said is kept', async (t) => {
    const { upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--turn-timeout', '2s'] });
    upstream.next(scripts.stall(['begun']));
    const events = await (await alice.stream('/generate', { prompt: 'x', stream: true })).collect();
    assert.equal(events.at(-1).name, 'error');
    const { conversation_id: id, message_id: messageId } = events[0].data;
    const message = (await alice.get(`/conversations/${id}/messages/${messageId}`, { expect: 200 })).json;
    assert.deepEqual([message.content, message.status], ['begun', 'interrupted']);
    await until(() => upstream.calls.at(-1).closed, 'the call to the model to be ended');
  });

  test('more turns than may run at once are 503, and there is room again after', async (t) => {
    const { upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--max-turns', '2', '--openai-idle-timeout', '4s'] });
    upstream.next(scripts.stall(['a']), scripts.stall(['b']));
    const streams = [];
    for (let i = 0; i < 2; i += 1) {
      streams.push(await alice.stream('/generate', { prompt: 'x', stream: true }, { headers: { 'Idempotency-Key': `turn-${i}` } }));
      await streams[i].next();
    }
    await alice.post('/generate', { prompt: 'x' }, { expect: 503 });
    streams.push(await alice.stream('/generate', { prompt: 'x', stream: true }, { headers: { 'Idempotency-Key': 'turn-1' } }));  // a repeat is none more
    for (const stream of streams) assert.equal((await stream.collect()).at(-1).name, 'error');
    await until(async () => (await alice.post('/generate', { prompt: 'x' }, { expect: [200, 503] })).status === 200, 'room for a turn');
  });
});
