// Following an answer, taking it up again and stopping it, on one server.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { generationPath, rawRequest } from './client.mjs';
import { scripts } from './fake_upstream.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { gate, until } from './wait.mjs';

const textOf = (events) => events.filter(({ name }) => name === 'token').map(({ data }) => data.text).join('');
const kNowhere = '01932f3e-5c0a-7000-8000-000000000001';

describe('generations', () => {
  let upstream;
  let alice;
  let bob;
  serverOfSuite({ upstream: true, users: ['alice', 'bob'] }, (made) => { ({ upstream, alice, bob } = made); });

  // A turn that has said `before` and waits for the gate to say `after`.
  async function begin(before, after, ending) {
    const held = gate();
    upstream.next(scripts.hold(held, before, after, ending));
    const { conversation_id: id } = await alice.createConversation();
    const stream = await alice.stream('/generate', { prompt: 'Hello', stream: true }, { query: { conversation_id: id } });
    const start = await stream.next();
    const said = [before].flat().join('');
    for (let heard = ''; heard !== said; ) heard += (await stream.next()).data.text;
    return { held, id, stream, start, message: start.data.message_id, said };
  }

  test('any number of followers get the same events, from the start', async () => {
    const { held, id, stream, start, message } = await begin(['ü', 'n'], ['d ', '🚂']);
    const followers = await Promise.all(Array.from({ length: 5 }, () => alice.follow(id, message)));
    for (const follower of followers) assert.deepEqual(await follower.next(), start);
    held.open();
    const first = (await stream.collect()).at(-1);
    const late = await alice.follow(id, message);
    for (const follower of [...followers, late]) {
      const events = await follower.collect();
      assert.equal(textOf(events), 'ünd 🚂');
      assert.deepEqual(events.at(-1), first);
    }
  });

  test('Last-Event-ID goes on from there, while it runs and after it', async () => {
    const { held, id, message, said } = await begin('Räder ', 'rollen 🚂');
    const whole = 'Räder rollen 🚂';
    const running = await alice.follow(id, message, { had: said });
    held.open();
    assert.equal(textOf(await running.collect()), 'rollen 🚂');
    for (let cut = 0; cut <= whole.length; cut += 1) {
      const had = whole.slice(0, cut);
      if (!had.isWellFormed()) continue;
      const events = await (await alice.follow(id, message, { had })).collect();
      assert.equal(had + textOf(events), whole);
      assert.equal(events.at(-1).name, 'done');
    }
  });

  test('who has had the end gets 204', async () => {
    const { generated_text: text, conversation_id: id, message } = await alice.generate(undefined, 'Hello');
    assert.equal(await alice.follow(id, message.message_id, { had: `${text}.`, expect: 204 }), undefined);
  });

  test('a Last-Event-ID that cannot be is refused by name', async () => {
    upstream.next(scripts.say('üü'));
    const { conversation_id: id, message } = await alice.generate(undefined, 'Hello');
    const path = generationPath(id, message.message_id);
    const { held, id: runningId, message: running } = await begin('ü', 'x');
    for (const [target, bad] of [...['1', '3', '6', '99', '-1', '+1', '0x1', 'one', '1 ', '1.5', '99999999999999999999999'].map((id) => [path, id]),
                                 ...['1', '3', '4'].map((id) => [generationPath(runningId, running), id])]) {
      const headers = { Accept: 'text/event-stream', 'Last-Event-ID': bad };
      if (bad === '1 ') continue;  // trimmed on its way, as HTTP says
      const answer = await alice.get(target, { headers, expect: 422 });
      assert.deepEqual(answer.fields, ['Last-Event-ID'], bad);
    }
    held.open();
    const token = alice.token;
    const twice = { Authorization: `Bearer ${token}`, Accept: 'text/event-stream', 'Last-Event-ID': ['0', '2'] };
    assert.equal((await rawRequest(alice.baseUrl, 'GET', path, { headers: twice })).status, 400);
  });

  test('without an event stream it is the state, with what was said so far', async () => {
    const { held, id, message, stream } = await begin('ünd ', 'so');
    const running = await alice.generation(id, message);
    assert.equal(running.status, 'running');
    assert.equal(running.message.content, 'ünd ');
    assert.equal(running.bytes, 5);
    assert.equal(running.user_message.content, 'Hello');
    held.open();
    await stream.collect();
    const ended = await alice.generation(id, message);
    assert.equal(ended.status, 'complete');
    assert.equal(ended.message.content, 'ünd so');
    assert.equal(ended.message.finish_reason, 'stop');
    assert.deepEqual(ended.message, (await alice.get(`/conversations/${id}/messages/${message}`, { expect: 200 })).json);
  });

  test('what is not a generated answer of this user in this conversation is not found', async () => {
    const { held, id, message, start, stream } = await begin('x', 'y');
    const other = await alice.createConversation();
    const appended = await alice.append(id, 'not generated', { role: 'assistant' });
    const unknown = await bob.get(generationPath(id, kNowhere), { expect: 404 });
    for (const accept of ['application/json', 'text/event-stream']) {
      const headers = { Accept: accept, 'Last-Event-ID': '1' };
      for (const method of ['GET', 'DELETE']) {
        const foreign = await bob.call(method, generationPath(id, message), { headers, expect: 404 });
        assert.deepEqual({ ...foreign.json, request_id: '' }, { ...unknown.json, request_id: '' });
        await alice.call(method, generationPath(other.conversation_id, message), { headers, expect: 404 });
        await alice.call(method, generationPath(id, kNowhere), { headers, expect: 404 });
        await alice.call(method, generationPath(id, start.data.user_message_id), { headers, expect: 404 });
        await alice.call(method, generationPath(id, appended.message_id), { headers, expect: 404 });
        await alice.call(method, generationPath(id, 'no-id'), { headers, expect: 404 });
      }
    }
    held.open();
    assert.equal((await stream.collect()).at(-1).data.generated_text, 'xy');
  });

  test('cancelling stops the model, keeps what was said and ends the followers', async () => {
    const { id, message, stream, said } = await begin(['so ', 'far'], 'never');
    const follower = await alice.follow(id, message);
    const call = upstream.calls.at(-1);
    const cancelled = await alice.cancel(id, message);
    assert.equal(cancelled.content, said);
    assert.equal(cancelled.status, 'cancelled');
    assert.equal(cancelled.finish_reason, 'cancelled');
    assert.deepEqual((await alice.conversation(id)).messages.at(-1), cancelled);
    for (const one of [stream, follower]) {
      const end = (await one.collect()).at(-1);
      assert.equal(end.name, 'done');
      assert.deepEqual(end.data.message, cancelled);
      assert.equal(end.data.finish_reason, 'cancelled');
    }
    await until(() => call.closed, 'the model to be let go');
    assert.deepEqual(await alice.cancel(id, message), cancelled);
  });

  test('cancelling an answer that has ended changes nothing', async () => {
    const { conversation_id: id, message } = await alice.generate(undefined, 'Hello');
    assert.deepEqual(await alice.cancel(id, message.message_id), message);
    assert.deepEqual(await alice.cancel(id, message.message_id), message);
  });

  test('many cancels at once are one, and a caller who waits for the whole answer gets what was said', async () => {
    const held = gate();
    upstream.next(scripts.hold(held, 'partly', 'x'));
    const { conversation_id: id } = await alice.createConversation();
    const whole = alice.generate(id, 'Hello');
    const message = await until(async () => (await alice.conversation(id)).messages[1]?.message_id, 'the turn to begin');
    await until(async () => (await alice.generation(id, message)).bytes > 0, 'the first token');
    const results = await Promise.all(Array.from({ length: 10 }, () => alice.cancel(id, message)));
    for (const result of results) assert.deepEqual(result, results[0]);
    const { generated_text: text, finish_reason: reason } = await whole;
    assert.equal(text, 'partly');
    assert.equal(reason, 'cancelled');
  });

  test('an answer whose prompt was deleted can still be followed', async () => {
    const { conversation_id: id, message, user_message: prompt } = await alice.generate(undefined, 'Hello');
    await alice.delete(`/conversations/${id}/messages/${prompt.message_id}`, { expect: 204 });
    assert.equal('user_message' in await alice.generation(id, message.message_id), false);
    const events = await (await alice.follow(id, message.message_id)).collect();
    assert.equal(events.at(-1).data.generated_text, message.content);
  });

  test('an answer that failed with nothing said is told as an error', async () => {
    upstream.next(scripts.status(500, {}));
    const { conversation_id: id } = await alice.createConversation();
    await alice.post('/generate', { prompt: 'x' }, { query: { conversation_id: id }, expect: 503 });
    const { messages } = await alice.conversation(id);
    const events = await (await alice.follow(id, messages[1].message_id)).collect();
    assert.deepEqual(events.map(({ name }) => name), ['start', 'error']);
    assert.equal((await alice.generation(id, messages[1].message_id)).status, 'failed');
  });
});

test('a follower that does not read is let go, and goes on from where it was', async (t) => {
  const { upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--write-timeout', '300ms', '--max-content-bytes', '4MiB'] });
  const piece = 'All work and no play makes Jack a dull boy. '.repeat(1000);
  upstream.next(scripts.say(Array.from({ length: 90 }, () => piece)));
  const { conversation_id: id, message, generated_text: whole } = await alice.generate(undefined, 'Type!');
  assert.ok(whole.length > 3_900_000);
  // Longer than what the two sockets hold for it.
  let had = '';
  let cuts = 0;
  while (had.length < whole.length) {
    const stream = await alice.follow(id, message.message_id, cuts === 0 ? {} : { had });
    try {
      for await (const event of stream) {
        if (event.name === 'token') had += event.data.text;
        if (event.name === 'done') break;
        if (cuts < 2) await new Promise((resolve) => setTimeout(resolve, 40));  // slower than it comes
      }
    } catch (error) {
      if (error.name === 'ContractViolation' || error.name === 'AssertionError') {
        if (!/without done or error/.test(error.message)) throw error;
      }
      cuts += 1;
    }
  }
  assert.ok(cuts > 0, 'it was never let go');
  assert.ok(had === whole);
});
