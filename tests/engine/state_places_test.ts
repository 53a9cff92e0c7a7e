/** Places of states, against a model that is slow and obvious. */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { StatePlaces } from "../../src/engine/state_places.ts";

Deno.test("StatePlaces gives each place to one holder, and forgets what was not used for longest", () => {
  const places = new StatePlaces(4);
  const [a, b, c] = [places.take(), places.take(), places.take()];
  places.remember(11, a, true);
  places.remember(12, b, true);
  [a, b, c].forEach((place) => places.leave(place));
  assertEquals([places.find(11, true), places.find(12, true)], [a, b]);
  // Used again, so the other one is the first to go.
  places.hold(a);
  places.leave(a);
  const taken = [places.take(), places.take(), places.take()];
  assertEquals(taken.includes(b) && !taken.includes(a), true);
  assertEquals([places.find(11, true), places.find(12, true)], [a, -1]);
});

Deno.test("StatePlaces prefers exact states to others of the same content", () => {
  const places = new StatePlaces(3);
  const [a, b] = [places.take(), places.take()];
  places.remember(5, a, false);
  assertEquals([places.find(5, false), places.find(5, true)], [a, -1]);
  places.remember(5, b, true);
  assertEquals([places.find(5, false), places.find(5, true)], [b, b]);
  places.leave(a);
  assertEquals(places.available, 2, "who lost its content is free again");
});

Deno.test("StatePlaces never gives what somebody has, whatever is asked of it", () => {
  const steps = fc.array(fc.tuple(fc.nat(4), fc.nat(7)), { maxLength: 200 });
  fc.assert(
    fc.property(steps, (calls) => {
      const count = 5;
      const places = new StatePlaces(count);
      const held: number[] = [];
      /** What was written to each place: the content that it was remembered for. */
      const written = new Map<number, number>();
      for (const [call, number] of calls) {
        const one = held[number % Math.max(1, held.length)];
        if (call <= 1 && places.available > 0) {
          const place = places.take();
          assertEquals(held.includes(place), false);
          written.delete(place);
          held.push(place);
        } else if (call === 2 && held.length > 0) {
          held.splice(held.indexOf(one), 1);
          places.leave(one);
        } else if (call === 3 && held.length > 0 && !written.has(one)) {
          const known = places.find(number + 1, false);
          places.remember(number + 1, one, false);
          if (known < 0) written.set(one, number + 1);
        } else if (call === 4) {
          const place = places.find(number + 1, false);
          if (place < 0) continue;
          assertEquals(written.get(place), number + 1, "a state of that content");
          places.hold(place);
          held.push(place);
        }
        assertEquals(places.available >= count - new Set(held).size, true);
      }
    }),
    { seed: 7, numRuns: 200 },
  );
});
