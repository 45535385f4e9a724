{{- define "guestlist.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "guestlist.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "guestlist.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "guestlist.selectorLabels" -}}
app.kubernetes.io/name: {{ include "guestlist.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "guestlist.labels" -}}
{{ include "guestlist.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "guestlist.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "guestlist.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "guestlist.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Rules that need several values. */}}
{{- define "guestlist.check" -}}
{{- $postgres := eq .Values.database.engine "postgres" }}
{{- if and $postgres (not .Values.database.existingSecret) }}
{{- fail "PostgreSQL needs database.existingSecret: a secret with the database's URL" }}
{{- end }}
{{- if and $postgres (not .Values.secretKey.existingSecret) }}
{{- fail "PostgreSQL needs secretKey.existingSecret: the same secret key for every replica" }}
{{- end }}
{{- if and (not $postgres) .Values.database.existingSecret }}
{{- fail "database.existingSecret needs database.engine: postgres" }}
{{- end }}
{{- if and (not $postgres) (gt (int .Values.replicas) 1) }}
{{- fail "SQLite has one pod: more replicas need database.engine: postgres" }}
{{- end }}
{{- if and (not $postgres) .Values.autoscaling.enabled }}
{{- fail "SQLite has one pod: autoscaling needs database.engine: postgres" }}
{{- end }}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) }}
{{- fail "autoscaling.maxReplicas is less than autoscaling.minReplicas" }}
{{- end }}
{{- if and .Values.tls.clientCaKey (not .Values.tls.existingSecret) }}
{{- fail "tls.clientCaKey needs tls.existingSecret" }}
{{- end }}
{{- if and .Values.grpcRoute.enabled .Values.httpRoute.enabled }}
{{- if or (not .Values.grpcRoute.hostnames) (not .Values.httpRoute.hostnames) }}
{{- fail "grpcRoute and httpRoute need hostnames if both are enabled" }}
{{- end }}
{{- range .Values.grpcRoute.hostnames }}
{{- if has . $.Values.httpRoute.hostnames }}
{{- fail (printf "grpcRoute and httpRoute both have the hostname %s: a Gateway accepts only one of them" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
