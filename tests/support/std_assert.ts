// The real @std/assert sources, as npm carries them, with types of our own beside them (npm's copy
// has none). Where JSR is reachable, one line of deno.json replaces this file:
//   "@std/assert": "jsr:@std/assert@^1.0.19"
// @ts-types="./std_assert.d.ts"
export * from "npm:deno-std@1.4.0/assert/mod.js";
