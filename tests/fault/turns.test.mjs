// Turns whose server ends in the middle: what was said is there when it is back.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { scripts, startFakeUpstream } from '../e2e/fake_upstream.mjs';
import { startServer } from '../e2e/server.mjs';
import { gate, until } from '../e2e/wait.mjs';

// A turn that has said `said`, and whose model waits for ever.
async function turnInTheMiddle(t, args, said) {
  const upstream = await startFakeUpstream();
  afterwards(t, () => upstream.close());
  const server = await startServer({ args: [...upstream.flags, ...args] });
  afterwards(t, () => server.close());
  const alice = await server.client('alice');
  const { conversation_id: id } = await alice.createConversation();
  upstream.next(scripts.hold(gate(), said, 'never'));
  const headers = { 'Idempotency-Key': randomUUID() };
  const body = { prompt: 'Hello', stream: true };
  const stream = await alice.stream('/generate', body, { query: { conversation_id: id }, headers });
  const message = (await stream.next()).data.message_id;
  for (let heard = ''; heard !== said.join(''); ) heard += (await stream.next()).data.text;
  const path = `/conversations/${id}/messages/${message}`;
  return { upstream, server, alice, id, message, path, stream, body, headers };
}

describe('a turn whose server ends in the middle', () => {
  test('SIGKILL: what was saved of it so far is there, interrupted, and nobody asks the model again', async (t) => {
    const { upstream, server, alice, id, message, path, stream, body, headers } =
      await turnInTheMiddle(t, ['--partial-save-interval', '100ms'], ['ünd ', 'so ']);
    await until(async () => (await alice.get(path, { expect: 200 })).json.content === 'ünd so ', 'the text so far to be saved');
    const cut = stream.collect();
    await Promise.all([assert.rejects(cut), server.kill()]);
    await server.start();
    const again = await server.client('alice');
    const found = (await again.get(path, { expect: 200 })).json;
    assert.equal(found.status, 'interrupted');
    assert.equal(found.content, 'ünd so ');
    const events = await (await again.follow(id, message, { had: 'ünd ' })).collect();
    assert.deepEqual(events.map(({ name }) => name), ['token', 'done']);
    assert.equal(events.at(-1).data.message.status, 'interrupted');
    assert.deepEqual(await again.cancel(id, message), found);
    const retry = await again.post('/generate', body, { query: { conversation_id: id }, headers, expect: 200 });
    assert.deepEqual(retry.json.at(-1).data.message, found);
    assert.equal(upstream.calls.length, 1);
  });

  test('SIGKILL without saving so far: the answer is interrupted and empty', async (t) => {
    const { server, path, stream } = await turnInTheMiddle(t, ['--partial-save-interval', '0s'], ['x']);
    await Promise.all([assert.rejects(stream.collect()), server.kill()]);
    await server.start();
    const found = (await (await server.client('alice')).get(path, { expect: 200 })).json;
    assert.deepEqual([found.status, found.content], ['interrupted', '']);
  });

  test('SIGTERM: what was said is saved, and whoever follows is told', async (t) => {
    const { server, alice, id, message, path, stream } =
      await turnInTheMiddle(t, ['--shutdown-timeout', '200ms', '--partial-save-interval', '0s'], ['ünd ', 'so ']);
    const follower = await alice.follow(id, message);
    const ends = Promise.all([stream.collect(), follower.collect()]);
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    for (const events of await ends) assert.equal(events.at(-1).name, 'error');
    await server.start();
    const again = await server.client('alice');
    const found = (await again.get(path, { expect: 200 })).json;
    assert.deepEqual([found.status, found.content], ['interrupted', 'ünd so ']);
    const events = await (await again.follow(id, message)).collect();
    assert.equal(events.at(-1).data.generated_text, 'ünd so ');
  });
});
