/** What requests want of the adapters that lie beside a model's weights. */
import { RequestError } from "../base/errors.ts";
import { counted } from "../base/units.ts";
import type { AdapterShare } from "./types.ts";

/**
 * How much of each adapter is meant, in their order.
 * @throws {RequestError} 400 when the model has no such adapter.
 */
export function sharesOf(asked: readonly AdapterShare[], count: number): number[] {
  const shares = new Array<number>(count).fill(0);
  for (const { id, scale } of asked) {
    if (id in shares) shares[id] = scale;
    else throw unknownAdapter(id, count);
  }
  return shares;
}

function unknownAdapter(id: number, count: number): RequestError {
  const why = count === 0
    ? "the model has none that requests can choose: start the server with " +
      "--lora-model NAME=FILE, or ask for NAME where the log says that it is a model of its own"
    : `the model has ${counted(count, "adapter")}, counted from 0: see GET /lora-adapters`;
  return new RequestError(`Cannot use adapter ${id}: ${why}`, {
    status: 400,
    code: "invalid_value",
    param: "lora",
  });
}
