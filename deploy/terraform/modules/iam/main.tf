# What may be done with the tables, and nothing else: `serve` for the servers; `operate` for a person who checks,
# migrates or rotates keys; `restore` for who restores the tables. The actions are those of docs/dynamodb.md, which tests hold
# both to; they also run the real server behind a guard that allows what `serve` says.
#
# On dynamodb:LeadingKeys, which limits a policy to some hash keys. The servers cannot use it: one role serves all
# users, each call with another user's key, and the id of the user is put into it by the server alone. Messages
# have the conversation's id as hash key, which names no user. It serves where one session acts for one
# user, and only on the table of conversations: `read_one_user` below is such a policy, for a role that is assumed with
# a session tag. It must never allow Scan, which the condition does not limit.

data "aws_region" "current" {}

locals {
  tables_arns = [var.conversations.arn, var.messages.arn]
  keys_arns   = var.keys == null ? [] : [var.keys.arn]
}

# With a key of your own the service asks whether its caller may use it. It may, for DynamoDB alone.
data "aws_iam_policy_document" "tables_key" {
  statement {
    sid       = "KeyOfTheTables"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    resources = [var.kms_key_arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["dynamodb.${data.aws_region.current.name}.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "serve" {
  source_policy_documents = [data.aws_iam_policy_document.tables_key.json]

  statement {
    sid = "Tables"
    actions = [
      "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem",
      "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
    ]
    resources = local.tables_arns
  }
  statement {
    sid       = "MessagesByTheBatch"
    actions   = ["dynamodb:BatchWriteItem"]
    resources = [var.messages.arn]
  }

  dynamic "statement" {
    for_each = var.updated_index ? [true] : []
    content {
      sid       = "UpdatedIndex"
      actions   = ["dynamodb:Query"]
      resources = ["${var.conversations.arn}/index/UserUpdatedIndex"]
    }
  }
  dynamic "statement" {
    for_each = var.updated_index ? [true] : []
    content {
      sid       = "ConversationsOfTheIndex"
      actions   = ["dynamodb:BatchGetItem"]
      resources = [var.conversations.arn]
    }
  }

  dynamic "statement" {
    for_each = local.keys_arns
    content {
      sid = "Keyring"
      actions = [
        "dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem",
        "dynamodb:PutItem",
      ]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = var.master_key == null ? [] : [var.master_key.arn]
    content {
      sid       = "MasterKey"
      actions   = ["kms:Decrypt", "kms:Encrypt"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_policy" "serve" {
  name        = "${var.name}-serve"
  description = "What colloquy serve needs."
  policy      = data.aws_iam_policy_document.serve.json
}

data "aws_iam_policy_document" "operate" {
  source_policy_documents = [data.aws_iam_policy_document.tables_key.json]

  statement {
    sid = "Tables"
    actions = [
      "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive",
      "dynamodb:PutItem", "dynamodb:Scan",
    ]
    resources = local.tables_arns
  }
  statement {
    sid       = "ConversationsOneByOne"
    actions   = ["dynamodb:GetItem"]
    resources = [var.conversations.arn]
  }
  statement {
    sid       = "MessagesOfAConversation"
    actions   = ["dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:Query"]
    resources = [var.messages.arn]
  }
  dynamic "statement" {
    for_each = local.keys_arns
    content {
      sid = "Keyring"
      actions = [
        "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem", "dynamodb:PutItem",
        "dynamodb:Scan",
      ]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = var.master_key == null ? [] : [var.master_key.arn]
    content {
      sid       = "MasterKey"
      actions   = ["kms:Decrypt", "kms:Encrypt"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_policy" "operate" {
  name        = "${var.name}-operate"
  description = "What colloquy tables check, migrate and keys rotate need."
  policy      = data.aws_iam_policy_document.operate.json
}

# `colloquy restore --store dynamodb --prefix restored-`: reads the tables, and makes new ones beside them.
data "aws_iam_policy_document" "restore" {
  source_policy_documents = [data.aws_iam_policy_document.tables_key.json]

  statement {
    sid = "TablesOfBefore"
    actions = [
      "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:ListTagsOfResource",
      "dynamodb:RestoreTableToPointInTime",
    ]
    resources = local.tables_arns
  }
  statement {
    sid       = "WhoWasErasedSince"
    actions   = ["dynamodb:GetItem", "dynamodb:Query"]
    resources = [var.messages.arn]
  }
  statement {
    sid = "RestoredTables"
    actions = [
      "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:DescribeContinuousBackups",
      "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:GetItem", "dynamodb:PutItem",
      "dynamodb:Query", "dynamodb:RestoreTableToPointInTime", "dynamodb:Scan", "dynamodb:TagResource",
      "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateItem", "dynamodb:UpdateTable",
      "dynamodb:UpdateTimeToLive",
    ]
    resources = [for arn in local.tables_arns : replace(arn, ":table/", ":table/restored*")]
  }
  # A new table is given a grant of its own on the key.
  statement {
    sid       = "KeyOfTheRestoredTables"
    actions   = ["kms:CreateGrant"]
    resources = [var.kms_key_arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["dynamodb.${data.aws_region.current.name}.amazonaws.com"]
    }
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

resource "aws_iam_policy" "restore" {
  name        = "${var.name}-restore"
  description = "What colloquy restore --store dynamodb needs, to tables whose names begin with restored."
  policy      = data.aws_iam_policy_document.restore.json
}

data "aws_iam_policy_document" "read_one_user" {
  source_policy_documents = [data.aws_iam_policy_document.tables_key.json]

  statement {
    sid       = "ConversationsOfTheUserInTheSessionTag"
    actions   = ["dynamodb:GetItem", "dynamodb:Query"]
    resources = [var.conversations.arn]
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "dynamodb:LeadingKeys"
      values   = ["$${aws:PrincipalTag/colloquy-user}"]
    }
    # ForAllValues holds where there are no keys at all.
    condition {
      test     = "Null"
      variable = "dynamodb:LeadingKeys"
      values   = ["false"]
    }
  }
}

resource "aws_iam_policy" "read_one_user" {
  count = var.read_one_user ? 1 : 0

  name        = "${var.name}-read-one-user"
  description = "Reads the conversations of the user whom the session tag colloquy-user names."
  policy      = data.aws_iam_policy_document.read_one_user.json
}
