{{/* Peers and rules that several NetworkPolicies share. */}}

{{/* Pods that we make in users' namespaces: {components: […]} */}}
{{- define "trainyard.workloadPods" -}}
matchLabels: {app.kubernetes.io/managed-by: trainyard}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: [{{ join ", " .components }}]}
{{- end }}

{{/* One component of the release, from anywhere: {root, component} */}}
{{- define "trainyard.componentPeer" -}}
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .root.Release.Namespace }}}}
  podSelector:
    matchLabels:
      {{- include "trainyard.selector" . | nindent 6 }}
{{- end }}

{{- define "trainyard.dnsEgress" -}}
- to:
    {{- toYaml .Values.networkPolicies.dns | nindent 4 }}
  ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}

{{/* By port alone: the API server's addresses change, and only code of ours gets this. */}}
{{- define "trainyard.apiServerEgress" -}}
- ports:
    {{- range .Values.networkPolicies.apiServerPorts }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}

{{- define "trainyard.trackingEgress" -}}
- to:
    {{- include "trainyard.componentPeer" (dict "root" . "component" "tracking") | nindent 4 }}
  ports:
    - {port: 5000, protocol: TCP}
{{- end }}

{{- define "trainyard.apiServerPeers" -}}
{{- range .Values.networkPolicies.apiServerCidrs }}
- ipBlock: {cidr: {{ . | quote }}}
{{- end }}
# Where the API server reaches the cluster through a tunnel.
- namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
  podSelector: {matchLabels: {k8s-app: konnectivity-agent}}
{{- end }}

{{/* Who reads metrics: our Prometheus and whoever the values name. */}}
{{- define "trainyard.metricsPeers" -}}
{{- include "trainyard.componentPeer" (dict "root" . "component" "prometheus") }}
{{- with .Values.networkPolicies.metricsFrom }}
{{ toYaml . }}
{{- end }}
{{- end }}
