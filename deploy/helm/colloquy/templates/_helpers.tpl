{{- define "colloquy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* 40 characters, since names of volumes and snapshots are made from it. */}}
{{- define "colloquy.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "colloquy.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "colloquy.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "colloquy.selector" -}}
app.kubernetes.io/name: {{ include "colloquy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "colloquy.labels" -}}
{{ include "colloquy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "colloquy.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "colloquy.fullname" .) -}}
{{- end -}}

{{- define "colloquy.image" -}}
{{- $image := index . 0 -}}{{- $root := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What follows from the values, and is asked for in many places; "true" or empty. */}}
{{- define "colloquy.embedded" -}}{{ if eq .Values.store "rocksdb" }}true{{ end }}{{- end -}}
{{- define "colloquy.oneServer" -}}
{{- if or (include "colloquy.embedded" .) (eq .Values.userFiles.volume "ebs") }}true{{ end -}}
{{- end -}}
{{- define "colloquy.peers" -}}
{{- if and .Values.peers.enabled (not (include "colloquy.oneServer" .)) }}true{{ end -}}
{{- end -}}
{{/* Volumes of a server's own need a StatefulSet; so do the host names that certificates are for. */}}
{{- define "colloquy.stateful" -}}
{{- if or (include "colloquy.oneServer" .) (and .Values.tls.secretName (include "colloquy.peers" .)) }}true{{ end -}}
{{- end -}}
{{- define "colloquy.scaled" -}}
{{- if and .Values.autoscaling.enabled (not (include "colloquy.oneServer" .)) }}true{{ end -}}
{{- end -}}
{{- define "colloquy.usesEbs" -}}
{{- if or (include "colloquy.embedded" .) (eq .Values.userFiles.volume "ebs") }}true{{ end -}}
{{- end -}}
{{- define "colloquy.keyringVolume" -}}
{{- if and (include "colloquy.embedded" .) (ne .Values.encryption.mode "off") }}true{{ end -}}
{{- end -}}
{{- define "colloquy.snapshots" -}}
{{- if and .Values.snapshots.enabled (include "colloquy.usesEbs" .) }}true{{ end -}}
{{- end -}}

{{- define "colloquy.ebsClass" -}}
{{- .Values.ebs.storageClassName | default (printf "%s-gp3" (include "colloquy.fullname" .)) -}}
{{- end -}}
{{- define "colloquy.efsClass" -}}{{ include "colloquy.fullname" . }}-efs{{- end -}}
{{- define "colloquy.sharedClaim" -}}
{{- .Values.userFiles.existingClaim | default (printf "%s-user-data" (include "colloquy.fullname" .)) -}}
{{- end -}}
{{- define "colloquy.snapshotClass" -}}
{{- .Values.snapshots.className | default (printf "%s-ebs" (include "colloquy.fullname" .)) -}}
{{- end -}}

{{- define "colloquy.shutdownSeconds" -}}{{ add .Values.drain.turnTimeout .Values.drain.margin }}{{- end -}}
{{/* The server ends 23 seconds after --shutdown-timeout at the latest; 7 more for the kubelet. */}}
{{- define "colloquy.graceSeconds" -}}
{{- add .Values.drain.beforeStop (include "colloquy.shutdownSeconds" . | int) 30 -}}
{{- end -}}

{{/* How long an answer that is not streamed may leave a connection silent. */}}
{{- define "colloquy.quietSeconds" -}}{{ include "colloquy.shutdownSeconds" . }}{{- end -}}
