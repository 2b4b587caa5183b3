// What a plan must hold: the tables of the wire contract, the alarms, and that nothing is left open.
import { join } from 'node:path';
import { documentedStatements } from '../dynamodb/policies.mjs';
import { kMistaken, kPlanned, kRoot, terraform } from './tools.mjs';

// The tables of the server's contract, as `colloquy tables create` makes them.
const kTables = {
  conversations: { key: ['user_id', 'conversation_id'], index: ['UserCreatedIndex', 'created_at'] },
  messages: { key: ['conversation_id', 'message_id'], index: ['ConversationTimeIndex', 'timestamp'] },
};

// The services of examples/tables-only by the names of its resources.
const kTablesOnly = /^aws_(dynamodb_table|iam_policy|kms_key|kms_alias|cloudwatch_metric_alarm|cloudwatch_dashboard)$/;

export const kDashboard = ['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits', 'ReadThrottleEvents', 'WriteThrottleEvents',
  'ThrottledRequests', 'SuccessfulRequestLatency', 'SystemErrors', 'UserErrors', 'colloquy_dynamodb_table_items',
  'colloquy_dynamodb_table_bytes'];

// A plan of readyCopy's root that asks nobody, as JSON. Throws what Terraform says.
async function offlinePlan(folder) {
  const cwd = join(folder, 'examples', kRoot);
  const { code, stdout, stderr } = await terraform(
    ['plan', '-input=false', '-no-color', '-refresh=false', '-lock=false', '-out=plan'], { cwd });
  if (code !== 0) throw new Error(`terraform plan: ${stdout.slice(-2000)}${stderr}`);
  const shown = await terraform(['show', '-json', 'plan'], { cwd });
  if (shown.code !== 0) throw new Error(shown.stderr);
  return JSON.parse(shown.stdout);
}

// What a plan has for one module of the root.
class Plan {
  constructor(json, name, complain) {
    this.complain = (text) => complain(`${name}: ${text}`);
    this.changes = json.resource_changes.filter(({ change }) => !change.actions.includes('no-op'));
    // Data that is known beforehand is read while planning.
    const walk = ({ resources = [], child_modules: children = [] }) => {
      for (const one of resources) {
        if (one.mode === 'data') this.changes.push({ ...one, change: { actions: ['read'], after: one.values } });
      }
      children.forEach(walk);
    };
    walk(json.prior_state?.values?.root_module ?? {});
    const prefix = `module.${name}.`;
    this.changes = this.changes.filter(({ address }) => address.startsWith(prefix))
      .map((one) => ({ ...one, address: one.address.slice(prefix.length) }));
  }

  all(type) {
    return this.changes.filter((one) => one.type === type).map(({ address, change, index }) => (
      { address, index, after: change.after, unknown: change.after_unknown ?? {} }));
  }

  one(type, address) {
    const found = this.all(type).filter((resource) => resource.address.includes(address));
    if (found.length !== 1) {
      this.complain(`there are ${found.length} ${type} ${address}`);
      return { address, after: {}, unknown: {} };
    }
    return found[0];
  }

  equal({ address, after }, path, value) {
    const found = path.split('.').reduce((at, step) => at?.[step], after);
    if (JSON.stringify(found) !== JSON.stringify(value)) {
      this.complain(`${address}: ${path} is ${JSON.stringify(found)} and must be ${JSON.stringify(value)}`);
    }
  }

  known({ address, after, unknown }, path) {
    const of = (from) => path.split('.').reduce((at, step) => at?.[step], from);
    if (!of(unknown) && !of(after)) this.complain(`${address}: ${path} is not set`);
  }
}

function checkTables(plan, billing = 'PAY_PER_REQUEST') {
  for (const [name, { key: [hash, range], index: [indexName, time] }] of Object.entries(kTables)) {
    const table = plan.one('aws_dynamodb_table', `["${name}"]`);
    if (!table.after.name) continue;
    plan.equal(table, 'name', `colloquy-${name}`);
    plan.equal(table, 'billing_mode', billing);
    plan.equal(table, 'hash_key', hash);
    plan.equal(table, 'range_key', range);
    plan.equal(table, 'deletion_protection_enabled', true);
    plan.equal(table, 'ttl.0.attribute_name', 'ttl');
    plan.equal(table, 'ttl.0.enabled', true);
    plan.equal(table, 'point_in_time_recovery.0.enabled', true);
    plan.equal(table, 'point_in_time_recovery.0.recovery_period_in_days', 35);
    plan.equal(table, 'server_side_encryption.0.enabled', true);
    plan.known(table, 'server_side_encryption.0.kms_key_arn');
    const types = Object.fromEntries(table.after.attribute.map((one) => [one.name, one.type]));
    if (JSON.stringify(Object.entries(types).sort()) !== JSON.stringify(Object.entries({ [hash]: 'S', [range]: 'S', [time]: 'N' }).sort())) {
      plan.complain(`${table.address}: its attributes are ${JSON.stringify(types)}`);
    }
    const indexes = table.after.global_secondary_index.map((one) => [one.name, one.hash_key, one.range_key, one.projection_type]);
    if (JSON.stringify(indexes) !== JSON.stringify([[indexName, hash, time, 'KEYS_ONLY']])) {
      plan.complain(`${table.address}: its indexes are ${JSON.stringify(indexes)}`);
    }
  }
}

function checkAlarms(plan) {
  const alarms = plan.all('aws_cloudwatch_metric_alarm');
  const metrics = new Set(alarms.flatMap(({ after }) => [after.metric_name, ...after.metric_query.flatMap(({ metric }) => metric.map((one) => one.metric_name))]));
  for (const metric of ['ReadThrottleEvents', 'WriteThrottleEvents', 'SystemErrors', 'SuccessfulRequestLatency',
    'ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits']) {
    if (!metrics.has(metric)) plan.complain(`there is no alarm on ${metric}`);
  }
  for (const alarm of alarms) plan.equal(alarm, 'treat_missing_data', 'notBreaching');
  const body = plan.one('aws_cloudwatch_dashboard', '').after.dashboard_body ?? '{"widgets":[]}';
  for (const metric of kDashboard) if (!body.includes(metric)) plan.complain(`the dashboard does not show ${metric}`);
}

// The actions of `colloquy serve` on the tables, as docs/dynamodb.md says and a test of that page holds it to. Which tables they
// are is known when they are made only: apply.test.mjs.
function documentedActions(keyring) {
  const statements = [...documentedStatements('What `colloquy serve` needs'), ...(keyring ? documentedStatements('With `--encryption`') : [])];
  return JSON.stringify(statements.map(({ Action }) => [...Action].sort()));
}

function checkPolicies(plan) {
  const documents = plan.all('aws_iam_policy_document');
  const serve = documents.find(({ address }) => address.includes('module.iam.') && address.endsWith('.serve'));
  if (!serve) { plan.complain('there is no policy of the servers'); return; }
  const statements = (serve.after.statement ?? []).filter(({ sid }) => ['Tables', 'MessagesByTheBatch', 'Keyring'].includes(sid));
  const actions = JSON.stringify(statements.map(({ actions: all }) => [...all].sort()));
  const needed = documentedActions(plan.all('aws_dynamodb_table').some(({ address }) => address.includes('.keys[')));
  if (actions !== needed) plan.complain(`${serve.address}: it allows ${actions}, and the servers need ${needed}`);
  for (const { address, after } of documents) {
    after.statement?.forEach((statement) => {
      const ofKey = address.includes('key.');
      const wide = (statement.actions ?? []).filter((action) => /^(\*|\w+:\*)$/.test(action));
      if (wide.length > 0 && !ofKey) plan.complain(`${address}: it allows ${wide}`);
      const open = (statement.resources ?? []).includes('*');
      if (open && !ofKey && !['Look', 'RoleOfLoadBalancing'].includes(statement.sid)) plan.complain(`${address}: ${statement.sid} is on every resource`);
    });
  }
}

function checkTablesOnly(plan) {
  for (const { mode, type, address } of plan.changes) {
    if (mode === 'managed' && !kTablesOnly.test(type)) plan.complain(`${address}: tables-only has only DynamoDB, IAM, KMS and CloudWatch`);
  }
}

function checkComplete(plan) {
  const template = plan.one('aws_launch_template', 'node');
  plan.equal(template, 'block_device_mappings.0.ebs.0.volume_type', 'gp3');
  plan.equal(template, 'block_device_mappings.0.ebs.0.encrypted', 'true');
  plan.equal(template, 'metadata_options.0.http_tokens', 'required');
  plan.equal(template, 'metadata_options.0.http_put_response_hop_limit', 1);
  const cluster = plan.one('aws_eks_cluster', '');
  plan.equal(cluster, 'encryption_config.0.resources', ['secrets']);
  plan.equal(cluster, 'vpc_config.0.public_access_cidrs', ['203.0.113.7/32']);
  plan.equal(cluster, 'access_config.0.authentication_mode', 'API');
  const driver = plan.one('aws_eks_addon', 'ebs_csi');
  plan.equal(driver, 'addon_name', 'aws-ebs-csi-driver');
  plan.known(driver, 'service_account_role_arn');
  const selection = plan.one('aws_backup_selection', '').after.condition?.[0]?.string_equals?.[0];
  const tags = JSON.parse(driver.after.configuration_values ?? '{}').controller?.extraVolumeTags ?? {};
  if (selection?.key !== `aws:ResourceTag/${Object.keys(tags)[0]}` || selection?.value !== Object.values(tags)[0]) {
    plan.complain(`backups are of ${JSON.stringify(selection)}, and volumes are tagged ${JSON.stringify(tags)}`);
  }
  const rules = plan.one('aws_backup_plan', '').after.rule ?? [];
  const kept = Object.fromEntries(rules.map((rule) => [rule.rule_name, rule.lifecycle[0].delete_after]));
  if (JSON.stringify(kept) !== '{"daily":35,"monthly":90}') plan.complain(`backups are kept ${JSON.stringify(kept)}`);
  plan.equal(plan.one('aws_acm_certificate', ''), 'validation_method', 'DNS');
  const budget = plan.one('aws_budgets_budget', '');
  plan.equal(budget, 'limit_amount', '500');
  const told = (budget.after.notification ?? []).map(({ notification_type: type, threshold }) => `${type} ${threshold}`).sort();
  if (told.join() !== 'ACTUAL 100,ACTUAL 80,FORECASTED 100') plan.complain(`the budget tells ${told}`);
  for (const { address, after } of plan.all('aws_kms_key')) plan.equal({ address, after }, 'enable_key_rotation', true);
  for (const alarm of plan.all('aws_cloudwatch_metric_alarm')) plan.known(alarm, 'alarm_actions');
  plan.equal(plan.one('aws_sns_topic_subscription', ''), 'endpoint', 'operator@example.com');
  plan.equal(plan.one('aws_dynamodb_table', '.keys['), 'point_in_time_recovery.0.enabled', false);
  for (const registry of plan.all('aws_ecr_repository')) plan.equal(registry, 'image_tag_mutability', 'IMMUTABLE');
  for (const subnet of plan.all('aws_subnet')) {
    if (subnet.address.includes('private') && subnet.after.map_public_ip_on_launch) plan.complain(`${subnet.address} is not private`);
  }
}

// Provisioned units: tables and indexes, each with its reads and writes, follow the load.
function checkProvisioned(plan) {
  checkTables(plan, 'PROVISIONED');
  const targets = plan.all('aws_appautoscaling_target').map(({ after }) => `${after.resource_id} ${after.scalable_dimension} ${after.min_capacity}-${after.max_capacity}`).sort();
  const expected = [['conversations', 'UserCreatedIndex'], ['messages', 'ConversationTimeIndex']].flatMap(([table, index]) => [
    ['Read', '3-30'], ['Write', '5-500']].flatMap(([kind, range]) => [
    `table/colloquy-${table} dynamodb:table:${kind}CapacityUnits ${range}`,
    `table/colloquy-${table}/index/${index} dynamodb:index:${kind}CapacityUnits ${range}`])).sort();
  if (targets.join('\n') !== expected.join('\n')) plan.complain(`what scales is ${JSON.stringify(targets)}`);
  if (plan.all('aws_appautoscaling_policy').length !== expected.length) plan.complain('not every target has a policy');
}

function checkExample(plan) {
  checkTables(plan);
  checkAlarms(plan);
  checkPolicies(plan);
}

const kCheckers = {
  complete: (plan) => { checkExample(plan); checkComplete(plan); },
  'tables-only': (plan) => { checkExample(plan); checkTablesOnly(plan); },
  provisioned: checkProvisioned,
};

// The complaints about all that is planned, and about the same with mistakes: { complaints, mistaken }.
export async function checkPlans(folder) {
  const json = await offlinePlan(folder);
  const complaintsOf = (prefix) => {
    const complaints = [];
    for (const { name } of kPlanned) kCheckers[name](new Plan(json, `${prefix}${name}`, (text) => complaints.push(text)));
    return complaints;
  };
  return { complaints: complaintsOf(''), mistaken: complaintsOf(kMistaken) };
}
