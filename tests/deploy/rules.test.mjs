// The rules of Prometheus, run by the real promtool: when each alert fires, and when not.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { temporaryFolder } from '../e2e/server.mjs';
import { alertsOf, ruleComplaints, rulesText, withoutPrometheus } from './prometheus.mjs';
import { seen, suites, suitesOf } from './rule_cases.mjs';
import { ruleMistakes, withMistake } from './rule_mistakes.mjs';

const skip = withoutPrometheus('the rules of Prometheus');
const names = alertsOf(rulesText).map(({ alert }) => alert);
const kAtOnce = 2;

describe('the rules', { skip }, () => {
  test('are what Prometheus takes, and each alert fires when it is time and not before', async () => {
    // On a busy machine promtool now and then loses samples of its own to the compaction of days that were just written. What is
    // wrong with the rules or the cases is wrong each time.
    let said = '';
    for (let times = 0; times === 0 || (said && times < 3); times += 1) said = await ruleComplaints(rulesText, suites, temporaryFolder());
    assert.equal(said, '');
  });

  test('have for each alert a case in which it fires, one in which it does not, and a deliberate mistake', () => {
    for (const [what, those] of [['fires', seen(true)], ['stays silent', seen(false)], ['is wrong', new Set(ruleMistakes.map(({ alert }) => alert))]]) {
      assert.deepEqual([...those].sort(), [...names].sort(), `alerts with a case in which it ${what}`);
    }
  });

  test('are the same for each objective, but for its name and its allowance', () => {
    const expressions = (of, slo, allowed) => alertsOf(rulesText).filter(({ alert }) => alert.startsWith(`Colloquy${of}Burn`))
      .map(({ expr, for: wait, labels }) => [expr.replaceAll(`{slo="${slo}"}`, '').replaceAll(`* ${allowed} `, '* A ').replaceAll(`* ${allowed})`, '* A)'), wait, labels]);
    const turns = expressions('Turns', 'turns', '0.01');
    assert.equal(turns.length, 2);
    assert.deepEqual(expressions('Storing', 'storing', '0.01'), turns);
    assert.deepEqual(expressions('Availability', 'availability', '0.001'), turns);
    assert.doesNotMatch(turns.join(), /slo=|0\.0/);
  });

  test('are held to their cases: each of these mistakes is caught', async () => {
    const folder = temporaryFolder();
    const missed = [];
    const left = [...ruleMistakes.entries()];
    await Promise.all(Array.from({ length: kAtOnce }, async () => {
      for (let next = left.shift(); next; next = left.shift()) {
        const [index, mistake] = next;
        const said = await ruleComplaints(withMistake(rulesText, mistake), suitesOf(mistake.alert), join(folder, String(index)));
        if (!said) missed.push(`${mistake.alert}: ${mistake.find} → ${mistake.replace}`);
      }
    }));
    assert.deepEqual(missed, []);
  });
});
