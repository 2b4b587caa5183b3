// Servers with a model in the process, and what their metrics say of it.
import { join } from 'node:path';
import { rawRequest } from '../e2e/client.mjs';
import { temporaryFolder } from '../e2e/server.mjs';
import { serverOfTest } from '../e2e/setup.mjs';
import { writeTestFiles } from './make_gguf.mjs';

let folder = process.env.COLLOQUY_LLAMA_MODELS;

export function modelFile(name) {
  folder ??= writeTestFiles(temporaryFolder());
  return join(folder, `${name}.gguf`);
}

// One thread: more of them only get into each other's way with so small a model.
export function llamaFlags(name, { slots = 2, context = 2048, queue, messages, titles = 'prompt' } = {}) {
  const flags = ['--model', 'llama', '--llama-model', modelFile(name), '--llama-threads', '1', '--titles', titles,
    '--llama-slots', String(slots), '--llama-context', String(context)];
  if (queue !== undefined) flags.push('--llama-queue', String(queue));
  if (messages !== undefined) flags.push('--context-messages', String(messages));
  return flags;
}

export function llamaServerOfTest(t, name, options) {
  return serverOfTest(t, { args: llamaFlags(name, options) });
}

// The sum of a metric's samples, those with these labels.
export async function metric(server, name, labels = {}) {
  const { bytes } = await rawRequest(server.adminUrl, 'GET', '/metrics', { check: false });
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  return bytes.toString().split('\n')
    .filter((line) => line.startsWith(name) && /[{ ]/.test(line[name.length]) && wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

export const promptTokens = (server, how) => metric(server, 'colloquy_llama_prompt_tokens_total', { how });
