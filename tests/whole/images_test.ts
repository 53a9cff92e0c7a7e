/** The whole path of images: a model and its projector on their threads, files in, answers out. */
import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { RequestError } from "../../src/base/errors.ts";
import type { ChatMessage } from "../../src/llm/types.ts";
import { type LoadedModel, loadModel, type LoadOptions } from "../../src/llm/mod.ts";
import { loadedModels, serve } from "../../src/server/mod.ts";
import { withTinyFile } from "../support/loaded_model.ts";
import { writePng } from "../support/png_writer.ts";
import { tinyVision, type TinyVisionOptions } from "../support/tiny_vision.ts";
import "../support/thread_pool.ts";

/** An image that is told from others by its number. */
function imageFile(number: number, side = 40): Uint8Array<ArrayBuffer> {
  const sample = (x: number, y: number, channel: number) =>
    (x * 5 + y * 3 * number + channel * 60 + number * 40) % 256;
  return writePng({ width: side, height: side + number, bits: 8, type: 2, sample });
}

function asking(...files: readonly Uint8Array[]): ChatMessage[] {
  const images = files.map((file) => ({ at: 3, file }));
  return [{ role: "user", content: "Is it a cat?", images }];
}

/** What the model says of images, greedily, and how sure it is. */
async function answerTo(model: LoadedModel, messages: ChatMessage[], signal?: AbortSignal) {
  const seen = await model.lookAt!(messages, { signal });
  const ids = model.encodeChat(messages, { images: seen });
  const sampling = { temperature: 0 };
  const { given } = seen;
  const asked = { ids, given, sampling, maxTokens: 4, ignoreEnd: true, logprobs: 1, signal };
  const generation = model.generate(asked);
  let answer = "";
  for await (const { logprobs = [] } of generation) {
    for (const { id, logprob } of logprobs) answer += `${id} ${logprob.toFixed(3)} `;
  }
  await generation.result;
  return answer;
}

async function withSeeing(
  use: (model: LoadedModel) => Promise<void>,
  made: TinyVisionOptions = {},
  options: LoadOptions = {},
): Promise<void> {
  await withTinyFile({ architecture: "gemma3" }, async (path) => {
    const projectorPath = path.replace(".gguf", "-eyes.gguf");
    await Deno.writeFile(projectorPath, tinyVision(made));
    try {
      const model = await loadModel(path, { threads: 2, projectorPath, ...options });
      try {
        await use(model);
      } finally {
        await model.close();
      }
    } finally {
      await Deno.remove(projectorPath);
    }
  });
}

Deno.test("answers depend on images, and are the same one by one and all at once", async () => {
  await withSeeing(async (model) => {
    const asked = [1, 2, 3, 4].map((number) => asking(imageFile(number)));
    const alone: string[] = [];
    for (const messages of asked) alone.push(await answerTo(model, messages));
    assert(new Set(alone).size > 1, `${alone}`);
    // A file that was seen has the same ids again, another one has others.
    const [first, second] = [await model.lookAt!(asked[0]), await model.lookAt!(asked[1])];
    assertEquals(await model.lookAt!(asked[0]), first);
    assertNotEquals(first.ids, second.ids);
    await withSeeing(async (fresh) => {
      const together = await Promise.all(asked.map((messages) => answerTo(fresh, messages)));
      assertEquals(together, alone);
    });
  });
});

Deno.test("who goes away while a model looks is let go, and the next one is served", async () => {
  await withSeeing(async (model) => {
    const expected = await answerTo(model, asking(imageFile(1)));
    const gone = new Error("gone");
    for (const afterMs of [0, 1, 5, 20]) {
      const stop = new AbortController();
      const waiting = answerTo(model, asking(imageFile(2, 200 + afterMs)), stop.signal);
      setTimeout(() => stop.abort(gone), afterMs);
      const outcome = await waiting.catch((error) => error);
      // Who waits a little has been seen already: an answer that is cut short is one.
      assert(outcome === gone || afterMs > 0 && typeof outcome === "string", `${outcome}`);
    }
    assertEquals(await answerTo(model, asking(imageFile(1))), expected);
  });
});

Deno.test("files that are no images are refused, and the next one is looked at", async () => {
  await withSeeing(async (model) => {
    const sound = imageFile(1);
    const files = [
      new Uint8Array(),
      sound.subarray(0, 60),
      sound.with(20, 0xff),
      new Uint8Array(99),
    ];
    for (const file of files) {
      const error = await assertRejects(() => model.lookAt!(asking(sound, file)), RequestError);
      assertEquals([error.status, error.param], [400, "messages"]);
    }
    assertEquals((await model.lookAt!(asking(sound))).ids.length, 1);
  });
});

Deno.test("a model that is closed while it looks says so, and holds nothing up", async () => {
  for (const afterMs of [0, 2, 30]) {
    await withSeeing(async (model) => {
      const files = [1, 2, 3].map((number) => imageFile(number, 150));
      const looks = files.map((file) => answerTo(model, asking(file)).catch((error) => error));
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await model.close();
      for (const outcome of await Promise.all(looks)) {
        assert(typeof outcome === "string" || outcome instanceof Error);
      }
      await assertRejects(() => model.lookAt!(asking(imageFile(9))), Error, "closed");
    });
  }
});

Deno.test("images over HTTP: looked at once, refused where they are none", async () => {
  await withSeeing(async (model) => {
    const served = loadedModels([model]);
    const models = { ...served, acquire: () => served.acquire(undefined) };
    const server = serve({ port: 0, models });
    const ask = async (url: string, stream = false) => {
      const content = [{ type: "text", text: "Is " }, { type: "image_url", image_url: { url } }];
      const messages = [{ role: "user", content }];
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        method: "POST",
        body: JSON.stringify({ messages, max_tokens: 4, temperature: 0, stream }),
      });
      return { status: response.status, text: await response.text() };
    };
    try {
      const url = `data:image/png;base64,${imageFile(1).toBase64()}`;
      const answers = await Promise.all([ask(url), ask(url), ask(url)]);
      const texts = answers.map(({ status, text }) => {
        assertEquals(status, 200, text);
        return JSON.parse(text).choices[0].message.content;
      });
      assertEquals(new Set(texts).size, 1);
      for (const stream of [false, true]) {
        const { status, text } = await ask("data:image/png;base64,AAAA", stream);
        assertEquals([status, JSON.parse(text).error.code], [400, "invalid_image"]);
      }
    } finally {
      await server.shutdown();
    }
  });
});
