{{/* The settings of `colloquy serve`, a list. */}}
{{- define "colloquy.args" -}}
{{- $v := .Values -}}
- serve
- --listen=0.0.0.0:8080
- --admin-listen=0.0.0.0:9464
- --threads={{ $v.threads }}
- --turn-timeout={{ $v.drain.turnTimeout }}s
- --shutdown-timeout={{ include "colloquy.shutdownSeconds" . }}s
{{- /* Longer than the load balancer's, which would else meet a connection that is being closed. */}}
- --idle-timeout={{ add (include "colloquy.quietSeconds" . | int) 15 }}s
- --store={{ $v.store }}
{{- /* A folder below the volume's top, where restored data can stand beside it. */}}
- --data=/var/lib/colloquy/data
{{- if eq $v.store "dynamodb" }}
{{- with $v.aws.region }}
- --dynamodb-region={{ . }}
{{- end }}
- --dynamodb-conversations-table={{ $v.dynamodb.conversationsTable }}
- --dynamodb-messages-table={{ $v.dynamodb.messagesTable }}
{{- if $v.dynamodb.updatedIndex }}
- --updated-index=true
{{- end }}
{{- with $v.dynamodb.endpoint }}
- --dynamodb-endpoint={{ . }}
{{- end }}
{{- end }}
- --files={{ if eq $v.userFiles.volume "none" }}off{{ else }}/app/user_data{{ end }}
{{- if include "colloquy.peers" . }}
{{- $host := printf "%s-peers.%s.svc" (include "colloquy.fullname" .) .Release.Namespace }}
- --cluster-key-file=/etc/colloquy/cluster/{{ $v.peers.clusterKeySecret.key }}
{{- if $v.tls.secretName }}
- --advertise=https://$(POD_NAME).{{ $host }}:8080
- --peers=https://{{ $host }}:8080
{{- else }}
- --advertise=http://$(POD_IP):8080
- --peers=http://{{ $host }}:8080
{{- end }}
{{- end }}
{{- if $v.tls.secretName }}
- --tls-cert=/etc/colloquy/tls/tls.crt
- --tls-key=/etc/colloquy/tls/tls.key
{{- end }}
{{- if ne $v.encryption.mode "off" }}
- --encryption={{ $v.encryption.mode }}
{{- if eq $v.encryption.mode "kms" }}
- --kms-key={{ $v.encryption.kmsKeyId }}
{{- if and (include "colloquy.embedded" .) $v.aws.region }}
- --dynamodb-region={{ $v.aws.region }}
{{- end }}
{{- end }}
{{- if $v.encryption.masterKeySecret.name }}
- --master-key-file=/etc/colloquy/master/{{ $v.encryption.masterKeySecret.key }}
{{- end }}
{{- if include "colloquy.embedded" . }}
- --keyring=/var/lib/colloquy-keyring/keyring
{{- else }}
- --dynamodb-keys-table={{ $v.dynamodb.keysTable }}
{{- end }}
{{- end }}
{{- if $v.auth.tokenKeySecret.name }}
- --token-key-file=/etc/colloquy/token/{{ $v.auth.tokenKeySecret.key }}
{{- end }}
{{- with $v.auth.jwks }}
- --jwks={{ . }}
{{- end }}
{{- with $v.auth.issuer }}
- --auth-issuer={{ . }}
{{- end }}
{{- with $v.auth.audience }}
- --auth-audience={{ . }}
{{- end }}
{{- with $v.auth.algorithms }}
- --auth-algorithms={{ . }}
{{- end }}
{{- with $v.corsOrigins }}
- {{ printf "--cors-origins=%s" . | quote }}
{{- end }}
- --model={{ $v.model.kind }}
{{- if eq $v.model.kind "openai" }}
- --openai-base-url={{ $v.model.openai.baseUrl }}
- {{ printf "--openai-model=%s" $v.model.openai.model | quote }}
{{- with $v.model.openai.models }}
- {{ printf "--openai-models=%s" . | quote }}
{{- end }}
{{- end }}
{{- if $v.backup.existingClaim }}
- --backup-to=/backup
{{- end }}
{{- range $name, $value := $v.settings }}
{{- /* A whole number stays one: 1000000, not 1e+06. */}}
{{- $whole := and (kindIs "float64" $value) (eq (float64 (int64 $value)) $value) }}
- {{ printf "--%s=%v" $name (ternary (int64 $value) $value $whole) | quote }}
{{- end }}
{{- end -}}
