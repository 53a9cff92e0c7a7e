import { assertEquals } from "@std/assert";
import { SHORT_PROBES, SpinBound } from "../../src/memory/spin_bound.ts";

const MAX = 20_000;

/** Waits of which each was spun for in vain. */
function vain(spin: SpinBound, count: number): void {
  for (let i = 0; i < count; i++) spin.vain();
}

/** Sleeps until a long spin is tried. */
function sleepsToTrial(spin: SpinBound): number {
  for (let sleeps = 0; sleeps < 10_000; sleeps++) {
    if (spin.probes === MAX) return sleeps;
    spin.vain();
  }
  throw new Error("a long spin is never tried again");
}

Deno.test("SpinBound spins shortly after four waits in vain, and long as long as it pays", () => {
  const spin = new SpinBound(MAX);
  vain(spin, 3);
  assertEquals(spin.probes, MAX);
  vain(spin, 1);
  assertEquals(spin.probes, SHORT_PROBES);
  const paying = new SpinBound(MAX);
  for (let i = 0; i < 100; i++) {
    vain(paying, 1);
    for (let paid = 0; paid < 4; paid++) paying.paid();
    assertEquals(paying.probes, MAX);
  }
  // What was put aside long ago pays for no more than four.
  for (let paid = 0; paid < 1000; paid++) paying.paid();
  vain(paying, 4);
  assertEquals(paying.probes, SHORT_PROBES);
});

Deno.test("SpinBound tries a long spin again, more and more seldom while it is in vain", () => {
  const spin = new SpinBound(MAX);
  vain(spin, 4);
  const trials: number[] = [];
  for (let i = 0; i < 7; i++) {
    trials.push(sleepsToTrial(spin));
    vain(spin, 1);
    assertEquals(spin.probes, SHORT_PROBES);
  }
  assertEquals(trials, [32, 64, 128, 256, 512, 512, 512]);
  // The machine is quiet again: it stays long, and one wait in vain changes nothing.
  sleepsToTrial(spin);
  for (let i = 0; i < 20; i++) spin.paid();
  vain(spin, 3);
  assertEquals(spin.probes, MAX);
  vain(spin, 1);
  assertEquals(sleepsToTrial(spin), 32);
});

Deno.test("SpinBound spins as long as ever where it may spin shortly only", () => {
  const spin = new SpinBound(20);
  vain(spin, 100);
  assertEquals(spin.probes, 20);
  const short = new SpinBound(SHORT_PROBES);
  vain(short, 100);
  assertEquals(short.probes, SHORT_PROBES);
});
