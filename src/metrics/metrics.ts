/**
 * Numbers about a running program: counters, histograms, and gauges that are read when somebody
 * asks. Adding is arithmetic on fields; knows nothing of what is counted, nor how it is written.
 */
import { check } from "../base/check.ts";

/** A number that only grows. */
export class Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** How often a value was at most each of some bounds. */
export class Histogram {
  /** Upper bounds, ascending. */
  readonly bounds: readonly number[];
  /** By bucket, not yet added up: values above the bound before; the last is above all bounds. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    check(bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]), "bounds ascend");
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Counts `value`, as if it had come `times` times. */
  observe(value: number, times = 1): void {
    const { bounds } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]) bucket++;
    this.counts[bucket] += times;
    this.sum += value * times;
    this.count += times;
  }
}

/** What a family is called and means. */
export interface FamilyOptions {
  /** As Prometheus wants it: letters, digits and underscores; counters end in "_total". */
  readonly name: string;
  readonly help: string;
  /** Names of the labels, in the order in which values are given. Default none. */
  readonly labels?: readonly string[];
}

/** One number of a gauge, with the values of its labels. */
export type Reading = readonly [labelValues: readonly string[], value: number];

/** The series of one name, by the values of its labels. */
export class Family<Kind extends Counter | Histogram> {
  readonly labels: readonly string[];
  readonly #create: () => Kind;
  readonly #series = new Map<string, { readonly values: readonly string[]; readonly of: Kind }>();

  constructor(labels: readonly string[], create: () => Kind) {
    this.labels = labels;
    this.#create = create;
  }

  /** The series with these label values; made when it is asked for the first time. */
  of(...values: readonly string[]): Kind {
    check(values.length === this.labels.length, "a value for each label");
    const key = values.join("\0");
    let series = this.#series.get(key);
    if (series === undefined) this.#series.set(key, series = { values, of: this.#create() });
    return series.of;
  }

  /** All series so far, oldest first. */
  all(): Iterable<{ readonly values: readonly string[]; readonly of: Kind }> {
    return this.#series.values();
  }
}

/** A family under a name that it is shown by. */
export type Shown =
  & { readonly name: string; readonly help: string; readonly labels: readonly string[] }
  & (
    | { readonly type: "counter"; readonly family: Family<Counter> }
    | { readonly type: "histogram"; readonly family: Family<Histogram> }
    | { readonly type: "gauge"; readonly read: () => Iterable<Reading> }
  );

/** All families of a program, in the order in which they were made. */
export class Metrics {
  readonly #shown: Shown[] = [];

  counter({ name, help, labels = [] }: FamilyOptions): Family<Counter> {
    const family = new Family(labels, () => new Counter());
    this.#shown.push({ type: "counter", name, help, labels, family });
    return family;
  }

  /** bounds: of the buckets, ascending. */
  histogram(
    { name, help, labels = [], bounds }: FamilyOptions & { readonly bounds: readonly number[] },
  ): Family<Histogram> {
    const family = new Family(labels, () => new Histogram(bounds));
    this.#shown.push({ type: "histogram", name, help, labels, family });
    return family;
  }

  /** read: called when the numbers are shown. */
  gauge(
    { name, help, labels = [] }: FamilyOptions,
    read: () => number | Iterable<Reading>,
  ): void {
    const readings = () => {
      const value = read();
      return typeof value === "number" ? [[[], value] as const] : value;
    };
    this.#shown.push({ type: "gauge", name, help, labels, read: readings });
  }

  /** Shows a family a second time, under another name and with other names of its labels. */
  alias(of: string, { name, help, labels }: FamilyOptions): void {
    const shown = this.#shown.find((each) => each.name === of);
    check(shown !== undefined, `there is a family "${of}"`);
    check((labels ?? shown.labels).length === shown.labels.length, "as many labels");
    this.#shown.push({ ...shown, name, help, labels: labels ?? shown.labels });
  }

  /** Every family, for whoever writes them down. */
  shown(): readonly Shown[] {
    return this.#shown;
  }
}
