// SIGKILL in the middle of the removal of what has expired.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { startServer } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';

const kOld = 12;
const kMessages = 15;

async function metric(server, name) {
  const text = await (await fetch(new URL('/metrics', server.adminUrl))).text();
  return Number(text.match(new RegExp(`^${name}(?:{[^}]*})? (\\S+)$`, 'm'))?.[1] ?? 0);
}

describe('SIGKILL', () => {
  test('in the middle of a sweep: what is left goes, what should stay stays', async (t) => {
    const server = await startServer({ args: ['--removal-rate', '20'] });
    afterwards(t, () => server.close());
    let alice = await server.client('alice');
    const kept = await alice.createConversation({ title: 'kept' });
    for (let i = 0; i < kMessages; i += 1) await alice.append(kept.conversation_id, `kept ${i}`);
    const old = [];
    for (let i = 0; i < kOld; i += 1) {
      const { conversation_id: id } = await alice.createConversation({ title: 'old' });
      old.push(id);
      for (let k = 0; k < kMessages; k += 1) await alice.append(id, `old ${k}`);
    }
    for (const id of old) await alice.patch(`/conversations/${id}`, { ttl_seconds: 1 }, { expect: 200 });
    // They expire in different seconds.
    const hidden = (id) => alice.get(`/conversations/${id}`, { expect: 404 }).then(() => true, () => false);
    for (const id of old) await until(() => hidden(id), 'all to expire');
    for (let round = 1; round <= 3; round += 1) {
      await until(async () => await metric(server, 'colloquy_store_purged_messages_total') >= 10 * round, 'a part of the sweep');
      await server.kill();
      await server.start();
      alice = await server.client('alice');
      for (const id of old) await alice.get(`/conversations/${id}`, { expect: 404 });
      const { conversation, messages } = await alice.conversation(kept.conversation_id);
      assert.equal(messages.length, kMessages);
      assert.equal(conversation.message_count, kMessages);
    }
    await server.stop();
    await server.start({ args: ['--removal-rate', '10000'] });
    await until(async () => await metric(server, 'colloquy_store_messages') === kMessages, 'the messages to go');
    assert.equal(await metric(server, 'colloquy_store_conversations'), 1);
    assert.equal(await metric(server, 'colloquy_store_expiry_lag_seconds'), 0);
  });
});
