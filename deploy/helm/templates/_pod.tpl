{{/* The pod, which a Deployment and a StatefulSet share. */}}
{{- define "guestlist.pod" -}}
{{- $postgres := eq .Values.database.engine "postgres" -}}
metadata:
  annotations:
    checksum/config: {{ .Values.config | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "guestlist.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "guestlist.serviceAccountName" . }}
  automountServiceAccountToken: false
  # The variables of Kubernetes for each service, which the server does not read.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add .Values.shutdown.preStopSeconds .Values.shutdown.drainSeconds 5 }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: guestlist
      image: {{ include "guestlist.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        - name: GUESTLIST_LISTEN
          value: "{{ .Values.listen.address }}:{{ .Values.listen.port }}"
        - name: GUESTLIST_METRICS_LISTEN
          value: "{{ .Values.listen.address }}:{{ .Values.listen.metricsPort }}"
        - name: GUESTLIST_DATA_DIR
          value: /var/lib/guestlist
        - name: GUESTLIST_HTTP__DRAIN_TIMEOUT
          value: {{ printf "%ds" (int .Values.shutdown.drainSeconds) | quote }}
        {{- if .Values.config }}
        - name: GUESTLIST_CONFIG
          value: /etc/guestlist/config/guestlist.toml
        {{- end }}
        {{- if $postgres }}
        - name: GUESTLIST_DATABASE_URL
          valueFrom:
            secretKeyRef:
              name: {{ .Values.database.existingSecret }}
              key: {{ .Values.database.existingSecretKey }}
        {{- end }}
        {{- if .Values.secretKey.existingSecret }}
        - name: GUESTLIST_SECRET_KEY_FILE
          value: /etc/guestlist/secret-key/secret.key
        {{- end }}
        {{- if .Values.tls.existingSecret }}
        - name: GUESTLIST_TLS__CERTIFICATE_FILE
          value: /etc/guestlist/tls/tls.crt
        - name: GUESTLIST_TLS__KEY_FILE
          value: /etc/guestlist/tls/tls.key
        {{- with .Values.tls.clientCaKey }}
        - name: GUESTLIST_TLS__CLIENT_CA_FILE
          value: /etc/guestlist/tls/{{ . }}
        {{- end }}
        {{- end }}
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: api
          containerPort: {{ .Values.listen.port }}
        - name: metrics
          containerPort: {{ .Values.listen.metricsPort }}
      # Succeeds when the start is over, which includes migrations and the wait for those of another replica.
      startupProbe:
        httpGet:
          path: /healthz
          port: metrics
        periodSeconds: 2
        failureThreshold: {{ div (add .Values.startupSeconds 1) 2 }}
      # Not the health service: it follows the database, whose outage no restart ends.
      livenessProbe:
        httpGet:
          path: /healthz
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 3
        failureThreshold: 3
      readinessProbe:
        {{- if .Values.tls.existingSecret }}
        httpGet:
          path: /readyz
          port: metrics
        {{- else }}
        grpc:
          port: {{ .Values.listen.port }}
        {{- end }}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      {{- if .Values.shutdown.preStopSeconds }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ .Values.shutdown.preStopSeconds }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        capabilities:
          drop: [ALL]
        privileged: false
        readOnlyRootFilesystem: true
      volumeMounts:
        - name: data
          mountPath: /var/lib/guestlist
        - name: tmp
          mountPath: /tmp
        {{- if .Values.config }}
        - name: config
          mountPath: /etc/guestlist/config
          readOnly: true
        {{- end }}
        {{- if .Values.secretKey.existingSecret }}
        - name: secret-key
          mountPath: /etc/guestlist/secret-key
          readOnly: true
        {{- end }}
        {{- if .Values.tls.existingSecret }}
        - name: tls
          mountPath: /etc/guestlist/tls
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- if $postgres }}
    # The first API key of a new database, and mails while there is no mail server.
    - name: data
      emptyDir: {}
    {{- end }}
    - name: tmp
      emptyDir: {}
    {{- if .Values.config }}
    - name: config
      configMap:
        name: {{ include "guestlist.fullname" . }}
    {{- end }}
    {{- if .Values.secretKey.existingSecret }}
    - name: secret-key
      secret:
        secretName: {{ .Values.secretKey.existingSecret }}
        defaultMode: 0440
        items:
          - key: {{ .Values.secretKey.existingSecretKey }}
            path: secret.key
    {{- end }}
    {{- if .Values.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ .Values.tls.existingSecret }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if $postgres }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - topologyKey: {{ $key }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "guestlist.selectorLabels" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
