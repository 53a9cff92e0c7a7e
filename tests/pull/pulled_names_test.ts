import { assertEquals } from "@std/assert";
import { pulledAs } from "../../src/pull/pulled_names.ts";

const MODELS = [
  { id: "tiny.Q4_K_M", source: "hf:User/Tiny-GGUF" },
  { id: "tiny.Q8_0", source: "hf:User/Tiny-GGUF:Q8_0" },
  { id: "other.Q4_0", source: "hf:user/other:Q4_0" },
  { id: "a", source: "hf:one/same:Q4_0" },
  { id: "b", source: "hf:two/same:Q4_0" },
  { id: "file", source: "https://example.org/x/file.gguf" },
];

const called = (text: string) => pulledAs(text, MODELS);

Deno.test("pulledAs() reads every way to write what a model was pulled as", () => {
  for (const prefix of ["hf:user/", "hf.co/user/", "https://huggingface.co/User/", "user/", ""]) {
    assertEquals(called(`${prefix}tiny-gguf:q8_0`), "tiny.Q8_0", prefix);
    assertEquals(called(`${prefix}Tiny-GGUF`), "tiny.Q4_K_M", prefix);
    assertEquals(called(`${prefix}Tiny-GGUF:latest`), "tiny.Q4_K_M", prefix);
  }
  assertEquals(called("https://example.org/x/file.gguf"), "file");
});

Deno.test("pulledAs() takes a quantisation from the file's name where none was asked for", () => {
  assertEquals(called("hf:user/tiny-gguf:Q4_K_M"), "tiny.Q4_K_M");
  assertEquals(called("hf:user/other"), "other.Q4_0");
});

Deno.test("pulledAs() guesses nothing", () => {
  assertEquals(called("same:Q4_0"), null);
  assertEquals(called("two/same:Q4_0"), "b");
  for (
    const text of ["tiny-gguf:Q2_K", "gguf", "hf:", "", "user/", "x/user/other", "file", "a:b:c"]
  ) {
    assertEquals(called(text), null, text);
  }
});
