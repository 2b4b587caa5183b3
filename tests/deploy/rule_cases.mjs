// When each alert fires, and when not yet, or no longer: suites for `promtool test rules`.


const kRunbook = 'runbook.md';

const expected = (alert, { labels = {}, summary }) => ({
  exp_labels: { severity: kSeverities[alert], ...labels },
  exp_annotations: { summary, runbook_url: `${kRunbook}#${alert.toLowerCase()}` },
});
const firing = (alert, at, ...what) => ({ eval_time: at, alertname: alert, exp_alerts: what.map((one) => expected(alert, one)) });
const silent = (alert, ...times) => times.map((at) => ({ eval_time: at, alertname: alert, exp_alerts: [] }));
const suite = (series, checks) => ({
  interval: '1m',
  input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
  alert_rule_test: checks.flat(),
});

// Written out: who is woken up is no accident.
const kSeverities = {
  ColloquyAvailabilityBurnsFast: 'critical', ColloquyAvailabilityBurnsSlowly: 'warning', ColloquyStoringBurnsFast: 'critical',
  ColloquyStoringBurnsSlowly: 'warning', ColloquyTurnsBurnFast: 'critical', ColloquyTurnsBurnSlowly: 'warning', ColloquyDown: 'critical',
  ColloquyAbsent: 'critical', ColloquyErrors: 'warning', ColloquyInternalError: 'warning', ColloquyTurnsFail: 'warning', ColloquyCommitsSlow: 'warning',
  ColloquyTablesThrottled: 'warning', ColloquyPeersUnreachable: 'warning', ColloquyBackupBehind: 'critical', ColloquyBackupGap: 'critical',
  ColloquySearchIncomplete: 'warning', ColloquyErasureStuck: 'warning', ColloquyLogLinesDropped: 'warning', ColloquyVolumeFills: 'warning',
  ColloquySnapshotsFail: 'warning',
};

const kServer = 'namespace="chat",job="colloquy",instance="a:9464"';
const kInstance = { namespace: 'chat', instance: 'a:9464' };
const kTarget = { ...kInstance, job: 'colloquy' };

// A counter a minute that grows by `step` for each of `minutes`, piece after piece: [[minutes, step], …]. It begins with a 0.
function counter(pieces) {
  let value = 0;
  const text = ['0'];
  for (const [minutes, step] of pieces) {
    text.push(`${value + step}+${step}x${minutes - 1}`);
    value += minutes * step;
  }
  return text.join(' ');
}

// Requests, writes and turns of which so many times the allowance is bad: [[minutes, times, how many times the usual traffic], …].
function spending(pieces) {
  const each = 20_000;  // a minute
  const of = (share) => counter(pieces.map(([minutes, times, traffic = 1]) => [minutes, share(times) * traffic]));
  return {
    // Health checks, reading and cancelling are no part of it.
    [`colloquy_http_requests_total{${kServer},route="/health/ready",method="GET",status="503"}`]: of(() => each),
    [`colloquy_http_requests_total{${kServer},route="/conversations",method="POST",status="507"}`]: of(() => each * 0.1),
    [`colloquy_http_requests_total{${kServer},route="/conversations",method="POST",status="201"}`]: of((times) => each * (0.9 - times * 0.001)),
    [`colloquy_http_requests_total{${kServer},route="/generate",method="POST",status="503"}`]: of((times) => each * times * 0.001),
    [`colloquy_http_request_seconds_count{${kServer},route="/conversations/{conversation_id}/messages",method="POST"}`]: of(() => each),
    [`colloquy_http_request_seconds_bucket{${kServer},route="/conversations/{conversation_id}/messages",method="POST",le="0.25"}`]: of((times) => each * (1 - times * 0.01)),
    [`colloquy_http_request_seconds_bucket{${kServer},route="/conversations/{conversation_id}/messages",method="POST",le="60"}`]: of(() => each),
    [`colloquy_http_request_seconds_count{${kServer},route="/generate",method="POST"}`]: of(() => each),
    [`colloquy_http_request_seconds_bucket{${kServer},route="/generate",method="POST",le="0.25"}`]: of(() => 0),
    [`colloquy_turns_total{${kServer},outcome="stop"}`]: of((times) => each * (0.5 - times * 0.01)),
    [`colloquy_turns_total{${kServer},outcome="cancelled"}`]: of(() => each * 0.5),
    [`colloquy_turns_total{${kServer},outcome="error"}`]: of((times) => each * times * 0.01),
  };
}
const kFast = ['ColloquyAvailabilityBurnsFast', 'ColloquyStoringBurnsFast', 'ColloquyTurnsBurnFast'];
const kSlowly = ['ColloquyAvailabilityBurnsSlowly', 'ColloquyStoringBurnsSlowly', 'ColloquyTurnsBurnSlowly'];
const kSays = {
  ColloquyAvailabilityBurnsFast: 'of the requests fail: at this rate the month\'s allowance is gone within five days.',
  ColloquyAvailabilityBurnsSlowly: 'of the requests fail, for long: the month\'s allowance will not last.',
  ColloquyStoringBurnsFast: 'of the writes take more than 250 ms.',
  ColloquyStoringBurnsSlowly: 'of the writes take more than 250 ms, for long.',
  ColloquyTurnsBurnFast: 'of the turns end in an error: look at the model\'s endpoint.',
  ColloquyTurnsBurnSlowly: 'of the turns end in an error, for long.',
};
const kObjective = { Availability: ['availability', 0.001], Storing: ['storing', 0.01], Turns: ['turns', 0.01] };
// `times` is how much of the allowance the alert reads.
const burning = (alerts, at, times) => alerts.map((alert) => {
  const [slo, allowed] = kObjective[/Colloquy(Availability|Storing|Turns)/.exec(alert)[1]];
  const share = Number((times * allowed * 100).toPrecision(4));
  return firing(alert, at, { labels: { namespace: 'chat', slo }, summary: `${share}% ${kSays[alert]}` });
});
const quiet = (alerts, ...times) => alerts.flatMap((alert) => silent(alert, ...times));

const shortSuites = [
  // An hour of 16 times after a quiet day's half: more than 14.4 in an hour, less than 6 in six. At its end the five minutes are clean at once.
  suite(spending([[420, 0], [70, 16], [30, 0]]), [quiet(kFast, '420m', '475m', '478m', '494m'), burning(kFast, '490m', 16)]),
  suite(spending([[420, 0], [70, 14], [10, 0]]), [quiet(kFast, '480m', '490m')]),
  // Six hours of 6.5 times: more than 6 in six hours, less than 14.4 in any. At its end the half hour is clean soon.
  suite(spending([[400, 6.5], [60, 0]]), [burning(kFast, '400m', 6.5), quiet(kFast, '420m')]),
  suite(spending([[350, 5], [40, 10]]), [quiet(kFast, '390m')]),
  // Once there is 14.4 times, it takes two minutes; nothing is concluded from nothing.
  suite({}, [quiet([...kFast, ...kSlowly], '10m')]),
  suite({
    [`up{${kServer}}`]: '1x3 0x20',
    'up{job="colloquy",instance="b:9464"}': '1x23',
    'up{job="other",instance="c"}': '0x23',
  }, [silent('ColloquyDown', '3m', '5m'), firing('ColloquyDown', '6m', { labels: kTarget, summary: 'A server of Colloquy does not answer: a:9464.' }),
      silent('ColloquyAbsent', '20m')]),
  suite({ 'up{job="other",instance="c"}': '1x23' }, [
    silent('ColloquyAbsent', '4m'), firing('ColloquyAbsent', '5m', { labels: { job: 'colloquy' }, summary: 'Prometheus knows of no server of Colloquy.' }),
    silent('ColloquyDown', '20m')]),
  // 2 % of one route; 0.9 % of another; of health checks all.
  suite({
    [`colloquy_http_requests_total{${kServer},route="/generate",method="POST",status="200"}`]: '0+98x30',
    [`colloquy_http_requests_total{${kServer},route="/generate",method="POST",status="503"}`]: '0+2x30',
    [`colloquy_http_requests_total{${kServer},route="/search",method="GET",status="200"}`]: '0+991x30',
    [`colloquy_http_requests_total{${kServer},route="/search",method="GET",status="503"}`]: '0+9x30',
    [`colloquy_http_requests_total{${kServer},route="/me",method="GET",status="404"}`]: '0+9x30',
    [`colloquy_http_requests_total{${kServer},route="/health/ready",method="GET",status="503"}`]: '0+9x30',
  }, [silent('ColloquyErrors', '1m', '5m'), firing('ColloquyErrors', '6m', { labels: { namespace: 'chat', route: '/generate' }, summary: '2% of /generate fail.' })]),
  // The first one, whose counter was not there before; one more; and those that are old, or other than 500.
  suite({
    [`colloquy_http_requests_total{${kServer},route="/search",method="GET",status="500"}`]: '_x30 1x60',
    [`colloquy_http_requests_total{${kServer},route="/export",method="GET",status="500"}`]: '7x59 8x60',
    [`colloquy_http_requests_total{${kServer},route="/me",method="GET",status="500"}`]: '3x120',
    [`colloquy_http_requests_total{${kServer},route="/generate",method="POST",status="503"}`]: '0+5x120',
  }, [silent('ColloquyInternalError', '29m', '50m', '80m'),
      firing('ColloquyInternalError', '31m', { labels: { namespace: 'chat', route: '/search' }, summary: '/search was answered 500, which is always a fault or damage.' }),
      firing('ColloquyInternalError', '62m', { labels: { namespace: 'chat', route: '/export' }, summary: '/export was answered 500, which is always a fault or damage.' })]),
  suite({
    [`colloquy_turns_total{${kServer},outcome="error"}`]: '0+6x60',
    [`colloquy_turns_total{${kServer},outcome="stop"}`]: '0+94x60',
  }, [silent('ColloquyTurnsFail', '10m'), firing('ColloquyTurnsFail', '12m', { labels: { namespace: 'chat' }, summary: '6% of the turns end in an error: look at the model\'s endpoint.' })]),
  suite({
    [`colloquy_turns_total{${kServer},outcome="error"}`]: '0+4x60',
    [`colloquy_turns_total{${kServer},outcome="cancelled"}`]: '0+96x60',
  }, [silent('ColloquyTurnsFail', '60m')]),
  // Two of a hundred commits above 250 ms on one server, half a one on the other.
  suite({
    [`colloquy_store_commit_seconds_bucket{${kServer},le="0.25"}`]: '0+98x60',
    [`colloquy_store_commit_seconds_bucket{${kServer},le="0.5"}`]: '0+100x60',
    [`colloquy_store_commit_seconds_bucket{${kServer},le="+Inf"}`]: '0+100x60',
    'colloquy_store_commit_seconds_bucket{job="colloquy",instance="b",le="0.25"}': '0+995x60',
    'colloquy_store_commit_seconds_bucket{job="colloquy",instance="b",le="+Inf"}': '0+1000x60',
  }, [silent('ColloquyCommitsSlow', '10m'), firing('ColloquyCommitsSlow', '11m', { labels: kInstance, summary: 'The disk of a:9464 takes more than 250 ms for a commit.' })]),
  suite({
    [`colloquy_dynamodb_retries_total{${kServer},operation="PutItem",reason="throttled"}`]: '0+90x60',
    [`colloquy_dynamodb_retries_total{${kServer},operation="Query",reason="throttled"}`]: '0+30x60',
    [`colloquy_dynamodb_retries_total{namespace="other",job="colloquy",operation="Query",reason="throttled"}`]: '0+50x60',
    [`colloquy_dynamodb_retries_total{namespace="other",job="colloquy",operation="Query",reason="timeout"}`]: '0+500x60',
  }, [silent('ColloquyTablesThrottled', '10m', '12m'), firing('ColloquyTablesThrottled', '13m', { labels: { namespace: 'chat' }, summary: 'DynamoDB throttles 2 calls a second.' })]),
  suite({
    [`colloquy_event_peers{${kServer},state="unreachable"}`]: '0x9 1x30',
    [`colloquy_event_peers{${kServer},state="connected"}`]: '2x39',
    'colloquy_event_peers{namespace="chat",job="colloquy",instance="b",state="unreachable"}': '0x39',
  }, [silent('ColloquyPeersUnreachable', '9m', '24m'),
      firing('ColloquyPeersUnreachable', '25m', { labels: kInstance, summary: 'a:9464 does not hear of what happens on another server.' })]),
  suite({
    [`colloquy_backup_age_seconds{${kServer}}`]: '3x9 90x30',
    'colloquy_backup_age_seconds{namespace="chat",job="colloquy",instance="b"}': '59x39',
  }, [silent('ColloquyBackupBehind', '9m', '14m'), firing('ColloquyBackupBehind', '15m', { labels: kInstance, summary: 'The backup of a:9464 is 1m 30s behind.' })]),
  suite({ [`colloquy_backup_log_given_up_total{${kServer}}`]: '0x29 1x100' }, [
    silent('ColloquyBackupGap', '29m', '100m'),
    firing('ColloquyBackupGap', '80m', { labels: kTarget, summary: 'a:9464 has given up seconds that can no longer be restored.' })]),
  suite({
    [`colloquy_search_complete{${kServer}}`]: '1x9 0x100',
    'colloquy_search_complete{namespace="chat",job="colloquy",instance="b"}': '1x109',
  }, [silent('ColloquySearchIncomplete', '9m', '69m'),
      firing('ColloquySearchIncomplete', '70m', { labels: kInstance, summary: 'The index of search of a:9464 has been incomplete for an hour.' })]),
  suite({
    [`colloquy_erasing_longest_seconds{${kServer}}`]: '0x4 82800+60x70',
    'colloquy_erasing_longest_seconds{namespace="chat",job="colloquy",instance="b"}': '3600x80',
  }, [silent('ColloquyErasureStuck', '4m', '65m'),
      firing('ColloquyErasureStuck', '66m', { labels: kInstance, summary: 'a:9464 has not ended an erasure of a user for 1d 0h 1m 0s.' })]),
  suite({
    [`colloquy_log_lines_dropped{${kServer}}`]: '4x29 5x60',
    'colloquy_log_lines_dropped{namespace="chat",job="colloquy",instance="b"}': '7x89',
  }, [silent('ColloquyLogLinesDropped', '29m', '50m'),
      firing('ColloquyLogLinesDropped', '40m', { labels: kTarget, summary: 'a:9464 drops lines of its log: their reader is too slow.' })]),
  suite({
    'kubelet_volume_stats_available_bytes{namespace="chat",persistentvolumeclaim="data-colloquy-0"}': '20x9 9x60',
    'kubelet_volume_stats_capacity_bytes{namespace="chat",persistentvolumeclaim="data-colloquy-0"}': '100x69',
    'kubelet_volume_stats_available_bytes{namespace="chat",persistentvolumeclaim="user-data-colloquy-0"}': '11x69',
    'kubelet_volume_stats_capacity_bytes{namespace="chat",persistentvolumeclaim="user-data-colloquy-0"}': '100x69',
    'kubelet_volume_stats_available_bytes{namespace="chat",persistentvolumeclaim="somebody-elses"}': '1x69',
    'kubelet_volume_stats_capacity_bytes{namespace="chat",persistentvolumeclaim="somebody-elses"}': '100x69',
  }, [silent('ColloquyVolumeFills', '9m', '19m'),
      firing('ColloquyVolumeFills', '20m', { labels: { namespace: 'chat', persistentvolumeclaim: 'data-colloquy-0' },
                                             summary: 'Less than a tenth of chat/data-colloquy-0 is free: make the claim larger.' })]),
];

const longSuites = [
  // A day of 3.5 times after two of ten times the traffic: only the day shows it, not three days, and nothing fast. Its end is seen within two hours.
  suite(spending([[2880, 0, 10], [1445, 3.5], [180, 0]]), [quiet(kFast, '4320m'), quiet(kSlowly, '2880m', '4310m'), burning(kSlowly, '4325m', 3.5), quiet(kSlowly, '4450m')]),
  suite(spending([[2880, 0, 10], [1445, 2.8]]), [quiet(kSlowly, '4325m')]),
  // Less than the allowance, then more, but never thrice: the last three days decide. Then six hours without.
  suite(spending([[2160, 0.9], [2880, 1.4], [400, 0]]), [
    quiet(kFast, '5000m'), quiet(kSlowly, '2160m', '2560m', '5440m'),
    burning(kSlowly, '5040m', (1440 * 0.9 + 2880 * 1.4) / 4320)]),
  suite({
    'kube_cronjob_status_last_successful_time{namespace="chat",cronjob="colloquy-snapshots"}': '0x3000',
    'kube_cronjob_status_last_successful_time{namespace="chat",cronjob="other"}': '0x3000',
  }, [silent('ColloquySnapshotsFail', '2880m'),
      firing('ColloquySnapshotsFail', '2885m', { labels: { namespace: 'chat', cronjob: 'colloquy-snapshots' }, summary: 'chat/colloquy-snapshots has made no snapshot for two days.' })]),
];

// Each in a file of its own, since an evaluation each minute takes long over days.
export const suites = [
  { evaluation_interval: '1m', tests: shortSuites },
  { evaluation_interval: '5m', tests: longSuites },
];

// Which alerts a case sees fire, and which one sees silent while there is something to go by.
export const seen = (fires) => new Set(suites.flatMap(({ tests }) => tests).filter(({ input_series: series }) => series.length > 0)
  .flatMap(({ alert_rule_test: checks }) => checks).filter(({ exp_alerts: alerts }) => fires === alerts.length > 0).map(({ alertname }) => alertname));

// The suites cut down to the cases that look at one alert, and to the series of its objective; without the long ones where the alert is a fast one.
export function suitesOf(alert) {
  const [, metric] = Object.entries(kMetric).find(([of]) => alert.startsWith(`Colloquy${of}Burn`)) ?? [undefined, /./];
  const looksAt = ({ alert_rule_test: checks }) => checks.some(({ alertname }) => alertname === alert);
  const cut = ({ input_series: series, alert_rule_test: checks, ...rest }) => ({
    ...rest, input_series: series.filter((one) => metric.test(one.series)), alert_rule_test: checks.filter(({ alertname }) => alertname === alert) });
  return suites.slice(0, /Burns?Fast$/.test(alert) ? 1 : 2)
    .map(({ tests, ...rest }) => ({ ...rest, tests: tests.filter(looksAt).map(cut) })).filter(({ tests }) => tests.length > 0);
}
const kMetric = { Availability: /^colloquy_http_requests_total/, Storing: /^colloquy_http_request_seconds/, Turns: /^colloquy_turns_total/ };
