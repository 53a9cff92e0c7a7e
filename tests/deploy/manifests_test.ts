/** Manifests, rules and the board of deploy/: their structure, and that they name what there is. */
import Ajv2020 from "ajv/dist/2020.js";
import { assert, assertEquals } from "@std/assert";
import { Command } from "commander";
import { parse, parseAllDocuments } from "yaml";
import { addLoadOptions } from "../../src/cli/load.ts";
import { byteSize } from "../../src/cli/option_values.ts";
import { environmentName } from "../../src/cli/settings.ts";
import { addServerOptions } from "../../src/cli/serve/serve_options.ts";
import { OPERATION_ROUTES } from "../../src/server/operation_routes.ts";
import { ServerMetrics } from "../../src/server/mod.ts";
import {
  DEPLOYMENT,
  HPA,
  PDB,
  RULES,
  SERVICE,
  STATEFUL_SET,
  VOLUME_CLAIM,
} from "./manifest_schemas.ts";

const read = (path: string) =>
  Deno.readTextFileSync(new URL(`../../deploy/${path}`, import.meta.url));
// deno-lint-ignore no-explicit-any -- what is parsed is checked by schemas first
type Loose = any;

function checked(schema: object, value: unknown): Loose {
  const ajv = new (Ajv2020 as Loose)({ strict: true, allErrors: true });
  assert(ajv.validate(schema, value), ajv.errorsText());
  return value;
}

function manifests(name = "ganglion"): Map<string, Loose> {
  const documents = parseAllDocuments(read(`kubernetes/${name}.yaml`));
  return new Map(documents.map((document) => {
    assertEquals(document.errors, []);
    const value = document.toJS();
    return [value.kind, value];
  }));
}

/** Names of all families that a server shows. */
function metricNames(): Set<string> {
  const text = new ServerMetrics({ compat: "vllm" }).text();
  return new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
}

Deno.test("the Kubernetes manifests have the structure of their kinds", () => {
  const all = manifests();
  const schemas = {
    PersistentVolumeClaim: VOLUME_CLAIM,
    Deployment: DEPLOYMENT,
    Service: SERVICE,
    PodDisruptionBudget: PDB,
    HorizontalPodAutoscaler: HPA,
  };
  assertEquals([...all.keys()], Object.keys(schemas));
  for (const [kind, schema] of Object.entries(schemas)) checked(schema, all.get(kind));
});

Deno.test("the Kubernetes manifests name each other, and what the server has", () => {
  const all = manifests();
  const { spec } = all.get("Deployment");
  const pod = spec.template.spec;
  const [container] = pod.containers;
  const { labels } = spec.template.metadata;
  assertEquals(spec.selector.matchLabels, labels);
  assertEquals(all.get("Service").spec.selector, labels);
  assertEquals(all.get("PodDisruptionBudget").spec.selector.matchLabels, labels);
  assertEquals(all.get("HorizontalPodAutoscaler").spec.scaleTargetRef.name, "ganglion");
  const claim = pod.volumes[0].persistentVolumeClaim.claimName;
  assertEquals(all.get("PersistentVolumeClaim").metadata.name, claim);
  assertEquals(container.volumeMounts[0].name, pod.volumes[0].name);
  for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
    const { path, port } = container[probe].httpGet;
    assert(OPERATION_ROUTES.some((route) => route.path === path), path);
    assertEquals(port, container.ports[0].name);
  }
  const [{ pods }] = all.get("HorizontalPodAutoscaler").spec.metrics;
  assert(metricNames().has(pods.metric.name));
  const [verb, model, ...args] = container.args;
  assertEquals([verb, model], ["serve", "/models/model.gguf"]);
  const verbOptions = addLoadOptions(addServerOptions(new Command().exitOverride()));
  const options = verbOptions.parse(args, { from: "user" }).opts();
  assertEquals(options.port, container.ports[0].containerPort);
  const limit = byteSize(`${container.resources.limits.memory}B`);
  assert(options.memory <= 0.8 * limit, "requests and Deno itself need memory, too");
  const { seconds } = container.lifecycle.preStop.sleep;
  assert(options.drainTimeout + seconds < pod.terminationGracePeriodSeconds);
  assert(all.get("PodDisruptionBudget").spec.minAvailable < spec.replicas);
});

Deno.test("the manifests of NATS have their structure, and what replicas look for", () => {
  const all = manifests("nats");
  const { metadata, spec } = checked(STATEFUL_SET, all.get("StatefulSet"));
  const service = checked(SERVICE, all.get("Service"));
  assertEquals(all.size, 2);
  const { labels } = spec.template.metadata;
  assertEquals([spec.selector.matchLabels, service.spec.selector], [labels, labels]);
  assertEquals([spec.serviceName, service.metadata.name], [metadata.name, metadata.name]);
  const [container] = spec.template.spec.containers;
  const ports = container.ports.map((port: Loose) => port.name);
  assert(ports.includes(service.spec.ports[0].targetPort));
  assert(ports.includes(container.livenessProbe.httpGet.port));
  assertEquals(container.volumeMounts[0].name, spec.volumeClaimTemplates[0].metadata.name);
  const [store] = container.args.slice(container.args.indexOf("--store_dir") + 1);
  assertEquals(container.volumeMounts[0].mountPath, store);
  for (const { name } of container.env) assert(container.args.includes(`$(${name})`), name);
  // The secret of the one is the other's, and an address in it is where this server is.
  const [replica] = manifests().get("Deployment").spec.template.spec.containers;
  const [queue] = replica.env;
  assertEquals(queue.name, environmentName("--queue"));
  const secrets = [queue, ...container.env].map((each) => each.valueFrom.secretKeyRef);
  for (const { name, key } of secrets) {
    assertEquals(name, secrets[0].name);
    assert(read("kubernetes/nats.yaml").includes(`--from-literal=${key}=`), key);
  }
  assert(read("kubernetes/nats.yaml").includes(`@${service.metadata.name}:4222`));
});

Deno.test("Prometheus' rules and Grafana's board name metrics that the server shows", () => {
  const names = metricNames();
  const rules = checked(RULES, parse(read("prometheus/rules.yml"))).groups
    .flatMap((group: Loose) => group.rules);
  const recorded = new Set(rules.map((rule: Loose) => rule.record));
  const board = JSON.parse(read("grafana/ganglion.json"));
  const queries = [
    ...rules.map((rule: Loose) => rule.expr),
    ...board.panels.flatMap((panel: Loose) => panel.targets.map((target: Loose) => target.expr)),
  ];
  assert(queries.length > 15);
  assert(board.panels.length > 5);
  let count = 0;
  for (const query of queries) {
    for (const [name] of query.matchAll(/ganglion[\w:]+/g)) {
      const family = name.replace(/_bucket$/, "");
      assert(names.has(family) || recorded.has(name), `${name} in ${query}`);
      count++;
    }
  }
  assert(count >= queries.length, `${count} metrics in ${queries.length} queries`);
  assertEquals(new Set(board.panels.map((panel: Loose) => panel.id)).size, board.panels.length);
});
