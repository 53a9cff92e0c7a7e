/**
 * How much of each adapter beside a model's weights counts: for a request that says so, and for all
 * others. Where adapters are in weights, errors say why, and whom to ask instead.
 */
import { RequestError } from "../base/errors.ts";
import { counted } from "../base/units.ts";
import type { AdaptersApart } from "./load_options.ts";
import type { AdapterShare } from "./types.ts";

/** What a model has. */
export interface AdaptersOfModel {
  /** The model's name. */
  readonly id: string;
  /** Of each adapter beside its weights, where nobody says. */
  readonly shares: readonly number[];
  /** Its name stands for these shares; else for the model, whatever is chosen. */
  readonly isNamed: boolean;
  /** How much of each adapter is in its weights, in order. */
  readonly merged: readonly number[];
  /** Adapters that could not lie beside its weights; left out: all could. */
  readonly apart?: AdaptersApart;
}

export class AdapterShares {
  readonly #of: AdaptersOfModel;
  #current: readonly number[];

  constructor(of: AdaptersOfModel) {
    this.#of = of;
    this.#current = of.shares;
  }

  /** Of each adapter, where a request does not say. */
  get current(): readonly number[] {
    return this.#current;
  }

  /**
   * Of each adapter, where a request asks for these, and no others; undefined: where it does not.
   * @throws {RequestError} 400 when the model has no such adapter, or has some in its weights, or
   *   a scale is no number of f32.
   */
  of(asked: readonly AdapterShare[] | undefined): readonly number[] {
    if (asked === undefined) return this.#current;
    const { merged, shares: { length: count } } = this.#of;
    if (count === 0 && merged.length > 0) {
      // Who asks for what is there gets it.
      if (isSame(asked, merged)) return this.#current;
      throw refusal(`Cannot change the adapters of "${this.#of.id}"`, this.#whyIn());
    }
    const shares = new Array<number>(count).fill(0);
    for (const { id, scale } of asked) {
      if (!(id in shares)) throw refusal(`Cannot use adapter ${id}`, this.#whyNone());
      if (!Number.isFinite(Math.fround(scale))) {
        throw refusal(`Cannot use adapter ${id} ${scale} times`, "give a finite number");
      }
      shares[id] = scale;
    }
    return shares;
  }

  /**
   * From now on so much of each counts where a request does not say, and nothing of the others.
   * @throws {RequestError} 400 as `of`, and of a name that stands for some of an adapter itself.
   */
  choose(asked: readonly AdapterShare[]): void {
    const { id, isNamed } = this.#of;
    if (isNamed) {
      throw refusal(
        `Cannot change how much of its adapter "${id}" has`,
        "its name says that: set the scales of the model that it is beside, or ask for that with " +
          "some of the adapter (lora)",
      );
    }
    this.#current = this.of(asked);
  }

  /** Why its adapters are in its weights. */
  #whyIn(): string {
    const { id, apart } = this.#of;
    const own = apart?.models.find((each) => each.id === id);
    if (own === undefined) {
      return "they are in its weights (--lora), which all requests have in common: start the " +
        "server with --lora-model NAME=FILE, and requests can choose";
    }
    return `its adapter is in its weights, because ${own.obstacle}: ask for "${apart!.base}", ` +
      `which is without it, or for "${id}" as it is`;
  }

  /** Why it has no such adapter. */
  #whyNone(): string {
    const { shares: { length: count }, apart } = this.#of;
    const others = (apart?.models ?? []).map(({ id, obstacle }) =>
      `"${id}" is a model of its own with its adapter, because ${obstacle}: ask for "${id}" instead`
    );
    if (count > 0) {
      const there = `the model has ${counted(count, "adapter")}, counted from 0: see GET ` +
        "/lora-adapters";
      return [there, ...others].join("; ");
    }
    if (others.length > 0) return others.join("; ");
    return "the model has none that requests can choose: start the server with --lora-model " +
      "NAME=FILE";
  }
}

/** Of each adapter as much is asked for as there is, and of no other. */
function isSame(asked: readonly AdapterShare[], merged: readonly number[]): boolean {
  // A list that is made longer by an id of 2³¹ − 1 takes the server a minute to look through.
  if (!asked.every(({ id }) => id in merged)) return false;
  const wanted = new Array<number>(merged.length).fill(0);
  for (const { id, scale } of asked) wanted[id] = scale;
  return wanted.every((scale, id) => scale === merged[id]);
}

function refusal(what: string, why: string): RequestError {
  return new RequestError(`${what}: ${why}`, {
    status: 400,
    code: "invalid_value",
    param: "lora",
  });
}
