{{- define "packhook.selector" -}}
app.kubernetes.io/name: packhook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "packhook.labels" -}}
app.kubernetes.io/name: packhook
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
