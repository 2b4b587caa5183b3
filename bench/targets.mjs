// The conversations that bench_seed listed, and who may ask for them.
import { readFileSync } from 'node:fs';

export function firstTarget(targets) {
  const [token, id] = readFileSync(targets, 'utf8').split('\n', 1)[0].split('\t');
  return { token, id };
}

// The body of one answer, asked for as the first line's user.
export async function readTarget(server, targets, path, method = 'GET', body = undefined) {
  const { token, id } = firstTarget(targets);
  const response = await fetch(server.url + path.replace(':id', id), {
    method,
    body,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'accept-encoding': 'identity' },
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.text();
}
