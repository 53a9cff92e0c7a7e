import { assertEquals } from "@std/assert";
import { openGguf } from "../../src/gguf/mod.ts";
import { createTokenizer } from "../../src/tokenizer/mod.ts";
import { sharedPath, sharedTest } from "../support/shared.ts";

for (const name of ["llama-spm", "phi-3", "gpt-2", "starcoder", "llama-bpe"]) {
  const path = `tokenizers/ggml-vocab-${name}.gguf`;
  sharedTest(
    path,
    `encode() gives the ids of every test vector of ${name}, and decodes them`,
    () => {
      const tokenizer = createTokenizer(openGguf(sharedPath(path)).metadata);
      const texts = readText(`${path}.inp`).split("\n__ggml_vocab_test__\n");
      const expected = readText(`${path}.out`).split("\n");
      assertEquals(texts.length, expected.length);
      assertEquals(texts.length > 40, true);
      texts.forEach((text, i) => {
        const ids = tokenizer.encode(text);
        assertEquals(ids.join(" "), expected[i].trim(), JSON.stringify(text));
        assertEquals(tokenizer.decode(ids), text);
      });
    },
  );
}

for (const [name, file] of [["stories260K", "f32"], ["babyllama105", "f32"]]) {
  const path = `models/${name}-${file}.gguf`;
  sharedTest(
    path,
    `encode() gives the golden ids of ${name}'s prompts, and decodes its answers`,
    () => {
      const tokenizer = createTokenizer(openGguf(sharedPath(path)).metadata);
      const golden: Golden[] = JSON.parse(readText("models/golden.json"))[name];
      assertEquals(tokenizer.addBos, true);
      for (const { prompt, prompt_ids, greedy_ids, text } of golden) {
        assertEquals([tokenizer.bosId, ...tokenizer.encode(prompt)], prompt_ids);
        assertEquals(tokenizer.decode(greedy_ids), text);
      }
    },
  );
}

for (const text of ["tinyshakespeare.txt", "wikitext-2-raw.valid.txt"]) {
  sharedTest(`text/${text}`, `decode() gives back all of ${text} in every vocabulary`, () => {
    for (const name of ["llama-spm", "gpt-2", "starcoder", "llama-bpe"]) {
      const path = sharedPath(`tokenizers/ggml-vocab-${name}.gguf`);
      const tokenizer = createTokenizer(openGguf(path).metadata);
      const whole = readText(`text/${text}`);
      assertEquals(tokenizer.decode(tokenizer.encode(whole)) === whole, true, name);
    }
  });
}

interface Golden {
  readonly prompt: string;
  readonly prompt_ids: number[];
  readonly greedy_ids: number[];
  readonly text: string;
}

function readText(relative: string): string {
  return Deno.readTextFileSync(sharedPath(relative));
}
