// Holds a line of the log to the specification of CloudWatch's Embedded Metric Format: emf_schema.json, and what no
// schema can say of the members that its directives name.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';

const kLineBytesMax = 1024 * 1024;
// As far as CloudWatch's doubles reach.
const kLargest = 2 ** 360;

const schema = JSON.parse(readFileSync(new URL('./emf_schema.json', import.meta.url), 'utf8'));
const ajv = new Ajv({ allErrors: true, strict: true });
const isDocument = ajv.compile(schema);
const isTarget = ajv.compile({ $ref: '#/definitions/target', definitions: schema.definitions });
const isDimension = ajv.compile({ $ref: '#/definitions/dimension', definitions: schema.definitions });

// Throws where `text`, one line, is not a document of the format; else its JSON.
export function checkEmfLine(text) {
  assert.ok(Buffer.byteLength(text) <= kLineBytesMax, 'longer than CloudWatch takes');
  const line = JSON.parse(text);
  assert.ok(isDocument(line), ajv.errorsText(isDocument.errors));
  const names = new Set();
  for (const { Dimensions, Metrics } of line._aws.CloudWatchMetrics) {
    for (const name of Dimensions.flat()) {
      assert.ok(Object.hasOwn(line, name), `the dimension ${name} has no member`);
      assert.ok(isDimension(line[name]), `the dimension ${name}: ${JSON.stringify(line[name])}`);
    }
    for (const { Name } of Metrics) {
      assert.ok(!names.has(Name), `${Name} twice`);
      names.add(Name);
      assert.ok(Object.hasOwn(line, Name), `the metric ${Name} has no member`);
      assert.ok(isTarget(line[Name]), `the metric ${Name}: ${ajv.errorsText(isTarget.errors)}`);
      assert.ok([line[Name]].flat().every((value) => Math.abs(value) <= kLargest), `${Name} is too large`);
      assert.ok(!Dimensions.flat().includes(Name), `${Name} is a dimension too`);
    }
  }
  return line;
}
