// GET /events: what a user's devices are told, and what nobody else is.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rawRequest } from './client.mjs';
import { scripts } from './fake_upstream.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { gate, until } from './wait.mjs';

// The next events of these names, in their order; others may stand between them.
async function expectEvents(stream, names) {
  const found = [];
  for (const name of names) {
    const event = await stream.next();
    assert.equal(event.name, name);
    found.push(event);
  }
  return found;
}

async function follow(client, options = {}) {
  const stop = new AbortController();
  const stream = await client.followEvents({ signal: stop.signal, ...options });
  return { stream, close: () => stop.abort() };
}

describe('live events', () => {
  let server;
  let upstream;
  let alice;
  let bob;
  serverOfSuite({ upstream: true, users: ['alice', 'bob'] }, (made) => ({ server, upstream, alice, bob } = made));

  test('tell every device what happens to conversations and messages', async () => {
    const devices = [await follow(alice), await follow(alice)];
    const stranger = await follow(bob);
    for (const { stream } of [...devices, stranger]) await expectEvents(stream, ['ready']);
    const { conversation_id: id } = await alice.createConversation({ title: 'One' });
    await alice.patch(`/conversations/${id}`, { pinned: true }, { expect: 200 });
    await alice.put(`/conversations/${id}/title`, { title: 'Two' }, { expect: 200 });
    const { message_id: message } = await alice.append(id, 'Hello');
    await alice.delete(`/conversations/${id}/messages/${message}`, { expect: 204 });
    const { message: answer, user_message: prompt } = await alice.generate(id, 'Hi');
    await alice.delete(`/conversations/${id}`, { expect: 204 });
    for (const { stream } of devices) {
      const events = await expectEvents(stream, [
        'conversation.created', 'conversation.changed', 'conversation.changed', 'message.created', 'message.deleted',
        'message.created', 'message.created', 'message.changed', 'conversation.deleted']);
      const data = events.map((event) => event.data);
      assert.ok(data.every(({ conversation_id: of }) => of === id));
      assert.deepEqual([data[0].title, data[0].pinned, data[1].pinned, data[2].title], ['One', false, true, 'Two']);
      assert.deepEqual([data[3].message_id, data[3].role, data[4].message_id], [message, 'user', message]);
      assert.deepEqual([data[5].message_id, data[6].message_id, data[6].status], [prompt.message_id, answer.message_id, 'running']);
      assert.deepEqual([data[7].message_id, data[7].status], [answer.message_id, 'complete']);
    }
    // Bob has heard nothing of it: the next that he hears is his own.
    const { conversation_id: his } = await bob.createConversation();
    const [own] = await expectEvents(stranger.stream, ['conversation.created']);
    assert.equal(own.data.conversation_id, his);
    for (const { close } of [...devices, stranger]) close();
  });

  test('a turn is told when it begins, and when it ends', async () => {
    const { stream, close } = await follow(alice);
    await expectEvents(stream, ['ready']);
    const held = gate();
    upstream.next(scripts.hold(held, 'a', 'b'));
    const turn = await alice.stream('/generate', { prompt: 'x', stream: true });
    await expectEvents(stream, ['conversation.created', 'message.created', 'message.created']);
    held.open();
    await turn.collect();
    await expectEvents(stream, ['message.changed']);
    close();
  });

  test('repeats that change nothing are not told', async () => {
    const { stream, close } = await follow(alice);
    await expectEvents(stream, ['ready']);
    const options = { headers: { 'Idempotency-Key': 'told-once' }, expect: 201 };
    for (let i = 0; i < 3; i += 1) await alice.post('/conversations', {}, options);
    await alice.createConversation({ title: 'next' });
    const [, next] = await expectEvents(stream, ['conversation.created', 'conversation.created']);
    assert.equal(next.data.title, 'next');
    close();
  });

  test('whoever comes back goes on after the last event that was seen', async () => {
    const first = await follow(alice);
    const [ready] = await expectEvents(first.stream, ['ready']);
    const titles = ['a', 'b', 'c'];
    for (const title of titles) await alice.createConversation({ title });
    const [seen] = await expectEvents(first.stream, ['conversation.created']);
    first.close();
    for (const [last, expected] of [[seen.id, ['b', 'c']], [ready.id, titles]]) {
      const again = await follow(alice, { last });
      const events = await expectEvents(again.stream, expected.map(() => 'conversation.created'));
      assert.deepEqual(events.map(({ data }) => data.title), expected);
      again.close();
    }
  });

  test('what has expired or was deleted since is not told again', async () => {
    const dora = await server.client('dora');  // whose expired one goes whenever the sweeper comes
    const first = await follow(dora);
    const [ready] = await expectEvents(first.stream, ['ready']);
    first.close();
    const { conversation_id: short } = await dora.createConversation({ title: 'soon gone', ttl_seconds: 2 });
    await dora.append(short, 'Hello');
    const { conversation_id: deleted } = await dora.createConversation({ title: 'deleted' });
    await dora.delete(`/conversations/${deleted}`, { expect: 204 });
    const { conversation_id: kept } = await dora.createConversation({ title: 'kept' });
    const titles = [];
    await until(async () => (await dora.get(`/conversations/${short}`)).status === 404, 'it to expire');
    const again = await follow(dora, { last: ready.id });
    for (;;) {
      const { name, data } = await again.stream.next();
      titles.push(data.title);
      if (data.conversation_id === kept) break;
      assert.equal(name, 'conversation.deleted');
    }
    assert.deepEqual(titles.filter(Boolean), ['kept']);
    again.close();
  });

  test('an id that is not known is a reset, and another user\'s is none of one\'s own', async () => {
    const mine = await follow(alice);
    const [ready] = await expectEvents(mine.stream, ['ready']);
    for (const last of ['1', 'nonsense', `${ready.id}9`, 'x'.repeat(2000)]) {
      const { stream, close } = await follow(alice, { last });
      await expectEvents(stream, ['reset']);
      close();
    }
    const thief = await follow(bob, { last: ready.id });
    await expectEvents(thief.stream, ['reset']);
    thief.close();
    // Too much has happened since.
    for (let i = 0; i < 130; i += 1) await alice.createConversation();
    const late = await follow(alice, { last: ready.id });
    const [reset] = await expectEvents(late.stream, ['reset']);
    late.close();
    const on = await follow(alice, { last: reset.id });
    await alice.createConversation({ title: 'after' });
    const [event] = await expectEvents(on.stream, ['conversation.created']);
    assert.equal(event.data.title, 'after');
    on.close();
    mine.close();
  });

  test('a user has so many streams and no more, and others have theirs', async () => {
    const carol = await server.client('carol');
    const open = [];
    for (let i = 0; i < 32; i += 1) open.push(await follow(carol));
    await carol.get('/events', { expect: 429 });
    const other = await follow(bob);
    other.close();
    open.pop().close();
    // A stream that was left is noticed when there is something to tell.
    await until(async () => {
      await carol.createConversation();
      const stop = new AbortController();
      const response = await fetch(new URL('/events', carol.baseUrl), { headers: { Authorization: `Bearer ${carol.token}` }, signal: stop.signal });
      stop.abort();
      return response.status === 200;
    }, 'a place that was left');
    for (const { close } of open) close();
  });

  test('needs a token, and HEAD has its headers and an end', async () => {
    await alice.as(undefined).get('/events', { expect: 401 });
    const head = await rawRequest(server.baseUrl, 'HEAD', '/events', { headers: { Authorization: `Bearer ${alice.token}` }, check: false });
    assert.deepEqual([head.status, head.headers.get('content-type'), head.bytes.length], [200, 'text/event-stream', 0]);
  });
});

test('a server that ends, ends its streams, and its ids are not known after', async (t) => {
  const { server, alice } = await serverOfTest(t);
  const { stream } = await follow(alice);
  const [ready] = await expectEvents(stream, ['ready']);
  const begun = Date.now();
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  assert.deepEqual(await stream.collect(), []);
  assert.ok(Date.now() - begun < 20_000, 'it waited for a follower');
  await server.start();
  const again = await follow(await server.client('alice'), { last: ready.id });
  await expectEvents(again.stream, ['reset']);
  again.close();
});
