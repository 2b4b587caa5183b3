// A volume that fills up: writes are refused cleanly, reads go on, nothing acknowledged is lost, and it heals.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { followPages } from '../e2e/client.mjs';
import { removeFolder, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';

const kMiB = 1024 * 1024;
// The store flushes up to two write buffers of 64 MiB at a time, so healing needs that much room: the ballast is more.
const kVolumeBytes = 400 * kMiB;
const kBallastBytes = 200 * kMiB;
const kContentBytes = 384 * 1024;

// A small file system of its own.
function mountVolume(t) {
  const folder = temporaryFolder();
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kVolumeBytes},mode=0700`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    removeFolder(folder);
    throw new Error(`a full disk needs a user who may mount a tmpfs: ${String(error.stderr ?? error).trim()}`);
  }
  afterwards(t, () => {
    execFileSync('umount', ['-l', folder]);
    removeFolder(folder);
  });
  return folder;
}

// Text that does not compress, so that it takes up the room that it seems to.
const bulk = () => randomBytes(Math.ceil((kContentBytes * 3) / 4)).toString('base64').slice(0, kContentBytes);

// What is remembered of a message: enough to see that it is the same.
const digest = ({ message_id: id, content }) => `${id} ${createHash('sha256').update(content).digest('hex')}`;

async function fill(client, id, kept) {
  for (let refusals = 0, i = 0; refusals < 5; i += 1) {
    assert.ok(i < 2000, 'the volume never fills');
    const content = bulk();
    const answer = await client.post(`/conversations/${id}/messages`, { content }, { expect: [201, 503] });
    if (answer.status === 201) kept.push(digest(answer.json));
    else refusals += 1;
  }
}

const isReady = async (client) => (await client.get('/health/ready', { expect: [200, 503] })).status === 200;

async function readAll(client, { conversation_id: id }) {
  const pages = await followPages(client, `/conversations/${id}/messages?limit=200`, 'prev');
  return pages.reverse().flat().map(digest);
}

// A write that was answered 503 may have happened, so there may be more; of what was acknowledged nothing may be missing.
async function checkReads(client, conversation, kept) {
  const found = new Set(await readAll(client, conversation));
  for (const [i, one] of kept.entries()) assert.ok(found.has(one), `the acknowledged message ${i} of ${kept.length} is lost or changed`);
  const list = (await client.get('/conversations', { expect: 200 })).json;
  assert.ok(list.some((one) => one.conversation_id === conversation.conversation_id));
}

// `minFree` is the room at which the server stops by itself; with 0 it runs into the end of the disk.
async function fillAndHeal(t, minFree) {
  const volume = mountVolume(t);
  const ballast = join(volume, 'ballast');
  writeFileSync(ballast, Buffer.alloc(kBallastBytes, 1));
  const server = await startServer({ data: join(volume, 'data'), args: ['--min-free-disk', minFree, '--block-cache', '8MiB'] });
  afterwards(t, () => server.close());
  let alice = await server.client('alice');
  const conversation = await alice.createConversation({ title: 'full' });
  const kept = [];
  await fill(alice, conversation.conversation_id, kept);
  assert.ok(kept.length >= 10, `only ${kept.length} messages fitted`);

  const path = `/conversations/${conversation.conversation_id}`;
  const refused = await alice.post(`${path}/messages`, { content: bulk() }, { expect: 503 });
  assert.ok(Number(refused.header('retry-after')) >= 1);
  assert.doesNotMatch(refused.text, /rocksdb|No space left|\.cc|\/tmp/i);
  await until(async () => !(await isReady(alice)), 'the server to say that it is not ready');
  assert.equal((await alice.get('/health/live')).status, 200);
  await checkReads(alice, conversation, kept);
  await alice.get(`${path}/messages?limit=3`, { expect: 200 });

  rmSync(ballast);
  await until(() => isReady(alice), 'the server to be ready again');
  const healed = await until(async () => {
    const answer = await alice.post(`${path}/messages`, { content: 'after the flood' }, { expect: [201, 503] });
    return answer.status === 201 && answer.json;
  }, 'a write to succeed');
  kept.push(digest(healed));
  await checkReads(alice, conversation, kept);
  const turn = await alice.generate(conversation.conversation_id, 'and a turn', { max_tokens: 20 });
  kept.push(digest(turn.user_message), digest(turn.message));

  await server.kill();
  await server.start();
  alice = await server.client('alice');
  await checkReads(alice, conversation, kept);
}

describe('a full disk', () => {
  test('with a reserve: writes stop before the end of the disk', (t) => fillAndHeal(t, '64MiB'));
  test('without a reserve: the end of the disk itself is survived', (t) => fillAndHeal(t, '0'));

  test('killed while it is full: everything is there once there is room', async (t) => {
    const volume = mountVolume(t);
    const ballast = join(volume, 'ballast');
    writeFileSync(ballast, Buffer.alloc(kBallastBytes, 1));
    const server = await startServer({ data: join(volume, 'data'), args: ['--min-free-disk', '0', '--block-cache', '8MiB'] });
    afterwards(t, () => server.close());
    let alice = await server.client('alice');
    const conversation = await alice.createConversation();
    const kept = [];
    await fill(alice, conversation.conversation_id, kept);
    await server.kill();
    await server.start().catch((error) => assert.match(String(error), /did not start/));
    if (server.child) await server.kill();
    rmSync(ballast);
    await server.start();
    alice = await server.client('alice');
    await checkReads(alice, conversation, kept);
    await alice.append(conversation.conversation_id, 'and on');
  });
});
