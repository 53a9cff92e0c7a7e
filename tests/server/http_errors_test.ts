import { assertEquals } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import { errorResponse, toRequestError } from "../../src/server/http_errors.ts";

Deno.test("errorResponse() is OpenAI's error object, with whole seconds to wait", async () => {
  const error = new RequestError("busy\ud800", {
    status: 503,
    code: "queue_full",
    param: "p",
    retryAfterSeconds: 0.2,
  });
  const response = errorResponse(error, "/v1/x");
  assertEquals([response.status, response.headers.get("retry-after")], [503, "1"]);
  assertEquals(await response.json(), {
    error: { message: "busy\ufffd", type: "server_error", param: "p", code: "queue_full" },
  });
});

Deno.test("errorResponse() closes the connection after a body that was not read", () => {
  const of = (status: number) =>
    errorResponse(new RequestError("x", { status }), "/").headers.get("connection");
  assertEquals([of(413), of(408), of(400)], ["close", "close", null]);
});

Deno.test("errorResponse() is a text under Ollama's paths, and only there", async () => {
  const error = new RequestError("busy\ud800", { status: 503, code: "queue_full" });
  const of = async (path: string) => (await errorResponse(error, path).json()).error;
  for (const path of ["/api", "/api/chat", "/api/nothing"]) {
    assertEquals(await of(path), "busy\ufffd");
  }
  for (const path of ["/", "/apis", "/v1/api/x"]) assertEquals((await of(path)).code, "queue_full");
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
