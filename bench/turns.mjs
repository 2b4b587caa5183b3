// Answers while they are made: how late a token comes to a follower, what an idle follower costs, and whether memory stays
// where it is while many follow many turns.
import { execFileSync } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Server } from './processes.mjs';
import { mib, table, whole } from './table.mjs';

const kEvery_ms = 20;  // between two tokens

// A model that says a word to all its calls when it is told to. A word holds the time at which it was said.
class Speaker {
  static async start() {
    const speaker = new Speaker();
    speaker.calls = new Set();
    speaker.asked = 0;
    speaker.http = http.createServer((request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      speaker.calls.add(response);
      speaker.asked += 1;
      response.on('close', () => speaker.calls.delete(response));
    });
    await new Promise((resolve) => speaker.http.listen(0, '127.0.0.1', resolve));
    speaker.flags = ['--model', 'openai', '--openai-base-url', `http://127.0.0.1:${speaker.http.address().port}/v1`,
                     '--openai-model', 'speaker', '--titles', 'prompt', '--openai-idle-timeout', '10m', '--openai-first-token-timeout', '10m'];
    return speaker;
  }
  say(word) {
    const line = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: word }, finish_reason: null }] })}\n\n`;
    for (const response of this.calls) response.write(line);
  }
  end() {
    for (const response of [...this.calls]) {
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\n`);
      response.end('data: [DONE]\n\n');
    }
  }
  stop() {
    this.http.closeAllConnections();
    this.http.close();
  }
}

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function until(probe, what, seconds = 60) {
  for (const end = Date.now() + seconds * 1000; !await probe(); ) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await pause(10);
  }
}

// A GET of an event stream on a socket of its own, once its header is there. `onText` gets what comes after it.
function follow(server, token, path, onText) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(server.port, '127.0.0.1');
    let head = '';
    socket.setEncoding('latin1');
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('a follower was cut off')));
    const onHead = (text) => {
      head += text;
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (!head.startsWith('HTTP/1.1 200')) reject(new Error(head.split('\r\n')[0]));
      socket.off('data', onHead);
      socket.on('data', onText ?? (() => {}));
      onText?.(head.slice(end + 4));
      resolve(socket);
    };
    socket.on('data', onHead);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  });
}

class Bench {
  constructor(bench, root) {
    Object.assign(this, { bench, data: join(root, 'turns') });
  }
  async start() {
    this.speaker = await Speaker.start();
    this.server = await Server.start(this.bench.server, [
      'serve', '--data', this.data, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--max-connections', 20_000,
      ...this.speaker.flags]);
    this.token = execFileSync(this.bench.server, ['token', '--data', this.data, '--user', 'u'], { encoding: 'utf8' }).trim();
  }
  // Begins a turn and leaves it alone; returns the path under which it is followed.
  async begin() {
    const { asked } = this.speaker;
    const abort = new AbortController();
    const response = await fetch(`${this.server.url}/generate`, {
      method: 'POST', signal: abort.signal, body: JSON.stringify({ prompt: 'Hello', stream: true }),
      headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json' } });
    let said = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      said += decoder.decode(chunk, { stream: true });
      if (said.includes('\n\n')) break;
    }
    abort.abort();
    const start = JSON.parse(said.match(/data: (.*)\n/)[1]);
    await until(() => this.speaker.asked > asked, 'the model to be called');
    return `/conversations/${start.conversation_id}/generations/${start.message_id}`;
  }
  async stop() {
    await this.server.stop();
    this.speaker.stop();
  }
}

async function measureDelay(self, turns, followersOfEach, tokens) {
  const delays = [];
  const sockets = [];
  // One event may hold several tokens, and a piece of what the socket gives a part of one.
  const listener = () => {
    let rest = '';
    return (text) => {
      const now = performance.now();
      const events = (rest + text).split('\n\n');
      rest = events.pop();
      for (const event of events) {
        for (const [said] of (event.match(/"text":"([^"]*)"/)?.[1] ?? '').matchAll(/[\d.]+/g)) delays.push(now - Number(said));
      }
    };
  };
  for (let turn = 0; turn < turns; turn += 1) {
    const path = await self.begin();
    for (let i = 0; i < followersOfEach; i += 1) sockets.push(await follow(self.server, self.token, path, listener()));
  }
  for (let i = 0; i < tokens; i += 1) {
    self.speaker.say(`${performance.now().toFixed(3)} `);
    await pause(kEvery_ms);
  }
  await until(() => delays.length === tokens * sockets.length, 'all tokens');
  for (const socket of sockets) socket.destroy();
  self.speaker.end();
  delays.sort((a, b) => a - b);
  return { p50: delays[Math.floor(delays.length / 2)], p99: delays[Math.floor(delays.length * 0.99)], count: delays.length };
}

// Bytes of the server for a follower of a turn that says nothing.
async function measureIdle(self, followers) {
  const path = await self.begin();
  const sockets = [];
  const open = async (count) => {
    for (let left = count; left > 0; left -= 100) {
      sockets.push(...await Promise.all(Array.from({ length: Math.min(100, left) }, () => follow(self.server, self.token, path))));
    }
  };
  await open(100);
  const before = self.server.memory();
  await open(followers);
  const bytes = (self.server.memory() - before) * 2 ** 20 / followers;
  for (const socket of sockets) socket.destroy();
  self.speaker.end();
  return bytes;
}

// Resident memory after each round of `turns` turns with `followers` followers.
async function soak(self, turns, followers, rounds, tokens) {
  const after = [];
  const word = 'x'.repeat(20);  // little, so that what grows is not the store's buffer
  for (let round = 0; round < rounds; round += 1) {
    const paths = [];
    for (let turn = 0; turn < turns; turn += 1) paths.push(await self.begin());
    let ended = 0;
    const sockets = await Promise.all(Array.from({ length: followers }, (_, i) => {
      let seen = '';
      return follow(self.server, self.token, paths[i % turns], (text) => {
        seen += text;
        if (seen.includes('event: done')) ended += 1;
        seen = seen.slice(-10);
      });
    }));
    for (let i = 0; i < tokens; i += 1) {
      self.speaker.say(word);
      await pause(kEvery_ms);
    }
    self.speaker.end();
    await until(() => ended === followers, 'all followers to have the end');
    for (const socket of sockets) socket.destroy();
    after.push(self.server.memory());
  }
  return after;
}

export async function measureTurns(bench, root, note) {
  const self = new Bench(bench, root);
  await self.start();
  const rows = [];
  for (const [turns, each] of [[1, 1], [10, 10], [100, 10]]) {
    note(`turns: tokens to ${turns * each} followers of ${turns}`);
    const { p50, p99, count } = await measureDelay(self, turns, each, bench.quick ? 50 : 250);
    rows.push([`${turns} turns, ${turns * each} followers`, whole(count), p50.toFixed(2), p99.toFixed(2)]);
  }
  console.log(`## From the model's token to its follower's socket, a token every ${kEvery_ms} ms\n`);
  console.log(table(['', 'tokens', 'p50 ms', 'p99 ms'], rows));
  const followers = bench.quick ? 2_000 : 10_000;
  note(`turns: ${followers} idle followers`);
  const bytes = await measureIdle(self, followers);
  console.log(`\n${whole(followers)} followers of a turn that says nothing: **${whole(bytes)} bytes each** of the server's memory.\n`);
  note('turns: a soak');
  const memory = await soak(self, 100, 1_000, bench.quick ? 4 : 10, 50);
  console.log('## Memory after each round of 100 turns with 1,000 followers\n');
  console.log(`${memory.map(mib).join(', ')}\n`);
  await self.stop();
  // The first rounds fill caches and pools.
  const settled = memory.slice(Math.floor(memory.length / 2));
  const grown = settled.at(-1) - settled[0];
  if (grown > 8) throw new Error(`memory grew by ${grown.toFixed(1)} MiB in ${settled.length} rounds`);
}
