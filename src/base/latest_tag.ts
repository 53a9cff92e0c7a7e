/** Clients of Ollama say "name:latest" of a model that has no tag. */

/** The name without that tag; as it is where it has none, or another. */
export function withoutLatest(name: string): string {
  return name.replace(/:latest$/, "");
}

/** The one of `ids` that a name stands for; undefined: none. */
export function findNamed(ids: readonly string[], name: string): string | undefined {
  return [name, withoutLatest(name)].find((id) => ids.includes(id));
}
