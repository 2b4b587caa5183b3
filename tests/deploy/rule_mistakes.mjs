// Deliberate mistakes in the rules that their tests have to catch: in a copy, the first `find` after `alert: ALERT` (or in the whole file, where
// `everywhere` is set) becomes `replace`; the cases of `alert` must then complain.
const everywhere = (alert, find, replace) => ({ alert, find, replace, everywhere: true });

export const ruleMistakes = [
  // what promtool refuses by itself
  { alert: 'ColloquyDown', find: 'up{job="colloquy"} == 0', replace: 'up{job="colloquy"} = 0' },
  { alert: 'ColloquyDown', find: 'for: 2m', replace: 'for: two minutes' },
  { alert: 'ColloquyDown', find: 'for: 2m', replace: 'during: 2m' },
  { alert: 'ColloquyErrors', find: '$value | humanizePercentage', replace: '$value | percentage' },
  // the objectives
  everywhere('ColloquyAvailabilityBurnsFast', 'route!~"/health.*", ', ''),
  everywhere('ColloquyAvailabilityBurnsFast', 'status=~"500|502|503|504"', 'status=~"500|502|504"'),
  everywhere('ColloquyAvailabilityBurnsFast', 'status=~"500|502|503|504"', 'status=~"5.."'),
  everywhere('ColloquyAvailabilityBurnsFast', 'sum by (namespace) (rate(colloquy_http_requests_total', 'sum by (namespace) (rate(colloquy_http_request_total'),
  everywhere('ColloquyStoringBurnsFast', 'le="0.25"', 'le="0.2"'),
  everywhere('ColloquyStoringBurnsFast', 'le="0.25"', 'le="60"'),
  everywhere('ColloquyStoringBurnsFast', 'route=~"/conversations(/{conversation_id}(/title|/messages(/{message_id})?)?)?"', 'route=~".*"'),
  everywhere('ColloquyTurnsBurnFast', '{outcome="error"}[5m]', '{outcome=~"error|cancelled"}[5m]'),
  everywhere('ColloquyTurnsBurnFast', '{outcome="error"}[5m]', '{outcome="failed"}[5m]'),
  everywhere('ColloquyTurnsBurnFast', 'colloquy:slo_bad:rate5m / ', 'colloquy:slo_bad:rate1m / '),
  everywhere('ColloquyTurnsBurnFast', 'slo_bad:rate5m[6h]', 'slo_bad:rate5m[1h]'),
  everywhere('ColloquyTurnsBurnSlowly', 'slo_bad:rate5m[3d]', 'slo_bad:rate5m[1d]'),
  everywhere('ColloquyTurnsBurnSlowly', 'record: colloquy:slo_errors:ratio2h', 'record: colloquy:slo_errors:ratio2'),
  // the burn rates, which are the same for all three
  ...[
    ['14.4 * 0.0', '20 * 0.0'], ['14.4 * 0.0', '10 * 0.0'], ['> 6 * 0.0', '> 7 * 0.0'], ['> 6 * 0.0', '> 5 * 0.0'],
    ['ratio5m{slo="turns"}', 'ratio1h{slo="turns"}'], ['ratio30m{slo="turns"}', 'ratio6h{slo="turns"}'], ['ratio1h{slo="turns"}', 'ratio1h{slo="turn"}'],
    ['for: 2m', 'for: 0m'], ['for: 2m', 'for: 1h'], ['severity: critical', 'severity: warning'],
  ].map(([find, replace]) => ({ alert: 'ColloquyTurnsBurnFast', find, replace })),
  ...[
    ['> 3 * 0.0', '> 4 * 0.0'], ['> 3 * 0.0', '> 2 * 0.0'], ['> 1 * 0.0', '> 2 * 0.0'], ['> 1 * 0.0', '> 0.5 * 0.0'],
    ['ratio2h{slo="turns"}', 'ratio1d{slo="turns"}'], ['ratio3d{slo="turns"}', 'ratio6h{slo="turns"}'],
    ['for: 15m', 'for: 5m'], ['for: 15m', 'for: 3h'],
  ].map(([find, replace]) => ({ alert: 'ColloquyTurnsBurnSlowly', find, replace })),
  { alert: 'ColloquyAvailabilityBurnsSlowly', find: '> 3 * 0.001', replace: '> 30 * 0.001' },
  { alert: 'ColloquyStoringBurnsSlowly', find: 'slo="storing"', replace: 'slo="stored"' },
  // the others
  { alert: 'ColloquyDown', find: 'job="colloquy"', replace: 'job="coloquy"' },
  { alert: 'ColloquyDown', find: '== 0', replace: '== 1' },
  { alert: 'ColloquyDown', find: 'for: 2m', replace: 'for: 1m' },
  { alert: 'ColloquyDown', find: 'for: 2m', replace: 'for: 4m' },
  { alert: 'ColloquyDown', find: 'severity: critical', replace: 'severity: warning' },
  { alert: 'ColloquyDown', find: '#colloquydown', replace: '#colloquyabsent' },
  { alert: 'ColloquyAbsent', find: 'absent(up{job="colloquy"})', replace: 'absent(up)' },
  { alert: 'ColloquyAbsent', find: 'for: 5m', replace: 'for: 1m' },
  { alert: 'ColloquyErrors', find: '> 0.01', replace: '> 0.001' },
  { alert: 'ColloquyErrors', find: '> 0.01', replace: '> 0.1' },
  { alert: 'ColloquyErrors', find: 'by (namespace, route)', replace: 'by (namespace)' },
  everywhere('ColloquyErrors', 'route!~"/health.*"', 'route!~"/metrics"'),
  { alert: 'ColloquyErrors', find: 'for: 5m', replace: 'for: 2m' },
  { alert: 'ColloquyInternalError', find: 'unless colloquy_http_requests_total{status="500"} offset 15m', replace: '' },
  { alert: 'ColloquyInternalError', find: '(increase(colloquy_http_requests_total{status="500"}[15m])) > 0', replace: '(increase(colloquy_http_requests_total{status="500"}[15m])) > 1' },
  { alert: 'ColloquyInternalError', find: 'status="500"} unless', replace: 'status=~"500|503"} unless' },
  { alert: 'ColloquyTurnsFail', find: '> 0.05', replace: '> 0.07' },
  { alert: 'ColloquyTurnsFail', find: '> 0.05', replace: '> 0.03' },
  { alert: 'ColloquyTurnsFail', find: 'outcome="error"', replace: 'outcome="cancelled"' },
  { alert: 'ColloquyTurnsFail', find: 'for: 10m', replace: 'for: 5m' },
  { alert: 'ColloquyCommitsSlow', find: '0.99', replace: '0.9' },
  { alert: 'ColloquyCommitsSlow', find: '> 0.25', replace: '> 0.2' },
  { alert: 'ColloquyCommitsSlow', find: 'le, namespace, instance', replace: 'le' },
  { alert: 'ColloquyCommitsSlow', find: '_bucket', replace: '' },
  { alert: 'ColloquyCommitsSlow', find: 'for: 10m', replace: 'for: 5m' },
  { alert: 'ColloquyTablesThrottled', find: '> 1', replace: '> 3' },
  { alert: 'ColloquyTablesThrottled', find: '> 1', replace: '> 0.5' },
  { alert: 'ColloquyTablesThrottled', find: '{reason="throttled"}', replace: '' },
  { alert: 'ColloquyTablesThrottled', find: 'for: 10m', replace: 'for: 5m' },
  { alert: 'ColloquyPeersUnreachable', find: 'state="unreachable"', replace: 'state="connected"' },
  { alert: 'ColloquyPeersUnreachable', find: 'for: 15m', replace: 'for: 10m' },
  { alert: 'ColloquyBackupBehind', find: '> 60', replace: '> 30' },
  { alert: 'ColloquyBackupBehind', find: '> 60', replace: '> 600' },
  { alert: 'ColloquyBackupBehind', find: 'colloquy_backup_age_seconds', replace: 'colloquy_backup_seconds' },
  { alert: 'ColloquyBackupBehind', find: 'for: 5m', replace: 'for: 1m' },
  { alert: 'ColloquyBackupGap', find: '[1h]', replace: '[10m]' },
  { alert: 'ColloquyBackupGap', find: 'increase(colloquy_backup_log_given_up_total[1h])', replace: 'colloquy_backup_log_given_up_total' },
  { alert: 'ColloquySearchIncomplete', find: '== 0', replace: '== 1' },
  { alert: 'ColloquySearchIncomplete', find: 'for: 1h', replace: 'for: 10m' },
  { alert: 'ColloquyErasureStuck', find: '86400', replace: '8640' },
  { alert: 'ColloquyErasureStuck', find: '86400', replace: '864000' },
  { alert: 'ColloquyLogLinesDropped', find: 'increase(colloquy_log_lines_dropped[15m])', replace: 'colloquy_log_lines_dropped' },
  { alert: 'ColloquyLogLinesDropped', find: 'lines_dropped', replace: 'lines_dropped_total' },
  { alert: 'ColloquyVolumeFills', find: '< 0.1', replace: '< 0.2' },
  { alert: 'ColloquyVolumeFills', find: '< 0.1', replace: '< 0.05' },
  { alert: 'ColloquyVolumeFills', find: '{persistentvolumeclaim=~"(data|user-data|keyring)-.+-0"}', replace: '' },
  { alert: 'ColloquyVolumeFills', find: 'for: 10m', replace: 'for: 1m' },
  { alert: 'ColloquySnapshotsFail', find: '2 * 86400', replace: '86400' },
  { alert: 'ColloquySnapshotsFail', find: '2 * 86400', replace: '3 * 86400' },
  { alert: 'ColloquySnapshotsFail', find: '{cronjob=~".*-snapshots"}', replace: '' },
];

// The text with such a mistake in it.
export function withMistake(text, { alert, find, replace, everywhere: all }) {
  const at = all ? 0 : text.indexOf(`- alert: ${alert}\n`);
  if (at < 0 || !text.includes(find, at)) throw new Error(`the rules have no ${find} for ${alert}: the list of mistakes is behind`);
  const end = text.indexOf('- alert:', at + 1);
  if (!all && end > 0 && text.indexOf(find, at) > end) throw new Error(`${alert} has no ${find}: the list of mistakes is behind`);
  return all ? text.replaceAll(find, () => replace) : text.slice(0, at) + text.slice(at).replace(find, () => replace);
}
