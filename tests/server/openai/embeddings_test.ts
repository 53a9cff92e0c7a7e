import { assertAlmostEquals, assertEquals } from "@std/assert";
import { post, refused, testApp } from "../http_client.ts";

const PATH = "/v1/embeddings";
const embed = (ids: readonly number[]) => new Float32Array([3, 4, ids.length - 1]);

Deno.test("POST /v1/embeddings takes all forms of input and makes vectors of length 1", async () => {
  const { app } = testApp({ embed });
  for (const input of ["a", ["a"], [97], [[97]]]) {
    const body = await (await post(app, PATH, { input })).json();
    assertEquals(body, {
      object: "list",
      data: [{ object: "embedding", index: 0, embedding: [...new Float32Array([0.6, 0.8, 0])] }],
      model: "scripted",
      usage: { prompt_tokens: 1, total_tokens: 1 },
    });
  }
  const many = await (await post(app, PATH, { input: ["a", "bc"] })).json();
  assertEquals(many.data.map(({ index }: { index: number }) => index), [0, 1]);
  assertEquals(many.usage.prompt_tokens, 3);
});

Deno.test("POST /v1/embeddings shortens vectors, and writes them as base64", async () => {
  const { app } = testApp({ embed });
  const body = await (await post(app, PATH, {
    input: "abc",
    dimensions: 2,
    encoding_format: "base64",
  })).json();
  const bytes = Uint8Array.fromBase64(body.data[0].embedding);
  assertEquals([...new Float32Array(bytes.buffer)], [...new Float32Array([0.6, 0.8])]);
});

Deno.test("POST /v1/embeddings refuses bad input, and models that embed nothing", async () => {
  const { app } = testApp({ embed });
  const bad: [object, string][] = [
    [{}, "input"],
    [{ input: [] }, "input"],
    [{ input: Array(2049).fill("x") }, "input"],
    [{ input: "x", dimensions: 0 }, "dimensions"],
    [{ input: "x", dimensions: 4 }, "dimensions"],
    [{ input: "x", encoding_format: "int8" }, "encoding_format"],
  ];
  for (const [body, param] of bad) assertEquals((await refused(app, PATH, body)).param, param);
  const without = testApp({ embed: null });
  const error = await refused(without.app, PATH, { input: "x" });
  assertEquals([error.param, error.code], ["model", "model_not_supported"]);
});

Deno.test("POST /embed answers TEI's clients: vectors, as long as the model makes them on request", async () => {
  const { app } = testApp({ embed });
  const answer = async (body: object) => await (await post(app, "/embed", body)).json();
  const unit = [...new Float32Array([0.6, 0.8, 0])];
  assertEquals(await answer({ inputs: "a" }), [unit]);
  assertEquals(await answer({ inputs: ["a", "b"], truncate: true }), [unit, unit]);
  assertEquals(await answer({ inputs: ["ab"], normalize: false }), [[3, 4, 1]]);
  assertEquals(await answer({ inputs: [[97]], dimensions: 2 }), [unit.slice(0, 2)]);
  // huggingface_hub's feature_extraction() posts to the address that it is given.
  const sent = { inputs: "a", normalize: true, truncate: null, truncation_direction: null };
  assertEquals(await (await post(app, "/", { ...sent, prompt_name: null })).json(), [unit]);
  assertEquals((await refused(app, "/", {})).param, "inputs");
  assertEquals((await refused(app, "/embed", { input: "a" })).param, "inputs");
  assertEquals(
    (await refused(app, "/embed", { inputs: "a", prompt_name: "x" })).param,
    "prompt_name",
  );
  assertEquals((await refused(app, "/embed_sparse", { inputs: "a" }, 501)).code, "not_supported");
});

Deno.test("/embeddings and /embedding have OpenAI's form of input, and llama.cpp's of content", async () => {
  const { app } = testApp();
  const openai = await (await post(app, "/v1/embeddings", { input: ["ab"] })).json();
  for (const path of ["/embeddings", "/embedding"]) {
    assertEquals(await (await post(app, path, { input: ["ab"] })).json(), openai);
    const native = await post(app, path, { content: ["abc", "é"], embd_normalize: -1 });
    assertEquals(await native.json(), [
      { index: 0, embedding: [[3, 1]] },
      { index: 1, embedding: [[1, 1]] },
    ]);
    const [{ embedding: [[x, y]] }] = await (await post(app, path, { content: "abc" })).json();
    assertAlmostEquals(x * x + y * y, 1, 1e-6);
    assertEquals((await refused(app, path, {})).param, "input");
    assertEquals((await refused(app, path, { input: "a", content: "a" })).param, "content");
    const wrong = await refused(app, path, { content: "a", embd_normalize: 3 });
    assertEquals(wrong.param, "embd_normalize");
  }
});

Deno.test("GET /info tells TEI's clients what a model is", async () => {
  const metadata = { "scripted.pooling_type": 2 };
  const { app } = testApp({ details: { metadata } });
  const info = await (await app.request("/info")).json();
  assertEquals([info.model_id, info.max_input_length, info.max_client_batch_size], [
    ...["scripted", 1_000_000, 2048],
  ]);
  assertEquals([info.model_dtype, info.model_type], ["f32", { embedding: { pooling: "cls" } }]);
  const { app: ranker } = testApp({ rank: () => 0, details: { uses: ["ranking"] } });
  const { model_type: type } = await (await ranker.request("/info")).json();
  assertEquals(Object.keys(type), ["reranker"]);
  assertEquals((await app.request("/info?model=other")).status, 200, "the only one there is");
});
