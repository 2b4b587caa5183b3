// The contract is sound in itself: complete, and its own examples keep it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contract } from './contract.mjs';

const operations = contract.operations();
const kAlways = ['400', '408', '413', '417', '431', '503'];

describe('openapi.yaml', () => {
  test('names every operation once', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    assert.ok(ids.every(Boolean));
    assert.equal(new Set(ids).size, ids.length);
  });

  test('lists what can befall every operation', () => {
    for (const { method, template, operation, open } of operations) {
      const where = `${method} ${template}`;
      const listed = Object.keys(operation.responses);
      const expected = [...kAlways, ...(open ? [] : ['401', '429', '500']), ...(operation.requestBody ? ['415', '422'] : []),
                        ...(template.includes('{') ? ['404'] : [])];
      for (const status of expected) assert.ok(listed.includes(status), `${where} does not list ${status}`);
      assert.ok(listed.some((status) => status.startsWith('2')), where);
    }
  });

  test('gives every path parameter of every template, and no other', () => {
    for (const { template, parameters } of operations) {
      const inTemplate = [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]);
      const inPath = parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name);
      assert.deepEqual(inPath.sort(), inTemplate.sort(), template);
    }
  });

  test('gives every answer a request id, and every problem a schema', () => {
    for (const { pointer, operation } of operations) {
      for (const [status, listed] of Object.entries(operation.responses)) {
        const { value } = contract.resolve(listed);
        assert.ok(value.headers?.['X-Request-Id'], `${pointer} ${status}`);
        if (Number(status) >= 400) assert.ok(value.content['application/problem+json'], `${pointer} ${status}`);
        else if (!['204', '304'].includes(status)) assert.ok(value.content, `${pointer} ${status}`);
      }
    }
  });

  // An import is safe to send again by itself.
  test('takes an Idempotency-Key with every POST', () => {
    for (const { method, template, parameters } of operations.filter((one) => one.method === 'POST' && one.operation.operationId !== 'importAll')) {
      assert.ok(parameters.some((parameter) => parameter.name === 'Idempotency-Key'), `${method} ${template}`);
    }
  });

  test('has examples that keep its schemas', () => {
    let examples = 0;
    const check = (content, pointer) => {
      for (const [media, described] of Object.entries(content ?? {})) {
        assert.ok('example' in described, `${pointer} has no example`);
        if (media === 'text/event-stream') continue;
        contract.validate(`${pointer}/content/${media.replaceAll('/', '~1')}/schema`, described.example, `the example of ${pointer}`);
        examples += 1;
      }
    };
    for (const { pointer, operation } of operations) {
      check(operation.requestBody?.content, `${pointer}/requestBody`);
      for (const [status, listed] of Object.entries(operation.responses)) {
        const response = contract.resolve(listed, `${pointer}/responses/${status}`);
        check(response.value.content, response.pointer);
      }
    }
    assert.ok(examples > 100);
  });

  test('compiles every schema, strictly', () => {
    for (const name of Object.keys(contract.document.components.schemas)) {
      contract.accepts(`/components/schemas/${name}`, null);
    }
  });

  test('says that an object of the server has no other fields', () => {
    for (const name of ['Conversation', 'ConversationWithMessages', 'Message', 'GenerateResult', 'Generation', 'StreamStart',
                        'StreamToken', 'Usage', 'File', 'Health', 'Unhealthy', 'Problem']) {
      assert.equal(contract.document.components.schemas[name].additionalProperties, false, name);
    }
  });
});
