// The real program, started with the settings that the chart gives it in each example: only addresses and folders are this machine's.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { afterwards } from '../e2e/cleanup.mjs';
import { binary, cleanEnvironment, removeFolder, runCommand, temporaryFolder } from '../e2e/server.mjs';
import { until, withDeadline } from '../e2e/wait.mjs';
import { createTables, endpoint, tableEnvironment } from '../dynamodb/tables.mjs';
import { examples, render, withoutHelm } from './chart.mjs';
import { settingsOf } from './invariants.mjs';

const skip = withoutHelm('the settings that the chart gives');

const kSecrets = {
  'token.key': () => randomBytes(48).toString('base64'),
  'cluster.key': () => randomBytes(48).toString('base64'),
  'master.key': () => randomBytes(32).toString('base64'),
};

// The files of the Secrets, readable by the group alone, as Kubernetes mounts them.
function writeSecrets(pod, root) {
  for (const { name, mountPath } of pod.containers[0].volumeMounts) {
    mkdirSync(root + mountPath, { recursive: true, mode: 0o750 });
    if (!name.endsWith('-secret')) continue;
    for (const [file, make] of Object.entries(kSecrets)) {
      if (pod.containers[0].args.some((arg) => arg.endsWith(`=${mountPath}/${file}`))) {
        writeFileSync(join(root + mountPath, file), make(), { mode: 0o440 });
      }
    }
    if (name === 'tls-secret') {
      execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=colloquy',
                               '-keyout', `${root}${mountPath}/tls.key`, '-out', `${root}${mountPath}/tls.crt`], { stdio: 'ignore' });
    }
  }
}

// As much of KMS as a server asks at its start; what it encrypts is only wrapped.
async function startKms(t) {
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    const asked = JSON.parse(text);
    const encrypts = request.headers['x-amz-target'] === 'TrentService.Encrypt';
    const answer = encrypts ? { CiphertextBlob: Buffer.from(`wrapped:${asked.Plaintext}`).toString('base64') }
      : { Plaintext: Buffer.from(asked.CiphertextBlob, 'base64').toString().replace('wrapped:', '') };
    response.writeHead(200, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify({ KeyId: 'arn:aws:kms:::key/1', ...answer }));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  afterwards(t, () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

// The container's arguments with this machine's addresses and folders.
async function argumentsHere(t, container, root) {
  const args = container.args.map((arg) => arg
    .replace('=0.0.0.0:8080', '=127.0.0.1:0').replace('=0.0.0.0:9464', '=127.0.0.1:0')
    .replace('$(POD_IP)', '127.0.0.1').replace('$(POD_NAME)', 'colloquy-0')
    .replace(/=(\/(var|etc|app|backup)\b)/, `=${root}$1`));
  const settings = settingsOf(container);
  if (settings.store !== 'dynamodb') return args;
  const tables = await createTables(...(settings['updated-index'] ? ['--updated-index'] : []));
  const named = args.map((arg) => arg.replace(/^(--dynamodb-(conversations|messages)-table)=.*/, (_, flag, table) => `${flag}=${tables[table]}`));
  named.push(`--dynamodb-endpoint=${endpoint}`);
  if (settings.encryption === 'kms') {
    const kms = ['--encryption', 'kms', '--kms-key', settings['kms-key'], '--kms-endpoint', await startKms(t)];
    const { code, stderr } = await runCommand(['keys', 'create-table', '--dynamodb-endpoint', endpoint, ...kms], { env: tableEnvironment });
    assert.equal(code, 0, stderr);
    named.push(...kms.slice(-2));
  }
  return named;
}

describe('the settings that the chart gives', { skip }, () => {
  for (const { name, file } of examples) {
    test(`start the real program, and stop it in order: ${name}`, { timeout: 120_000 }, async (t) => {
      const { objects } = await render({ values: [file] });
      const pod = objects.find(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind)).spec.template.spec;
      const root = temporaryFolder();
      afterwards(t, () => removeFolder(root));
      writeSecrets(pod, root);
      const args = await argumentsHere(t, pod.containers[0], root);
      const env = Object.fromEntries((pod.containers[0].env ?? []).map((one) => [one.name, one.value ?? 'from-a-secret']));
      const child = spawn(binary, args, { env: cleanEnvironment({ ...tableEnvironment, ...env, SSL_CERT_FILE: '' }), stdio: ['ignore', 'pipe', 'pipe'] });
      afterwards(t, () => child.kill('SIGKILL'));
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (data) => { stdout += data; });
      child.stderr.on('data', (data) => { stderr += data; });
      const exited = new Promise((resolve) => { child.on('close', (code, signal) => resolve({ code, signal })); });
      const admin = await until(() => {
        assert.equal(child.exitCode, null, `${args.join(' ')}\n${stderr}`);
        return /admin on (\S+)/.exec(stdout)?.[1];
      }, 'the server to listen', 60_000);
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        const answer = await fetch(admin + pod.containers[0][probe].httpGet.path);
        assert.equal(answer.status, 200, `${probe}: ${await answer.text()}`);
      }
      const metrics = await (await fetch(`${admin}/metrics`)).text();
      assert.match(metrics, /^colloquy_http_connections /m);
      child.kill('SIGTERM');
      assert.deepEqual(await withDeadline(exited, 'the server to stop', 60_000), { code: 0, signal: null }, stderr);
    });
  }
});
