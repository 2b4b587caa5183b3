// llama.cpp's own server as an endpoint of the openai provider, and the model in the process beside it: the
// same file gives the same answers.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startServer } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { llamaFlags, modelFile } from './models.mjs';

const kProgram = process.env.COLLOQUY_LLAMA_SERVER ??
  fileURLToPath(new URL('../../build/llama/lib/llama-server', import.meta.url));  // build_server.sh makes it
const kConversations = [
  ['Hello there', 'And then?', 'the other thing in the theatre'],
  ['Grüße 👋 aus dem Zug', 'x'.repeat(300)],
  [' ', '\n', 'What is 2 + 2?'],
];

async function freePort() {
  const listener = createServer();
  await new Promise((resolve) => { listener.listen(0, '127.0.0.1', resolve); });
  const { port } = listener.address();
  await new Promise((resolve) => { listener.close(resolve); });
  return port;
}

async function startLlamaServer(file) {
  const port = await freePort();
  const child = spawn(kProgram, ['-m', file, '--host', '127.0.0.1', '--port', String(port), '-t', '1', '-np', '1', '-c', '2048', '--no-warmup'],
                      { stdio: ['ignore', 'ignore', 'pipe'] });
  process.on('exit', () => child.kill('SIGKILL'));
  let said = '';
  let ended = false;
  child.stderr.setEncoding('utf8').on('data', (text) => { said = (said + text).slice(-4000); });
  child.on('close', () => { ended = true; });
  const url = `http://127.0.0.1:${port}`;
  await until(async () => {
    assert.ok(!ended, `llama-server has ended\n${said}`);
    return (await fetch(`${url}/health`).catch(() => undefined))?.ok;
  }, 'llama-server to answer');
  return { url, stop: () => new Promise((resolve) => { child.on('close', resolve); child.kill('SIGKILL'); }) };
}

describe('the model in the process and llama-server', () => {
  const made = [];
  const clients = {};
  before(async () => {
    const upstream = await startLlamaServer(modelFile('tiny'));
    made.push(upstream.stop);
    const openai = ['--model', 'openai', '--openai-base-url', `${upstream.url}/v1`, '--openai-model', 'tiny', '--titles', 'prompt'];
    for (const [name, flags] of [['remote', openai], ['inProcess', llamaFlags('tiny', { slots: 1 })]]) {
      const server = await startServer({ args: [...flags, '--context-messages', '20'] });
      made.unshift(() => server.close());
      clients[name] = await server.client('alice');
    }
  });
  after(async () => {
    for (const stop of made) await stop();
  });

  for (const prompts of kConversations) {
    test(`say the same at temperature 0: ${prompts[0]}`, async () => {
      const answers = {};
      for (const [name, client] of Object.entries(clients)) {
        const { conversation_id: id } = await client.createConversation({ system_prompt: 'Be brief.' });
        answers[name] = [];
        for (const prompt of prompts) {
          const { generated_text: text, finish_reason: reason, usage } = await client.generate(id, prompt, { temperature: 0, max_tokens: 40 });
          answers[name].push({ text, reason, usage });
        }
      }
      assert.deepEqual(answers.inProcess, answers.remote);
    });
  }

  test('both stream, and end at the same stop string', async () => {
    const whole = (await clients.inProcess.generate(undefined, 'Hello there', { temperature: 0, max_tokens: 40 })).generated_text;
    const stop = whole.slice(12, 15);
    for (const client of Object.values(clients)) {
      const stream = await client.stream('/generate', { prompt: 'Hello there', temperature: 0, max_tokens: 40, stop: [stop], stream: true });
      const done = (await stream.collect()).at(-1).data;
      assert.deepEqual([done.generated_text, done.finish_reason], [whole.slice(0, whole.indexOf(stop)), 'stop']);
    }
  });
});
