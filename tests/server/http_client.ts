/** What the server's tests share: an app around a scripted model, and requests to it. */
import { assertEquals } from "@std/assert";
import {
  type AppOptions,
  createApp,
  loadedModels,
  type RunningServer,
  serve,
  type ServeOptions,
} from "../../src/server/mod.ts";
import { ScriptedModel, type ScriptedModelOptions } from "../support/scripted_model.ts";

/** An application around a scripted model, and the failures it reported. */
export function testApp(script: ScriptedModelOptions = {}, options: Partial<AppOptions> = {}) {
  const model = new ScriptedModel(script);
  const errors: unknown[] = [];
  const app = createApp({
    models: loadedModels([model]),
    onError: (error) => errors.push(error),
    ...options,
  });
  return { app, model, errors };
}

type App = ReturnType<typeof createApp>;

/** Posts `body` as JSON, or as it is when it is a string. */
export async function post(
  app: App,
  path: string,
  body: unknown,
  init: RequestInit = {},
): Promise<Response> {
  return await app.request(path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
  });
}

export const CHAT = "/v1/chat/completions";
export const TEXT = "/v1/completions";

/** A conversation of one user message. */
export const hello = { messages: [{ role: "user", content: "Hi" }] };

/** Posts a chat that must be refused; returns the error object. */
export async function refused(app: App, path: string, body: unknown, status = 400) {
  const response = await post(app, path, body);
  const { error } = await response.json();
  assertEquals(response.status, status, JSON.stringify(error));
  assertEquals(Object.keys(error), ["message", "type", "param", "code"]);
  return error as { message: string; type: string; param: string | null; code: string | null };
}

/** The data of each event of a stream; "[DONE]" as it is, everything else parsed. */
// deno-lint-ignore no-explicit-any
export async function readEvents(response: Response): Promise<any[]> {
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const blocks = (await response.text()).split("\n\n");
  assertEquals(blocks.pop(), "");
  return blocks.filter((block) => !block.startsWith(":")).map((block) => {
    assertEquals(block.slice(0, 6), "data: ");
    const data = block.slice(6);
    return data === "[DONE]" ? data : JSON.parse(data);
  });
}

/** Runs `use` against a real server on a free loopback port. */
export async function withServer(
  script: ScriptedModelOptions,
  use: (context: { server: RunningServer; model: ScriptedModel }) => Promise<void>,
  options: Partial<AppOptions> & Pick<ServeOptions, "drainMs" | "tls"> = {},
): Promise<void> {
  const model = new ScriptedModel(script);
  const server = serve({ models: loadedModels([model]), onError: () => {}, port: 0, ...options });
  try {
    await use({ server, model });
  } finally {
    await Promise.all([server.shutdown(), server.shutdown()]);
  }
}
