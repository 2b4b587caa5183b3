// Runs a command with every server of the end-to-end tests behind a guard that allows what a policy says, whatever the
// tables' names, and fails on what it refused:
//   guarded.mjs POLICY COMMAND…
// POLICY is a file with "action table" lines, in which the tables are called conversations and messages. To be run by
// with_local.sh.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { startGuard } from './guard.mjs';

const [, , policyFile, command, ...args] = process.argv;
const allowed = new Set(readFileSync(policyFile, 'utf8').split('\n').filter(Boolean));
const policy = { has: (use) => allowed.has(use.replace(/ \S*-(conversations|messages)/, ' $1')) };
const ends = [];
const guard = await startGuard({ after: (end) => ends.push(end) }, policy, process.env.COLLOQUY_TEST_DYNAMODB);
const child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, COLLOQUY_TEST_DYNAMODB_GUARD: guard.url } });
const [code] = await once(child, 'exit');
ends.forEach((end) => end());
for (const use of guard.refused) console.error(`the policy refused: ${use}`);
process.exitCode = code !== 0 || guard.refused.size > 0 || guard.used.size === 0 ? 1 : 0;
