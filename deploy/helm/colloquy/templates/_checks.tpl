{{/* What values.schema.json cannot say: values that contradict each other are refused with a sentence. */}}
{{- define "colloquy.checks" -}}
{{- $v := .Values -}}
{{- if and (eq $v.store "dynamodb") (not $v.auth.tokenKeySecret.name) (not $v.auth.jwks) -}}
{{- fail "auth: give tokenKeySecret.name or jwks; servers on the same tables have no key of their own" -}}
{{- end -}}
{{- if and $v.auth.jwks (not $v.auth.issuer) -}}
{{- fail "auth.jwks needs auth.issuer" -}}
{{- end -}}
{{- if and (include "colloquy.peers" .) (not $v.peers.clusterKeySecret.name) -}}
{{- fail "peers: give clusterKeySecret.name, or set peers.enabled to false" -}}
{{- end -}}
{{- if and (eq $v.store "dynamodb") (eq $v.aws.identity "none") (not $v.dynamodb.endpoint) -}}
{{- fail "aws.identity: the tables need a role, by irsa or podIdentity" -}}
{{- end -}}
{{- if and (eq $v.store "dynamodb") (not $v.aws.region) (not $v.dynamodb.endpoint) -}}
{{- fail "aws.region: give the tables' region" -}}
{{- end -}}
{{- if and (eq $v.aws.identity "irsa") (not $v.aws.roleArn) (or (eq $v.store "dynamodb") (eq $v.encryption.mode "kms")) (not $v.dynamodb.endpoint) -}}
{{- fail "aws.roleArn: irsa needs the role's ARN" -}}
{{- end -}}
{{- if and (eq $v.encryption.mode "kms") (not $v.encryption.kmsKeyId) -}}
{{- fail "encryption.mode kms needs encryption.kmsKeyId" -}}
{{- end -}}
{{- if and (eq $v.encryption.mode "file") (not $v.encryption.masterKeySecret.name) -}}
{{- fail "encryption.mode file needs encryption.masterKeySecret.name" -}}
{{- end -}}
{{- if and (eq $v.encryption.mode "off") (or $v.encryption.kmsKeyId $v.encryption.masterKeySecret.name) -}}
{{- fail "encryption: kmsKeyId and masterKeySecret have no effect with mode off" -}}
{{- end -}}
{{- if and (eq $v.userFiles.volume "shared") (not $v.userFiles.existingClaim) (not $v.userFiles.storageClassName) (not $v.efs.fileSystemId) -}}
{{- fail "userFiles.volume shared needs efs.fileSystemId, userFiles.storageClassName or userFiles.existingClaim" -}}
{{- end -}}
{{- if and $v.userFiles.existingClaim (ne $v.userFiles.volume "shared") -}}
{{- fail "userFiles.existingClaim has no effect without userFiles.volume shared" -}}
{{- end -}}
{{- if and $v.backup.existingClaim (eq $v.store "dynamodb") -}}
{{- fail "backup has no effect with store dynamodb: the tables have point-in-time recovery" -}}
{{- end -}}
{{- if and (eq $v.model.kind "openai") (or (not $v.model.openai.baseUrl) (not $v.model.openai.model)) -}}
{{- fail "model.kind openai needs model.openai.baseUrl and model.openai.model" -}}
{{- end -}}
{{- if $v.ingress.enabled -}}
{{- if not $v.ingress.host -}}{{- fail "ingress.host: give the domain name" -}}{{- end -}}
{{- if and (eq $v.ingress.controller "alb") (not $v.ingress.certificateArn) -}}
{{- fail "ingress: TLS with alb needs ingress.certificateArn" -}}
{{- end -}}
{{- if and (ne $v.ingress.controller "alb") (not $v.ingress.tlsSecretName) -}}
{{- fail "ingress: TLS needs ingress.tlsSecretName" -}}
{{- end -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is above maxReplicas" -}}
{{- end -}}
{{- end -}}
