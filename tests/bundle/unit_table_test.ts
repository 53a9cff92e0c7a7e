/** Tables of units by themselves: what is written is read again, rates are shares. */
import { assertEquals, assertThrows } from "@std/assert";
import { ModelFormatError } from "../../src/base/errors.ts";
import { decodeTable, encodeTable } from "../../src/bundle/unit_table.ts";
import { withPacked } from "../pack/packed_model.ts";

Deno.test("decodeTable() reads what encodeTable() writes, and no rate that is no share", () =>
  withPacked({ architecture: "relu-llama", type: "Q4_0" }, ({ model: { file, units } }) => {
    const tensorIndex = new Map([...file.tensors.keys()].map((name, index) => [name, index]));
    const input = { shapes: units, places: units, tensorIndex };
    const read = (rate: number) => {
      const orders = units.map(({ order }) => ({ order, rates: new Float32Array(order.length) }));
      orders[1].rates[3] = rate;
      const bytes = encodeTable(input, orders);
      const at = { path: "tiny.ganglion", offsetBytes: 0 };
      return { orders, units: decodeTable(bytes, { ...input, hasRates: true }, at) };
    };
    for (const rate of [0, 0.5, 1]) {
      const { orders, units: again } = read(rate);
      assertEquals(again.map(({ order, rates }) => ({ order, rates })), orders);
    }
    for (const rate of [-0.1, 1.1, NaN, Infinity]) {
      assertThrows(() => read(rate), ModelFormatError, "says that position 3 fires for");
    }
  }));
