// nginx with its dav module, which Debian's package has: takes files by PUT and gives them by GET.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// As bench/run has unpacked it, or the machine's own; undefined where there is none.
function findNginx() {
  const unpacked = fileURLToPath(new URL('../build/nginx/usr/sbin/nginx', import.meta.url));
  return [unpacked, '/usr/sbin/nginx'].find((path) => existsSync(path));
}

function freePort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const connects = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
  socket.on('error', () => resolve(false));
});

// Its temporary files are on the file system of its files, so that a PUT ends with a rename, as ours does.
function configuration(port) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${name};`).join(' ');
  return `${process.getuid() === 0 ? 'user root;' : ''}
pid nginx.pid; daemon off; worker_processes auto; error_log stderr;
events { }
http {
  access_log off; sendfile on; client_max_body_size 0; ${temporary}
  server { listen 127.0.0.1:${port}; location / { root files; dav_methods PUT; create_full_put_path on; } }
}
`;
}

// { url, version, folder, stop }; undefined where there is no nginx.
export async function startNginx(root) {
  const program = findNginx();
  if (!program) return undefined;
  const home = join(root, 'nginx');
  mkdirSync(join(home, 'files'), { recursive: true });
  const port = await freePort();
  writeFileSync(join(home, 'nginx.conf'), configuration(port));
  const child = spawn(program, ['-e', 'stderr', '-p', home, '-c', join(home, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'inherit'] });
  process.on('exit', () => child.kill('SIGTERM'));
  const ended = new Promise((resolve) => child.once('close', resolve));
  let alive = true;
  ended.then(() => { alive = false; });
  while (alive && !await connects(port)) await new Promise((resolve) => setTimeout(resolve, 20));
  if (!alive) throw new Error('nginx did not start');
  const version = execFileSync('sh', ['-c', `${program} -e stderr -v 2>&1`], { encoding: 'utf8' }).match(/nginx\/(\S+)/)[1];
  return {
    url: `http://127.0.0.1:${port}`, version, folder: join(home, 'files'),
    stop: () => { child.kill('SIGTERM'); return ended; },
  };
}
