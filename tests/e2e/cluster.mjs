// Servers on one store that know of each other: two on the tables, where the tests run on DynamoDB; one on the embedded store.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { undoAll } from './cleanup.mjs';
import { startFakeUpstream } from './fake_upstream.mjs';
import { onDynamoDb, removeFolder, startServer, temporaryFolder } from './server.mjs';

// A port that was free a moment ago: a server must know its own before it starts.
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

export function writeClusterKey(folder, name = 'cluster.key') {
  const file = join(folder, name);
  writeFileSync(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  return file;
}

// A server that others on the same `data` (for one token key) reach; `keyFile`: undefined for one that is alone.
export async function startMember({ data, keyFile, args = [], port, ...others }) {
  port ??= await freePort();
  const scheme = args.includes('--tls-cert') ? 'https' : 'http';
  const flags = keyFile ? ['--advertise', `${scheme}://127.0.0.1:${port}`, '--cluster-key-file', keyFile] : [];
  return startServer({ data, listen: `127.0.0.1:${port}`, args: [...args, ...flags], ...others });
}

// For all tests of the suite that is being described. `ready` gets { upstream, servers, clients } of alice's.
export function startCluster(ready, { args = [] } = {}) {
  const steps = [];
  before(async () => {
    const upstream = await startFakeUpstream();
    steps.push(() => upstream.close());
    const data = temporaryFolder();
    steps.push(() => removeFolder(data));
    const keyFile = onDynamoDb ? writeClusterKey(data) : undefined;
    const servers = [];
    for (let i = 0; i < (onDynamoDb ? 2 : 1); i += 1) {
      const server = await startMember({ data, keyFile, args: [...upstream.flags, ...args] });
      steps.push(() => server.close());
      servers.push(server);
    }
    const clients = [];
    for (const server of [servers[0], servers.at(-1)]) clients.push(await server.client('alice'));
    ready({ upstream, servers, clients });
  });
  after(() => undoAll(steps));
}
