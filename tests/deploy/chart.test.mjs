// The Helm chart: rendered by the real helm, held to Kubernetes' own types, to what must hold of it, and to the program's settings.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { runCommand, temporaryFolder } from '../e2e/server.mjs';
import { chart, example, examples, parseObjects, render, runHelm, withoutHelm } from './chart.mjs';
import { chartMistakes, refusedValues } from './chart_mistakes.mjs';
import { brokenInvariants, settingsOf } from './invariants.mjs';
import { typeErrors } from './types.mjs';

const skip = withoutHelm('the chart');

// Values beside the examples that reach what no example does.
const kFurther = [
  { name: 'rocksdb, nothing else', sets: ['store=rocksdb', 'aws.identity=none'] },
  { name: 'rocksdb, other classes', sets: ['store=rocksdb', 'aws.identity=none', 'userFiles.volume=ebs', 'ebs.iops=6000', 'ebs.throughputMiB=250', 'ebs.reclaimPolicy=Delete'] },
  { name: 'rocksdb with shared files', values: ['rocksdb'], sets: ['userFiles.volume=shared', 'efs.fileSystemId=fs-0123'] },
  { name: 'rocksdb with kms', sets: ['store=rocksdb', 'aws.region=eu-west-1', 'aws.roleArn=arn:aws:iam::111122223333:role/c', 'encryption.mode=kms', 'encryption.kmsKeyId=alias/c'] },
  { name: 'one server on dynamodb without peers', values: ['dynamodb'], sets: ['peers.enabled=false', 'autoscaling.enabled=false', 'replicas=1', 'image.digest=sha256:' + 'a'.repeat(64)] },
  { name: 'what Terraform gives', sets: [
    'json:aws={"region":"eu-central-1","identity":"podIdentity","roleArn":"arn:aws:iam::111122223333:role/colloquy-serve"}',
    'json:serviceAccount={"create":true,"name":"colloquy"}', 'json:encryption={"mode":"kms","kmsKeyId":"arn:aws:kms:eu-central-1:111122223333:key/1"}',
    'json:dynamodb={"conversationsTable":"c-conversations","messagesTable":"c-messages","keysTable":"c-keys","updatedIndex":false}',
    'json:ingress={"enabled":true,"controller":"alb","host":"chat.example.com","certificateArn":"arn:aws:acm:eu-central-1:111122223333:certificate/1","annotations":{"alb.ingress.kubernetes.io/load-balancer-name":"colloquy"}}',
    'image.repository=111122223333.example.invalid/colloquy', 'auth.tokenKeySecret.name=t', 'peers.clusterKeySecret.name=c'] },
  { name: 'everything that an operator may add', values: ['dynamodb-shared-files'], sets: [
    'podDisruptionBudget.maxUnavailable=20%', 'serviceAccount.annotations.a=b', 'service.annotations.a=b', 'podAnnotations.a=b', 'podLabels.a=b',
    'nodeSelector.a=b', 'priorityClassName=high', 'imagePullSecrets[0].name=pull', 'tolerations[0].key=a', 'tolerations[0].operator=Exists',
    'extraEnv[0].name=A', 'extraEnv[0].value=b', 'extraVolumes[0].name=models', 'extraVolumes[0].emptyDir.sizeLimit=1Gi',
    'extraVolumeMounts[0].name=models', 'extraVolumeMounts[0].mountPath=/models', 'settings.max-connections=1000000', 'settings.search=off',
    'metrics.serviceMonitor.enabled=true', 'metrics.prometheusRule.enabled=true', 'metrics.prometheusRule.runbookUrl=https://docs.example.com/runbook',
    'metrics.dashboard.enabled=true', 'metrics.dashboard.labels.team=chat',
    'json:networkPolicy.extraEgress=[{"ports":[{"port":8000,"protocol":"TCP"}]}]',
    'json:affinity={"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"Exists"}]}]}}}'] },
];
const kSets = [
  ...examples.map(({ name, file }) => ({ name, values: [file], sets: [] })),
  ...kFurther.map(({ name, values = [], sets }) => ({ name, values: values.map(example), sets })),
];

let flags;
function unknownSettings(objects) {
  const workload = objects.find(({ kind }) => ['Deployment', 'StatefulSet'].includes(kind));
  return Object.keys(settingsOf(workload.spec.template.spec.containers[0])).filter((name) => !flags.has(name))
    .map((name) => `the program has no setting ${name}`);
}

before(async () => {
  const { stdout } = await runCommand(['serve', '--help']);
  const lines = stdout.split('\n').filter((line) => !line.includes('(not a flag'));
  flags = new Set(lines.map((line) => /^ {2}--([a-z-]+)/.exec(line)?.[1]).filter(Boolean));
});

describe('the chart', { skip, concurrency: 2 }, () => {
  for (const { name, values, sets } of kSets) {
    test(`passes helm's own checks: ${name}`, async () => {
      const args = ['lint', '--strict', chart, ...values.flatMap((file) => ['--values', file])];
      for (const set of sets) args.push(set.startsWith('json:') ? '--set-json' : '--set', set.replace(/^json:/, ''));
      const { code, stdout, stderr } = await runHelm(...args);
      assert.equal(code, 0, stdout + stderr);
    });
  }

  test('makes objects that Kubernetes knows in every field, that fit together, with settings that the program has', async () => {
    const rendered = await Promise.all(kSets.map((set) => render(set)));
    rendered.forEach(({ error }, index) => assert.equal(error, undefined, kSets[index].name));
    const lists = rendered.map(({ objects }) => objects);
    typeErrors(lists).forEach((errors, index) => assert.deepEqual(errors, [], kSets[index].name));
    lists.forEach((objects, index) => {
      assert.deepEqual([...brokenInvariants(objects), ...unknownSettings(objects)], [], kSets[index].name);
    });
  });

  test('has each kind of object where it belongs', async () => {
    const kinds = async (name) => (await render({ values: [example(name)] })).objects.map(({ kind }) => kind).sort();
    assert.deepEqual(await kinds('dynamodb'), [
      'Deployment', 'HorizontalPodAutoscaler', 'Ingress', 'NetworkPolicy', 'PodDisruptionBudget', 'PrometheusRule', 'Service', 'Service',
      'Service', 'ServiceAccount', 'ServiceMonitor']);
    assert.deepEqual(await kinds('rocksdb'), [
      'ConfigMap', 'CronJob', 'NetworkPolicy', 'NetworkPolicy', 'PrometheusRule', 'Role', 'RoleBinding', 'Service', 'Service', 'Service',
      'ServiceAccount', 'ServiceAccount', 'ServiceMonitor', 'StatefulSet', 'StorageClass', 'VolumeSnapshotClass']);
  });

  test('takes by `settings` every setting of the program that it does not set itself', () => {
    const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'));
    const own = new Set(readFileSync(join(chart, 'templates/_args.tpl'), 'utf8').match(/(?<=--)[a-z-]+(?==)/g));
    const others = [...flags].filter((name) => !own.has(name) && name !== 'config').sort();
    assert.deepEqual([...schema.properties.settings.propertyNames.enum].sort(), others,
                     'deploy/helm/colloquy/values.schema.json: settings.propertyNames');
  });

  test('has alerts on metrics that the program has', () => {
    const documented = readFileSync(join(chart, '../../../docs/operations.md'), 'utf8');
    const named = new Set(readFileSync(join(chart, 'files/rules.yaml'), 'utf8').match(/\bcolloquy_[a-z_]+/g));
    for (const name of named) assert.ok(documented.includes(`\`${name.replace(/_(bucket|count)$/, '')}\``), name);
    assert.ok(named.size > 5);
  });

  test('gives Grafana the dashboard where asked, under the label that it looks for', async () => {
    const made = async (...sets) => (await render({ values: [example('dynamodb')], sets })).objects.filter(({ kind }) => kind === 'ConfigMap');
    assert.deepEqual(await made(), []);
    const [dashboard] = await made('metrics.dashboard.enabled=true');
    assert.equal(dashboard.metadata.labels.grafana_dashboard, '1');
    assert.deepEqual(JSON.parse(dashboard.data['colloquy.json']), JSON.parse(readFileSync(join(chart, 'files/dashboard.json'), 'utf8')));
  });

  test('completes the links to the runbook, and changes nothing else of the rules', async () => {
    const made = async (...sets) => (await render({ values: [example('dynamodb')], sets })).objects.find(({ kind }) => kind === 'PrometheusRule').spec;
    const [rules] = parseObjects(readFileSync(join(chart, 'files/rules.yaml'), 'utf8'));
    assert.deepEqual(await made(), rules);
    const links = (spec) => spec.groups.flatMap((group) => group.rules).filter(({ alert }) => alert).map(({ annotations }) => annotations.runbook_url);
    const base = 'https://git.example.com/colloquy/blob/main/docs/runbook.md';
    const completed = await made(`metrics.prometheusRule.runbookUrl=${base}`);
    assert.deepEqual(links(completed), links(rules).map((link) => link.replace('runbook.md', base)));
    assert.ok(links(completed).length > 15);
    assert.deepEqual(JSON.parse(JSON.stringify(completed).replaceAll(base, 'runbook.md')), rules);
  });

  test('says in its schema what its values have, and the other way round', () => {
    const schema = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'));
    const top = readFileSync(join(chart, 'values.yaml'), 'utf8').match(/^[a-zA-Z]+(?=:)/gm).sort();
    assert.deepEqual(Object.keys(schema.properties).filter((name) => name !== 'global').sort(), top);
  });

  for (const { example: name, sets, refused } of refusedValues) {
    test(`refuses ${sets} beside ${name}`, async () => {
      const { error } = await render({ values: [example(name)], sets });
      assert.match(error ?? 'it was rendered', refused);
    });
  }
});

describe('the checks of the chart', { skip }, () => {
  test('catch each of these mistakes', async () => {
    const folder = temporaryFolder();
    const made = await Promise.all(chartMistakes.map(async (mistake, index) => {
      const copy = join(folder, String(index), 'colloquy');
      mkdirSync(copy, { recursive: true });
      cpSync(chart, copy, { recursive: true });
      const file = join(copy, mistake.file);
      const text = readFileSync(file, 'utf8');
      assert.ok(text.includes(mistake.find), `${mistake.file} has no ${mistake.find}: the list of mistakes is behind`);
      writeFileSync(file, text.replaceAll(mistake.find, () => mistake.replace));
      const values = mistake.example === 'none' ? [] : [example(mistake.example)];
      return render({ folder: copy, values });
    }));
    const types = typeErrors(made.map(({ objects }) => objects ?? []));
    const missed = [];
    chartMistakes.forEach((mistake, index) => {
      const { objects, error } = made[index];
      const said = error ? [error] : [...types[index]];
      // What Kubernetes would refuse need not fit together.
      if (!error && said.length === 0) said.push(...brokenInvariants(objects), ...unknownSettings(objects));
      if (said.some((sentence) => mistake.caught.test(sentence))) return;
      missed.push(`${mistake.file}: ${mistake.find} → ${mistake.replace}: ${said.join('; ') || 'nobody noticed'}`);
    });
    assert.deepEqual(missed, []);
  });
});
