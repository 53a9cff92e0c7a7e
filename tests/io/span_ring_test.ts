import { assert, assertEquals, assertThrows } from "@std/assert";
import { SpanRing, SPANS_BYTES } from "../../src/io/span_ring.ts";
import { Rng } from "../support/rng.ts";

Deno.test("SpanRing: no two owners that were not asked to be through have the same bytes", () => {
  const owners = 256;
  const ring = new SpanRing(owners);
  const rng = new Rng(11);
  /** Rooms by owner, as [start, end), of those that may still be read into. */
  const held = new Map<number, [number, number]>();
  let given = 0;
  for (let turn = 0; turn < 20_000; turn++) {
    const owner = turn % owners;
    held.delete(owner);
    ring.release(owner);
    const size = 1 + rng.int(rng.int(10) === 0 ? 200_000 : 9_000);
    for (let other; (other = ring.reserve(owner, size)) >= 0; given++) held.delete(other);
    const start = ring.startOf(owner);
    const end = start + size;
    assert(start % 4096 === 0 && start >= 0 && end <= SPANS_BYTES);
    for (const [from, to] of held.values()) assert(end <= from || start >= to, "rooms overlap");
    held.set(owner, [start, end]);
  }
  assert(given > 1000, "the ring came round");
});

Deno.test("SpanRing: an owner that was released has no room, and is in nobody's way", () => {
  const ring = new SpanRing(2);
  assertEquals(ring.startOf(0), -1);
  assertEquals(ring.reserve(0, SPANS_BYTES), -1);
  assertEquals(ring.startOf(0), 0);
  ring.release(0);
  assertEquals(ring.startOf(0), -1);
  assertEquals(ring.reserve(1, 4096), -1);
  assertThrows(() => ring.reserve(0, SPANS_BYTES + 1), Error, "a span has room");
});
