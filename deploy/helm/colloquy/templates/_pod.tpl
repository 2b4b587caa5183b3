{{/* The pod of both kinds of workload. */}}
{{- define "colloquy.pod" -}}
{{- $v := .Values -}}
metadata:
  labels:
    {{- include "colloquy.labels" . | nindent 4 }}
    app.kubernetes.io/component: server
    {{- with $v.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $v.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "colloquy.serviceAccount" . }}
  # Roles come by tokens of their own; the server asks nothing of Kubernetes.
  automountServiceAccountToken: false
  # Variables of a Service named colloquy begin with COLLOQUY_, which the server refuses as settings that it does not know.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "colloquy.graceSeconds" . }}
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: colloquy
      image: {{ include "colloquy.image" (list $v.image .) }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        {{- include "colloquy.args" . | nindent 8 }}
      {{- with include "colloquy.env" . | trim }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      ports:
        - { name: api, containerPort: 8080 }
        - { name: admin, containerPort: 9464 }
      # The store may have much to read before it serves.
      startupProbe:
        httpGet: { path: /health/live, port: admin }
        periodSeconds: 5
        failureThreshold: 120
      livenessProbe:
        httpGet: { path: /health/live, port: admin }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      # One server alone stays where it is while its disk is full: it still reads and deletes, and refuses writes itself.
      readinessProbe:
        httpGet: { path: {{ if include "colloquy.oneServer" . }}/health/live{{ else }}/health/ready{{ end }}, port: admin }
        periodSeconds: 5
        timeoutSeconds: 3
      lifecycle:
        preStop: { sleep: { seconds: {{ $v.drain.beforeStop }} } }
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      resources:
        {{- toYaml $v.resources | nindent 8 }}
      volumeMounts:
        - { name: data, mountPath: /var/lib/colloquy }
        {{- if ne $v.userFiles.volume "none" }}
        - { name: user-data, mountPath: /app/user_data }
        {{- end }}
        {{- if include "colloquy.keyringVolume" . }}
        - { name: keyring, mountPath: /var/lib/colloquy-keyring }
        {{- end }}
        {{- if $v.backup.existingClaim }}
        - { name: backup, mountPath: /backup }
        {{- end }}
        {{- with include "colloquy.secretMounts" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- with include "colloquy.volumes" . | trim }}
  volumes:
    {{- . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: {{ $v.topologySpread.zones }}
      labelSelector: { matchLabels: { {{ include "colloquy.serverSelectorFlow" . }} } }
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: {{ $v.topologySpread.nodes }}
      labelSelector: { matchLabels: { {{ include "colloquy.serverSelectorFlow" . }} } }
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "colloquy.serverSelectorFlow" -}}
app.kubernetes.io/name: {{ include "colloquy.name" . }}, app.kubernetes.io/instance: {{ .Release.Name }}, app.kubernetes.io/component: server
{{- end -}}

{{/* Existing Secrets as files, each in a folder of its own. The group is the pod's. */}}
{{- define "colloquy.secrets" -}}
{{- $v := .Values -}}
{{- if $v.auth.tokenKeySecret.name }}
- { name: token, secret: {{ $v.auth.tokenKeySecret.name }} }
{{- end }}
{{- if include "colloquy.peers" . }}
- { name: cluster, secret: {{ $v.peers.clusterKeySecret.name }} }
{{- end }}
{{- if and (ne $v.encryption.mode "off") $v.encryption.masterKeySecret.name }}
- { name: master, secret: {{ $v.encryption.masterKeySecret.name }} }
{{- end }}
{{- if $v.tls.secretName }}
- { name: tls, secret: {{ $v.tls.secretName }} }
{{- end }}
{{- end -}}

{{- define "colloquy.secretMounts" -}}
{{- range include "colloquy.secrets" . | fromYamlArray }}
- { name: {{ .name }}-secret, mountPath: /etc/colloquy/{{ .name }}, readOnly: true }
{{- end }}
{{- end -}}

{{- define "colloquy.secretVolumes" -}}
{{- range include "colloquy.secrets" . | fromYamlArray }}
- name: {{ .name }}-secret
  secret: { secretName: {{ .secret }}, defaultMode: 0440 }
{{- end }}
{{- end -}}

{{- define "colloquy.env" -}}
{{- $v := .Values -}}
{{- if include "colloquy.peers" . }}
- name: POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- end }}
{{- with $v.aws.region }}
- name: AWS_REGION
  value: {{ . }}
{{- end }}
{{- if and $v.tls.secretName $v.tls.caKey }}
# Beside the system's, which are found by their folder.
- name: SSL_CERT_FILE
  value: /etc/colloquy/tls/{{ $v.tls.caKey }}
{{- end }}
{{- if and (eq $v.model.kind "openai") $v.model.openai.apiKeySecret.name }}
- name: COLLOQUY_OPENAI_API_KEY
  valueFrom:
    secretKeyRef: { name: {{ $v.model.openai.apiKeySecret.name }}, key: {{ $v.model.openai.apiKeySecret.key }} }
{{- end }}
{{- with $v.extraEnv }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}

{{- define "colloquy.volumes" -}}
{{- $v := .Values -}}
{{- if not (include "colloquy.embedded" .) }}
- name: data
  emptyDir: { sizeLimit: 64Mi }
{{- end }}
{{- if eq $v.userFiles.volume "shared" }}
- name: user-data
  persistentVolumeClaim: { claimName: {{ include "colloquy.sharedClaim" . }} }
{{- end }}
{{- if $v.backup.existingClaim }}
- name: backup
  persistentVolumeClaim: { claimName: {{ $v.backup.existingClaim }} }
{{- end }}
{{- include "colloquy.secretVolumes" . | nindent 0 }}
{{- with $v.extraVolumes }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end -}}
