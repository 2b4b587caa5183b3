// The operator's pages for Kubernetes and Terraform: their commands run here or, where they need a cluster, are held to what the chart makes of them.
// Those of the page for a machine are run by package.test.mjs.
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { removeFolder, temporaryFolder } from '../e2e/server.mjs';
import { afterwards } from '../e2e/cleanup.mjs';
import { chart, example, examples, helm, parseObjects, render, withoutHelm } from './chart.mjs';
import { call, repository } from './machine.mjs';
import { blocksOf, linesOf, readPage } from './pages.mjs';
import { typeErrors } from './types.mjs';

const skip = withoutHelm('the page for Kubernetes');
const page = readPage('deploy-kubernetes.md');
const blocks = blocksOf(page);
const shell = blocks.filter(({ language }) => language === 'sh');
// Of the kind that `terraform output -raw helm_values` prints: tests/terraform/complete.test.mjs has the real ones.
const kFromTerraform = {
  store: 'dynamodb', image: { repository: '111122223333.example.invalid/colloquy' },
  aws: { region: 'eu-central-1', identity: 'irsa', roleArn: 'arn:aws:iam::111122223333:role/colloquy-serve' },
  encryption: { mode: 'off', kmsKeyId: '' },
};
const env = { PATH: `${dirname(helm)}:${process.env.PATH}`, HOME: '/nonexistent' };

// A folder in which a page's commands find the repository's files.
function pageFolder(t) {
  const folder = temporaryFolder();
  afterwards(t, () => removeFolder(folder));
  symlinkSync(join(repository, 'deploy'), join(folder, 'deploy'));
  return { folder, here: (command) => call('bash', ['-ec', command], { cwd: folder, env }) };
}

// Commands that need a cluster, as far as they go without one: how many made secrets and namespaces, and how many installed the chart.
async function goWithoutCluster(lines, here, others) {
  let [secrets, installs] = [0, 0];
  for (const line of lines) {
    if (/^kubectl .*create (secret|namespace)/.test(line)) {
      const [object] = parseObjects(await here(`${line} --dry-run=client --output yaml`));
      assert.ok(!object.data || Buffer.from(Object.values(object.data)[0], 'base64').length >= 32, line);
      secrets++;
    } else if (line.startsWith('helm upgrade --install')) {
      await here(line.replace('helm upgrade --install', 'helm template'));
      installs++;
    } else {
      assert.match(line, others, 'a command that nobody has looked at');
    }
  }
  return [secrets, installs];
}

describe('the page for Terraform', { skip }, () => {
  test('marks what needs an account, and installs the chart with what Terraform gives', async (t) => {
    const all = blocksOf(readPage('deploy-terraform.md')).filter(({ language }) => language === 'sh');
    assert.deepEqual(all.filter(({ needs }) => needs !== 'an account').map(({ text }) => text), []);
    const { folder, here } = pageFolder(t);
    writeFileSync(join(folder, 'from-terraform.yaml'), JSON.stringify(kFromTerraform));
    const service = all.find(({ text }) => text.includes('helm upgrade --install')).text.replaceAll('../../../', 'deploy/');
    const [local, others] = [/^(umask|openssl rand|cp) /, /^kubectl -n chat rollout /];
    const lines = linesOf({ text: service });
    await here(lines.filter((line) => local.test(line)).join('\n'));
    assert.deepEqual(await goWithoutCluster(lines.filter((line) => !local.test(line)), here, others), [3, 1]);
  });
});

describe('the page for Kubernetes', { skip }, () => {
  test('has commands that do what it says, or need an account', async (t) => {
    const { here } = pageFolder(t);
    for (const { needs, text } of shell) if (!needs) await here(text);
    const lines = shell.filter(({ needs }) => needs === 'an account').flatMap(linesOf);
    assert.deepEqual(await goWithoutCluster(lines, here, /^(kubectl -n chat (rollout|scale|get|delete|create)|curl https|docker buildx)/), [3, 1]);
  });

  test('makes the secrets that the examples take', async () => {
    const made = [...page.matchAll(/create secret generic (\S+) --from-file=(\S+)/g)].map(([, name, key]) => `${name}/${key}`);
    const { objects } = await render({ values: [example('dynamodb')] });
    const pod = objects.find(({ kind }) => kind === 'Deployment').spec.template.spec;
    for (const one of made) {
      const [name, key] = one.split('/');
      const volume = pod.volumes.find(({ secret }) => secret?.secretName === name);
      assert.ok(volume && pod.containers[0].args.some((arg) => arg.endsWith(`/${key}`)), one);
    }
    assert.equal(made.length, pod.volumes.filter(({ secret }) => secret).length);
  });

  test('names objects, values and examples that there are', async () => {
    const { objects } = await render({ values: [example('dynamodb-volume')] });
    const workload = objects.find(({ kind }) => kind === 'StatefulSet');
    const claim = `${workload.spec.volumeClaimTemplates[0].metadata.name}-${workload.metadata.name}-0`;
    for (const [, named] of page.matchAll(/(?:pvc|claim=|name:) ?(user-data-[a-z]+-\d)\b/g)) assert.equal(named, claim);
    const [restored] = blocks.filter(({ language }) => language === 'yaml').flatMap(({ text }) => parseObjects(text));
    assert.deepEqual(typeErrors([[restored]]), [[]]);
    assert.equal(restored.spec.storageClassName, objects.find(({ kind }) => kind === 'StorageClass').metadata.name);
    for (const { name } of examples) assert.ok(page.includes(`\`${name}.yaml\``), `${name} is not on the page`);
    const { properties, $defs } = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'));
    const known = (path) => path.reduce((at, name) => {
      const schema = at?.$ref ? $defs[at.$ref.split('/').pop()] : at;
      return schema?.properties?.[name];
    }, { properties });
    for (const [, text] of page.matchAll(/`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?:: [^`]*)?`/g)) {
      const path = text.split('.');
      const isFile = /\.(crt|key|yaml)$/.test(text);
      if (properties[path[0]] && !isFile) assert.ok(known(path), `${text} is no value of the chart`);
    }
  });
});

test('one version stands everywhere', () => {
  const [, version] = /project\(colloquy VERSION (\S+)/.exec(readFileSync(join(repository, 'CMakeLists.txt'), 'utf8'));
  const chartFile = readFileSync(join(chart, 'Chart.yaml'), 'utf8');
  assert.ok(chartFile.includes(`appVersion: ${version}\n`), 'deploy/helm/colloquy/Chart.yaml');
  assert.ok(readFileSync(join(repository, 'deploy/docker/Dockerfile'), 'utf8').includes(`ARG VERSION=${version}\n`), 'deploy/docker/Dockerfile');
  for (const name of ['deploy-vm.md', 'deploy-kubernetes.md']) {
    for (const [, named] of readPage(name).matchAll(/colloquy(?:-snapshots)?[:_](\d+\.\d+\.\d+)/g)) assert.equal(named, version, name);
  }
});
