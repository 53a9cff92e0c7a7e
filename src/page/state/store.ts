/** A state that tells who looks at it when it changes. Knows nothing of what it holds. */
import { useEffect, useState } from "preact/hooks";

export class Store<S extends object> {
  #state: S;
  readonly #listeners = new Set<() => void>();

  constructor(state: S) {
    this.#state = state;
  }

  get state(): S {
    return this.#state;
  }

  set(change: Partial<S>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of [...this.#listeners]) listener();
  }

  /** @returns what ends it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A part of the state in a component, which is shown anew when that part changes. */
export function useStore<S extends object, T>(store: Store<S>, select: (state: S) => T): T {
  const [, show] = useState({});
  const selected = select(store.state);
  useEffect(() => {
    let shown = selected;
    const look = () => {
      const now = select(store.state);
      if (Object.is(now, shown)) return;
      shown = now;
      show({});
    };
    look(); // it may have changed since it was shown
    return store.subscribe(look);
  });
  return selected;
}
