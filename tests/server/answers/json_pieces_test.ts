import { assert, assertEquals } from "@std/assert";
import {
  jsonInPieces,
  listPieces,
  memberPieces,
  numberPieces,
} from "../../../src/server/answers/json_pieces.ts";
import { appSettings } from "../../../src/server/options.ts";
import { loadedModels } from "../../../src/server/mod.ts";
import { ScriptedModel } from "../../support/scripted_model.ts";
import { post, testApp } from "../http_client.ts";

const settings = appSettings({ models: loadedModels([new ScriptedModel()]), onError: () => {} });

Deno.test("pieces of JSON are the object, whatever is in it", async () => {
  const write = (item: string) => JSON.stringify(item);
  for (const items of [[], ["a"], ['"', "é", ","]]) {
    const pieces = memberPieces("data", listPieces(items, write), { model: "m", n: [1] });
    const response = jsonInPieces(settings, pieces);
    assertEquals(response.headers.get("content-type"), "application/json");
    assertEquals(await response.json(), { data: items, model: "m", n: [1] });
  }
  for (const count of [0, 1, 4096, 4097, 10_000]) {
    const numbers = Array.from({ length: count }, (_, index) => index);
    const pieces = memberPieces("tokens", numberPieces(numbers), {});
    assertEquals(await jsonInPieces(settings, pieces).json(), { tokens: numbers });
  }
});

for (
  const [path, format, fields] of [
    ["/v1/embeddings", "numbers", { input: Array(800).fill("x") }],
    ["/v1/embeddings", "base64", { input: Array(800).fill("x"), encoding_format: "base64" }],
    ["/embed", "numbers", { inputs: Array(800).fill("x"), normalize: false }],
    ["/api/embed", "numbers", { model: "scripted", input: Array(800).fill("x") }],
  ] as const
) {
  Deno.test(`${path} writes thousands of ${format} while others have turns`, async () => {
    const { app } = testApp({ embed: () => new Float32Array(1024).fill(1 / 3) });
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    const response = await post(app, path, fields);
    const reader = response.body!.getReader();
    const before = turns;
    let bytes = 0, parts = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      bytes += part.value.length;
      parts++;
    }
    clearInterval(timer);
    assert(bytes > 3_000_000 && parts > 4, `${bytes} bytes, ${parts} parts`);
    assert(turns - before > 4, `${turns - before} turns`);
  });
}

Deno.test("a client that reads nothing of a long answer is given up", async () => {
  const { app } = testApp({ embed: () => new Float32Array(1024) }, { streamLagMs: 20 });
  const response = await post(app, "/embed", { inputs: Array(800).fill("x"), normalize: false });
  await new Promise((resolve) => setTimeout(resolve, 60));
  const failure = await response.text().then(() => null, String);
  assertEquals(failure, "Error: A client left its answer unread for 20 ms");
});
