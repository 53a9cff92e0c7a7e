/** Who may write into the folder of conversations when; what is in the files is tests/whole's. */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import type { Conversations } from "../../../src/llm/types.ts";
import { loadedModels } from "../../../src/server/mod.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { post, refused, testApp } from "../http_client.ts";

/** Writes as many bytes as it may, at most 60, when it is let. */
class KeepingModel extends ScriptedModel {
  readonly saves: { readonly path: string; readonly bytesMax: number }[] = [];
  readonly begun = Promise.withResolvers<void>();
  gate: Promise<void> = Promise.resolve();
  readonly conversations: Conversations = {
    save: async (ids, file) => {
      this.saves.push(file);
      this.begun.resolve();
      await this.gate;
      await Deno.writeFile(file.path, new Uint8Array(Math.min(60, file.bytesMax)));
      return ids.length;
    },
    restore: () => Promise.resolve(0),
  };
}

async function withApp(
  use: (
    served: ReturnType<typeof testApp> & { readonly keeping: KeepingModel; readonly path: string },
  ) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempDir();
  const keeping = new KeepingModel();
  try {
    const conversations = { path, bytesMax: 100 };
    const served = testApp({}, { models: loadedModels([keeping]), conversations });
    await use({ ...served, keeping, path });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

const save = (app: ReturnType<typeof testApp>["app"], name: string) =>
  post(app, "/conversations/save", { name, prompt: "fox" });

Deno.test("POST /conversations/save has the folder alone, so that two do not take one room", () =>
  withApp(async ({ app, keeping }) => {
    const gate = Promise.withResolvers<void>();
    keeping.gate = gate.promise;
    const first = save(app, "one");
    await keeping.begun.promise;
    const second = await save(app, "two");
    assertEquals([second.status, (await second.json()).error.code], [409, "conversation_busy"]);
    gate.resolve();
    assertEquals((await first).status, 200);
    assertEquals((await save(app, "two")).status, 200);
    assertEquals(keeping.saves.map(({ bytesMax }) => bytesMax), [100, 40]);
  }));

Deno.test("POST /conversations/save refuses images, which are numbers of this process only", () =>
  withApp(async ({ app, keeping }) => {
    const content = [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }];
    const body = { name: "one", messages: [{ role: "user", content }] };
    const { param, message } = await refused(app, "/conversations/save", body);
    assertEquals([param, message.split(":")[0]], [
      "messages",
      "Conversations with images or sounds cannot be kept",
    ]);
    assertEquals(keeping.saves, []);
  }));

Deno.test("DELETE /conversations/NAME is a 409 while it is saved: it would be there again", () =>
  withApp(async ({ app, keeping }) => {
    assertEquals((await save(app, "one")).status, 200);
    assertEquals((await save(app, "other")).status, 200);
    const gate = Promise.withResolvers<void>();
    keeping.gate = gate.promise;
    const again = save(app, "one");
    while (keeping.saves.length < 3) await new Promise((resolve) => setTimeout(resolve));
    const remove = (name: string) => app.request(`/conversations/${name}`, { method: "DELETE" });
    assertEquals((await remove("one")).status, 409);
    assertEquals((await remove("other")).status, 200);
    gate.resolve();
    assertEquals((await again).status, 200);
    assertEquals((await remove("one")).status, 200);
  }));

Deno.test("POST /conversations/save counts files that are being written, and removes old halves", () =>
  withApp(async ({ app, keeping, path }) => {
    const fresh = join(path, "fresh.kv.part");
    const old = join(path, "old.kv.part");
    const foreign = join(path, ".hidden.kv.part");
    for (const file of [fresh, old, foreign]) await Deno.writeFile(file, new Uint8Array(30));
    const long = new Date(Date.now() - 3_600_000);
    for (const file of [old, foreign]) await Deno.utime(file, long, long);
    assertEquals((await save(app, "one")).status, 200);
    assertEquals(keeping.saves[0].bytesMax, 70);
    const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
    assertEquals(names, [".hidden.kv.part", "fresh.kv.part", "one.kv"]);
  }));
