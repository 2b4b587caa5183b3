// What goes with the rules: the runbook's sections, and the shape of Grafana's dashboard. That its queries find something, prometheus.test.mjs sees.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readPage } from './pages.mjs';
import { alertsOf, dashboardText, metricsIn, othersMetrics, rulesText } from './prometheus.mjs';
import { dashboardFaults, panelsOf } from './dashboard.mjs';
import { dashboardMistakes } from './dashboard_mistakes.mjs';

const runbook = readPage('runbook.md');
const sections = runbook.split(/^## /m).slice(1).map((text) => ({ title: text.slice(0, text.indexOf('\n')), text }));
const alerts = alertsOf(rulesText);

describe('the runbook', () => {
  test('has a section for each alert, and each alert a link to its section', () => {
    assert.deepEqual(sections.map(({ title }) => title).filter((title) => title.startsWith('Colloquy')), alerts.map(({ alert }) => alert), 'sections, in the order of the rules');
    for (const { alert, annotations } of alerts) assert.equal(annotations.runbook_url, `runbook.md#${alert.toLowerCase()}`);
  });

  test('says in each what it means, what users see, how to look, what to do and when to worry, and how grave it is', () => {
    for (const { alert, labels } of alerts) {
      const { text } = sections.find(({ title }) => title === alert);
      const said = [...text.matchAll(/^\*\*([^*]+)\*\*/gm)].map(([, what]) => what);
      assert.deepEqual(said, ['Means.', 'Users see.', 'Look.', 'Do.', 'Worry'], alert);
      assert.match(text, new RegExp(`^\\n\`${labels.severity}\``, 'm'), `${alert}: its severity in the first line`);
    }
  });

  test('says of its commands why nobody runs them here', () => {
    const blocks = [...runbook.matchAll(/([^\n]*)\n```(\w+)\n.*?^```$/gms)];
    assert.ok(blocks.length > alerts.length);
    for (const [block, before, language] of blocks) {
      assert.match(language, /^(sh|promql)$/, block);  // those of Prometheus are run by prometheus.test.mjs
      if (language === 'sh') assert.match(before, /^<!-- not run: .+ -->$/, block);
    }
  });
});

describe('the alerts', () => {
  test('are all grave or not, and say in one sentence what is the matter', () => {
    for (const { alert, labels, annotations } of alerts) {
      assert.ok(['critical', 'warning'].includes(labels.severity), alert);
      assert.match(annotations.summary, /^[^\n]{10,140}\.$/, alert);
    }
    assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  });
});

describe('the dashboard', () => {
  test('has the shape that Grafana takes', () => {
    assert.deepEqual(dashboardFaults(JSON.parse(dashboardText)), []);
  });

  test('has a place for each metric that an alert is about', () => {
    const shown = new Set(panelsOf(JSON.parse(dashboardText)).flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => [...metricsIn(expr)])));
    const own = alerts.flatMap(({ expr }) => [...metricsIn(expr)]).filter((name) => !othersMetrics[name]);
    assert.deepEqual([...new Set(own)].filter((name) => !shown.has(name) && !/^colloquy:slo_errors:/.test(name)), []);
  });

  for (const { what, change, caught } of dashboardMistakes) {
    test(`is held to its shape: ${what}`, () => {
      const dashboard = JSON.parse(dashboardText);
      change(dashboard);
      assert.match(dashboardFaults(dashboard).join('\n'), caught);
    });
  }
});

test('the metrics that a query names are found in it', () => {
  const named = (text) => [...metricsIn(text)];
  assert.deepEqual(named('sum by (le, a) (rate(colloquy_x_bucket{b=~"c d", e="f"}[5m])) / colloquy:y:rate5m > 0.1 or vector(0)'), ['colloquy_x_bucket', 'colloquy:y:rate5m']);
  assert.deepEqual(named('a_total{} unless on (x) b_total offset 15m and absent(up{job="c"})'), ['a_total', 'b_total', 'up']);
});
