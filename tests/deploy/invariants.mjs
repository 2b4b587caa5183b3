// What must hold of the rendered chart beyond its types, as sentences of what does not.
import { isDeepStrictEqual } from 'node:util';

const isWorkload = (object) => ['Deployment', 'StatefulSet'].includes(object.kind);
const selects = (selector, labels) => Object.entries(selector ?? {}).every(([key, value]) => labels?.[key] === value);
const seconds = (text) => Number(/^(\d+)s$/.exec(text)?.[1]);

// The settings of `colloquy serve` that a container is given: { listen: '…', … }.
export function settingsOf(container) {
  return Object.fromEntries(container.args.slice(1).map((arg) => /^--([^=]+)=(.*)$/s.exec(arg)?.slice(1) ?? [arg, undefined]));
}

function podsOf(objects) {
  return objects.flatMap((object) => {
    if (isWorkload(object)) return [{ owner: object, metadata: object.spec.template.metadata, spec: object.spec.template.spec }];
    if (object.kind === 'CronJob') {
      const { template } = object.spec.jobTemplate.spec;
      return [{ owner: object, metadata: template.metadata, spec: template.spec }];
    }
    return [];
  });
}

function* namesAndLabels(objects) {
  const seen = new Set();
  for (const object of objects) {
    const { name, labels } = object.metadata;
    const what = `${object.kind} ${name}`;
    if (seen.has(what)) yield `${what} is there twice`;
    seen.add(what);
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) yield `${what}: not a name`;
    if (object.metadata.namespace) yield `${what} names its namespace, which the release decides`;
    for (const value of Object.values(labels ?? {})) {
      if (!/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/.test(value)) yield `${what}: ${value} is no value of a label`;
    }
    if (object.kind === 'Secret') yield `${what}: secrets are made by the operator, not by the chart`;
  }
}

function* securityOf({ owner, spec }) {
  const what = `${owner.kind} ${owner.metadata.name}`;
  const pod = spec.securityContext ?? {};
  if (pod.runAsNonRoot !== true || !(pod.runAsUser > 0)) yield `${what} may run as root`;
  if (pod.seccompProfile?.type !== 'RuntimeDefault') yield `${what} has no seccomp profile`;
  if (spec.hostNetwork || spec.hostPID || spec.hostIPC) yield `${what} shares the node's namespaces`;
  if (spec.enableServiceLinks !== false) {
    yield `${what}: variables of a Service named colloquy would be refused as settings (enableServiceLinks)`;
  }
  for (const container of spec.containers) {
    const own = container.securityContext ?? {};
    if (own.readOnlyRootFilesystem !== true) yield `${what} may write to its root file system`;
    if (own.allowPrivilegeEscalation !== false) yield `${what} may gain privileges`;
    if (!isDeepStrictEqual(own.capabilities, { drop: ['ALL'] })) yield `${what} keeps capabilities`;
    if (!container.resources?.requests?.cpu || !container.resources?.limits?.memory) yield `${what} has no bound of resources`;
    for (const { name, value } of container.env ?? []) {
      if (/KEY|TOKEN|PASSWORD|SECRET/.test(name) && value !== undefined) yield `${what}: ${name} is in the open`;
    }
  }
}

function* referencesOf({ owner, spec }, objects) {
  const what = `${owner.kind} ${owner.metadata.name}`;
  const named = (kind, name) => objects.some((object) => object.kind === kind && object.metadata.name === name);
  if (!named('ServiceAccount', spec.serviceAccountName)) yield `${what}: no ServiceAccount ${spec.serviceAccountName}`;
  const claims = owner.spec.volumeClaimTemplates?.map(({ metadata }) => metadata.name) ?? [];
  const volumes = [...claims, ...(spec.volumes ?? []).map(({ name }) => name)];
  const mounted = new Set();
  for (const container of spec.containers) {
    const paths = new Set();
    for (const mount of container.volumeMounts ?? []) {
      if (!volumes.includes(mount.name)) yield `${what}: no volume ${mount.name}`;
      if (paths.has(mount.mountPath)) yield `${what}: two volumes at ${mount.mountPath}`;
      paths.add(mount.mountPath);
      mounted.add(mount.name);
    }
    const env = new Set((container.env ?? []).map(({ name }) => name));
    for (const [, name] of (container.args ?? []).join(' ').matchAll(/\$\(([^)]+)\)/g)) {
      if (!env.has(name)) yield `${what}: $(${name}) is not set`;
    }
  }
  for (const name of volumes) if (!mounted.has(name)) yield `${what}: the volume ${name} is not mounted`;
  for (const { configMap } of spec.volumes ?? []) {
    if (configMap && !named('ConfigMap', configMap.name)) yield `${what}: no ConfigMap ${configMap.name}`;
  }
}

// Selectors and names of ports between objects.
function* references(objects) {
  const pods = podsOf(objects);
  for (const pod of pods) yield* referencesOf(pod, objects);
  const server = pods.find(({ owner }) => isWorkload(owner));
  const ports = server.spec.containers[0].ports.map(({ name }) => name);
  const services = objects.filter(({ kind }) => kind === 'Service');
  const finds = (what, selector) => (pods.some(({ metadata }) => selects(selector, metadata.labels)) ? [] : [`${what} selects no pod`]);
  for (const object of objects) {
    const { kind, metadata, spec } = object;
    const what = `${kind} ${metadata.name}`;
    if (isWorkload(object)) {
      if (!selects(spec.selector.matchLabels, spec.template.metadata.labels)) yield `${what} does not select its own pods`;
      if (kind === 'StatefulSet' && !services.some((one) => one.metadata.name === spec.serviceName)) yield `${what}: no Service ${spec.serviceName}`;
      for (const { labelSelector } of spec.template.spec.topologySpreadConstraints ?? []) yield* finds(what, labelSelector.matchLabels);
    }
    if (kind === 'Service') {
      yield* finds(what, spec.selector);
      for (const { targetPort } of spec.ports) if (!ports.includes(targetPort)) yield `${what}: the pod has no port ${targetPort}`;
    }
    if (kind === 'PodDisruptionBudget') yield* finds(what, spec.selector.matchLabels);
    if (kind === 'NetworkPolicy') {
      yield* finds(what, spec.podSelector.matchLabels);
      for (const { port } of [...spec.ingress, ...spec.egress].flatMap((rule) => rule.ports ?? [])) {
        if (typeof port === 'string' && !ports.includes(port)) yield `${what}: the pod has no port ${port}`;
      }
    }
    if (kind === 'HorizontalPodAutoscaler') {
      const { kind: target, name } = spec.scaleTargetRef;
      if (server.owner.kind !== target || server.owner.metadata.name !== name) yield `${what} scales nothing`;
      if (server.owner.spec.replicas !== undefined) yield `${what}: each upgrade would set its number of servers back`;
    }
    if (kind === 'ServiceMonitor') {
      const service = services.find((one) => selects(spec.selector.matchLabels, one.metadata.labels));
      for (const { port } of spec.endpoints) {
        if (!service?.spec.ports.some(({ name }) => name === port)) yield `${what} finds no port ${port}`;
      }
    }
    if (kind === 'Ingress') yield* ingressErrors(what, object, services);
  }
}

function* ingressErrors(what, { spec, metadata }, services) {
  const hosts = spec.tls?.flatMap((tls) => tls.hosts) ?? [];
  for (const rule of spec.rules) {
    if (!hosts.includes(rule.host)) yield `${what}: ${rule.host} is without TLS`;
    for (const { backend } of rule.http.paths) {
      const service = services.find((one) => one.metadata.name === backend.service.name);
      if (!service?.spec.ports.some(({ name }) => name === backend.service.port.name)) yield `${what} leads nowhere`;
    }
  }
  const certificate = metadata.annotations['alb.ingress.kubernetes.io/certificate-arn'];
  if (!certificate && !spec.tls?.every(({ secretName }) => secretName)) yield `${what} has no certificate`;
}

// A turn that runs may end before the server does.
function* draining({ owner, spec }) {
  const what = `${owner.kind} ${owner.metadata.name}`;
  const [container] = spec.containers;
  const settings = settingsOf(container);
  const [turn, shutdown, idle] = ['turn-timeout', 'shutdown-timeout', 'idle-timeout'].map((name) => seconds(settings[name]));
  const before = container.lifecycle?.preStop?.sleep?.seconds;
  if (!(before > 0)) yield `${what}: SIGTERM comes before load balancers know`;
  if (!(shutdown > turn)) yield `${what}: an answer may take longer than the server waits for it`;
  // What docs/operations.md says a stop takes at most.
  if (!(spec.terminationGracePeriodSeconds >= before + shutdown + 23)) yield `${what} is killed before it has stopped`;
  if (!(idle > shutdown)) yield `${what}: an answer that is not streamed may outlast its idle connection`;
  for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const { path, port } = container[probe]?.httpGet ?? {};
    if (!/^\/health/.test(path) || port !== 'admin') yield `${what}: ${probe} does not ask the admin listener for its health`;
  }
}

function* storage(objects) {
  const classes = objects.filter(({ kind }) => kind === 'StorageClass');
  for (const { provisioner, parameters, metadata, ...rest } of classes) {
    if (provisioner !== 'ebs.csi.aws.com') continue;
    const what = `StorageClass ${metadata.name}`;
    if (parameters.type !== 'gp3') yield `${what} is not gp3`;
    if (parameters.encrypted !== 'true') yield `${what} is not encrypted`;
    if (rest.allowVolumeExpansion !== true) yield `${what} cannot grow`;
    if (rest.volumeBindingMode !== 'WaitForFirstConsumer') yield `${what} may make volumes in another zone than the server's`;
  }
  const workload = objects.find(isWorkload);
  const claims = [
    ...(workload.spec.volumeClaimTemplates ?? []).map((claim) => ({ ...claim, own: true })),
    ...objects.filter(({ kind }) => kind === 'PersistentVolumeClaim'),
  ];
  for (const { metadata, spec, own } of claims) {
    const made = classes.some((one) => one.metadata.name === spec.storageClassName);
    if (!made) yield `the claim ${metadata.name} asks for the class ${spec.storageClassName}, which is not made here`;
    const alone = isDeepStrictEqual(spec.accessModes, ['ReadWriteOnce']);
    if (own && (!alone || workload.spec.replicas !== 1)) yield `the claim ${metadata.name} is of one node, and there may be several servers`;
    if (!own && alone) yield `the claim ${metadata.name} is shared by servers on several nodes`;
    if (/user-data$/.test(metadata.name) && spec.resources.requests.storage !== '100Gi') yield `the claim ${metadata.name} is not 100Gi`;
  }
  if (workload.spec.persistentVolumeClaimRetentionPolicy?.whenDeleted === 'Delete') yield 'uninstalling would remove the volumes';
  yield* snapshots(objects, workload);
}

function* snapshots(objects, workload) {
  const job = objects.find(({ kind }) => kind === 'CronJob');
  const class_ = objects.find(({ kind }) => kind === 'VolumeSnapshotClass');
  const wanted = (workload.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name)
    .filter((name) => name !== 'keyring').map((name) => `${name}-${workload.metadata.name}-0`);
  if (wanted.length === 0) return;
  if (!job) {
    yield 'volumes have no snapshots';
    return;
  }
  if (class_?.driver !== 'ebs.csi.aws.com') yield 'the class of snapshots is not of the EBS CSI driver';
  if (class_?.deletionPolicy !== 'Delete') yield 'snapshots stay when their objects are removed, without a bound';
  const env = Object.fromEntries(job.spec.jobTemplate.spec.template.spec.containers[0].env.map(({ name, value }) => [name, value]));
  if (env.CLAIMS !== wanted.join(' ')) yield `snapshots are made of ${env.CLAIMS}, not of ${wanted.join(' ')}`;
  if (env.SNAPSHOT_CLASS !== class_?.metadata.name) yield 'snapshots are of another class than is made';
  if (!(Number(env.KEEP) > 0)) yield 'no bound of snapshots';
  if (job.spec.concurrencyPolicy !== 'Forbid') yield 'two runs of the snapshots may remove each other\'s';
}

function* network(objects) {
  const workload = objects.find(isWorkload);
  const { labels } = workload.spec.template.metadata;
  const policy = objects.find(({ kind, spec }) => kind === 'NetworkPolicy' && selects(spec.podSelector.matchLabels, labels));
  if (!policy) {
    yield 'no NetworkPolicy holds for the servers';
    return;
  }
  const { ingress, egress, policyTypes } = policy.spec;
  if (!policyTypes.includes('Egress')) yield 'the servers may reach everything';
  if (ingress.some(({ ports, from }) => !from && ports?.some(({ port }) => port === 'admin'))) yield 'everyone may reach the admin listener';
  if (ingress.some(({ ports }) => !ports)) yield 'everyone may reach every port';
  for (const { ipBlock } of egress.flatMap(({ to }) => to ?? [])) {
    if (ipBlock?.cidr === '0.0.0.0/0' && !ipBlock.except?.includes('169.254.0.0/16')) yield 'the servers may reach the node\'s metadata';
  }
}

function* peers(objects) {
  const workload = objects.find(isWorkload);
  const settings = settingsOf(workload.spec.template.spec.containers[0]);
  const alone = workload.spec.replicas === 1;
  if (settings.store === 'dynamodb' && !alone && !settings.peers) yield 'servers do not tell each other of events';
  if (!settings.peers) return;
  const { hostname, port } = new URL(settings.peers);
  const service = objects.find(({ kind, metadata }) => kind === 'Service' && hostname.startsWith(`${metadata.name}.`));
  if (service?.spec.clusterIP !== 'None') yield `${hostname} does not stand for the address of each server`;
  if (!service?.spec.publishNotReadyAddresses) yield `${hostname} leaves out servers that are stopping`;
  if (!service?.spec.ports.some((one) => String(one.port) === port)) yield `${hostname} has no port ${port}`;
}

export function brokenInvariants(objects) {
  const pods = podsOf(objects);
  const server = pods.find(({ owner }) => isWorkload(owner));
  return [
    ...namesAndLabels(objects), ...pods.flatMap((pod) => [...securityOf(pod)]), ...references(objects), ...draining(server),
    ...storage(objects), ...network(objects), ...peers(objects),
  ];
}
