// Turns on DynamoDB, whose every answer takes a set time: what does the server add to it?
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import os from 'node:os';
import { load, Server } from './processes.mjs';
import { medians, ms, table, whole } from './table.mjs';

const kDelayMs = 5;
// Calls that wait for each other: the reads side by side, the prompt, the answer, the conversation.
const kRoundTrips = 4;
const kUsers = 64;
const kConversations = 3200;

export async function measureDynamodb(bench, root, note) {
  note('dynamodb: turns on a stub');
  const data = join(root, 'dynamodb');
  const targets = join(root, 'targets-dynamodb');
  writeTargets(bench, data, targets);
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench' });
  const least_ms = kRoundTrips * kDelayMs;
  const rows = [];
  for (const connections of [1, 64, 512]) {
    note(`dynamodb: ${connections} connections`);
    const runs = [];
    for (let round = 0; round < (bench.quick ? 1 : 2); ++round) {
      runs.push(await measureTurns(bench, data, targets, connections));
    }
    const run = medians(runs);
    rows.push([connections, whole(connections * 1000 / least_ms), `**${whole(run.rate)}**`, least_ms, ms(run.p50_us),
               ms(run.p99_us), whole(run.cpu_us), whole(run.stub_cpu_us), (run.calls / run.made).toFixed(0)]);
  }
  console.log(`## Turns on DynamoDB, each of whose answers takes ${kDelayMs} ms\n`);
  console.log(table(['connections', 'a second, were there only the delay', 'a second', 'the delay, ms', 'p50 ms', 'p99 ms',
                     'processor µs each', "the stub's µs each", 'calls a connection'], rows));
  console.log(`\nLoad average behind it: ${os.loadavg()[0].toFixed(1)}.\n`);
}

async function measureTurns(bench, data, targets, connections) {
  const stub = await Server.start(bench.program('stub_dynamodb'), ['--delay-us', kDelayMs * 1000]);
  const server = await Server.start(bench.server, [
    'serve', '--data', data, ...bench.serverFlags, '--store', 'dynamodb', '--dynamodb-endpoint', stub.url]);
  const request = { server, targets, connections, method: 'POST', path: '/generate?conversation_id=:id',
                    body: JSON.stringify({ prompt: bench.prompt, stream: false }) };
  await load({ ...request, seconds: 1 });  // to warm up
  const before = stub.cpuSeconds();
  // Longer than others, since what is under way at its end is not counted.
  const seconds = 3 * bench.seconds;
  const run = await load({ ...request, seconds });
  run.stub_cpu_us = (stub.cpuSeconds() - before) * 1e6 / (run.rate * seconds);
  await server.stop();
  await stub.stop();
  const [, made, calls] = stub.said.match(/^connections=(\d+) calls=(\d+)$/m).map(Number);
  return { ...run, made, calls };
}

// The stub has every conversation; ids must only look like ones.
function writeTargets(bench, data, file) {
  const tokens = Array.from({ length: kUsers }, (_, user) =>
    execFileSync(bench.server, ['token', '--data', data, '--user', `user-${user}`], { encoding: 'utf8' }).trim());
  const id = () => randomBytes(16).toString('hex')
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-7$3-8$4-$5');
  const lines = Array.from({ length: kConversations }, (_, i) => `${tokens[i % kUsers]}\t${id()}\n`);
  writeFileSync(file, lines.join(''));
}
