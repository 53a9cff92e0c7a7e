/**
 * What of Kubernetes' and Prometheus' objects deploy/ uses, as JSON Schemas that allow nothing
 * else, so that a key that is misspelled is found. Source: the API reference of Kubernetes 1.31.
 */
const text = { type: "string", minLength: 1 } as const;
const flag = { type: "boolean" } as const;
const count = { type: "integer", minimum: 0 } as const;
const texts = { type: "array", items: text } as const;
const names = { type: "object", additionalProperties: text } as const;
const quantity = { type: "string", pattern: "^[0-9]+(m|Ki|Mi|Gi|Ti)?$" } as const;

/** An object of these members, all of which must be there but those that are named. */
function closed(properties: Record<string, object>, ...optional: string[]) {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required, additionalProperties: false };
}

function object(apiVersion: string, kind: string, spec: object) {
  const metadata = closed({ name: text, labels: names }, "labels");
  return closed({ apiVersion: { const: apiVersion }, kind: { const: kind }, metadata, spec });
}

const selector = closed({ matchLabels: names });
const probe = closed({
  httpGet: closed({ path: text, port: text }),
  periodSeconds: count,
  failureThreshold: count,
});
const amounts = closed({ cpu: quantity, memory: quantity }, "cpu");
const variable = closed({
  name: { type: "string", pattern: "^[A-Z_]+$" },
  valueFrom: closed({
    secretKeyRef: closed({ name: text, key: text, optional: flag }, "optional"),
  }),
});
const container = closed({
  name: text,
  image: text,
  args: texts,
  env: { type: "array", items: variable },
  ports: { type: "array", items: closed({ name: text, containerPort: count }) },
  resources: closed({ requests: amounts, limits: amounts }),
  securityContext: closed({
    allowPrivilegeEscalation: { const: false },
    readOnlyRootFilesystem: flag,
    capabilities: closed({ drop: texts }),
  }),
  startupProbe: probe,
  readinessProbe: probe,
  livenessProbe: probe,
  lifecycle: closed({ preStop: closed({ sleep: closed({ seconds: count }) }) }),
  volumeMounts: {
    type: "array",
    items: closed({ name: text, mountPath: text, readOnly: flag }, "readOnly"),
  },
}, "lifecycle");
const pod = closed({
  terminationGracePeriodSeconds: count,
  securityContext: closed({
    runAsNonRoot: { const: true },
    runAsUser: count,
    fsGroup: count,
    seccompProfile: closed({ type: text }),
  }, "fsGroup"),
  containers: { type: "array", items: container, minItems: 1 },
  volumes: {
    type: "array",
    items: closed({
      name: text,
      persistentVolumeClaim: closed({ claimName: text, readOnly: flag }),
    }),
  },
}, "volumes");

export const DEPLOYMENT = object(
  "apps/v1",
  "Deployment",
  closed({
    replicas: count,
    selector,
    strategy: closed({
      type: { const: "RollingUpdate" },
      rollingUpdate: closed({ maxUnavailable: count, maxSurge: count }),
    }),
    template: closed({ metadata: closed({ labels: names, annotations: names }), spec: pod }),
  }),
);

const claim = closed({
  accessModes: { type: "array", items: { enum: ["ReadOnlyMany", "ReadWriteOnce"] } },
  resources: closed({ requests: closed({ storage: quantity }) }),
});

export const STATEFUL_SET = object(
  "apps/v1",
  "StatefulSet",
  closed({
    serviceName: text,
    replicas: count,
    selector,
    template: closed({ metadata: closed({ labels: names }), spec: pod }),
    volumeClaimTemplates: {
      type: "array",
      items: closed({ metadata: closed({ name: text }), spec: claim }),
    },
  }),
);

export const VOLUME_CLAIM = object("v1", "PersistentVolumeClaim", claim);

export const SERVICE = object(
  "v1",
  "Service",
  closed({
    clusterIP: { const: "None" },
    selector: names,
    ports: { type: "array", items: closed({ name: text, port: count, targetPort: text }) },
  }),
);

export const PDB = object(
  "policy/v1",
  "PodDisruptionBudget",
  closed({ minAvailable: count, selector }),
);

export const HPA = object(
  "autoscaling/v2",
  "HorizontalPodAutoscaler",
  closed({
    scaleTargetRef: closed({ apiVersion: text, kind: text, name: text }),
    minReplicas: count,
    maxReplicas: count,
    metrics: {
      type: "array",
      items: closed({
        type: { const: "Pods" },
        pods: closed({
          metric: closed({ name: text }),
          target: closed({ type: { const: "AverageValue" }, averageValue: quantity }),
        }),
      }),
    },
    behavior: closed({ scaleDown: closed({ stabilizationWindowSeconds: count }) }),
  }),
);

const rule = {
  oneOf: [
    closed({ record: text, expr: text }),
    closed({
      alert: text,
      expr: text,
      for: { type: "string", pattern: "^[0-9]+[smh]$" },
      labels: closed({ severity: { enum: ["page", "warn", "info"] } }),
      annotations: closed({ summary: text }),
    }),
  ],
} as const;

export const RULES = closed({
  groups: { type: "array", items: closed({ name: text, rules: { type: "array", items: rule } }) },
});
