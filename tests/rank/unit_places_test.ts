/** Which whole units stay in an arena's places. */
import { assertEquals } from "@std/assert";
import { UnitPlaces } from "../../src/rank/stream/unit_places.ts";
import { Rng } from "../support/rng.ts";

Deno.test("UnitPlaces keeps the units that were used last, but for one place", () => {
  const places = new UnitPlaces(3, 10);
  const [a, b] = [places.claim(7, false), places.claim(4, false)];
  assertEquals(new Set([a, b]), new Set([0, 1]));
  assertEquals([places.use(7), places.use(4), places.use(5)], [a, b, -1]);
  places.use(7);
  assertEquals(places.claim(5, false), b, "4 was used longest ago");
  assertEquals([places.has(7), places.has(4), places.has(5)], [true, false, true]);
});

Deno.test("UnitPlaces lets units pass through one place once all others are taken", () => {
  const places = new UnitPlaces(3, 10);
  const claimed = [0, 1, 2, 3].map((unit) => places.claim(unit, true));
  assertEquals(claimed, [0, 1, 2, 2]);
  assertEquals([0, 1, 2, 3].map((unit) => places.has(unit)), [true, true, false, true]);
  // What lies where others pass is as good as any, until the next one passes.
  assertEquals([places.use(3), places.claim(4, true), places.use(3)], [2, 2, -1]);
});

Deno.test("UnitPlaces with one place, where bundles lie, too, finds nothing again", () => {
  const places = new UnitPlaces(1, 4);
  assertEquals([places.claim(2, false), places.use(2), places.has(2), places.keeps], [
    ...[0, -1, false, false] as const,
  ]);
});

Deno.test("UnitPlaces forgets what could not be read", () => {
  const places = new UnitPlaces(3, 4);
  places.release(places.claim(2, false));
  assertEquals([places.has(2), places.use(2)], [false, -1]);
  assertEquals([places.has(-1), places.has(3)], [false, false]);
});

Deno.test("UnitPlaces never has two units in a place, nor one in two", () => {
  const rng = new Rng(4);
  const places = new UnitPlaces(5, 12);
  const lies = new Map<number, number>(); // what an observer knows: by place
  for (let i = 0; i < 2000; i++) {
    const unit = rng.int(12);
    const found = places.use(unit);
    if (found >= 0) assertEquals(lies.get(found), unit);
    else lies.set(places.claim(unit, rng.int(3) === 0), unit);
    const known = Array.from({ length: 12 }, (_, each) => each).filter((each) => places.has(each));
    assertEquals(new Set(lies.values()), new Set(known));
  }
});
