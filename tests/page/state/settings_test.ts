import { assertEquals } from "@std/assert";
import { checkSettings, DEFAULT_SETTINGS } from "../../../src/page/state/settings.ts";

Deno.test("checkSettings() keeps what is within bounds, and nothing else", () => {
  const good = { temperature: 0, topP: 1, seed: 5, system: "Be brief.", theme: "dark" };
  assertEquals(checkSettings(good), { ...DEFAULT_SETTINGS, ...good, theme: "dark" });
  const bad = { temperature: 3, topK: "7", minP: NaN, maxTokens: 0, system: 1, theme: "x", y: 1 };
  for (const value of [bad, null, 7, [], "x"]) assertEquals(checkSettings(value), DEFAULT_SETTINGS);
});
