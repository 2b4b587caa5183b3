// Another answer, another wording, another continuation: the messages of a conversation as a tree.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';
import { followPages } from './client.mjs';
import { scripts } from './fake_upstream.mjs';
import { onDynamoDb } from './server.mjs';
import { serverOfSuite, serverOfTest } from './setup.mjs';
import { gate, until } from './wait.mjs';

const kNowhere = '01932f3e-5c0a-7000-8000-000000000001';
const kBranches = 128;
const contents = (messages) => messages.map(({ content }) => content);
const regeneratePath = (id, message) => `/conversations/${id}/messages/${message}/regenerate`;

// The active branch is what reading shows, its parents are in line, and `branches=all` agrees.
async function checkTree(client, id) {
  const { conversation, messages } = await client.conversation(id);
  const all = (await client.get(`/conversations/${id}`, { query: { branches: 'all' }, expect: 200 })).json.messages;
  assert.deepEqual(all.filter(({ active }) => active).map(({ active, ...message }) => message), messages);
  const ended = all.every(({ status }) => status !== 'running');
  if (ended) assert.equal(all.length, conversation.message_count);
  messages.forEach((message, i) => assert.equal(message.parent_id, messages[i - 1]?.message_id));
  const known = new Set([undefined]);
  for (const message of all) {
    assert.ok(known.has(message.parent_id), 'a parent is older than its children');
    known.add(message.message_id);
    assert.equal(typeof message.active, 'boolean');
  }
  return { conversation, messages, all };
}

describe('branches', () => {
  let upstream;
  let alice;
  let bob;
  serverOfSuite({ upstream: true, users: ['alice', 'bob'], args: ['--context-messages', '100'] },
                (made) => { ({ upstream, alice, bob } = made); });

  const regenerate = async (id, message, body = {}, options = { expect: 200 }) =>
    (await alice.post(regeneratePath(id, message), body, options)).json;
  const say = async (id, prompt, answer, fields) => {
    upstream.next(scripts.say(answer));
    return alice.generate(id, prompt, fields);
  };
  const again = async (id, message, answer) => {
    upstream.next(scripts.say(answer));
    return regenerate(id, message);
  };
  const given = () => contents(upstream.lastMessages);
  const active = async (id) => contents((await checkTree(alice, id)).messages);
  const switchTo = async (id, message) =>
    (await alice.patch(`/conversations/${id}`, { active_message_id: message }, { expect: 200 })).json;

  // one → a, two → b, three → c.
  async function dialogue() {
    const first = await say(undefined, 'one', 'a');
    const id = first.conversation_id;
    return { id, first, second: await say(id, 'two', 'b'), third: await say(id, 'three', 'c') };
  }

  test('without any, a conversation is as it was, with parents', async () => {
    const { id } = await dialogue();
    const { conversation, all } = await checkTree(alice, id);
    assert.ok(all.every((message) => message.active));
    assert.equal('branch_count' in conversation, false);
    const { messages } = (await alice.get(`/conversations/${id}`, { query: { branches: 'active' }, expect: 200 })).json;
    assert.ok(messages.every((message) => !('active' in message)));
  });

  test('another answer stands beside the first, and is the active one', async () => {
    const { id, second } = await dialogue();
    const prompt = second.user_message;
    const siblings = [second.message];
    for (const [i, target] of [second.message, prompt].entries()) {
      const result = await again(id, target.message_id, `b${i}`);
      assert.deepEqual(given(), ['one', 'a', 'two']);
      assert.deepEqual(result.user_message, prompt);
      assert.equal(result.prompt, 'two');
      assert.equal(result.generated_text, `b${i}`);
      siblings.push(result.message);
      assert.deepEqual((await alice.get(`/conversations/${id}/messages/${result.message.message_id}`, { expect: 200 })).json, result.message);
    }
    for (const sibling of siblings) assert.equal(sibling.parent_id, prompt.message_id);
    const { conversation, messages, all } = await checkTree(alice, id);
    assert.equal(conversation.branch_count, 3);
    assert.equal(conversation.message_count, 8);
    assert.deepEqual(contents(messages), ['one', 'a', 'two', 'b1']);
    assert.deepEqual(all.map(({ content, active: is }) => [content, is]),
                     [['one', true], ['a', true], ['two', true], ['b', false], ['three', false], ['c', false], ['b0', false], ['b1', true]]);
    await say(id, 'four', 'd');
    assert.deepEqual(given(), ['one', 'a', 'two', 'b1', 'four']);
    assert.deepEqual(await active(id), ['one', 'a', 'two', 'b1', 'four', 'd']);
    assert.equal((await checkTree(alice, id)).conversation.branch_count, 3);
  });

  test('another wording stands in the place of the first one, with what is before it', async () => {
    const { id, first, second } = await dialogue();
    const edited = await say(id, 'zwei', 'B', { edit_of: second.user_message.message_id });
    assert.deepEqual(given(), ['one', 'a', 'zwei']);
    assert.equal(edited.user_message.parent_id, first.message.message_id);
    const begun = await say(id, 'eins', 'A', { edit_of: first.user_message.message_id });
    assert.deepEqual(given(), ['eins']);
    assert.equal('parent_id' in begun.user_message, false);
    assert.deepEqual(await active(id), ['eins', 'A']);
    // Goes on there, and an edit of an edit.
    await say(id, 'weiter', 'W');
    await say(id, 'uno', 'AA', { edit_of: begun.user_message.message_id });
    assert.deepEqual(given(), ['uno']);
    // Back, and on.
    const { branch_count: branches } = await switchTo(id, second.message.message_id);
    assert.equal(branches, 4);
    assert.deepEqual(await active(id), ['one', 'a', 'two', 'b', 'three', 'c']);
    await switchTo(id, first.message.message_id);  // the newest of the ways through it
    assert.deepEqual(await active(id), ['one', 'a', 'zwei', 'B']);
    await say(id, 'fünf', 'e');
    assert.deepEqual(given(), ['one', 'a', 'zwei', 'B', 'fünf']);
    await switchTo(id, begun.message.message_id);
    await say(id, 'noch', 'N');
    assert.deepEqual(given(), ['eins', 'A', 'weiter', 'W', 'noch']);
    assert.deepEqual(await active(id), ['eins', 'A', 'weiter', 'W', 'noch', 'N']);
  });

  test('parent_id is any place: the middle, the beginning, the end', async () => {
    const { id, second, third } = await dialogue();
    const end = await say(id, 'four', 'd', { parent_id: third.message.message_id });
    assert.equal('branch_count' in (await checkTree(alice, id)).conversation, false);
    assert.equal(end.user_message.parent_id, third.message.message_id);
    const middle = await say(id, 'drei', 'C', { parent_id: second.message.message_id });
    assert.deepEqual(given(), ['one', 'a', 'two', 'b', 'drei']);
    assert.equal(middle.user_message.parent_id, second.message.message_id);
    const between = await say(id, 'more', 'm', { parent_id: third.user_message.message_id });
    assert.deepEqual(given(), ['one', 'a', 'two', 'b', 'three', 'more']);
    assert.equal(between.user_message.parent_id, third.user_message.message_id);
    const beginning = await say(id, 'new', 'n', { parent_id: null });
    assert.deepEqual(given(), ['new']);
    assert.equal('parent_id' in beginning.user_message, false);
    assert.deepEqual(await active(id), ['new', 'n']);
    assert.equal((await checkTree(alice, id)).conversation.branch_count, 4);
    const { conversation_id: empty } = await alice.createConversation();
    await say(empty, 'first', 'f', { parent_id: null });
    assert.equal('branch_count' in (await checkTree(alice, empty)).conversation, false);
  });

  test('messages are appended anywhere too', async () => {
    const { id, first, second } = await dialogue();
    const path = `/conversations/${id}/messages`;
    const edited = (await alice.post(path, { content: 'zwei', edit_of: second.user_message.message_id }, { expect: 201 })).json;
    assert.equal(edited.parent_id, first.message.message_id);
    const answer = await alice.append(id, 'B', { role: 'assistant', parent_id: edited.message_id });
    assert.equal(answer.parent_id, edited.message_id);
    const other = await alice.append(id, 'BB', { role: 'assistant', parent_id: edited.message_id });
    assert.equal(other.parent_id, edited.message_id);
    assert.deepEqual(await active(id), ['one', 'a', 'zwei', 'BB']);
    await alice.append(id, 'first', { parent_id: null });
    assert.deepEqual(await active(id), ['first']);
    assert.equal((await checkTree(alice, id)).conversation.branch_count, 4);
    // What a client has appended is answered likewise.
    const { message } = await again(id, answer.message_id, 'generated');
    assert.equal(message.parent_id, edited.message_id);
    assert.deepEqual(given(), ['one', 'a', 'zwei']);
    const alone = await alice.createConversation();
    const asked = await alice.append(alone.conversation_id, 'asked');
    const answered = await again(alone.conversation_id, asked.message_id, 'answered');
    assert.equal(answered.message.parent_id, asked.message_id);
    assert.equal('branch_count' in (await checkTree(alice, alone.conversation_id)).conversation, false);
  });

  test('the context is shown as it would be given there', async () => {
    const { id, first, second, third } = await dialogue();
    const explain = async (fields) => (await alice.post(`/conversations/${id}/context`, { prompt: 'now', ...fields }, { expect: 200 })).json;
    await say(id, 'zwei', 'B', { edit_of: second.user_message.message_id });
    for (const fields of [{}, { parent_id: null }, { parent_id: third.user_message.message_id }, { edit_of: third.user_message.message_id },
                          { edit_of: first.user_message.message_id }, { parent_id: second.message.message_id }]) {
      const explained = await explain(fields);
      await say(id, 'now', 'x', fields);
      assert.deepEqual(contents(explained.messages), given(), JSON.stringify(fields));
    }
    await alice.patch(`/conversations/${id}`, { context: { messages: 1 } }, { expect: 200 });
    const cut = await explain({ edit_of: third.user_message.message_id });
    assert.deepEqual(contents(cut.messages), ['b', 'now']);
    assert.deepEqual(cut.left_out.map(({ message_id: left }) => left),
                     [first.user_message, first.message, second.user_message].map(({ message_id: left }) => left));
    assert.equal(cut.more_left_out, false);
  });

  test('another answer may be made while the first is', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const held = gate();
    const open = async (path, body, query) => {
      upstream.next(scripts.hold(held, 'so ', 'far'));
      const stream = await alice.stream(path, { stream: true, ...body }, { query });
      return { stream, start: (await stream.next()).data };
    };
    const first = await open('/generate', { prompt: 'one' }, { conversation_id: id });
    const second = await open(regeneratePath(id, first.start.message_id));
    const third = await open(regeneratePath(id, first.start.user_message_id));
    assert.equal(second.start.user_message_id, first.start.user_message_id);
    const followed = await alice.follow(id, first.start.message_id);
    for (const { start } of [first, second, third]) {
      const state = await alice.generation(id, start.message_id);
      assert.equal(state.status, 'running');
      assert.equal(state.message.parent_id, first.start.user_message_id);
      assert.equal(state.user_message.message_id, first.start.user_message_id);
    }
    held.open();
    const answers = [];
    for (const { stream } of [first, second, third]) answers.push((await stream.collect()).at(-1).data.message);
    assert.deepEqual((await followed.collect()).at(-1).data.message, answers[0]);
    const { all } = await checkTree(alice, id);
    assert.deepEqual(all.slice(1).map(({ active: is, ...message }) => message), answers);
    assert.deepEqual(all.map(({ active: is }) => is), [true, false, false, true]);
    assert.deepEqual(given(), ['one']);
  });

  test('a repeat with the same key is the same answer, and one call of the model', async () => {
    const { id, first, second } = await dialogue();
    const headers = { 'Idempotency-Key': randomUUID() };
    const calls = upstream.calls.length;
    const made = await regenerate(id, first.message.message_id, { seed: 1 }, { headers, expect: 200 });
    const edit = { prompt: 'zwei', edit_of: second.user_message.message_id, client_message_id: 'edit' };
    const edited = await alice.generate(id, edit.prompt, edit);
    await alice.delete(`/conversations/${id}/messages/${second.user_message.message_id}`, { expect: 204 });
    assert.deepEqual(await regenerate(id, first.message.message_id, { seed: 1 }, { headers, expect: 200 }), made);
    assert.deepEqual(await alice.generate(id, edit.prompt, edit), edited);
    assert.equal(upstream.calls.length, calls + 2);
    for (const [message, body] of [[first.user_message, { seed: 1 }], [first.message, { seed: 2 }]]) {
      const { fields } = await alice.post(regeneratePath(id, message.message_id), body, { headers, expect: 422 });
      assert.deepEqual(fields, ['Idempotency-Key']);
    }
    const other = await alice.post('/generate', { ...edit, edit_of: first.user_message.message_id }, { query: { conversation_id: id }, expect: 422 });
    assert.deepEqual(other.fields, ['client_message_id']);
    // It streams what is saved.
    const events = (await alice.post(regeneratePath(id, first.message.message_id), { seed: 1 },
                                     { headers: { ...headers, Accept: 'text/event-stream' }, expect: 200 })).json;
    assert.deepEqual(events.map(({ name }) => name), ['start', 'token', 'done']);
    await alice.delete(`/conversations/${id}/messages/${made.message.message_id}`, { expect: 204 });
    await regenerate(id, first.message.message_id, { seed: 1 }, { headers, expect: 409 });
    assert.equal(upstream.calls.length, calls + 2);
  });

  test('fifty sendings of one request at once are one answer', async () => {
    const { id, first } = await dialogue();
    const headers = { 'Idempotency-Key': randomUUID() };
    const calls = upstream.calls.length;
    upstream.next(scripts.say('once'));
    const results = await Promise.all(Array.from({ length: 50 }, () => regenerate(id, first.message.message_id, {}, { headers, expect: 200 })));
    for (const { message } of results) assert.deepEqual(message, results[0].message);
    assert.equal(upstream.calls.length, calls + 1);
    assert.equal((await checkTree(alice, id)).conversation.branch_count, 2);
  });

  test('another answer is streamed, taken up again and stopped like any other', async () => {
    const { id, first } = await dialogue();
    upstream.next(scripts.hold(gate(), ['ünd ', 'so '], 'never'));
    const stream = await alice.stream(regeneratePath(id, first.message.message_id), { stream: true });
    const { data: start } = await stream.next();
    for (let heard = ''; heard !== 'ünd so '; ) heard += (await stream.next()).data.text;
    const running = (await checkTree(alice, id)).messages.at(-1);
    assert.deepEqual([running.message_id, running.status], [start.message_id, 'running']);
    const taken = await alice.follow(id, start.message_id, { had: 'ünd ' });
    const cancelled = await alice.cancel(id, start.message_id);
    assert.equal(cancelled.content, 'ünd so ');
    assert.equal(cancelled.parent_id, first.user_message.message_id);
    for (const one of [stream, taken]) {
      const end = (await one.collect()).at(-1);
      assert.equal(end.name, 'done');
      assert.deepEqual(end.data.message, cancelled);
      assert.deepEqual(end.data.user_message, first.user_message);
    }
    assert.deepEqual(await alice.cancel(id, first.message.message_id), first.message);
    assert.deepEqual((await checkTree(alice, id)).messages.at(-1), cancelled);
  });

  test('deleting at a fork takes that message alone', async () => {
    const { id, first, second, third } = await dialogue();
    const other = await again(id, second.message.message_id, 'B');
    const remove = (message) => alice.delete(`/conversations/${id}/messages/${message.message_id}`, { expect: 204 });
    await remove(second.user_message);  // both branches go through it
    assert.deepEqual(await active(id), ['one', 'a', 'B']);
    let { all } = await checkTree(alice, id);
    const parents = () => Object.fromEntries(all.map(({ content, parent_id: parent }) => [content, parent]));
    assert.equal(parents().b, first.message.message_id);
    assert.equal(parents().B, first.message.message_id);
    await remove(other.message);
    assert.deepEqual(await active(id), ['one', 'a']);
    await say(id, 'on', 'o');
    assert.deepEqual(given(), ['one', 'a', 'on']);
    await switchTo(id, third.message.message_id);
    assert.deepEqual(await active(id), ['one', 'a', 'b', 'three', 'c']);
    await remove(first.user_message);
    await remove(first.message);
    ({ all } = await checkTree(alice, id));
    assert.equal(parents().b, undefined);
    assert.equal(parents().on, undefined);
    // An answer whose prompt is gone cannot be made once more.
    assert.deepEqual((await alice.post(regeneratePath(id, second.message.message_id), {}, { expect: 422 })).fields, ['message_id']);
    await say(id, 'end', 'e');
    assert.deepEqual(given(), ['b', 'three', 'c', 'end']);
  });

  test('pages are of the active branch, or of all', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const made = [];
    for (let i = 0; i < 10; i += 1) made.push(await alice.append(id, `${i}`));
    await alice.append(id, 'fork 1', { parent_id: made[2].message_id });
    await alice.append(id, 'fork 2', { parent_id: made[6].message_id });
    for (let i = 0; i < 5; i += 1) await alice.append(id, `after ${i}`);
    await switchTo(id, made[9].message_id);
    await switchTo(id, made[2].message_id);
    const { messages, all } = await checkTree(alice, id);
    assert.deepEqual(contents(messages).slice(0, 8), ['0', '1', '2', '3', '4', '5', '6', 'fork 2']);
    const strip = (listed) => listed.map(({ active: is, ...message }) => message);
    for (const limit of [1, 2, 3, 5, 200]) {
      for (const [branches, whole] of [['active', messages], ['all', all]]) {
        const path = `/conversations/${id}/messages?limit=${limit}&branches=${branches}`;
        const back = await followPages(alice, path, 'prev');
        assert.deepEqual(back.reverse().flat(), whole, `${branches}, ${limit} back`);
        const on = await followPages(alice, `${path}&after=${whole[0].message_id}`, 'next');
        assert.deepEqual(on.flat(), whole.slice(1), `${branches}, ${limit} on`);
        const before = await alice.get(`${path}&before=${whole[7].message_id}`, { expect: 200 });
        assert.deepEqual(strip(before.json), strip(whole.slice(Math.max(0, 7 - limit), 7)));
      }
    }
    // Between two of the active branch there are others' messages; their ids are places too.
    const others = all.filter(({ active: is }) => !is);
    const after = await alice.get(`/conversations/${id}/messages?limit=1&after=${others.at(-1).message_id}`, { expect: 200 });
    assert.deepEqual(after.json, messages.filter((message) => message.message_id > others.at(-1).message_id).slice(0, 1));
  });

  test('so many branches, and no more; the conversation goes on at its end', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const first = await alice.append(id, 'first');
    const path = `/conversations/${id}/messages`;
    for (let i = 0; i < kBranches; i += 1) await alice.append(id, `branch ${i}`, { parent_id: first.message_id });
    const { conversation, all } = await checkTree(alice, id);
    assert.equal('branch_count' in conversation && conversation.branch_count, kBranches);  // the first of them is the end
    await alice.append(id, 'the last', { parent_id: first.message_id });
    const full = { query: { conversation_id: id }, expect: 409 };
    const { json } = await alice.post(path, { content: 'x', parent_id: first.message_id }, { expect: 409 });
    assert.match(json.detail, /branches/);
    await alice.post(path, { content: 'x', edit_of: all[1].message_id }, { expect: 409 });
    const calls = upstream.calls.length;
    await alice.post('/generate', { prompt: 'x', parent_id: first.message_id }, full);
    await alice.post(regeneratePath(id, first.message_id), {}, { expect: 409 });
    await switchTo(id, all[1].message_id);
    await alice.post(path, { content: 'x' }, { expect: 409 });
    assert.equal(upstream.calls.length, calls);
    await switchTo(id, first.message_id);
    assert.deepEqual(await active(id), ['first', 'the last']);
    await say(id, 'on', 'o');
    assert.deepEqual(given(), ['first', 'the last', 'on']);
    assert.deepEqual(await active(id), ['first', 'the last', 'on', 'o']);
  });

  test('each bad field is refused by its name, and nothing is written', async () => {
    const { id, first } = await dialogue();
    const { conversation_id: other } = await alice.createConversation();
    const elsewhere = await alice.append(other, 'elsewhere');
    const whole = (await alice.get(`/conversations/${id}`, { expect: 200 })).text;
    const calls = upstream.calls.length;
    const query = { conversation_id: id };
    const posts = [['/generate', { prompt: 'x' }, query], [`/conversations/${id}/messages`, { content: 'x' }], [`/conversations/${id}/context`, { prompt: 'x' }]];
    for (const [path, body, given_] of posts) {
      const refused = async (fields, names) =>
        assert.deepEqual((await alice.post(path, { ...body, ...fields }, { query: given_, expect: 422 })).fields, names, `${path} ${JSON.stringify(fields)}`);
      for (const bad of [kNowhere, elsewhere.message_id, 'no-id', '', 1, {}, id.toUpperCase()]) {
        await refused({ parent_id: bad }, ['parent_id']);
        await refused({ edit_of: bad }, ['edit_of']);
      }
      await refused({ edit_of: null }, ['edit_of']);
      await refused({ edit_of: first.message.message_id }, ['edit_of']);
      await refused({ edit_of: first.user_message.message_id, parent_id: first.message.message_id }, ['edit_of']);
      await refused({ edit_of: first.user_message.message_id, parent_id: null }, ['edit_of']);
    }
    const role = await alice.post(`/conversations/${id}/messages`, { content: 'x', role: 'assistant', edit_of: first.user_message.message_id }, { expect: 422 });
    assert.deepEqual(role.fields, ['role']);
    for (const fields of [{ parent_id: null }, { parent_id: first.message.message_id }, { edit_of: first.user_message.message_id }]) {
      assert.deepEqual((await alice.post('/generate', { prompt: 'x', ...fields }, { expect: 422 })).fields, Object.keys(fields));
    }
    for (const bad of [kNowhere, elsewhere.message_id, 'no-id', null, 1]) {
      assert.deepEqual((await alice.patch(`/conversations/${id}`, { active_message_id: bad }, { expect: 422 })).fields, ['active_message_id']);
    }
    for (const path of [`/conversations/${id}`, `/conversations/${id}/messages`]) {
      for (const bad of ['', 'none', 'ALL', 'all,active']) {
        assert.deepEqual((await alice.get(path, { query: { branches: bad }, expect: 422 })).fields, ['branches']);
      }
    }
    const target = regeneratePath(id, first.message.message_id);
    for (const [body, name] of [[{ prompt: 'x' }, 'prompt'], [{ metadata: {} }, 'metadata'], [{ client_message_id: 'c' }, 'client_message_id'],
                                [{ parent_id: null }, 'parent_id'], [{ max_tokens: 0 }, 'max_tokens'], [{ top_p: 0 }, 'top_p'], [{ model: 'none' }, 'model']]) {
      assert.deepEqual((await alice.post(target, body, { expect: 422 })).fields, [name]);
    }
    for (const message of [kNowhere, elsewhere.message_id, 'no-id']) await alice.post(regeneratePath(id, message), {}, { expect: 404 });
    for (const path of [target, `/conversations/${id}/messages`, `/conversations/${id}/context`]) {
      await bob.post(path, path === target ? {} : { content: 'x', prompt: 'x' }, { expect: path === target ? 404 : 422 });
    }
    await bob.post('/generate', { prompt: 'x', edit_of: first.user_message.message_id }, { query, expect: 404 });
    await bob.post(`/conversations/${id}/messages`, { content: 'x', parent_id: first.message.message_id }, { expect: 404 });
    await bob.patch(`/conversations/${id}`, { active_message_id: first.message.message_id }, { expect: 404 });
    assert.equal(upstream.calls.length, calls);
    assert.equal((await alice.get(`/conversations/${id}`, { expect: 200 })).text, whole);
  });

  test('an empty body asks for another answer', async () => {
    const { id, first } = await dialogue();
    const { json } = await alice.post(regeneratePath(id, first.message.message_id), undefined, { expect: 200 });
    assert.equal(json.message.parent_id, first.user_message.message_id);
  });

  test('only a message of the user can be answered', async () => {
    const { conversation_id: id } = await alice.createConversation();
    const greeting = await alice.append(id, 'Welcome.', { role: 'assistant' });
    const system = await alice.append(id, 'Be brief.', { role: 'system' });
    const after = await alice.append(id, 'Yes.', { role: 'assistant' });
    for (const { message_id: message } of [greeting, system, after]) {
      const { fields, json } = await alice.post(regeneratePath(id, message), {}, { expect: 422 });
      assert.deepEqual(fields, ['message_id']);
      assert.match(json.errors[0].message, /user/);
    }
  });

  test('choosing the active branch is a change like others', async () => {
    const { id, second } = await dialogue();
    await again(id, second.message.message_id, 'B');
    const path = `/conversations/${id}`;
    const { etag } = await alice.get(path, { expect: 200 });
    const { updated_at: updated } = (await alice.conversation(id)).conversation;
    const changed = await alice.patch(path, { active_message_id: second.message.message_id, pinned: true }, { headers: { 'If-Match': etag }, expect: 200 });
    assert.notEqual(changed.etag, etag);
    assert.deepEqual([changed.json.pinned, changed.json.updated_at], [true, updated]);
    await alice.patch(path, { active_message_id: second.user_message.message_id }, { headers: { 'If-Match': etag }, expect: 412 });
    assert.deepEqual(await active(id), ['one', 'a', 'two', 'b', 'three', 'c']);
  });

  test('a user\'s devices are told', async () => {
    const { id, first, second } = await dialogue();
    const stop = new AbortController();
    const stream = await alice.followEvents({ signal: stop.signal });
    const next = async (name) => {
      const event = await stream.next();
      assert.equal(event.name, name);
      return event.data;
    };
    await next('ready');
    const { message } = await again(id, second.message.message_id, 'B');
    assert.equal((await next('message.created')).message_id, message.message_id);
    assert.equal((await next('conversation.changed')).conversation_id, id);
    assert.equal((await next('message.changed')).message_id, message.message_id);
    await alice.append(id, 'eins', { edit_of: first.user_message.message_id });
    await next('message.created');
    await next('conversation.changed');
    await switchTo(id, first.message.message_id);
    assert.equal((await next('conversation.changed')).conversation_id, id);
    await alice.append(id, 'on');
    await next('message.created');
    await alice.patch(`/conversations/${id}`, { pinned: true }, { expect: 200 });
    await next('conversation.changed');
    stop.abort();
  });
});

test('a long conversation with branches is streamed whole, either way', async (t) => {
  const { alice } = await serverOfTest(t);
  const { conversation_id: id } = await alice.createConversation();
  const first = await alice.append(id, 'first');
  const fill = async (name, count) => {
    for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: 20 }, (_, k) => alice.append(id, `${name} ${i + k}`)));
  };
  await fill('long', 240);
  await alice.append(id, 'other', { parent_id: first.message_id });
  await fill('other', 240);
  const { conversation, messages, all } = await checkTree(alice, id);
  assert.equal(messages.length, 242);
  assert.equal(all.length, 482);
  assert.equal(conversation.message_count, 482);
  assert.ok(contents(messages.slice(1)).every((content) => content.startsWith('other')));
  const list = (await alice.get(`/conversations/${id}/messages`, { query: { branches: 'all', limit: 200 }, expect: 200 }));
  assert.deepEqual(list.json, all.slice(-200));
  assert.match(list.header('link'), /branches=all/);
});

test('a server that is killed in the middle of another answer leaves it interrupted, beside the first', async (t) => {
  const { upstream, server, alice } = await serverOfTest(t, { upstream: true });
  const { conversation_id: id, message, user_message: prompt } = await alice.generate(undefined, 'one');
  upstream.next(scripts.hold(gate(), 'so far', 'never'));
  const headers = { 'Idempotency-Key': randomUUID() };
  const stream = await alice.stream(regeneratePath(id, message.message_id), { stream: true }, { headers });
  const { message_id: cut } = (await stream.next()).data;
  await until(() => upstream.calls.length === 2, 'the model to be called');
  await Promise.all([assert.rejects(stream.collect()), server.kill()]);
  await server.start();
  const again = await server.client('alice');
  const left = onDynamoDb ? 'running' : 'interrupted';  // in the tables, for any server may run it until its lease is over
  const { messages, all } = await checkTree(again, id);
  assert.deepEqual([messages[1].message_id, messages[1].status, messages[1].parent_id], [cut, left, prompt.message_id]);
  assert.deepEqual(all.map(({ message_id: one }) => one), [prompt.message_id, message.message_id, cut]);
  if (!onDynamoDb) {
    const repeat = (await again.post(regeneratePath(id, message.message_id), { stream: true }, { headers, expect: 200 })).json;
    assert.equal(repeat.at(-1).data.message.message_id, cut);
    assert.equal((await again.generation(id, cut)).user_message.message_id, prompt.message_id);
  }
  assert.equal(upstream.calls.length, 2);
  await again.patch(`/conversations/${id}`, { active_message_id: message.message_id }, { expect: 200 });
  await again.generate(id, 'on');
  assert.deepEqual(contents(upstream.lastMessages), ['one', 'ok', 'on']);
});
