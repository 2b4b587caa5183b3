// The JavaScript example of the document that started the project, run as it stands; only the host is another.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { serverOfSuite } from './setup.mjs';

const kHost = 'https://gpt.vmind.online';
const example = readFileSync(new URL('./fixtures/source_document_example.js', import.meta.url), 'utf8');
const AsyncFunction = (async () => {}).constructor;

describe('the source document', () => {
  let server;
  let alice;
  serverOfSuite({}, (made) => ({ server, alice } = made));

  test('its example works', async () => {
    assert.equal(example.split(kHost).length, 4);
    const script = new AsyncFunction('token', `${example.replaceAll(kHost, server.baseUrl)}\nreturn { conversation_id, response, messages };`);
    const { conversation_id: id, response, messages } = await script(alice.token);
    assert.equal(response.status, 200);
    const { generated_text: text, prompt, num_tokens: tokens } = await response.json();
    assert.equal(prompt, 'Hello!');
    assert.ok(text.length > 0 && tokens > 0);
    assert.deepEqual(messages.map((message) => [message.role, message.content]), [['user', 'Hello!'], ['assistant', text]]);
    const { conversation } = await alice.conversation(id);
    assert.equal(conversation.title, 'New Chat');
    assert.equal(conversation.message_count, 2);
  });

  test('its requests work as written', async () => {
    const { json: made } = await alice.post('/conversations', { title: 'My Chat' }, { expect: 201 });
    const list = (await alice.get('/conversations?limit=50', { expect: 200 })).json;
    for (const field of ['conversation_id', 'title', 'created_at', 'updated_at', 'message_count']) assert.equal(list[0][field], made[field]);
    const renamed = await alice.call('PUT', `/conversations/${made.conversation_id}/title?title=New Title`, { expect: 200 });
    assert.equal(renamed.json.title, 'New Title');
    await alice.post(`/generate?conversation_id=${made.conversation_id}`, { prompt: 'What did we discuss?', max_tokens: 100 }, { expect: 200 });
    await alice.delete(`/conversations/${made.conversation_id}`, { expect: 204 });
  });
});
