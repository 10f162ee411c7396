{{- define "fetchway.name" -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "fetchway.account" -}}
{{- default (include "fetchway.name" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "fetchway.selector" -}}
app.kubernetes.io/name: fetchway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "fetchway.labels" -}}
{{ include "fetchway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
