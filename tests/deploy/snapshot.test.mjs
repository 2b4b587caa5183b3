// The chart's script that makes snapshots, against an API server of the tests' own over HTTPS.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { removeFolder, temporaryFolder } from '../e2e/server.mjs';
import { chart } from './chart.mjs';
import { typeErrors } from './types.mjs';

const kPath = '/apis/snapshot.storage.k8s.io/v1/namespaces/chat/volumesnapshots';
const kScript = join(chart, 'files/snapshot.sh');
const folder = temporaryFolder();
let server;
let cluster;

// What the API server holds, and how it behaves.
function freshCluster() {
  return { snapshots: new Map(), posted: [], refuse: () => false, ready: () => true, hour: 0 };
}

function add(name, claim, { hour, ready = true }) {
  cluster.snapshots.set(name, {
    apiVersion: 'snapshot.storage.k8s.io/v1', kind: 'VolumeSnapshot',
    metadata: { name, labels: { 'colloquy/claim': claim }, creationTimestamp: `2026-01-01T${String(hour).padStart(2, '0')}:00:00Z` },
    status: { readyToUse: ready } });
}

function answer(method, url, body) {
  const { pathname, searchParams } = new URL(url, 'https://localhost');
  if (cluster.refuse(method)) return [403, { kind: 'Status', reason: 'Forbidden' }];
  if (method === 'POST' && pathname === kPath) {
    const claim = body.spec.source.persistentVolumeClaimName;
    cluster.posted.push(body);
    add(body.metadata.name, claim, { hour: 23, ready: false });
    cluster.snapshots.get(body.metadata.name).metadata.labels = body.metadata.labels;
    return [201, body];
  }
  if (method === 'GET' && pathname === kPath) {
    const [key, value] = searchParams.get('labelSelector').split('=');
    return [200, { items: [...cluster.snapshots.values()].filter(({ metadata }) => metadata.labels[key] === value) }];
  }
  const name = pathname.slice(kPath.length + 1);
  const snapshot = cluster.snapshots.get(name);
  if (!snapshot) return [404, { kind: 'Status', reason: 'NotFound' }];
  if (method === 'DELETE') cluster.snapshots.delete(name);
  else snapshot.status.readyToUse = cluster.ready(name);
  return [200, snapshot];
}

before(async () => {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=kubernetes',
                           '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', join(folder, 'key'), '-out', join(folder, 'ca.crt')], { stdio: 'ignore' });
  writeFileSync(join(folder, 'token'), 'the-token');
  server = createServer({ key: readFileSync(join(folder, 'key')), cert: readFileSync(join(folder, 'ca.crt')) }, async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const known = request.headers.authorization === 'Bearer the-token';
    const [status, body] = known ? answer(request.method, request.url, text && JSON.parse(text)) : [401, {}];
    response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
});
after(() => {
  server.closeAllConnections();
  server.close();
  removeFolder(folder);
});

function run(script, env = {}) {
  const all = { PATH: process.env.PATH, NAMESPACE: 'chat', CLAIMS: 'data-c-0 user-data-c-0', SNAPSHOT_CLASS: 'c-ebs', INSTANCE: 'c', KEEP: '3',
                READY_TIMEOUT: '60', POLL_SECONDS: '0.1', SERVICE_ACCOUNT_FOLDER: folder, KUBERNETES_SERVICE_HOST: '127.0.0.1',
                KUBERNETES_SERVICE_PORT: String(server.address().port), ...env };
  return new Promise((resolve) => {
    execFile('bash', [script], { env: all, timeout: 60_000 }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
}
const names = () => [...cluster.snapshots.keys()];

const scenarios = {
  'makes a snapshot of each claim, that Kubernetes would take': async (script) => {
    cluster = freshCluster();
    const { code, stderr } = await run(script);
    assert.equal(code, 0, stderr);
    assert.deepEqual(cluster.posted.map(({ spec }) => spec.source.persistentVolumeClaimName), ['data-c-0', 'user-data-c-0']);
    assert.deepEqual(typeErrors([cluster.posted]), [[]]);
    for (const { metadata, spec } of cluster.posted) {
      assert.match(metadata.name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
      assert.equal(spec.volumeSnapshotClassName, 'c-ebs');
    }
  },

  'keeps the newest of each claim, and leaves those of others': async (script) => {
    cluster = freshCluster();
    for (let hour = 1; hour <= 5; hour++) add(`data-${hour}`, 'data-c-0', { hour });
    add('data-never', 'data-c-0', { hour: 2, ready: false });
    add('data-late', 'data-c-0', { hour: 22, ready: false });
    add('other', 'data-other-0', { hour: 0 });
    add('user-1', 'user-data-c-0', { hour: 1 });
    const { code, stderr } = await run(script);
    assert.equal(code, 0, stderr);
    const kept = names().filter((name) => !name.includes('c-0'));
    assert.deepEqual(kept.sort(), ['data-4', 'data-5', 'data-late', 'other', 'user-1']);
    assert.equal(names().length, 7, 'and the two new ones');
  },

  'waits until one can be used before it removes any': async (script) => {
    cluster = freshCluster();
    for (let hour = 1; hour <= 3; hour++) add(`data-${hour}`, 'data-c-0', { hour });
    let asked = 0;
    cluster.ready = () => {
      if (asked++ < 3) assert.ok(cluster.snapshots.has('data-1'));
      return asked > 3;
    };
    const { code, stderr } = await run(script, { CLAIMS: 'data-c-0' });
    assert.equal(code, 0, stderr);
    assert.ok(!cluster.snapshots.has('data-1') && asked > 3);
  },

  'removes nothing of a claim whose snapshot does not become ready, goes on with the next, and fails': async (script) => {
    cluster = freshCluster();
    for (let hour = 1; hour <= 5; hour++) add(`data-${hour}`, 'data-c-0', { hour });
    cluster.ready = (name) => name.startsWith('user');
    const { code, stdout, stderr } = await run(script, { READY_TIMEOUT: '1' });
    assert.equal(code, 1);
    assert.match(stderr, /not ready after 1 seconds; nothing is removed/);
    assert.match(stdout, /user-data-c-0-\S+ is ready/);
    assert.equal(names().filter((name) => name.startsWith('data-')).length, 6);
  },

  'fails where it may not, is not known, or does not know whom it speaks to': async (script) => {
    for (const method of ['POST', 'GET', 'DELETE']) {
      cluster = freshCluster();
      for (let hour = 1; hour <= 5; hour++) add(`data-${hour}`, 'data-c-0', { hour });
      cluster.refuse = (asked) => asked === method;
      assert.equal((await run(script, { READY_TIMEOUT: '1' })).code, 1, method);
    }
    cluster = freshCluster();
    const stranger = temporaryFolder();
    writeFileSync(join(stranger, 'token'), 'another');
    writeFileSync(join(stranger, 'ca.crt'), readFileSync(join(folder, 'ca.crt')));
    assert.equal((await run(script, { SERVICE_ACCOUNT_FOLDER: stranger })).code, 1);
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=x',
                             '-keyout', join(stranger, 'key'), '-out', join(stranger, 'ca.crt')], { stdio: 'ignore' });
    writeFileSync(join(stranger, 'token'), 'the-token');
    assert.equal((await run(script, { SERVICE_ACCOUNT_FOLDER: stranger })).code, 1);
    assert.equal(cluster.posted.length, 0);
    removeFolder(stranger);
  },
};

describe('the script of the snapshots', () => {
  for (const [name, holds] of Object.entries(scenarios)) test(name, () => holds(kScript));

  // Deliberate mistakes, each with the test that has to notice.
  const mistakes = [
    { find: '$ready[-$keep]', replace: '$ready[1-$keep]', caught: 'keeps the newest' },
    { find: '?labelSelector=colloquy%2Fclaim%3D$claim', replace: '?labelSelector=app.kubernetes.io%2Finstance%3Dc', caught: 'keeps the newest' },
    { find: '[.[] | select(.status.readyToUse)]', replace: '.', caught: 'keeps the newest' },
    { find: '[ "$ready" != true ] || break', replace: 'break', caught: 'waits until' },
    { find: 'snapshot_of "$claim" || {', replace: 'snapshot_of "$claim" || true || {', caught: 'removes nothing' },
    { find: 'spec: {volumeSnapshotClassName: $class, source: {', replace: 'spec: {class: $class, source: {', caught: 'makes a snapshot' },
    { find: 'failed=1; }', replace: 'exit 1; }', caught: 'removes nothing' },
    { find: '--cacert "$account/ca.crt"', replace: '--insecure', caught: 'fails where it may not' },
    { find: 'call DELETE "$base/$name" >/dev/null || return 1', replace: 'call DELETE "$base/$name" >/dev/null || true', caught: 'fails where it may not' },
  ];
  for (const { find, replace, caught } of mistakes) {
    test(`is caught with a mistake: ${find} → ${replace}`, async () => {
      const text = readFileSync(kScript, 'utf8');
      assert.ok(text.includes(find), 'the list of mistakes is behind');
      const script = join(folder, 'mistaken.sh');
      writeFileSync(script, text.replace(find, () => replace));
      const [, holds] = Object.entries(scenarios).find(([name]) => name.startsWith(caught));
      await assert.rejects(holds(script), { name: 'AssertionError' });
    });
  }
});
