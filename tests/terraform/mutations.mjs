// Deliberate mistakes in deploy/terraform, and what the checker must say of each. `from` stands in the file once or the first
// is meant. Those of one checker but the parser's are made at once, so they must not hide one another.
const tables = 'modules/tables/main.tf';
const iam = 'modules/iam/main.tf';
const nodes = 'modules/cluster/nodes.tf';

export const kMutations = [
  // Where there is no Terraform.
  { checker: 'parser', name: 'a brace too few', file: tables, from: 'hash_key    ', to: 'hash_key } ', expect: /modules\/tables\/main\.tf:\d+,\d+/ },
  { checker: 'parser', name: 'an argument that does not exist', file: tables, from: 'billing_mode  ', to: 'billing_kind  ', expect: /aws_dynamodb_table\.on_demand: there is no argument billing_kind/ },
  { checker: 'parser', name: 'an argument in a block that does not exist', file: tables, from: 'attribute_name = "ttl"', to: 'attribute = "ttl"', expect: /on_demand\.ttl: there is no argument attribute\b/ },
  { checker: 'parser', name: 'a needed argument that is missing', file: iam, from: /policy {6}= data.aws_iam_policy_document.serve.json/, to: '', expect: /aws_iam_policy\.serve: policy is missing/ },
  { checker: 'parser', name: 'a block within a dynamic one', file: tables, from: 'projection_type = "KEYS_ONLY"', to: 'projection = "KEYS_ONLY"', expect: /global_secondary_index: there is no argument projection\b/ },
  { checker: 'parser', name: 'an index of every attribute', file: tables, from: '"KEYS_ONLY"', to: '"ALL"', expect: /projection_type is "ALL" and must be "KEYS_ONLY"/ },
  { checker: 'parser', name: 'a wrong type of volume', file: nodes, from: '"gp3"', to: '"gp2"', expect: /volume_type is "gp2" and must be "gp3"/ },
  { checker: 'parser', name: 'a type of volume that does not exist', file: nodes, from: '"gp3"', to: '"gp-3"', expect: /volume_type is "gp-3" and must be "gp3"/ },
  { checker: 'parser', name: 'no recovery', file: 'modules/tables/provisioned.tf', from: /point_in_time_recovery \{\n\s+enabled( +)= true/, to: 'point_in_time_recovery {\n    enabled$1= false', expect: /provisioned\.tf: .*point_in_time_recovery\.enabled is false/ },
  { checker: 'parser', name: 'a key that is never rotated', file: 'modules/key/main.tf', from: /(enable_key_rotation +)= true/, to: '$1= false', expect: /enable_key_rotation is false/ },
  { checker: 'parser', name: 'a variable that is not there', file: iam, from: 'var.kms_key_arn', to: 'var.kms_arn', expect: /modules\/iam: there is no variable kms_arn/ },
  { checker: 'parser', name: 'an output that is not there', file: 'examples/complete/main.tf', from: 'module.network.vpc_id', to: 'module.network.vpc', expect: /module network has no output vpc$/m },
  { checker: 'parser', name: "a module's variable that is not given", file: 'examples/tables-only/main.tf', from: /kms_key_arn {9}= module\.key\.arn/, to: '', expect: /module tables needs kms_key_arn/ },
  { checker: 'parser', name: "a module's variable that does not exist", file: 'examples/tables-only/main.tf', from: 'alarm_actions = var', to: 'alarms = var', expect: /module monitoring has no variable alarms/ },
  { checker: 'parser', name: 'a resource that is not there', file: 'modules/volume_backup/main.tf', from: 'aws_backup_vault.this.name', to: 'aws_backup_vault.vault.name', expect: /there is no aws_backup_vault\.vault/ },

  { checker: 'format', name: 'a line that is not formatted', file: tables, from: '  billing_mode ', to: ' billing_mode ', expect: /terraform fmt: .*main\.tf/ },

  { checker: 'validate', name: 'an argument that does not exist', file: nodes, from: 'ami_type   ', to: 'ami_kind   ', expect: /An argument named "ami_kind" is not expected here/ },
  { checker: 'validate', name: 'a needed argument that is missing', file: 'modules/budget/main.tf', from: /budget_type .*\n/, to: '', expect: /The argument "budget_type" is required/ },
  { checker: 'validate', name: 'a value that the provider does not take', file: 'modules/monitoring/alarms.tf', from: '"GreaterThanThreshold"', to: '"MoreThanThreshold"', expect: /expected comparison_operator to be one of/ },

  // Nothing but our own demands catches these.
  { checker: 'plan', name: 'a wrong type of volume', file: nodes, from: '"gp3"', to: '"gp2"', expect: /complete: .*volume_type is "gp2" and must be "gp3"/ },
  { checker: 'plan', name: 'the wrong key of a table', file: tables, from: 'range_key = "message_id", ', to: 'range_key = "timestamp_id", ', expect: /range_key is "timestamp_id" and must be "message_id"/ },
  { checker: 'plan', name: 'an index of another name', file: tables, from: 'UserCreatedIndex', to: 'UserCreated', expect: /its indexes are \[\["UserCreated",/ },
  { checker: 'plan', name: 'time to live on another attribute', file: tables, from: 'attribute_name = "ttl"', to: 'attribute_name = "expires"', expect: /ttl\.0\.attribute_name is "expires"/ },
  { checker: 'plan', name: 'a week of recovery', file: 'modules/tables/variables.tf', from: '= 35', to: '= 7', expect: /recovery_period_in_days is 7 and must be 35/ },
  { checker: 'plan', name: 'no protection from deletion', file: 'examples/complete/variables.tf', from: /(variable "deletion_protection" \{[^]*?)= true/, to: '$1= false', expect: /complete: .*deletion_protection_enabled is false/ },
  { checker: 'plan', name: 'an action that the servers do not need', file: iam, from: '"dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem",', to: '"dynamodb:DeleteTable", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem",', expect: /it allows .*DeleteTable/ },
  { checker: 'plan', name: 'a policy on every resource', file: iam, from: /resources = local\.tables_arns/, to: 'resources = ["*"]', expect: /serve: Tables is on every resource/ },
  { checker: 'plan', name: 'roles of pods through the node', file: nodes, from: '= 1\n  }', to: '= 2\n  }', expect: /http_put_response_hop_limit is 2 and must be 1/ },
  { checker: 'plan', name: 'backups of volumes that bear another tag', file: 'modules/volume_backup/main.tf', from: 'aws:ResourceTag/$', to: 'aws:ResourceTag/x-$', expect: /backups are of .*x-colloquy-backup/ },
  { checker: 'plan', name: 'no alarm on throttled requests', file: 'modules/monitoring/alarms.tf', from: 'metric_name         = "${each.value.kind}ThrottleEvents"', to: 'metric_name         = "Conditional${each.value.kind}"', expect: /there is no alarm on ReadThrottleEvents/ },
  { checker: 'plan', name: 'a dashboard without the tables\' size', file: 'modules/monitoring/dashboard.tf', from: '"colloquy_dynamodb_table_bytes"', to: '"bytes"', expect: /the dashboard does not show colloquy_dynamodb_table_bytes/ },
  { checker: 'plan', name: 'a budget that tells nobody beforehand', file: 'modules/budget/main.tf', from: '"FORECASTED"', to: '"ACTUAL"', expect: /the budget tells / },
  { checker: 'plan', name: "a cluster's API that is open to all", file: 'modules/cluster/main.tf', from: '? var.api_access_cidrs :', to: '? ["0.0.0.0/0"] :', expect: /public_access_cidrs is \["0\.0\.0\.0\/0"\]/ },
  { checker: 'plan', name: 'indexes that do not follow the load', file: 'modules/tables/provisioned.tf', from: 'setproduct(keys(table.indexes), ["read", "write"])', to: 'setproduct(keys(table.indexes), ["read"])', expect: /provisioned: what scales is / },
  { checker: 'plan', name: 'a service that tables-only does not have', file: 'examples/tables-only/main.tf', from: 'module "key" {', to: 'resource "aws_sns_topic" "alarms" {}\n\nmodule "key" {', expect: /aws_sns_topic\.alarms: tables-only has only/ },
];
