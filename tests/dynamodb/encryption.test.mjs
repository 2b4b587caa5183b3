// Encryption that one of several servers on the same tables switches on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { scripts } from '../e2e/fake_upstream.mjs';
import { removeFolder, startServer, temporaryFolder } from '../e2e/server.mjs';
import { serverOfTest } from '../e2e/setup.mjs';
import { until } from '../e2e/wait.mjs';
import { createTables, encryptionFlags, rowsOf, tableEnvironment, tableFlags } from './tables.mjs';

// Of each kind of text another word.
const kWords = {
  title: 'clandestine-title', system: 'clandestine-system', metadata: 'clandestine-pair', metadataName: 'clandestine-name',
  content: 'clandestine-content', prompt: 'clandestine-prompt', answer: 'clandestine-answer', summary: 'clandestine-summary',
  messageMetadata: 'clandestine-device', clientId: 'clandestine-client-id', path: 'clandestine-path.txt', key: 'clandestine-key',
};

// Writes each of them, and waits for the summary.
async function writeWords(t, flags) {
  const tables = await createTables();
  const { upstream, alice } = await serverOfTest(t, { upstream: true, env: tableEnvironment, args: [...tableFlags(tables), '--files', temporaryFolder(), ...flags] });
  upstream.otherwise = (response, call) =>
    scripts.say(call.body.messages[0].content.startsWith('You keep the summary') ? kWords.summary : kWords.answer)(response, call);
  await alice.call('PUT', `/files/${kWords.path}`, { body: 'x', expect: 201 });
  const { json: { conversation_id: id } } = await alice.post('/conversations', {
    title: kWords.title, system_prompt: kWords.system, metadata: { [kWords.metadataName]: kWords.metadata }, context: { messages: 2, summary: true } },
  { expect: 201, headers: { 'Idempotency-Key': kWords.key } });
  await alice.append(id, kWords.content, {
    metadata: { device: kWords.messageMetadata }, client_message_id: kWords.clientId, attachments: [{ path: kWords.path }] });
  for (let i = 0; i < 2; i += 1) await alice.generate(id, `${kWords.prompt} ${i}`);
  const summary = async () => (await alice.post(`/conversations/${id}/context`, { prompt: 'x' }, { expect: 200 })).json.summary;
  await until(summary, 'the summary');
  const { messages } = await alice.conversation(id);
  assert.equal(messages[0].client_message_id, kWords.clientId);
  assert.deepEqual(messages[0].attachments, [{ path: kWords.path }]);
  return JSON.stringify([...await rowsOf(tables.conversations), ...await rowsOf(tables.messages)]);
}

test('no word of a user\'s is in the tables, whatever it is of', async (t) => {
  // Without it all of them are found so; the one that is a key is kept as a digest of it in any case, or in its plain form.
  const plain = await writeWords(t, []);
  for (const [of, word] of Object.entries(kWords)) if (of !== 'key') assert.ok(plain.includes(word), `${of} is looked for in vain`);
  const sealed = await writeWords(t, await encryptionFlags(temporaryFolder()));
  for (const [of, word] of Object.entries(kWords)) assert.ok(!sealed.includes(word), `${of} is in the tables`);
  assert.ok(!sealed.includes('clandestine'));
});

test('a server without it ends by itself, and does not start again', async (t) => {
  const tables = await createTables();
  const data = temporaryFolder();
  afterwards(t, () => removeFolder(data));
  const options = { data, env: tableEnvironment, args: [...tableFlags(tables), '--log-level', 'warning'] };
  const plain = await startServer(options);
  await (await plain.client('alice')).createConversation();
  const flags = await encryptionFlags(data);
  const encrypting = await startServer({ ...options, args: [...options.args, ...flags] });
  afterwards(t, () => encrypting.close());
  assert.deepEqual(await plain.ended(), { code: 1, signal: null });
  const said = plain.logs().find(({ event }) => event === 'encryption.missing');
  assert.match(said.detail, /needs --encryption too/);
  await assert.rejects(plain.start(), /encrypted with the keyring .*it needs --encryption/);
  await (await encrypting.client('alice')).generate(undefined, 'hello', { stream: false });
});
