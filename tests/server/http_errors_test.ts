import { assertEquals, assertMatch } from "@std/assert";
import { Hono } from "hono";
import { RequestError } from "../../src/base/errors.ts";
import { requestIds, type ServerEnv } from "../../src/server/guards.ts";
import { errorResponse, toRequestError } from "../../src/server/http_errors.ts";

/** What a request for `path` hears of `error`. */
async function heard(error: RequestError, path: string, headers: HeadersInit = {}) {
  const app = new Hono<ServerEnv>();
  app.use(requestIds());
  app.all("*", (c) => errorResponse(error, c));
  return await app.request(path, { headers });
}

Deno.test("errorResponse() is OpenAI's error object, with whole seconds to wait", async () => {
  const error = new RequestError("busy\ud800", {
    status: 503,
    code: "queue_full",
    param: "p",
    retryAfterSeconds: 0.2,
  });
  const response = await heard(error, "/v1/x");
  assertEquals([response.status, response.headers.get("retry-after")], [503, "1"]);
  assertEquals(await response.json(), {
    error: { message: "busy\ufffd", type: "server_error", param: "p", code: "queue_full" },
  });
});

Deno.test("errorResponse() closes the connection after a body that was not read", async () => {
  const of = async (status: number) =>
    (await heard(new RequestError("x", { status }), "/")).headers.get("connection");
  assertEquals([await of(413), await of(408), await of(400)], ["close", "close", null]);
});

Deno.test("errorResponse() is a text under Ollama's paths, and only there", async () => {
  const error = new RequestError("busy\ud800", { status: 503, code: "queue_full" });
  const of = async (path: string) => (await (await heard(error, path)).json()).error;
  for (const path of ["/api", "/api/chat", "/api/nothing"]) {
    assertEquals(await of(path), "busy\ufffd");
  }
  for (const path of ["/", "/apis", "/v1/api/x"]) assertEquals((await of(path)).code, "queue_full");
});

Deno.test("errorResponse() is Anthropic's error object on its paths, and to its clients", async () => {
  const version = { "anthropic-version": "2023-06-01" };
  const error = new RequestError("busy\ud800", { status: 503, code: "queue_full", param: "p" });
  const asked = [["/v1/messages"], ["/v1/messages/x"], ["/v1/models", version], ["/", version]];
  for (const [path, headers] of asked as [string, HeadersInit?][]) {
    const response = await heard(error, path, headers);
    const { request_id: id, ...body } = await response.json();
    assertEquals([response.status, response.headers.get("request-id")], [503, id]);
    assertMatch(id, /^req_/);
    const details = { error_code: "queue_full", param: "p" };
    const inside = { type: "overloaded_error", message: "busy\ufffd", details };
    assertEquals(body, { type: "error", error: inside });
  }
  for (const [path, headers] of [["/v1/message"], ["/api/chat", version]] as const) {
    const response = await heard(error, path, headers);
    assertEquals([(await response.json()).type, response.headers.get("request-id")], [
      ...[undefined, null],
    ]);
  }
});

Deno.test("errors have Anthropic's types by their statuses, and its words for long prompts", async () => {
  const of = async (status: number, more: object = {}) =>
    (await (await heard(new RequestError("x", { status, ...more }), "/v1/messages")).json()).error;
  const types = { 400: "invalid_request_error", 401: "authentication_error" } as const;
  const all: Record<number, string> = {
    ...{ ...types, 403: "permission_error", 404: "not_found_error", 405: types[400] },
    ...{ 408: types[400], 413: "request_too_large", 429: "rate_limit_error", 500: "api_error" },
    ...{ 501: "api_error", 503: "overloaded_error", 504: "timeout_error", 507: "api_error" },
  };
  for (const [status, type] of Object.entries(all)) {
    assertEquals((await of(Number(status))).type, type, status);
  }
  const code = "context_length_exceeded";
  assertEquals((await of(400, { code })).message, "prompt is too long: x");
  const tokens = { count: 12, max: 10 };
  const long = await of(400, { code, tokens });
  assertEquals(long.message, "prompt is too long: 12 tokens > 10 maximum: x");
});

Deno.test("toRequestError() keeps refusals and hides everything else", () => {
  const refusal = new RequestError("no", { status: 418 });
  assertEquals(toRequestError(refusal), refusal);
  for (const thrown of [new Error("secret"), "secret", null, { status: 400 }]) {
    const error = toRequestError(thrown);
    assertEquals([error.status, error.code], [500, "internal_error"]);
    assertEquals(error.message.includes("secret"), false);
  }
});
