import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { openGguf, text, writeGguf } from "../../src/gguf/mod.ts";
import { runCli, withTinyModel } from "./run_cli.ts";

Deno.test("quantize writes a file that --json measures and show understands", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/out.gguf`;
    const { code, stdout, said } = await runCli([
      "quantize",
      path,
      out,
      "--type",
      "q8_0",
      "--json",
    ]);
    assertEquals([code, said], [0, ""]);
    assertEquals(JSON.parse(stdout), { bytes: (await Deno.stat(out)).size });
    const shown = JSON.parse((await runCli(["show", out, "--json"])).stdout);
    assertEquals(shown.quant, "Q8_0");
  }, { type: "F16" }));

Deno.test("quantize tells once per kind what does not divide into blocks", () =>
  withTinyModel(async (path, folder) => {
    const args = ["quantize", path, `${folder}/out.gguf`, "--type", "Q4_K"];
    const { code, stdout, said } = await runCli(args);
    assertEquals(code, 0);
    assertStringIncludes(stdout, `${folder}/out.gguf: `);
    const lines = said.trim().split("\n");
    assertEquals(lines.length, 2, said);
    assertStringIncludes(said, "blk.0.ffn_down.weight and 1 more: Q5_0 instead of Q4_K");
    const typeOf = () => openGguf(`${folder}/out.gguf`).tensors.get("output.weight")?.type;
    assertEquals(typeOf(), "Q5_0");
    assertEquals((await runCli([...args, "--output-type", "q8_0"])).code, 0);
    assertEquals(typeOf(), "Q8_0");
  }));

Deno.test("quantize --imatrix weighs what the file knows, and names what it does not", () =>
  withTinyModel(async (path, folder) => {
    const file = `${folder}/imatrix.gguf`;
    const [model, width] = [openGguf(path), 64];
    const known = [...model.tensors.values()].filter(({ name, dims }) => {
      return dims.length > 1 && dims[0] === width && name !== "output.weight";
    });
    const floats = (name: string, count: number, of: (i: number) => number) => {
      const bytes = new Uint8Array(Float32Array.from({ length: count }, (_, i) => of(i)).buffer);
      return { name, type: "F32", dims: [count, 1], pieces: () => [bytes] };
    };
    const tensors = known.flatMap(({ name }) => [
      floats(`${name}.in_sum2`, width, (i) => 1 + i % 7),
      floats(`${name}.counts`, 1, () => 5),
    ]);
    const entry = text("imatrix");
    await writeGguf(file, { metadata: [["general.type", entry]], tensors });
    const args = ["quantize", path, `${folder}/out.gguf`, "--type", "Q4_1", "--imatrix", file];
    const { code, said, stderr } = await runCli(args);
    assertEquals(code, 0, stderr);
    assertStringIncludes(said, "the importance matrix does not have it");
    assert(!said.includes("attn_q"), said);
    const { metadata } = openGguf(`${folder}/out.gguf`);
    assertEquals(metadata.get("quantize.imatrix.file"), "imatrix.gguf");
    assertEquals(metadata.get("quantize.imatrix.entries_count"), known.length);
    const plain = ["quantize", path, `${folder}/q8.gguf`, "--type", "q8_0", "--imatrix", file];
    assertStringIncludes((await runCli(plain)).said, "the importance matrix was not used");
    assertEquals(openGguf(`${folder}/q8.gguf`).metadata.has("quantize.imatrix.file"), false);
    const other = {
      metadata: [["general.type", entry]] as const,
      tensors: [
        floats("other.weight.in_sum2", width, () => 1),
        floats("other.weight.counts", 1, () => 1),
      ],
    };
    await writeGguf(`${folder}/other.gguf`, other);
    const none = await runCli([...args.slice(0, -1), `${folder}/other.gguf`]);
    assertEquals(none.code, 1);
    assertStringIncludes(none.stderr, "it has none of this model's matrices");
    const refused = await runCli([...args.slice(0, -1), path]);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, "importance matrix");
  }));

Deno.test("quantize refuses wrong usage with status 2, and bad files with 1, without a stack", () =>
  withTinyModel(async (path, folder) => {
    const out = `${folder}/out.gguf`;
    const wrong: [args: string[], code: number, says: string][] = [
      [[path, path, "--type", "Q8_0"], 2, "it is the file that is read"],
      [[path, folder, "--type", "Q8_0"], 2, "no regular file"],
      [[path, out], 2, "--type"],
      [[path, "--type", "Q8_0"], 2, "OUT"],
      [[path, out, "--type", "Q9"], 2, "Allowed choices are F32"],
      [[path, out, "--type", "MXFP4"], 2, "Allowed choices are F32"],
      [[`${folder}/none.gguf`, out, "--type", "Q8_0"], 1, "there is no such file"],
      [[path, `${folder}/no/such/out`, "--type", "Q8_0"], 1, "there is no such folder"],
    ];
    for (const [args, status, says] of wrong) {
      const { code, stdout, stderr } = await runCli(["quantize", ...args]);
      assertEquals([code, stdout], [status, ""], stderr);
      assertStringIncludes(stderr, says);
      assert(!stderr.includes("    at "), stderr);
    }
    assertEquals([...Deno.readDirSync(folder)].length, 1);
  }));
