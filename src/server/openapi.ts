/** `/openapi.json`: the routes as a document, with the schemas that bodies are checked by. */
import { z } from "zod";
import project from "../../deno.json" with { type: "json" };
import { errorFormOf } from "./http_errors.ts";
import type { Route } from "./route.ts";

/** The document of `routes`, OpenAPI 3.1. */
export function openApiDocument(routes: readonly Route[]) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}");
    (paths[path] ??= {})[route.method.toLowerCase()] = operation(route, path);
  }
  return {
    openapi: "3.1.0",
    info: { title: "Ganglion", version: project.version },
    paths,
    components: { schemas: ERROR_SCHEMAS, securitySchemes: SECURITY },
    security: [{}, { key: [] }],
  };
}

const TEXT = { type: "string" };
const TEXT_OR_NULL = { type: ["string", "null"] };

/** What http_errors.ts answers, by the API that is asked. */
const ERROR_SCHEMAS = {
  Error: object({
    error: object({ message: TEXT, type: TEXT, param: TEXT_OR_NULL, code: TEXT_OR_NULL }),
  }),
  AnthropicError: object({
    type: { const: "error" },
    error: object({
      type: TEXT,
      message: TEXT,
      details: object({ error_code: TEXT_OR_NULL, param: TEXT_OR_NULL }),
    }),
    request_id: TEXT,
  }),
  OllamaError: object({ error: TEXT, code: TEXT_OR_NULL }),
};

const ERROR_NAMES = {
  openai: "Error",
  anthropic: "AnthropicError",
  ollama: "OllamaError",
} as const satisfies Record<string, keyof typeof ERROR_SCHEMAS>;

/** Of members that are all there. */
function object(properties: Readonly<Record<string, unknown>>) {
  return { type: "object", properties, required: Object.keys(properties) };
}

const SECURITY = { key: { type: "http", scheme: "bearer" } };

function operation(route: Route, path: string) {
  const { method, summary, stream, answer = "application/json" } = route;
  const whole = { [answer]: {} };
  const parameters = [...pathParameters(path), ...queryParameters(route)];
  const content = contentOf(route);
  const schema = `#/components/schemas/${ERROR_NAMES[errorFormOf(path)]}`;
  const error = { "application/json": { schema: { $ref: schema } } };
  return {
    operationId: `${method.toLowerCase()}${
      path.replace(/[^a-z\d]+(\w?)/gi, (_, c) => c.toUpperCase())
    }`,
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(content !== null && { requestBody: { required: true, content } }),
    responses: {
      200: {
        description: "The answer",
        content: stream === undefined ? whole : { ...whole, [stream]: {} },
      },
      "4XX": { description: "The request is at fault", content: error },
      "5XX": { description: "The server is", content: error },
    },
  };
}

function pathParameters(path: string) {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters({ query }: Route) {
  if (query === undefined) return [];
  const { properties = {} } = schemaOf(query);
  return Object.entries(properties).map(([name, schema]) => ({
    ...{ name, in: "query", required: false, schema },
  }));
}

function contentOf({ body, form }: Route) {
  if (body !== undefined) return { "application/json": { schema: schemaOf(body) } };
  if (form !== undefined) return { "multipart/form-data": { schema: schemaOf(form) } };
  return null;
}

/** What a client may send: before defaults and changes of form. */
function schemaOf(body: z.ZodType) {
  const { $schema: _version, ...schema } = z.toJSONSchema(body, {
    io: "input",
    unrepresentable: "any",
    target: "draft-2020-12",
  });
  return schema;
}
