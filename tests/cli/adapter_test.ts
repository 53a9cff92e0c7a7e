import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { adapterChoices, namedAdapters } from "../../src/cli/adapter_options.ts";
import { nmse } from "../support/compare.ts";
import { tinyAdapter } from "../support/tiny_adapter.ts";
import { tinyControlVector } from "../support/tiny_control_vector.ts";
import { tinyModel } from "../support/tiny_model.ts";
import { runCli, startCli, withTinyModel } from "./run_cli.ts";
import { finish, Log } from "./server_process.ts";
import "../support/thread_pool.ts";

Deno.test("--lora takes files, how much of each, and more of them", () => {
  const half = { path: "b.gguf", scale: 0.5 };
  assertEquals(adapterChoices("a.gguf"), [{ path: "a.gguf" }]);
  assertEquals(adapterChoices("a.gguf,b.gguf:0.5"), [{ path: "a.gguf" }, half]);
  assertEquals(adapterChoices("c:-1", [half]), [half, { path: "c", scale: -1 }]);
  assertEquals(adapterChoices("C:\\a.gguf"), [{ path: "C:\\a.gguf" }]);
  for (const text of ["a.gguf:", "a.gguf:x", "a.gguf:1e999"]) {
    assertThrows(() => adapterChoices(text), Error, "such as a.gguf:0.5");
  }
});

Deno.test("--lora takes paths with colons in them: of files that are there, and by their ending", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const [path, other] = [`${folder}/a.gguf:0.5`, `${folder}/b:3`];
    await Deno.writeTextFile(path, "");
    await Deno.writeTextFile(other, "");
    assertEquals(adapterChoices(path), [{ path }]);
    assertEquals(adapterChoices(`${path}:2`), [{ path, scale: 2 }]);
    assertEquals(adapterChoices(other), [{ path: other }]);
    assertEquals(adapterChoices("org:a.gguf"), [{ path: "org:a.gguf" }]);
    assertEquals(adapterChoices("C:a.gguf:0.5"), [{ path: "C:a.gguf", scale: 0.5 }]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Logits as the command line writes them. */
async function logits(out: string, args: string[], env = {}): Promise<Float32Array> {
  const fixed = ["--tokens", "1,17,300", "--threads", "1", "--out", out];
  const { code, stderr } = await runCli(["logits", ...args, ...fixed], { env });
  assertEquals(code, 0, stderr);
  return new Float32Array((await Deno.readFile(out)).buffer);
}

Deno.test("logits, show and quantize know --lora and its variable; each file what it is", () =>
  withTinyModel(async (path, folder) => {
    const lora = `${folder}/lora.gguf`;
    const [out, merged] = [`${folder}/out.f32`, `${folder}/merged.gguf`];
    await Deno.writeFile(lora, tinyAdapter(tinyModel(), { rank: 3, alpha: 6 }));
    const changed = await logits(out, [path], { GANGLION_LORA: `${lora}:0.5` });
    const plain = await logits(out, [path, "--exact"]);
    assertNotEquals(changed, plain);
    const exact = await logits(out, [path, "--exact", "--lora", `${lora}:0.5`]);
    assert(nmse(changed, exact) < 1e-9);
    const made = await runCli(["quantize", path, merged, "--type", "F32", "--lora", `${lora}:0.5`]);
    assertEquals(made.code, 0, made.stderr);
    assert(nmse(await logits(out, [merged, "--exact"]), exact) < 1e-12);
    const shown = JSON.parse((await runCli(["show", lora, "--json"])).stdout);
    const { kind, arch, alpha, ranks, tensors } = shown;
    assertEquals([kind, arch, alpha, ranks, tensors], ["lora", "llama", 6, [3], 14]);
    const { code, stderr } = await runCli(["run", lora, "hello"]);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "it is an adapter");
    assertStringIncludes(stderr, "--lora");
    const swapped = await runCli(["plan", path, "--lora", path]);
    assertEquals(swapped.code, 1);
    assertStringIncludes(swapped.stderr, "it is a model");
  }));

Deno.test("logits and show know control vectors, by llama.cpp's names as well", () =>
  withTinyModel(async (path, folder) => {
    const vector = `${folder}/vector.gguf`;
    const out = `${folder}/out.f32`;
    await Deno.writeFile(vector, tinyControlVector(tinyModel({ blockCount: 2 })));
    const plain = await logits(out, [path]);
    const half = await logits(out, [path, "--control-vector", `${vector}:0.5`]);
    const exact = await logits(out, [path, "--exact", "--control-vector", `${vector}:0.5`]);
    assert(nmse(half, exact) < 1e-9);
    assert(nmse(plain, exact) > 1e-4);
    assertEquals(await logits(out, [path, "--control-vector-scaled", `${vector}:0.5`]), half);
    assertEquals(await logits(out, [path], { GANGLION_CONTROL_VECTOR: `${vector}:0.5` }), half);
    const twice = ["--control-vector", vector, "--control-vector-scaled", `${vector}:-0.5`];
    assertEquals(await logits(out, [path, ...twice]), half);
    const beside = ["--control-vector", vector, "--control-vector-layers", "2-9"];
    assertEquals(await logits(out, [path, ...beside]), plain);
    const wrong = [
      [2, [path, "--control-vector-layers", "3-2"], "such as 10-20"],
      [2, [path, "--control-vector-layer-range", "1", "2"], "--control-vector-layers 10-20"],
      [1, [path, "--control-vector", path], 'it is of the kind "llama"'],
      [1, [vector], "it is a control vector"],
    ] as const;
    for (const [code, args, says] of wrong) {
      const told = await runCli(["run", ...args, "--max-tokens", "1"]);
      assertEquals(told.code, code, told.stderr);
      assertStringIncludes(told.stderr, says);
    }
  }));

Deno.test("show tells of a control vector, and of a model with one what it tells of the model", () =>
  withTinyModel(async (path, folder) => {
    const vector = `${folder}/vector.gguf`;
    await Deno.writeFile(vector, tinyControlVector(tinyModel({ blockCount: 2 })));
    const shown = JSON.parse((await runCli(["show", vector, "--json"])).stdout);
    const { kind, model_hint, embedding_length, layers } = shown;
    assertEquals([kind, model_hint, embedding_length, layers], ["controlvector", "llama", 64, [1]]);
    assertStringIncludes((await runCli(["show", vector])).stdout, "use it with --control-vector");
    const own = async (more: string[]) => {
      const report = JSON.parse((await runCli(["show", path, "--json", ...more])).stdout);
      return [report.parameters, report.tensor_types];
    };
    assertEquals(await own(["--control-vector", vector]), await own([]));
    for (const flag of ["--control-vector", "--control-vector-scaled"]) {
      const several = await runCli(["serve", path, path, flag, vector]);
      assertEquals(several.code, 2);
      assertStringIncludes(several.stderr, "--control-vector with several models");
    }
    const nothing = await runCli(["run", vector, "--control-vector", vector]);
    assertEquals(nothing.code, 1);
    assertStringIncludes(nothing.stderr, "Cannot run this file: it is a control vector");
  }));

Deno.test("--lora-model takes names and files, and nothing without both", () => {
  const poet = { id: "poet", adapter: { path: "a=b.gguf", scale: 0.8 } };
  assertEquals(namedAdapters("poet=a=b.gguf:0.8"), [poet]);
  assertEquals(namedAdapters("x=y", [poet]), [poet, { id: "x", adapter: { path: "y" } }]);
  for (const text of ["poet", "=a.gguf", "poet=", "dir/poet=a.gguf"]) {
    assertThrows(() => namedAdapters(text), Error, "such as poet=poet.gguf");
  }
});

async function replyTo(url: string, body: unknown) {
  const reply = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  return { status: reply.status, ...await reply.json() };
}

/** Has all requests of "tiny" answered with its first adapter: returns one's text. */
async function changeForAll(url: string): Promise<string> {
  const refusal = async (route: string, body: unknown) => {
    const { status, error } = await replyTo(`${url}/${route}`, body);
    assertEquals(status, 400, JSON.stringify(error));
    return error.message;
  };
  // What could not lie beside the weights cannot be taken out, or in.
  const lora = [{ id: 7, scale: 1 }];
  const asked = { prompt: [1, 17, 300], max_tokens: 8, temperature: 0 };
  const out = await refusal("v1/completions", { ...asked, model: "table", lora });
  assertStringIncludes(out, 'ask for "tiny", which is without it');
  assertStringIncludes(
    await refusal("v1/completions", { ...asked, model: "tiny", lora }),
    '"table" is a model of its own with its adapter, because "token_embd.weight"',
  );
  assertStringIncludes(await refusal("lora-adapters?model=poet", []), "its name says that");
  const set = await replyTo(`${url}/lora-adapters`, [{ id: 0, scale: 1 }]);
  assertEquals(set, { status: 200, success: true });
  return (await replyTo(`${url}/v1/completions`, asked)).choices[0].text;
}

Deno.test("serve has the same model with other adapters under other names", () =>
  withTinyModel(async (path, folder) => {
    const lora = `${folder}/lora.gguf`;
    await Deno.writeFile(lora, tinyAdapter(tinyModel(), { alpha: 32 }));
    const table = `${folder}/table.gguf`;
    await Deno.writeFile(table, tinyAdapter(tinyModel(), { targets: /token_embd/ }));
    const named = `poet=${lora},same=${lora}:0,table=${table}:0`;
    const more = ["--lora-model", named, "--port", "0", "--threads", "1"];
    const child = startCli(["serve", path, ...more]);
    await child.stdin.close();
    const log = new Log(child.stderr);
    await log.match(/table is loaded as a model of its own \(--lora-model\): .*token_embd.weight/);
    const [, url] = await log.match(
      /Serving tiny, poet, same, table at (http:\/\/127\.0\.0\.1:\d+)/,
    );
    const asked = [["tiny"], ["poet"], ["same"], ["same", 1], ["tiny", 1], ["table"]] as const;
    const answers = await Promise.all(asked.map(async ([model, scale]) => {
      const some = scale === undefined ? {} : { lora: [{ id: 0, scale }] };
      const body = { model, prompt: [1, 17, 300], max_tokens: 8, temperature: 0, ...some };
      const headers = { "content-type": "application/json" };
      const reply = await fetch(`${url}/v1/completions`, {
        ...{ method: "POST", headers, body: JSON.stringify(body) },
      });
      const { choices, error } = await reply.json();
      assertEquals([reply.status, error], [200, undefined]);
      return choices[0].text;
    }));
    const told = await Promise.all(
      ["lora-adapters?model=same", "lora-adapters", "slots?model=poet"].map(async (route) =>
        await (await fetch(`${url}/${route}`)).json()
      ),
    );
    const both = [0, 1].map((id) => ({ id, path: "lora.gguf", scale: 0 }));
    assertEquals(told.slice(0, 2), [both, both]);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    const bytesOf = (model: string) =>
      Number(RegExp(`ganglion_model_bytes{model="${model}"} (\\d+)`).exec(metrics)?.[1]);
    assertEquals([bytesOf("poet"), bytesOf("same")], [0, 0], "they have no weights of their own");
    assert(bytesOf("tiny") > 0 && bytesOf("table") > 0, metrics);
    assert(told[2].length >= 1 && !told[2][0].is_processing, JSON.stringify(told[2]));
    const read = await fetch(`${url}/completion`, {
      ...{ method: "POST", body: '{"prompt": [1, 17, 301], "n_predict": 0, "n_probs": 2}' },
    });
    const { tokens_predicted: predicted, tokens_evaluated: evaluated } = await read.json();
    assertEquals([read.status, predicted, evaluated], [200, 0, 3]);
    const afterwards = await changeForAll(url);
    child.kill("SIGINT");
    assertEquals((await finish(child, log)).code, 0);
    const [own, poet, ...others] = answers;
    assertNotEquals(poet, own);
    assertEquals(others, [own, poet, poet, own]);
    assertEquals(afterwards, poet);
  }));
