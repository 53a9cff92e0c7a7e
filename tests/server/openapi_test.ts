import { assert, assertEquals } from "@std/assert";
import { testApp } from "./http_client.ts";

// deno-lint-ignore no-explicit-any
async function document(): Promise<any> {
  return await (await testApp().app.request("/openapi.json")).json();
}

Deno.test("/openapi.json has every route of the application", async () => {
  const { paths, openapi } = await document();
  assertEquals(openapi, "3.1.0");
  const documented = new Set(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`)
    ),
  );
  const served = testApp().app.routes
    .filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => `${method} ${path.replace(/:(\w+)(\{[^}]*\})?/g, "{$1}")}`);
  assert(served.length >= 20);
  assertEquals(served.filter((route) => !documented.has(route)), []);
});

Deno.test("/openapi.json describes bodies by the schemas that they are checked by", async () => {
  const { paths } = await document();
  const schemaOf = (path: string) =>
    paths[path].post.requestBody.content["application/json"].schema;
  const chat = schemaOf("/v1/chat/completions");
  assertEquals(chat.required, ["messages"]);
  for (const name of ["tools", "tool_choice", "response_format", "logprobs", "n", "seed", "stop"]) {
    assert(name in chat.properties, name);
  }
  assertEquals(chat.properties.messages.items.required, ["role"]);
  assertEquals(schemaOf("/v1/completions").properties.prompt.anyOf.length, 4);
  assertEquals(schemaOf("/api/chat").properties.options.anyOf[0].type, "object");
  assertEquals(paths["/v1/chat/completions"].post.responses[200].content["text/event-stream"], {});
});

Deno.test("/openapi.json describes errors by the API that is asked, as they are answered", async () => {
  const { app } = testApp();
  const { paths, components } = await document();
  const asked = { "/v1/embeddings": "Error", "/v1/messages": "AnthropicError" };
  for (const [path, name] of Object.entries({ ...asked, "/api/chat": "OllamaError" })) {
    const { schema } = paths[path].post.responses["4XX"].content["application/json"];
    assertEquals(schema.$ref, `#/components/schemas/${name}`);
    const headers = { "content-type": "application/json" };
    const answer = await app.request(path, { method: "POST", body: '{"model": 3}', headers });
    assertEquals(answer.status, 400);
    const told = Object.keys(await answer.json()).sort();
    assertEquals(told, [...components.schemas[name].required].sort());
  }
});
