// How long the model in the process takes to its first token, when it remembers the conversation's history and when
// it has to read it again.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readEvents } from '../tests/e2e/event_stream.mjs';
import { kBench, writeBenchModel } from '../tests/llama/make_gguf.mjs';
import { Server } from './processes.mjs';
import { median, ms, table, whole } from './table.mjs';

const kContext = 12_288;
const kMessageBytes = 1000;  // each a token

class Talker {
  constructor(server, token) {
    this.server = server;
    this.headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  }
  async post(path, json) {
    const response = await fetch(`${this.server.url}${path}`, { method: 'POST', headers: this.headers, body: JSON.stringify(json) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }
  // A conversation of so many tokens; nobody has been asked yet.
  async conversation(tokens, letter) {
    const { conversation_id: id } = await (await this.post('/conversations', {})).json();
    for (let left = tokens; left > 0; left -= kMessageBytes) {
      await this.post(`/conversations/${id}/messages`, { content: letter.repeat(Math.min(left, kMessageBytes)) });
    }
    return id;
  }
  // Microseconds until the first token of one more turn.
  async firstToken(id) {
    const started = process.hrtime.bigint();
    const response = await this.post(`/generate?conversation_id=${id}`,
                                     { prompt: 'And what then?', stream: true, temperature: 0, max_tokens: 4 });
    let first;
    for await (const event of readEvents(response.body)) {
      if (event.name === 'token') first ??= Number(process.hrtime.bigint() - started) / 1000;
      if (event.name === 'error') throw new Error(JSON.stringify(event.data));
    }
    return first;
  }
  async evaluated() {
    const text = await (await fetch(`${this.server.admin}/metrics`)).text();
    return Number(text.match(/^colloquy_llama_prompt_tokens_total\{how="evaluated"\} (\S+)$/m)[1]);
  }
}

async function measureTurns(talker, conversations, rounds) {
  const times = [];
  for (const id of conversations) await talker.firstToken(id);  // has never been read
  const before = await talker.evaluated();
  for (let round = 0; round < rounds; ++round) {
    for (const id of conversations) times.push(await talker.firstToken(id));
  }
  return { us: median(times), tokens: (await talker.evaluated() - before) / times.length };
}

export async function measureLlama(bench, root, note) {
  note('llama: writing a model');
  const file = writeBenchModel(root);
  const rounds = bench.quick ? 2 : 5;
  const rows = [];
  for (const tokens of [1000, 8000]) {
    const cells = {};
    // Two conversations in turn: in a slot each they are remembered, in one slot they drive each other out.
    for (const [name, slots] of [['remembered', 2], ['read again', 1]]) {
      note(`llama: ${whole(tokens)} tokens of history, ${name}`);
      const data = join(root, `llama-${tokens}-${slots}`);
      const server = await Server.start(bench.server, ['serve', '--data', data, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0',
        '--log-level', bench.logLevel, '--model', 'llama', '--titles', 'prompt', '--llama-model', file, '--llama-threads', '1', '--llama-slots', slots,
        '--llama-context', kContext, '--context-messages', 100]);
      const { stdout } = await promisify(execFile)(bench.server, ['token', '--data', data, '--user', 'bench']);
      const talker = new Talker(server, stdout.trim());
      const conversations = [await talker.conversation(tokens, 'a'), await talker.conversation(tokens, 'b')];
      cells[name] = await measureTurns(talker, conversations, rounds);
      await server.stop();
    }
    const [cached, anew] = [cells.remembered, cells['read again']];
    rows.push([whole(tokens), ms(anew.us), whole(anew.tokens), ms(cached.us), whole(cached.tokens), `**${(anew.us / cached.us).toFixed(0)}**`]);
  }
  console.log(`## First token of the model in the process: ${kBench.layers} layers of ${kBench.width}, random, one thread\n`);
  console.log(table(['tokens of history', 'read again: p50 ms', 'tokens read', 'remembered: p50 ms', 'tokens read', 'times quicker'], rows));
  console.log();
}
