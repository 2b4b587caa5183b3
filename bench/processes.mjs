// Starts what is measured and what measures it, and ends all of it again.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const kLua = fileURLToPath(new URL('requests.lua', import.meta.url));

// What must not outlive the benchmark, whatever happens to it.
const running = new Set();
const folders = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

// On the disk that is to be measured: TMPDIR chooses it.
export function temporaryFolder() {
  const folder = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), 'colloquy-bench-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

// The `name=value` figures of the last line that a program printed.
function figures(text) {
  const pairs = text.trim().split('\n').at(-1).split(' ').map((pair) => pair.split('='));
  return Object.fromEntries(pairs.map(([name, value]) => [name, Number(value)]));
}

// A program of this folder, run to its end.
export async function measure(program, args) {
  const { stdout } = await run(program, args.map(String), { timeout: 180_000 });
  return figures(stdout);
}

// A load of one kind of request: { rate, p50_us, p99_us, cpu_us }, the last of which is the
// server's own processor time a request. Throws where one was not answered, or answered with an
// error: a fast refusal is no measurement.
export async function load({ server, targets, connections, seconds, method, path, body }) {
  const threads = Math.min(2, connections);
  const args = [`-t${threads}`, `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', kLua, server.url, '--',
                targets, method, path, ...(body ? [body] : [])];
  const before = server.cpuSeconds();
  const { stdout } = await run('wrk', args, { timeout: (seconds + 30) * 1000 });
  const got = figures(stdout);
  if (!(got.requests > 0) || got.refused > 0 || got.broken > 0) {
    throw new Error(`${method} ${path} was refused or broken:\n${stdout}`);
  }
  return {
    rate: got.requests / (got.duration_us / 1e6),
    p50_us: got.p50_us,
    p99_us: got.p99_us,
    cpu_us: (server.cpuSeconds() - before) * 1e6 / got.requests,
  };
}

// A server that says on a line `listening on ADDRESS` where it listens.
export class Server {
  // Its log goes through a pipe to a reader that throws it away, as a collector would read it.
  static async start(program, args) {
    const server = new Server();
    server.log = spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] });
    running.add(server.log);
    server.child = spawn(program, args.map(String), { stdio: ['ignore', 'pipe', server.log.stdin] });
    running.add(server.child);
    server.ended = new Promise((resolve) => server.child.once('close', resolve));
    server.log.stdin.end();
    await server.#listen(program);
    return server;
  }

  async #listen(program) {
    this.said = '';
    const listening = new Promise((resolve) => {
      this.child.stdout.setEncoding('utf8').on('data', (text) => {
        this.said += text;
        const lines = this.said.match(/^listening on (?:http:\/\/)?(\S+)$/m);
        if (lines && this.said.endsWith('\n')) resolve(lines[1]);
      });
    });
    const address = await Promise.race([listening, this.ended]);
    if (typeof address !== 'string') throw new Error(`${program} did not start: ${this.said}`);
    this.url = `http://${address}`;
    this.port = Number(address.split(':').at(-1));
    this.admin = this.said.match(/^admin on (\S+)$/m)?.[1];
  }

  // User and system time of all its threads so far.
  cpuSeconds() {
    const kTicks = 100;  // a second, on every Linux (man 2 times)
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / kTicks;
  }

  // Resident memory in MiB.
  memory() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'utf8');
    return Number(status.match(/^VmRSS:\s+(\d+) kB$/m)[1]) / 1024;
  }

  async stop() {
    this.child.kill('SIGTERM');
    await this.ended;
    running.delete(this.child);
    this.log.kill('SIGTERM');
    running.delete(this.log);
  }
}
