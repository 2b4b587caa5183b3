// What is said of a model that cannot be used, before anything else is opened.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { removeFolder, runCommand, startServer, temporaryFolder } from '../e2e/server.mjs';
import { modelFile } from './models.mjs';

const kRefusals = [
  ['not_gguf', /is not a GGUF file/], ['empty', /is not a GGUF file/], ['cut_in_its_head', /is broken or cut off/],
  ['cut_in_its_weights', /is cut off: it has \d+ of \d+ bytes/], ['no_template', /has no chat template/],
  ['strange_template', /chat template that llama.cpp's library does not know/], ['no_vocabulary', /has no vocabulary/],
  ['embeddings', /makes embeddings, not text/], ['strange_architecture', /cannot be loaded: .*never-heard-of/],
  ['missing_weights', /cannot be loaded: /], ['not_there', /cannot be read: No such file/],
];

test('a file that cannot be used is refused in one sentence, and nothing is opened', async (t) => {
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  const data = join(folder, 'data');
  const refused = async (args, why) => {
    const { code, stdout, stderr } = await runCommand(['serve', '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0',
      '--data', data, '--model', 'llama', ...args]);
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr, /^colloquy: --[^\n]*\n$/, String(args));
    assert.match(stderr, why, String(args));
    assert.ok(!existsSync(data), 'the data folder was made');
  };
  for (const [name, why] of kRefusals) await refused(['--llama-model', modelFile(name)], why);
  await refused(['--llama-model', folder], /is a folder/);
  await refused(['--llama-model', modelFile('tiny'), '--llama-context', '99999'], /made for contexts of 16384 tokens, not of 99999/);
  await refused(['--llama-model', modelFile('tiny'), '--llama-slots', '0'], /--llama-slots/);
  await refused([], /--llama-model/);
});

test('the settings can stand in the environment too', async (t) => {
  const server = await startServer({ env: { COLLOQUY_MODEL: 'llama', COLLOQUY_LLAMA_MODEL: modelFile('scripted'), COLLOQUY_LLAMA_THREADS: '1' } });
  afterwards(t, () => server.close());
  assert.equal((await (await server.client('alice')).generate(undefined, 'Hello')).message.model, 'scripted');
});
