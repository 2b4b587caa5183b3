import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { afterwards } from './cleanup.mjs';
import { scripts, startFakeUpstream } from './fake_upstream.mjs';
import { startServer } from './server.mjs';
import { serverOfTest } from './setup.mjs';
import { until } from './wait.mjs';

describe('limits of a user', () => {
  test('without limits there are no headers of them', async (t) => {
    const { alice } = await serverOfTest(t);
    for (let i = 0; i < 100; i += 1) await alice.get('/conversations?limit=1', { expect: 200 });
    assert.equal((await alice.get('/conversations', { expect: 200 })).header('ratelimit'), undefined);
  });

  test('more requests a minute than the limit are 429, for that user alone', async (t) => {
    const { alice, bob } = await serverOfTest(t, { args: ['--requests-per-minute', '5'], users: ['alice', 'bob'] });
    const answers = [];
    for (let i = 0; i < 8; i += 1) answers.push(await alice.get('/conversations', { expect: [200, 429] }));
    assert.equal(answers[0].status, 200);
    const refused = answers.filter((answer) => answer.status === 429);
    assert.ok(refused.length >= 1, 'none was refused');
    for (const answer of refused) {
      const wait = Number(answer.header('retry-after'));
      assert.ok(wait >= 1 && wait <= 60, String(wait));
      assert.match(answer.header('ratelimit') ?? '', /^"requests";r=0;/);
      assert.equal(answer.header('ratelimit-policy'), '"requests";q=5;w=60');
    }
    const left = answers.slice(0, 4).map((answer) => Number(answer.header('ratelimit').match(/r=(\d+)/)[1]));
    assert.ok(left[0] === 4 && left[3] < left[0], String(left));
    await bob.get('/conversations', { expect: 200 });
    await alice.post('/generate', { prompt: 'x' }, { expect: [200, 429] });
  });

  test('a client that waits as long as it was told goes on', async (t) => {
    const { alice } = await serverOfTest(t, { args: ['--requests-per-minute', '60'] });
    const refused = await until(async () => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => alice.get('/conversations', { expect: [200, 429] })));
      return answers.find((answer) => answer.status === 429);
    }, 'the limit');
    await until(async () => (await alice.get('/conversations', { expect: [200, 429] })).status === 200, 'the limit to end');
    assert.ok(Number(refused.header('retry-after')) <= 60);
  });

  test('health is never limited, and a refused request changes nothing', async (t) => {
    const { server, alice } = await serverOfTest(t, { args: ['--requests-per-minute', '2'] });
    const made = [];
    for (let i = 0; i < 6; i += 1) {
      const answer = await alice.post('/conversations', {}, { expect: [201, 429] });
      if (answer.status === 201) made.push(answer.json);
    }
    assert.ok(made.length < 6);
    for (let i = 0; i < 20; i += 1) await alice.get('/health', { expect: 200 });
    await server.restart({ args: [] });
    const list = (await (await server.client('alice')).get('/conversations', { expect: 200 })).json;
    assert.deepEqual(list, made.reverse());
  });

  test('more tokens a minute than the limit stop turns, and nothing else', async (t) => {
    const { server, upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--tokens-per-minute', '100'] });
    upstream.otherwise = scripts.say('ok', { usage: { prompt_tokens: 60, completion_tokens: 60 } });
    assert.equal((await alice.post('/generate', { prompt: 'x' }, { expect: 200 })).status, 200);
    const refused = await alice.post('/generate', { prompt: 'x' }, { expect: 429 });
    assert.ok(Number(refused.header('retry-after')) >= 1);
    const calls = upstream.calls.length;
    await alice.post('/generate', { prompt: 'x' }, { expect: 429 });
    assert.equal(upstream.calls.length, calls);
    await alice.get('/conversations', { expect: 200 });
    await (await server.client('bob')).post('/generate', { prompt: 'x' }, { expect: 200 });
  });

  test('a repeated turn is answered also where no tokens are left', async (t) => {
    const { upstream, alice } = await serverOfTest(t, { upstream: true, args: ['--tokens-per-minute', '100'] });
    upstream.otherwise = scripts.say('ok', { usage: { prompt_tokens: 60, completion_tokens: 60 } });
    const headers = { 'Idempotency-Key': 'turn-1' };
    const send = (body, expect, key = headers) => alice.post('/generate', body, { headers: key, expect });
    const first = await send({ prompt: 'x' }, 200);
    assert.deepEqual((await send({ prompt: 'x' }, 200)).json, first.json);
    assert.deepEqual((await send({ prompt: 'y' }, 422)).fields, ['Idempotency-Key']);
    await send({ prompt: 'x' }, 429, { 'Idempotency-Key': 'turn-2' });
    await alice.post('/generate', { prompt: 'x' }, { expect: 429 });
    await alice.delete(`/conversations/${first.json.conversation_id}`, { expect: 204 });
    await send({ prompt: 'x' }, 409);
    assert.equal(upstream.calls.length, 1);
  });
});
