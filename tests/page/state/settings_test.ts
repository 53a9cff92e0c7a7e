import { assertEquals } from "@std/assert";
import { DEFAULT_SETTINGS, settingsOf } from "../../../src/page/state/settings.ts";

Deno.test("settingsOf() keeps what is within bounds, and nothing else", () => {
  const good = { temperature: 0, topP: 1, seed: 5, system: "Be brief.", theme: "dark" };
  assertEquals(settingsOf(good), { ...DEFAULT_SETTINGS, ...good, theme: "dark" });
  const bad = { temperature: 3, topK: "7", minP: NaN, maxTokens: 0, system: 1, theme: "x", y: 1 };
  for (const value of [bad, null, 7, [], "x"]) assertEquals(settingsOf(value), DEFAULT_SETTINGS);
});
