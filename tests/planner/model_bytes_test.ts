import { assertEquals } from "@std/assert";
import { firingRates } from "../../src/planner/firing_rates.ts";
import { sumUnits } from "../../src/planner/model_bytes.ts";
import { shapeInput } from "./shape_input.ts";

Deno.test("sumUnits() and firingRates() leave out what is a GPU's", () => {
  const input = shapeInput("minicpm-s-1b");
  const quarter = input.units.map((unit) => ({
    ...unit,
    gpuOfStripe: unit.neurons / unit.stripes / 4,
  }));
  const all = sumUnits(input);
  const rest = sumUnits({ ...input, units: quarter });
  for (const name of ["neurons", "gateBytes", "bundleBytes", "usedWeights"] as const) {
    assertEquals(rest[name], all[name] * 3 / 4, name);
  }
  assertEquals([rest.factorsBytes, rest.slotBytes], [all.factorsBytes, all.slotBytes]);
  const rates = (units: typeof quarter, rate: (position: number) => number) =>
    firingRates(
      units.map((unit) => ({
        ...unit,
        rates: Float32Array.from({ length: unit.neurons }, (_, i) => rate(i)),
      })),
      input.model.config,
      null,
    ).perToken;
  const { neurons, stripes } = quarter[0];
  const isHot = (position: number) => position % (neurons / stripes) < neurons / stripes / 4;
  assertEquals(rates(quarter, (position) => isHot(position) ? 1 : 0), 0);
  assertEquals(rates(quarter, (position) => isHot(position) ? 0 : 1), rest.neurons);
});
