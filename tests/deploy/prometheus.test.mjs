// The real Prometheus, with the rules, reading real servers: one on the embedded store, one on DynamoDB Local.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import { freePort } from '../e2e/cluster.mjs';
import { undoAll } from '../e2e/cleanup.mjs';
import { removeFolder, startServer, temporaryFolder } from '../e2e/server.mjs';
import { until } from '../e2e/wait.mjs';
import { createTables, tableEnvironment, tableFlags } from '../dynamodb/tables.mjs';
import { blocksOf, readPage } from './pages.mjs';
import { panelsOf } from './dashboard.mjs';
import { alertsOf, dashboardText, metricsIn, othersMetrics, prometheus, rulesFile, rulesOf, rulesText, withoutPrometheus } from './prometheus.mjs';

const skip = withoutPrometheus('Prometheus reading a server');
const kPatienceMs = 300_000;

// Queries of the dashboard that find nothing here, by what they are about.
const kNotHere = [
  { metric: /^(container_|kube_|kubelet_)/, why: 'there is no Kubernetes' },
  { metric: /^colloquy_llama_/, why: 'the model is not in the process' },
  { metric: /^colloquy_background_/, why: 'the demonstration makes no titles and summaries by itself' },
  { metric: /^colloquy_dynamodb_retries_total$/, why: 'DynamoDB Local refuses no call' },
  { metric: /^colloquy_(peer_|event_peers)/, why: 'the servers have no peers' },
];
const notHere = (expr) => [...metricsIn(expr)].some((name) => kNotHere.some(({ metric }) => metric.test(name)));

// With what Grafana would put for its variables.
const filled = (expr) => expr.replace(/\$(namespace|instance)\b/g, '.*').replaceAll('$__rate_interval', '1m');

async function sendTraffic(server) {
  const alice = await server.client('alice');
  const { conversation_id: id } = await alice.createConversation();
  const message = await alice.append(id, 'words to search for');
  await alice.generate(id, 'hello');
  await alice.get('/search?q=words');
  const file = await fetch(`${server.baseUrl}/files/notes.txt`, { method: 'PUT', body: 'Buy milk.', headers: { Authorization: `Bearer ${await server.token('alice')}` } });
  assert.ok(file.status < 300 || file.status === 501, await file.text());
  await alice.get(`/conversations/${id}/messages`, { expect: 200 });
  await alice.delete(`/conversations/${id}/messages/${message.message_id}`, { expect: 204 });
}

// A request that no parser takes, for what is counted apart.
async function sendGarbage(server) {
  const { hostname, port } = new URL(server.baseUrl);
  await new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write('no request\r\n\r\n'));
    socket.on('error', reject).on('close', resolve).resume();
  });
}

// As the page for operators has it, but for where things are here.
function configuration(servers) {
  const block = blocksOf(readPage('operations.md')).find(({ language, text }) => language === 'yaml' && text.includes('scrape_configs'));
  const config = parse(block.text);
  assert.deepEqual(config.scrape_configs[0].static_configs[0].targets, ['127.0.0.1:9464']);
  config.rule_files = [rulesFile];
  config.scrape_configs[0].static_configs[0].targets = servers.map(({ adminUrl }) => new URL(adminUrl).host);
  return { global: { scrape_interval: '1s', evaluation_interval: '1s' }, ...config };
}

async function startPrometheus(folder, servers) {
  const listen = `127.0.0.1:${await freePort()}`;
  writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(configuration(servers)));
  const child = spawn(prometheus, [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`, `--web.listen-address=${listen}`],
                      { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
  const ended = new Promise((resolve) => { child.on('close', resolve); });
  process.on('exit', () => child.kill('SIGKILL'));
  const ask = async (path, parameters = {}) => {
    const answer = await (await fetch(`http://${listen}/api/v1/${path}?${new URLSearchParams(parameters)}`)).json();
    assert.equal(answer.status, 'success', `${JSON.stringify(parameters)}: ${answer.error}`);
    return answer.data;
  };
  return {
    ask,
    query: async (query) => (await ask('query', { query })).result,
    said: () => said,
    listens: async () => {
      assert.equal(child.exitCode, null, said);
      return fetch(`http://${listen}/-/ready`).then(({ ok }) => ok, () => false);
    },
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

describe('Prometheus reading real servers', { skip, timeout: 2 * kPatienceMs }, () => {
  const steps = [];
  const servers = [];
  let prom;
  // With counters that go on: a rate needs to see them move.
  const traffic = async () => {
    for (const server of servers) await sendTraffic(server);
    await sendGarbage(servers[0]);
  };

  before(async () => {
    const folder = temporaryFolder();
    steps.push(() => removeFolder(folder));
    servers.push(await startServer({ args: ['--backup-to', join(folder, 'backup')] }));
    steps.push(() => servers[0].close());
    servers.push(await startServer({ args: tableFlags(await createTables()), env: tableEnvironment }));
    steps.push(() => servers[1].close());
    await traffic();
    prom = await startPrometheus(folder, servers);
    steps.push(() => prom.stop());
    await until(() => prom.listens(), 'Prometheus to listen', kPatienceMs);
  });
  after(() => undoAll(steps));

  test('it reaches them', async () => {
    const up = await until(async () => {
      const found = await prom.query('up == 1');
      return found.length === servers.length && found;
    }, 'the servers to be up', kPatienceMs);
    assert.deepEqual(up.map(({ metric }) => metric.job), ['colloquy', 'colloquy']);
  });

  test('every query of the dashboard finds something, but for those that are said not to', async () => {
    let left = panelsOf(JSON.parse(dashboardText)).flatMap(({ title, targets = [] }) => targets.map((target) => ({ title, ...target })));
    const others = left.filter(({ expr }) => notHere(expr));
    left = left.filter(({ expr }) => !notHere(expr));
    // With every label that its legend shows; there are no namespaces here.
    const finds = async ({ expr, legendFormat }) => {
      const labels = [...legendFormat.matchAll(/{{(\w+)}}/g)].map(([, label]) => label).filter((label) => !['namespace', 'alertname'].includes(label));
      const found = await prom.query(filled(expr));
      return found.some(({ metric, value: [, value] }) => value !== 'NaN' && labels.every((label) => metric[label]));
    };
    await until(async () => {
      await traffic();
      const found = await Promise.all(left.map(finds));
      left = left.filter((_, index) => !found[index]);
      return left.length === 0;
    }, 'data', kPatienceMs).catch((error) => assert.fail(`${error.message} of ${left.map(({ title, expr }) => `${title}: ${expr}`).join('\n')}`));
    // They are queries all the same, and none is excused that finds something.
    for (const one of others) assert.equal(await finds(one), false, `${one.title} finds something: no exception is needed`);
    for (const { metric, why } of kNotHere) assert.ok(others.some(({ expr }) => [...metricsIn(expr)].some((name) => metric.test(name))), why);
  });

  test('the rules are evaluated without an error, and those that record have something to record', async () => {
    const records = new Set(rulesOf(rulesText).map(({ record }) => record).filter(Boolean));
    assert.ok(records.size > 5);
    const groups = await until(async () => {
      const { groups: all } = await prom.ask('rules');
      return all.every(({ rules }) => rules.every(({ health }) => health !== 'unknown')) && all;
    }, 'the rules to be evaluated', kPatienceMs);
    for (const { rules } of groups) for (const { name, health, lastError } of rules) assert.equal(health, 'ok', `${name}: ${lastError}`);
    for (const slo of ['availability', 'storing', 'turns']) {
      for (const record of records) {
        const found = await until(async () => (await prom.query(`${record}{slo="${slo}"}`))[0], `${record} of ${slo}`, kPatienceMs);
        assert.ok(Number(found.value[1]) >= 0 && Number.isFinite(Number(found.value[1])), `${record} of ${slo}: ${found.value[1]}`);
      }
    }
    assert.doesNotMatch(prom.said(), /level=(error|warn)/);
  });

  test('no alert fires of servers that are well', async () => {
    const known = new Set(alertsOf(rulesText).map(({ alert }) => alert));
    // Most wait for minutes before they fire, longer than this runs: one that waits is as wrong here.
    const raised = await prom.query('ALERTS');
    const names = new Set(raised.map(({ metric }) => metric.alertname).filter((name) => known.has(name)));
    assert.deepEqual([...names], []);
  });

  test('every query of the runbook is one that Prometheus takes', async () => {
    const blocks = blocksOf(readPage('runbook.md')).filter(({ language }) => language === 'promql');
    const queries = blocks.flatMap(({ text }) => text.split('\n').filter(Boolean));
    assert.ok(queries.length >= alertsOf(rulesText).length - 3);
    for (const query of queries) await prom.query(query);
  });

  // Those that are not here for a reason have to be documented.
  test('every metric that rules, runbook and dashboard name is one of a real server, or of somebody else who is named', async () => {
    const real = new Set(await prom.ask('label/__name__/values'));
    const documented = new Set([...readPage('operations.md').matchAll(/`(colloquy_[a-z_]+)`/g)].map(([, name]) => name));
    const recorded = new Set(rulesOf(rulesText).map(({ record }) => record));
    const base = (name) => name.replace(/_(bucket|sum|count)$/, '');
    const page = readPage('runbook.md');
    const named = new Set([
      ...rulesOf(rulesText).flatMap(({ expr }) => [...metricsIn(expr)]),
      ...panelsOf(JSON.parse(dashboardText)).flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => [...metricsIn(expr)])),
      ...blocksOf(page).filter(({ language }) => language === 'promql').flatMap(({ text }) => text.split('\n').flatMap((line) => [...metricsIn(line)])),
      ...[...page.matchAll(/`(colloquy_[a-z_]+)`/g)].map(([, name]) => name),
    ]);
    assert.ok(named.size > 60);
    const excused = (name) => kNotHere.some(({ metric }) => metric.test(name)) && documented.has(base(name));
    const unknown = [...named].filter((name) => !real.has(name) && !othersMetrics[name] && !recorded.has(name) && name !== 'ALERTS' && !excused(name));
    assert.deepEqual(unknown, []);
    for (const name of Object.keys(othersMetrics)) assert.ok(named.has(name), `${name} of others is named nowhere`);
  });
});
