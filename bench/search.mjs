// How long does a search take among a million messages, how long does the index take to make, and what does feeding it cost the writes?
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { load, measure } from './processes.mjs';
import { medians, mib, ms, ratio, table, whole } from './table.mjs';

const kWords = 50_000;

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function metric(server, name) {
  const text = await (await fetch(`${server.admin}/metrics`)).text();
  return Number(text.match(new RegExp(`^${name} (\\S+)$`, 'm'))?.[1] ?? NaN);
}

async function untilWhole(server) {
  for (;;) {
    if (await metric(server, 'colloquy_search_complete') === 1 && await metric(server, 'colloquy_search_lag_seconds') < 1) return;
    await wait(200);
  }
}

const folderMib = (folder) => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0) / 2 ** 20;

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

// So many searches, `clients` at once, each with the token and the words that `next` gives to that client.
async function searches(server, count, clients, next) {
  const times = [];
  let hits = 0;
  let left = count;
  const began = performance.now();
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    while ((left -= 1) >= 0) {
      const { token, q } = next(client);
      const start = performance.now();
      const answer = await fetch(`${server.url}/search?q=${encodeURIComponent(q)}`, { headers: { Authorization: `Bearer ${token}` } });
      const page = await answer.json();
      if (answer.status !== 200 || !page.complete) throw new Error(`a search was not answered in full: ${answer.status} ${JSON.stringify(page).slice(0, 300)}`);
      times.push((performance.now() - start) * 1000);
      hits += page.results.length;
    }
  }));
  const rate = count / ((performance.now() - began) / 1000);
  times.sort((a, b) => a - b);
  return { p50: percentile(times, 0.5), p99: percentile(times, 0.99), most: times.at(-1), hits: hits / count, rate };
}

export async function measureSearch(bench, root, note) {
  const share = bench.quick ? 10 : 1;
  const data = join(root, 'searched');
  const targets = (group) => join(root, `searched-${group}`);
  let stored = 0;
  for (const [group, users, conversations] of [['many', 100, 16_000 / share], ['one', 1, 4_000 / share]]) {
    note(`seeding ${whole(conversations * 50)} messages of ${users} users`);
    const seeded = await measure(bench.program('seed'), [
      '--data', data, '--targets', targets(group), '--prefix', group, '--users', users, '--conversations', conversations, '--messages', 50,
      '--words', kWords]);
    stored = seeded.messages;
  }
  const off = await bench.start(data, ['--search', 'off']);
  const unsearched = [];
  const write = { connections: 64, method: 'POST', path: '/conversations/:id/messages', body: bench.message, seconds: bench.seconds, targets: targets('many') };
  for (let round = 0; round < bench.rounds(64); ++round) unsearched.push(await load({ ...write, server: off }));
  await off.stop();

  note('making the index');
  const began = performance.now();
  const server = await bench.start(data, ['--search', 'on']);
  await untilWhole(server);
  const seconds = (performance.now() - began) / 1000;
  const cpu = server.cpuSeconds();
  const documents = await metric(server, 'colloquy_search_documents');
  const size = folderMib(join(data, 'search'));

  const tokens = (group) => [...new Set(readFileSync(targets(group), 'utf8').trim().split('\n').map((line) => line.split('\t')[0]))];
  let seed = 1;
  const random = (below) => { seed = (seed * 48271) % 2147483647; return seed % below; };
  const kinds = [
    ['a rare word', () => `w${1000 + random(kWords - 1000)} `],
    ['a common word', () => `w${random(5)} `],
    ['two common words', () => `w${random(10)} w${10 + random(20)} `],
    ['a common and a rare one', () => `w${random(5)} w${2000 + random(5000)} `],
    ['a phrase of common words', () => `"w${random(5)} w${random(10)}"`],
    ['the beginning of a word', () => `w${100 + random(900)}`],
    ['the beginning of a tenth of all words', () => 'w10'],
  ];
  const rows = [];
  for (const [group, who] of [['many', `one of 100 users, ${whole(8000 / share)} messages each`], ['one', `a user with ${whole(200_000 / share)} messages`]]) {
    const list = tokens(group);
    // A user may search twice at once: eight clients are of eight users, or two of the one.
    const clients = Math.min(8, 2 * list.length);
    const of = (client) => (list.length < clients ? list[0] : list[client + clients * random(Math.floor(list.length / clients))]);
    for (const [kind, words] of kinds) {
      note(`searching for ${kind}`);
      const next = (client) => ({ token: of(client), q: words() });
      await searches(server, 20, 1, next);  // to warm up
      const alone = await searches(server, bench.quick ? 50 : 200, 1, next);
      const together = await searches(server, bench.quick ? 50 : 200, clients, next);
      rows.push([`${who}; ${clients} at once`, kind, alone.hits.toFixed(1), ms(alone.p50), ms(alone.p99), ms(together.p50), ms(together.p99), whole(together.rate)]);
    }
  }
  const memory = server.memory();
  note('writing while the index is fed');
  const searched = [];
  for (let round = 0; round < bench.rounds(64); ++round) {
    searched.push(await load({ ...write, server }));
    await untilWhole(server);
  }
  await server.stop();
  const [a, b] = [unsearched, searched].map(medians);
  console.log(`## Search among ${whole(stored)} messages\n`);
  console.log(table(['who', 'sought', 'hits on the page', 'p50 ms', 'p99 ms', 'several at once: p50 ms', 'p99 ms', 'a second'], rows));
  console.log(`\nThe index of ${whole(documents)} documents was made in ${whole(seconds)} s, with ${whole(cpu * 1e6 / documents)} µs of a processor each, and takes ${mib(size)}; ` +
              `the server's resident memory after the searches is ${mib(memory)}.\n`);
  console.log(table(['POST …/messages, 64 connections', 'a second', 'p50 ms', 'p99 ms', 'processor µs each', ''], [
    ['--search off', whole(a.rate), ms(a.p50_us), ms(a.p99_us), whole(a.cpu_us), ''],
    ['--search on, being fed', whole(b.rate), ms(b.p50_us), ms(b.p99_us), whole(b.cpu_us), `**${ratio(b.rate / a.rate)}** of it`]]));
  console.log();
}
