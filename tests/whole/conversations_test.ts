/** Conversations that are saved, and gone on with by a server that was started again. */
import { assert, assertEquals, assertGreater } from "@std/assert";
import { join } from "node:path";
import type { LoadOptions } from "../../src/llm/mod.ts";
import { loadedModels, serve } from "../../src/server/mod.ts";
import { withModel, withTinyFile } from "../support/loaded_model.ts";
import type { TinyModelOptions } from "../support/tiny_model.ts";
import "../support/thread_pool.ts";

interface Served {
  readonly folder: string;
  // deno-lint-ignore no-explicit-any
  call(method: string, path: string, body?: object): Promise<{ status: number; json: any }>;
}

interface Started {
  /** Starts a server with the same model and folder, and stops it when `use` has ended. */
  start(use: (served: Served) => Promise<void>, options?: LoadOptions): Promise<void>;
  readonly folder: string;
}

async function withFolder(
  form: TinyModelOptions,
  use: (started: Started) => Promise<void>,
  bytesMax = 2 ** 30,
): Promise<void> {
  await withTinyFile({ contextLength: 1024, ...form }, async (path) => {
    const root = await Deno.makeTempDir({ prefix: "ganglion-talks-" });
    const folder = join(root, "talks");
    await Deno.mkdir(folder);
    const start: Started["start"] = (use, options = {}) =>
      withModel(path, { threads: 2, parallel: 2, ...options }, async (model) => {
        const conversations = { path: folder, bytesMax };
        const models = loadedModels([model]);
        const server = serve({ port: 0, models, conversations, onError: () => {} });
        const call: Served["call"] = async (method, path, body) => {
          const init = { method, body: body && JSON.stringify(body) };
          const response = await fetch(server.url + path, init);
          return { status: response.status, json: await response.json() };
        };
        try {
          await use({ folder, call });
        } finally {
          await server.shutdown();
        }
      });
    try {
      await use({ start, folder });
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  });
}

const QUESTION = {
  role: "user",
  content: "Tell me of the fox, the moon and the river. ".repeat(4),
};
const settings = { temperature: 0, max_tokens: 40, ignore_eos: true };

for (const architecture of ["llama", "bamboo"] as const) {
  Deno.test(`a conversation is gone on with after a restart: ${architecture}`, () =>
    withFolder({ architecture, type: "Q4_0" }, async ({ start }) => {
      // deno-lint-ignore no-explicit-any
      let messages: any[] = [QUESTION];
      let next: { content: string; cached: number; prompt: number } | null = null;
      const ask = async ({ call }: Served) => {
        const { json } = await call("POST", "/v1/chat/completions", { ...settings, messages });
        const { usage: { prompt_tokens: prompt, prompt_tokens_details: { cached_tokens } } } = json;
        return { content: json.choices[0].message.content, cached: cached_tokens, prompt };
      };
      await start(async (served) => {
        const { content } = await ask(served);
        messages = [...messages, { role: "assistant", content }];
        const saved = await served.call("POST", "/conversations/save", { name: "fox-1", messages });
        assertEquals([saved.status, saved.json.name], [200, "fox-1"]);
        assertGreater(saved.json.tokens, 96);
        const list = await served.call("GET", "/conversations");
        assertEquals(list.json.data, [{
          ...{ object: "conversation", name: "fox-1", bytes: saved.json.bytes },
        }]);
        messages = [...messages, { role: "user", content: "And then?" }];
      });
      await start(async (served) => {
        next = await ask(served);
        assertEquals(next.cached, 0, "nobody has restored it");
      });
      await start(async (served) => {
        const restored = await served.call("POST", "/conversations/restore", { name: "fox-1" });
        assertEquals(restored.status, 200, JSON.stringify(restored.json));
        const { content, cached, prompt } = await ask(served);
        assertEquals([content, prompt], [next!.content, next!.prompt]);
        assertGreater(cached, 0);
        assertGreater(cached, restored.json.tokens - 64);
      });
    }));
}

Deno.test("names of conversations lead nowhere but into the folder", () =>
  withFolder({}, ({ start, folder }) =>
    start(async ({ call }) => {
      await Deno.writeTextFile(join(folder, "..", "outside.kv"), "secret");
      await Deno.symlink(join(folder, "..", "outside.kv"), join(folder, "link.kv"));
      await Deno.mkdir(join(folder, "folder.kv"));
      for (
        const name of ["../outside", "a/b", "a\\b", ".hidden", "", "a\0", "x".repeat(65), "é", 5]
      ) {
        for (const verb of ["save", "restore"]) {
          const { status, json } = await call("POST", `/conversations/${verb}`, {
            ...{ name, prompt: "a" },
          });
          assertEquals([status, json.error.param], [400, "name"], `${name}`);
        }
      }
      for (const name of ["link", "folder", "nobody"]) {
        const { status, json } = await call("POST", "/conversations/restore", { name });
        assertEquals([status, json.error.code], [404, "conversation_not_found"], name);
      }
      for (const path of ["..%2Foutside", "link", "nobody"]) {
        assertEquals((await call("DELETE", `/conversations/${path}`)).status, 404, path);
      }
      assertEquals((await call("GET", "/conversations")).json.data, []);
      assertEquals(await Deno.readTextFile(join(folder, "..", "outside.kv")), "secret");
      const none = await call("POST", "/conversations/save", { name: "x" });
      assertEquals([none.status, none.json.error.param], [400, "messages"]);
    })));

Deno.test("conversations of other models are refused, damaged ones are as good as their rest", () =>
  withFolder({ type: "Q4_0" }, async ({ start, folder }) => {
    const prompt = "fox and moon ".repeat(12);
    const name = "talk";
    await start(async ({ call }) => {
      const { json } = await call("POST", "/conversations/save", { name, prompt });
      assertGreater(json.tokens, 64);
    });
    await start(async ({ call }) => {
      const { status, json } = await call("POST", "/conversations/restore", { name });
      assertEquals([status, json.error.code], [409, "other_model"]);
    }, { threads: 1 });
    const path = join(folder, `${name}.kv`);
    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 100] ^= 1;
    await Deno.writeFile(path, bytes);
    await start(async ({ call }) => {
      const { json } = await call("POST", "/conversations/restore", { name });
      const body = { ...settings, prompt };
      const damaged = await call("POST", "/v1/completions", body);
      const { cached_tokens } = damaged.json.usage.prompt_tokens_details;
      assertEquals(cached_tokens, json.tokens, "all but the last block");
      assertEquals((await call("DELETE", `/conversations/${name}`)).json.deleted, true);
      assertEquals((await call("GET", "/conversations")).json.data, []);
    });
  }));

Deno.test("a conversation for which there is no room is a 507, and the old one stays (fault 35)", () =>
  withFolder({ type: "Q4_0" }, async ({ start, folder }) => {
    await start(async ({ call }) => {
      const save = (name: string, words: number) =>
        call("POST", "/conversations/save", { name, prompt: "fox ".repeat(words) });
      const first = await save("one", 30);
      assertEquals(first.status, 200, JSON.stringify(first.json));
      const before = await Deno.readFile(join(folder, "one.kv"));
      const tooMuch = await save("two", 150);
      assertEquals([tooMuch.status, tooMuch.json.error.code], [507, "no_room"]);
      assertEquals((await save("one", 150)).status, 507);
      // What the disk refuses otherwise is the server's own affair, and costs nobody a file.
      await Deno.mkdir(join(folder, "one.kv.part"));
      const failed = await save("one", 30);
      assertEquals([failed.status, failed.json.error.code], [500, "internal_error"]);
      assert(!failed.json.error.message.includes(folder), "no path of the server's");
      assertEquals(await Deno.readFile(join(folder, "one.kv")), before);
      await Deno.remove(join(folder, "one.kv.part"));
      const names = [...Deno.readDirSync(folder)].map((entry) => entry.name);
      assertEquals(names, ["one.kv"]);
      // Its own old file is in nobody's way.
      assertEquals((await save("one", 30)).status, 200);
    });
  }, 60_000));

Deno.test("a server without a folder for conversations says how to have one", () =>
  withTinyFile({}, (path) =>
    withModel(path, { threads: 1 }, async (model) => {
      const server = serve({ port: 0, models: loadedModels([model]) });
      try {
        const response = await fetch(`${server.url}/conversations`);
        const { error } = await response.json();
        assertEquals([response.status, error.code], [501, "not_enabled"]);
        assert(error.message.includes("--conversations"));
      } finally {
        await server.shutdown();
      }
    })));
