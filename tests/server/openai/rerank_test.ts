import { assertEquals, assertStringIncludes } from "@std/assert";
import type { EmbedOptions } from "../../../src/llm/types.ts";
import { post, refused, testApp } from "../http_client.ts";

const PATH = "/v1/rerank";
/** A text is the better the shorter it is. */
const rank = (pair: string) => -pair.split("|")[1].length;
const documents = ["ccc", "a", "bb"];

Deno.test("POST /v1/rerank gives the texts' scores, the best first, on each of its paths", async () => {
  const { app } = testApp({ rank });
  for (const path of [PATH, "/rerank", "/v1/reranking", "/reranking"]) {
    const body = await (await post(app, path, { query: "q", documents })).json();
    assertEquals(body, {
      model: "scripted",
      object: "list",
      // "q|ccc", "q|a", "q|bb"
      usage: { prompt_tokens: 12, total_tokens: 12 },
      results: [
        { index: 1, relevance_score: -1 },
        { index: 2, relevance_score: -2 },
        { index: 0, relevance_score: -3 },
      ],
    });
  }
});

Deno.test("POST /v1/rerank gives as many as are asked for, with their texts on request", async () => {
  const { app } = testApp({ rank });
  const results = async (more: object) => {
    const texts = ["ccc", { text: "a" }, "b"];
    return (await (await post(app, PATH, { query: "q", documents: texts, ...more })).json())
      .results;
  };
  // Equals keep their order.
  assertEquals(await results({ top_n: 2, return_documents: true }), [
    { index: 1, relevance_score: -1, document: { text: "a" } },
    { index: 2, relevance_score: -1, document: { text: "b" } },
  ]);
  assertEquals((await results({ top_n: 100, return_documents: false })).length, 3);
  assertEquals((await results({ top_n: null }))[0], { index: 1, relevance_score: -1 });
});

Deno.test("POST /rerank answers TEI's clients in their form, with scores between 0 and 1", async () => {
  const ask = { query: "q", texts: documents, truncate: true, truncation_direction: "Right" };
  const answer = async (more: object, details = {}) => {
    const { app } = testApp({ rank, details });
    const response = await post(app, "/rerank", { ...ask, ...more });
    assertEquals([response.status, response.headers.get("x-ignored-fields")], [200, null]);
    return await response.json();
  };
  const raw = [{ index: 1, score: -1 }, { index: 2, score: -2 }, { index: 0, score: -3 }];
  assertEquals(await answer({ raw_scores: true }), raw);
  assertEquals(await answer({}, { scoresAreShares: true }), raw);
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const texts = ["a", "bb", "ccc"];
  assertEquals(
    await answer({ return_text: true }),
    raw.map(({ index, score }, at) => ({ index, score: sigmoid(score), text: texts[at] })),
  );
  const { param } = await refused(testApp({ rank }).app, "/rerank", { ...ask, documents });
  assertEquals(param, "texts");
});

Deno.test("POST /v1/rerank asks with the client's priority, and makes texts well-formed", async () => {
  const seen: [string, EmbedOptions | undefined][] = [];
  const { app } = testApp({ rank: (pair, options) => (seen.push([pair, options]), 0) });
  await post(app, PATH, { query: "q\ud800", documents: ["\udc00"], priority: 7 });
  const [[pair, options]] = seen;
  assertEquals([pair, options?.priority], ["q\ufffd|\ufffd", -7]);
  assertEquals(options?.signal instanceof AbortSignal, true);
});

Deno.test("POST /v1/rerank refuses bad input, and models that score nothing", async () => {
  const { app } = testApp({ rank });
  const bad: [object, string][] = [
    [{ documents }, "query"],
    [{ query: "", documents }, "query"],
    [{ query: 7, documents }, "query"],
    [{ query: "q" }, "documents"],
    [{ query: "q", documents: [] }, "documents"],
    [{ query: "q", documents: "a" }, "documents"],
    [{ query: "q", documents: Array(2049).fill("x") }, "documents"],
    [{ query: "q", documents: ["a", 7] }, "documents"],
    [{ query: "q", documents: [{ image: "a" }] }, "documents"],
    [{ query: "q", documents, top_n: 0 }, "top_n"],
    [{ query: "q", documents, return_documents: 1 }, "return_documents"],
  ];
  for (const [body, param] of bad) {
    const error = await refused(app, PATH, body);
    assertEquals(error.param?.split(/[.[]/)[0], param, JSON.stringify(body).slice(0, 80));
  }
  const { message } = await refused(app, PATH, { query: "q", documents: ["a", 7] });
  assertStringIncludes(message, "expected a string, or an object with a text");
  const error = await refused(testApp().app, PATH, { query: "q", documents });
  assertEquals([error.param, error.code], ["model", "model_not_supported"]);
});

Deno.test("POST /v1/rerank refuses a query that its documents would multiply", async () => {
  // That scores nothing: nobody waits for eight million characters to be read.
  const { app } = testApp();
  const ask = { query: "q".repeat(2 ** 13), documents: Array(1024).fill("") };
  assertEquals((await refused(app, PATH, ask)).param, "model");
  const error = await refused(app, PATH, { ...ask, documents: Array(1025).fill("") });
  assertEquals(error.param, "query");
  assertStringIncludes(error.message, "with 1025 documents it has at most 8184 characters");
});
