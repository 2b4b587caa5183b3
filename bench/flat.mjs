// Does a request cost the same whatever is stored, and however long its conversation is?
import { join } from 'node:path';
import { load, measure } from './processes.mjs';
import { medians, ms, ratio, table, whole } from './table.mjs';

export async function measureFlat(bench, root, note) {
  // Sums to 1,000,000 messages, or a tenth of it.
  const share = bench.quick ? 10 : 1;
  const stores = {
    few: [['few', 1, 1, 10]],
    many: [['short', 700, 70_000 / share, 10], ['long', 30, 30 / share, 10_000]],
  };
  const servers = {};
  const targets = (group) => join(root, `targets-${group}`);
  let stored = 0;
  for (const [name, groups] of Object.entries(stores)) {
    const data = join(root, name);
    for (const [group, users, conversations, messages] of groups) {
      note(`seeding ${whole(conversations)} conversations of ${whole(messages)} messages`);
      const seeded = await measure(bench.program('seed'), [
        '--data', data, '--targets', targets(group), '--prefix', group, '--users', Math.min(users, conversations),
        '--conversations', conversations, '--messages', messages]);
      stored = seeded.messages;
    }
    servers[name] = await bench.start(data);
  }
  const places = [['few', servers.few], ['short', servers.many], ['long', servers.many]];
  const kinds = [
    ['GET …/messages?limit=10', 64, 'GET', '/conversations/:id/messages?limit=10'],
    ['POST …/messages', 1, 'POST', '/conversations/:id/messages', bench.message],
    ['POST /generate', 1, 'POST', '/generate?conversation_id=:id', JSON.stringify({ prompt: bench.prompt, stream: false })],
  ];
  const rows = [];
  for (const [name, connections, method, path, body] of kinds) {
    note(`flat: ${name}, ${connections} connections`);
    const runs = { few: [], short: [], long: [], probe: [] };
    const request = { connections, method, path, body, seconds: 1 };
    for (const [group, server] of places) {
      if (method === 'GET' && !bench.quick) await load({ ...request, server, targets: targets(group) });  // to warm up
    }
    for (let round = 0; round < bench.rounds(connections); ++round) {
      for (const [group, server] of places) {
        if (method === 'POST') runs.probe.push(await bench.probe());
        runs[group].push(await load({ ...request, server, targets: targets(group) }));
      }
    }
    const [few, short, long] = [runs.few, runs.short, runs.long].map(medians);
    const cell = (run) => `${ms(run.p50_us)} / ${ms(run.p99_us)}, ${whole(run.rate)} a second, ${whole(run.cpu_us)} µs`;
    rows.push([name, connections, cell(few), cell(short), cell(long), ratio(short.p50_us / few.p50_us),
               ratio(long.p50_us / short.p50_us), bench.disk(runs.probe)]);
  }
  for (const server of Object.values(servers)) await server.stop();
  console.log('## Cost by what is stored: p50 / p99 ms, rate, processor time\n');
  console.log(table(
    ['', 'connections', '10 stored, 10 in the conversation', `${whole(stored)} stored, 10 in the conversation`,
     `${whole(stored)} stored, 10,000 in the conversation`, 'p50, many to few stored', 'p50, long to short conversation',
     'disk sync p50 / p99 ms'],
    rows));
  console.log();
}
