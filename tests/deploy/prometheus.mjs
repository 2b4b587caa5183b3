// The rules and the dashboard, and the real promtool and prometheus.
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { skipped } from '../skipped.mjs';
import { repository } from './pages.mjs';

const run = promisify(execFile);
const kPrograms = join(repository, 'build/prometheus/usr/bin');
export const promtool = join(kPrograms, 'promtool');
export const prometheus = join(kPrograms, 'prometheus');
const kFiles = join(repository, 'deploy/helm/colloquy/files');
export const rulesFile = join(kFiles, 'rules.yaml');
export const rulesText = readFileSync(rulesFile, 'utf8');
export const dashboardText = readFileSync(join(kFiles, 'dashboard.json'), 'utf8');

// Whether `what` has to be skipped here.
export const withoutPrometheus = (what) => skipped(what,
  [promtool, prometheus].every(existsSync) ? [] : ['there is no Prometheus in build/prometheus (scripts/packages.sh: unpack_prometheus)']);

export const rulesOf = (text) => parse(text).groups.flatMap(({ rules }) => rules);
export const alertsOf = (text) => rulesOf(text).filter(({ alert }) => alert);

// Runs promtool to its end: nothing where it finds nothing wrong, else all that it said.
async function complaints(...args) {
  try {
    await run(promtool, args, { timeout: 120_000, maxBuffer: 1 << 26 });
    return '';
  } catch (error) {
    if (typeof error.code !== 'number') throw error;
    return `${error.stdout}${error.stderr}`;
  }
}

// What is wrong with the rules of `text` by themselves, and in each of `suites`: objects as `promtool test rules` reads them. Files go to `folder`.
export async function ruleComplaints(text, suites, folder) {
  mkdirSync(folder, { recursive: true });
  const rules = join(folder, 'rules.yaml');
  writeFileSync(rules, text);
  const wrong = await complaints('check', 'rules', '--lint-fatal', rules);
  if (wrong) return wrong;
  const files = suites.map((suite, index) => {
    const file = join(folder, `suite-${index}.json`);
    writeFileSync(file, JSON.stringify({ rule_files: [rules], ...suite }));
    return file;
  });
  return complaints('test', 'rules', ...files);
}

// The metrics that a piece of PromQL names: what stands before a selector, or alone where a metric can.
export function metricsIn(text) {
  const bare = text.replace(/"(?:[^"\\]|\\.)*"/g, '""').replace(/\b(?:by|without|on|ignoring|group_left|group_right) *\([^)]*\)/g, '')
    .replace(/\{[^}]*\}/g, '').replace(/\[[^\]]*\]/g, '');
  return new Set([...bare.matchAll(/(?<![\w:$.])[a-z_][a-z0-9_:]*\b(?! *\()/g)].map(([name]) => name).filter((name) => !kWords.has(name)));
}
const kWords = new Set(['and', 'or', 'unless', 'offset', 'bool', 'by', 'without', 'on', 'ignoring']);

// Metrics that are not the program's, and whose they are.
export const othersMetrics = {
  up: 'Prometheus',
  kubelet_volume_stats_available_bytes: 'kubelet',
  kubelet_volume_stats_capacity_bytes: 'kubelet',
  container_cpu_usage_seconds_total: 'kubelet (cAdvisor)',
  container_memory_working_set_bytes: 'kubelet (cAdvisor)',
  kube_cronjob_status_last_successful_time: 'kube-state-metrics',
  kube_pod_container_status_restarts_total: 'kube-state-metrics',
};
